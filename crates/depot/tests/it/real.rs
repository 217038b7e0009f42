//! Every real file that is beside the repository.

use lifeboat_depot::offline::{self, verify_vib};
use lifeboat_depot::results::parse_results;
use lifeboat_depot::tar::{EntryKind, Form};
use lifeboat_depot::{Budget, Descriptor, Level, Limits, Profile, VibVersion, vib};

use crate::common::{codes, samples};

#[test]
fn every_pair_that_a_real_update_proved_is_in_order() {
    let Some(folder) = samples("vib") else { return };
    let table = std::fs::read_to_string(folder.join("version_order_pairs_real.tsv")).unwrap();
    let mut pairs = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (lower, higher) = (VibVersion::new(cells[1]), VibVersion::new(cells[2]));
        assert!(lower < higher, "{line}");
        assert!(lower.settled_against(&higher), "{line}");
        pairs += 1;
    }
    assert_eq!(pairs, 21);
}

#[test]
fn the_real_vib_is_whole_by_every_sum_and_its_files_are_those_of_its_list() {
    let Some(folder) = samples("vib/ghettovcb_2015") else { return };
    let bytes = std::fs::read(folder.join("ghettoVCB.vib")).unwrap();
    let vib = vib::read(&bytes, &Limits::default()).unwrap();
    assert_eq!(vib.descriptor.id.as_str(), "Ateb_bootbank_ghettoVCB_6.0.0-0.0.3");
    assert_eq!(vib.descriptor.level, Some(Level::Community));
    assert_eq!(vib.signature, b"");
    assert_eq!(vib.findings, [], "nothing is wrong with it");
    let payload = &vib.payloads[0];
    assert_eq!((payload.size, payload.sums_right), (18621, 2));
    let unpacked = payload.unpacked.as_ref().unwrap();
    assert_eq!(unpacked.listing.form, Form::Visor);
    let files = unpacked.listing.entries.iter().filter(|entry| entry.kind == EntryKind::File).count();
    assert_eq!((unpacked.size, files, unpacked.listing.entries.len()), (93100, 6, 12));
}

#[test]
fn the_real_bundle_is_walked_and_its_vib_is_the_one_of_its_index() {
    let Some(folder) = samples("vib/ghettovcb_2015") else { return };
    let bytes = std::fs::read(folder.join("ghettoVCB-offline-bundle.zip")).unwrap();
    let limits = Limits::default();
    let archive = offline::open(&bytes, &limits).unwrap();
    let bundle = offline::read(&archive, "ghettoVCB", &limits).unwrap();
    assert_eq!((bundle.vibs.len(), bundle.bulletins.len(), bundle.profiles.len()), (1, 1, 0));
    assert_eq!(codes(&bundle.findings), ["bundle-thin"], "its vendor code is `Unknown`");
    let vib = verify_vib(&archive, &bundle.vibs[0], &limits, &mut Budget::of(&limits)).unwrap().unwrap();
    assert_eq!(vib.findings, []);
    assert_eq!(std::fs::read(folder.join("ghettoVCB.vib")).unwrap().len() as u64, vib.size);
}

#[test]
fn the_real_bundle_cut_anywhere_or_with_any_bit_turned_is_never_taken_for_whole() {
    let Some(folder) = samples("vib/ghettovcb_2015") else { return };
    let bytes = std::fs::read(folder.join("ghettoVCB.vib")).unwrap();
    let limits = Limits::small();
    for cut in (0..bytes.len()).step_by(97) {
        let whole = vib::read(&bytes[..cut], &limits).is_ok_and(|vib| vib.findings.is_empty());
        assert!(!whole, "cut at {cut}");
    }
    let first = bytes.len() - 18621;
    for at in (first..bytes.len()).step_by(61) {
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        let read = vib::read(&altered, &limits);
        let noticed =
            read.is_err() || read.is_ok_and(|vib| codes(&vib.findings).contains(&"payload-altered"));
        assert!(noticed, "bit at {at}");
    }
}

#[test]
fn every_real_descriptor_is_read_and_oddities_are_told() {
    let Some(folder) = samples("vib") else { return };
    for (file, id, odd) in [
        (
            "descriptors/esxi-firewall-vib_stage_descriptor.xml",
            "RackN_bootbank_DRP-Firewall-Rule_5.0.0-0.0.2",
            0,
        ),
        ("descriptors/packer-vib_stage_descriptor.xml", "umich_bootbank_packer_1.0.0-1", 1),
        ("ghettovcb_2015/descriptor.xml", "Ateb_bootbank_ghettoVCB_6.0.0-0.0.3", 0),
    ] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let descriptor = Descriptor::parse(&bytes, &Limits::default()).unwrap();
        assert_eq!((descriptor.id.as_str(), descriptor.odd.len()), (id, odd), "{file}: {:?}", descriptor.odd);
        assert_eq!(descriptor.unknown, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn the_real_profile_has_all_its_vibs_and_every_boot_name_is_known() {
    let Some(folder) = samples("vib/image_profile") else { return };
    let bytes = std::fs::read(folder.join("my_image_profile_7.0.0-1.25.xml")).unwrap();
    let profile = Profile::parse(&bytes, &Limits::default()).unwrap();
    let payloads: usize = profile.vibs.iter().map(|vib| vib.payloads.len()).sum();
    assert_eq!((profile.vibs.len(), payloads, profile.bulletins.len()), (72, 106, 55));
    assert_eq!(profile.departures().count(), 0, "{:?}", profile.departures().collect::<Vec<_>>());
    assert!(profile.vibs.iter().all(|vib| vib.id.parts().is_some()));
}

#[test]
fn real_results_go_up_where_the_mode_only_goes_up() {
    let Some(folder) = samples("esxi-outputs") else { return };
    let (mut results, mut pairs) = (0, 0);
    for file in [
        "esxcli_profile_update_5.0_to_5.1.txt",
        "esxcli_vib_update_5.5.txt",
        "vib_update_6.7_results.txt",
        "vib_create_install_6.5.txt",
        "vib_install_lsi_5.0.txt",
        "ks_custom_install.txt",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for result in parse_results(&text) {
            results += 1;
            assert!(!result.message.is_empty(), "{file}");
            assert!(result.reboot_required.is_some(), "{file}");
            for (gone, new) in result.pairs() {
                assert!(gone.version() < new.version(), "{file}: {gone} {new}");
                pairs += 1;
            }
        }
    }
    // The table of pairs has 21; a driver of another vendor is the 22nd.
    assert_eq!((results, pairs), (12, 22));
}
