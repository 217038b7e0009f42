//! What an update would do.

use lifeboat_depot::build::{BundleSpec, NewVib, VibSpec, profile_xml};
use lifeboat_depot::host::{Host, parse};
use lifeboat_depot::resolve::{
    BankShape, ChangeKind, Fit, GoneWhy, Mode, Need, Request, Resolution, ResolveError, SkipWhy, resolve,
};
use lifeboat_depot::results::parse_results;
use lifeboat_depot::{Depot, Level, Platform, vib};

use crate::bundle::depot as depot_of;
use crate::common::{codes, constraint, limits, samples, simple, with};

fn host(rows: &[(&str, &str)]) -> Host {
    let rows: Vec<String> = rows
        .iter()
        .map(|(name, version)| format!("{name} {version} ACME VMwareCertified 2014-01-03"))
        .collect();
    parse(&rows.join("\n")).unwrap()
}

fn depot(vibs: &[NewVib]) -> Depot {
    let mut depot = Depot::new();
    for one in vibs {
        depot.add(vib::read(&one.bytes, &limits()).unwrap().descriptor, "d");
    }
    depot
}

fn ask(depot: &Depot, host: &Host, mode: Mode) -> Resolution {
    resolve(depot, host, &Request::new(mode)).unwrap()
}

fn related(name: &str, version: &str, change: impl FnOnce(&mut VibSpec)) -> NewVib {
    let mut spec = VibSpec::new(name, version);
    change(&mut spec);
    with(&mut spec)
}

fn came(answer: &Resolution) -> Vec<(&str, ChangeKind)> {
    answer.installed.iter().map(|one| (one.name.as_str(), one.kind)).collect()
}

#[test]
fn an_updating_mode_goes_only_up_and_brings_nothing_new() {
    let host = host(&[("a", "1-9"), ("b", "2-1"), ("c", "1-1"), ("d", "1-1")]);
    let depot = depot(&[simple("a", "1-10"), simple("b", "1-1"), simple("c", "1-1"), simple("new", "1-1")]);
    let answer = ask(&depot, &host, Mode::VibUpdate);
    assert_eq!(came(&answer), [("a", ChangeKind::Upgrade)]);
    assert_eq!(answer.removed.len(), 1);
    let why: Vec<&SkipWhy> = answer.skipped.iter().map(|one| &one.reason).collect();
    assert!(matches!(why[..], [SkipWhy::Newer { .. }, SkipWhy::Same, SkipWhy::NotInstalled]), "{why:?}");
    assert_eq!(answer.kept.len(), 3);
    assert!(!answer.is_blocked());
}

#[test]
fn an_installing_mode_goes_down_only_when_it_is_allowed() {
    let (host, depot) = (host(&[("b", "2-1")]), depot(&[simple("b", "1-1"), simple("new", "1-1")]));
    let answer = ask(&depot, &host, Mode::VibInstall);
    assert_eq!(came(&answer), [("b", ChangeKind::Downgrade), ("new", ChangeKind::New)]);
    assert!(codes(&answer.findings).contains(&"would-downgrade") && answer.is_blocked());
    let request = Request { allow_downgrades: true, ..Request::new(Mode::VibInstall) };
    assert!(!resolve(&depot, &host, &request).unwrap().is_blocked());
}

fn profiled(vibs: &[NewVib]) -> Depot {
    let ids: Vec<(&str, &[(&str, &str)])> = vibs.iter().map(|one| (one.id.as_str(), [].as_slice())).collect();
    let profile = profile_xml("P", &ids);
    depot_of(&BundleSpec {
        vendor: "ACME".into(),
        code: "ACM".into(),
        vibs: vibs.to_vec(),
        profiles: vec![("P".into(), profile)],
    })
}

#[test]
fn a_profile_update_keeps_what_is_not_in_it_and_a_profile_install_removes_it() {
    let host = host(&[("a", "1-1"), ("own", "1-1"), ("high", "3-1")]);
    let depot = profiled(&[simple("a", "1-2"), simple("new", "1-1"), simple("high", "2-1")]);
    let answer = ask(&depot, &host, Mode::ProfileUpdate);
    assert_eq!(came(&answer), [("a", ChangeKind::Upgrade), ("new", ChangeKind::New)]);
    assert_eq!(answer.skipped.len(), 1);
    assert_eq!(answer.kept.len(), 2);
    let answer = ask(&depot, &host, Mode::ProfileInstall);
    assert_eq!(came(&answer)[1], ("high", ChangeKind::Downgrade));
    assert!(answer.removed.iter().any(|one| one.reason == GoneWhy::NotInProfile));
    let mut found = codes(&answer.findings);
    found.retain(|code| code.starts_with("would"));
    assert_eq!(found, ["would-downgrade", "would-remove"]);
    let request =
        Request { allow_downgrades: true, ok_to_remove: true, ..Request::new(Mode::ProfileInstall) };
    assert!(!resolve(&depot, &host, &request).unwrap().is_blocked());
}

#[test]
fn a_profile_must_be_named_where_there_are_several_and_one_needs_all_its_vibs() {
    let host = host(&[("a", "1-1")]);
    let mut depot = profiled(&[simple("a", "1-2")]);
    depot.packages.clear();
    let answer = ask(&depot, &host, Mode::ProfileUpdate);
    assert_eq!(codes(&answer.findings)[0], "profile-vib-missing");
    depot.profiles.push(depot.profiles[0].clone());
    depot.profiles[1].name = "Q".into();
    let error = resolve(&depot, &host, &Request::new(Mode::ProfileUpdate)).unwrap_err();
    assert_eq!(error, ResolveError::WhichProfile { names: vec!["P".into(), "Q".into()] });
    let request = Request { profile: Some("R".into()), ..Request::new(Mode::ProfileUpdate) };
    assert!(matches!(resolve(&depot, &host, &request), Err(ResolveError::UnknownProfile { .. })));
}

#[test]
fn a_new_name_takes_the_place_of_the_old_one_and_a_new_vendor_too() {
    let host = host(&[("net-tg3", "3.1-1"), ("x", "1-1")]);
    let renamed =
        related("ntg3", "4.0-1", |spec| spec.relations.replaces = vec![constraint("net-tg3 << 4.0")]);
    let vendor = related("x", "1-2", |spec| spec.vendor = "Other".into());
    let answer = ask(&depot(&[renamed, vendor]), &host, Mode::VibUpdate);
    assert_eq!(came(&answer), [("ntg3", ChangeKind::Renamed), ("x", ChangeKind::Upgrade)]);
    let old = answer.removed.iter().find(|one| one.id.as_str().contains("net-tg3")).unwrap();
    assert!(matches!(&old.reason, GoneWhy::Replaced { by } if by.as_str() == "ACME_bootbank_ntg3_4.0-1"));
}

#[test]
fn what_another_one_of_the_depot_replaces_is_left_out() {
    let old = simple("old", "1-2");
    let new = related("new", "2-1", |spec| spec.relations.replaces = vec![constraint("old")]);
    let answer = ask(&depot(&[old, new]), &host(&[("old", "1-1")]), Mode::VibInstall);
    assert_eq!(came(&answer), [("new", ChangeKind::Renamed)]);
    assert!(matches!(&answer.skipped[0].reason, SkipWhy::Replaced { .. }));
    assert_eq!(answer.removed.len(), 1);
}

#[test]
fn dependencies_are_held_against_the_whole_result() {
    let needs = |text: &[&str]| {
        let text: Vec<_> = text.iter().map(|one| constraint(one)).collect();
        related("driver", "1-1", |spec| spec.relations.depends = text)
    };
    let base = related("base", "6-1", |spec| {
        spec.relations.provides = vec![constraint("api = 2.1"), constraint("api = 4.0"), constraint("bare")];
    });
    let empty = host(&[("base", "5-1")]);
    for (depends, missing) in [
        (vec!["base >= 6"], false),
        (vec!["base >= 7"], true),
        (vec!["base >= 5", "base << 6"], true),
        (vec!["api = 2.1", "api = 4.0"], false),
        (vec!["api >= 3", "api << 4"], true),
        (vec!["bare"], false),
        (vec!["bare >= 1"], true),
        (vec!["nothing"], true),
    ] {
        let answer = ask(&depot(&[base.clone(), needs(&depends)]), &empty, Mode::VibInstall);
        let found = codes(&answer.findings).contains(&"dependency-missing");
        assert_eq!(found, missing, "{depends:?}: {:?}", answer.findings);
    }
}

#[test]
fn a_dependency_that_an_unknown_vib_could_provide_is_not_called_missing() {
    let driver = related("driver", "1-1", |spec| spec.relations.depends = vec![constraint("api >= 2")]);
    let answer = ask(&depot(std::slice::from_ref(&driver)), &host(&[("base", "5-1")]), Mode::VibInstall);
    let found = codes(&answer.findings);
    assert!(found.contains(&"dependency-unproven") && found.contains(&"relations-unknown"), "{found:?}");
    assert!(!answer.is_blocked());
    // With the relations of the host's VIBs it is certain.
    let known = "ACME_bootbank_base_5-1\n   Name: base\n   Version: 5-1\n   Vendor: ACME\n   Depends: \n   Provides: api = 1.0\n";
    let answer = ask(&depot(&[driver]), &parse(known).unwrap(), Mode::VibInstall);
    assert!(codes(&answer.findings).contains(&"dependency-missing"), "{:?}", answer.findings);
    let text = &answer.findings[0].evidence;
    assert!(text.contains("api >= 2") && text.contains("base has 1.0"), "{text}");
}

#[test]
fn each_conflicting_vib_is_listed_once() {
    let one = |name: &str, with: &[&str]| {
        let with: Vec<_> = with.iter().map(|text| constraint(text)).collect();
        related(name, "1-1", |spec| spec.relations.conflicts = with)
    };
    let vibs = [
        one("a", &["b", "c >= 1"]),
        one("b", &["a"]),
        one("c", &["a", "b"]),
        one("d", &["e << 1"]),
        one("e", &[]),
    ];
    let answer = ask(&depot(&vibs), &Host::default(), Mode::VibInstall);
    let found: Vec<_> = answer.findings.iter().filter(|one| one.code == "vib-conflict").collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject, "ACME_bootbank_a_1-1, ACME_bootbank_b_1-1, ACME_bootbank_c_1-1");
    assert_eq!(found[0].evidence.matches("excludes").count(), 3);
    let peace = related("a", "1-1", |spec| {
        spec.relations.conflicts = vec![constraint("b")];
        spec.relations.compatible_with = vec![constraint("b = 1-1")];
    });
    let answer = ask(&depot(&[peace, simple("b", "1-1")]), &Host::default(), Mode::VibInstall);
    assert!(!codes(&answer.findings).contains(&"vib-conflict"), "{:?}", answer.findings);
}

#[test]
fn a_conflict_with_a_vib_that_goes_is_none() {
    let new = related("new", "1-1", |spec| {
        spec.relations.conflicts = vec![constraint("old")];
        spec.relations.replaces = vec![constraint("old")];
    });
    let answer = ask(&depot(&[new]), &host(&[("old", "1-1")]), Mode::VibInstall);
    assert!(!answer.is_blocked(), "{:?}", answer.findings);
}

#[test]
fn levels_and_hardware_are_held_against_the_host() {
    let hp =
        related("hp", "1-1", |spec| spec.hardware = vec!["HP".into(), "hp".into(), "Hewlett-Packard".into()]);
    let depot = depot(&[hp]);
    let mut request = Request {
        host_level: Some(Level::Partner),
        hardware: Some(Platform { vendor: "Dell Inc.".into(), model: "R640".into() }),
        ..Request::new(Mode::VibInstall)
    };
    let answer = resolve(&depot, &Host::default(), &request).unwrap();
    assert_eq!(codes(&answer.findings), ["hardware-other", "level-below-host"]);
    assert!(answer.findings[0].evidence.contains("HP, Hewlett-Packard;"), "{}", answer.findings[0].evidence);
    request.hardware = Some(Platform { vendor: "hP".into(), model: "DL380".into() });
    request.host_level = Some(Level::Community);
    assert_eq!(resolve(&depot, &Host::default(), &request).unwrap().findings, []);
    let silent = ask(&depot, &Host::default(), Mode::VibInstall);
    assert_eq!(codes(&silent.findings), ["hardware-unknown", "host-level-unknown"]);
}

#[test]
fn reboot_and_maintenance_are_told_with_their_reasons() {
    let live = ask(&depot(&[simple("a", "1-1")]), &Host::default(), Mode::VibInstall);
    assert_eq!((&live.reboot, &live.maintenance), (&Need::No, &Need::No));
    let heavy = related("a", "1-2", |spec| {
        spec.live = false;
        spec.maintenance = true;
    });
    let answer = ask(&depot(&[heavy]), &host(&[("a", "1-1")]), Mode::VibInstall);
    assert!(
        matches!(&answer.reboot, Need::Yes { because } if because[0].contains("cannot be installed live"))
    );
    assert!(matches!(&answer.maintenance, Need::Yes { .. }));
    let unknown = ask(&depot(&[simple("a", "1-2")]), &host(&[("a", "1-1")]), Mode::VibInstall);
    assert!(matches!(unknown.reboot, Need::Perhaps { .. }), "the old one may not be removable live");
}

#[test]
fn the_bank_is_filled_in_whole_clusters_and_what_is_not_known_is_not_guessed() {
    let depot = depot(&[simple("a", "1-1"), related("t", "1-1", |spec| spec.kind = "locker".into())]);
    let fit = |bank: BankShape, host: &Host| {
        let request = Request { bank: Some(bank), ..Request::new(Mode::VibInstall) };
        resolve(&depot, host, &request).unwrap()
    };
    let bank = BankShape { capacity: 3 * 4096, cluster: 4096, reserve: 4096 };
    assert_eq!(fit(bank, &Host::default()).fit, Fit::Fits { needed: 8192, free: 4096 });
    let small = fit(BankShape { capacity: 8191, ..bank }, &Host::default());
    assert_eq!(small.fit, Fit::TooSmall { needed: 8192, missing: 1 });
    assert!(small.is_blocked());
    let unknown = fit(bank, &host(&[("other", "1-1")]));
    assert_eq!(unknown.fit, Fit::Unknown { at_least: 8192, left: 4096, unknown: 1 });
    let shape = BankShape::of_volume(262_127_616, 0);
    assert!(
        shape.cluster == 4096 && shape.capacity > 261_000_000 && shape.capacity < 262_127_616,
        "{shape:?}"
    );
}

#[test]
fn only_what_was_asked_for_comes() {
    let depot = depot(&[simple("a", "1-1"), simple("a", "2-1"), simple("b", "1-1")]);
    let request = |only: &[&str]| Request {
        only: only.iter().map(|text| (*text).to_owned()).collect(),
        ..Request::new(Mode::VibInstall)
    };
    let versions = |only: &[&str]| {
        let answer = resolve(&depot, &Host::default(), &request(only)).unwrap();
        answer.installed.iter().map(|one| format!("{} {}", one.name, one.version)).collect::<Vec<_>>()
    };
    assert_eq!(versions(&["a"]), ["a 2-1"]);
    assert_eq!(versions(&["a:1-1"]), ["a 1-1"]);
    assert_eq!(versions(&["ACME:b"]), ["b 1-1"]);
    let answer = resolve(&depot, &Host::default(), &request(&["c"])).unwrap();
    assert_eq!(codes(&answer.findings), ["nothing-matches"]);
}

/// Rebuilds depot and host from what a real host printed, and asks for the same command.
#[test]
fn decisions_are_those_of_real_hosts_as_far_as_their_outputs_tell() {
    let Some(folder) = samples("esxi-outputs") else { return };
    let mut compared = 0;
    for (file, modes) in [
        ("esxcli_profile_update_5.0_to_5.1.txt", vec![Mode::ProfileUpdate, Mode::VibInstall]),
        ("esxcli_vib_update_5.5.txt", vec![Mode::VibUpdate]),
        ("vib_update_6.7_results.txt", vec![Mode::VibUpdate; 3]),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for (result, mode) in parse_results(&text).iter().zip(modes) {
            let vib_of = |id: &lifeboat_depot::VibId| {
                let (vendor, kind, name, version) = id.parts().unwrap();
                related(name, version, |spec| {
                    spec.vendor = vendor.to_owned();
                    spec.kind = kind.to_owned();
                    spec.live = false;
                })
            };
            let row = |id: &lifeboat_depot::VibId| {
                let (vendor, _, name, version) = id.parts().unwrap();
                format!("{name} {version} {vendor} VMwareCertified 2014-01-01")
            };
            // What was skipped is on the host as it is in the depot, or newer; the output does not tell which.
            let rows: Vec<String> = result.removed.iter().chain(&result.skipped).map(row).collect();
            let vibs: Vec<NewVib> = result.installed.iter().chain(&result.skipped).map(vib_of).collect();
            let answer = ask(&profiled(&vibs), &parse(&rows.join("\n")).unwrap(), mode);
            let sorted = |mut ids: Vec<String>| {
                ids.sort();
                ids
            };
            let real = |ids: &[lifeboat_depot::VibId]| sorted(ids.iter().map(ToString::to_string).collect());
            assert_eq!(
                sorted(answer.installed.iter().map(|one| one.id.to_string()).collect()),
                real(&result.installed)
            );
            // The table does not tell types: a locker VIB that goes is compared by name and version.
            let plain =
                |ids: Vec<String>| ids.into_iter().map(|id| id.replace("_locker_", "_bootbank_")).collect();
            assert_eq!(
                sorted(plain(answer.removed.iter().map(|one| one.id.to_string()).collect())),
                sorted(plain(real(&result.removed)))
            );
            assert_eq!(
                sorted(answer.skipped.iter().map(|one| one.id.to_string()).collect()),
                real(&result.skipped)
            );
            assert_eq!(matches!(answer.reboot, Need::Yes { .. }), result.reboot_required == Some(true));
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}
