//! The saved state: out of a bank, and what is not taken as one.

use lifeboat_bank::esx::archive::{ArchiveError, Form, inspect};
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::esx::fixture::{Fixture, FixtureLayout, TarMember, gzip, state_tgz, tar, visor_tar};
use lifeboat_bank::esx::state::{StateError, StateLayer, export_state, validate_state};
use lifeboat_bank::fat::Extent;

const ROOM: u64 = 4 << 20;

fn whole(bytes: &[u8]) -> [Extent; 1] {
    [Extent { offset: 0, len: bytes.len() as u64 }]
}

fn refuse(state: &[u8]) -> String {
    let error = validate_state(&state, ROOM).unwrap_err();
    let cause = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
    format!("{error}: {cause}")
}

/// A state whose inner archive is `members`.
fn state_of(members: &[TarMember]) -> Vec<u8> {
    gzip(&tar(&[TarMember::new("local.tgz", gzip(&tar(members)))]))
}

#[test]
fn a_state_comes_out_byte_for_byte_with_its_list() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let mut out = Vec::new();
    let export = export_state(&image, &found.banks[0], &mut out).unwrap();
    assert_eq!(out, state_tgz("esx7.example"));
    assert_eq!(export.listing.bytes, out.len() as u64);
    assert_eq!(export.build.as_deref(), Some("8.0.2-0.0.22380479"));
    let paths: Vec<(StateLayer, &str)> =
        export.listing.entries.iter().map(|entry| (entry.layer, entry.member.path.as_str())).collect();
    let expected = [
        (StateLayer::Outer, "local.tgz"),
        (StateLayer::Local, "etc/esx.conf"),
        (StateLayer::Local, "etc/ssh/keys-root/authorized_keys"),
        (StateLayer::Local, "etc/hosts"),
        (StateLayer::Local, "var/lib/state.bin"),
    ];
    assert_eq!(paths, expected);
    assert_eq!(validate_state(&out, ROOM).unwrap(), export.listing);
}

#[test]
fn a_bank_without_a_state_says_so() {
    let mut fixture = Fixture::usual(FixtureLayout::V7To8);
    fixture.banks[1].host = None;
    let image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let error = export_state(&image, &found.banks[1], &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StateError::Missing { bank: 'B' }), "{error}");
}

#[test]
fn what_leads_out_of_the_root_is_not_taken() {
    for path in ["../etc/passwd", "/etc/passwd", "etc/../../x", "a/../../b"] {
        let said = refuse(&state_of(&[TarMember::new(path, "x")]));
        assert!(said.contains("root") || said.contains("absolute"), "{path}: {said}");
        let outer = gzip(&tar(&[TarMember::new(path, "x"), TarMember::new("local.tgz", gzip(&tar(&[])))]));
        refuse(&outer);
    }
    assert!(validate_state(&state_of(&[TarMember::new("./etc/a..b", "x")]), ROOM).is_ok());
}

/// A member of another type, with a target.
fn special(kind: u8, path: &str, target: &str) -> Vec<u8> {
    let mut block = tar(&[TarMember::new(path, "")])[..512].to_vec();
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[test]
fn links_that_lead_out_devices_and_paths_through_links_are_not_taken() {
    let with = |blocks: &[Vec<u8>]| {
        let mut inner = blocks.concat();
        inner.extend(tar(&[TarMember::new("link/file", "x")]));
        gzip(&tar(&[TarMember::new("local.tgz", gzip(&inner))]))
    };
    assert!(refuse(&with(&[special(b'2', "link", "etc")])).contains("goes through"));
    assert!(refuse(&with(&[special(b'2', "a", "../../x")])).contains("leads out"));
    assert!(refuse(&with(&[special(b'1', "a", "../x")])).contains("leads out"));
    assert!(refuse(&with(&[special(b'3', "dev", "")])).contains("device"));
    assert!(validate_state(&with(&[special(b'2', "etc/rc", "../bin/rc")]), ROOM).is_ok());
}

#[test]
fn a_file_that_is_no_state_is_not_taken() {
    assert!(refuse(b"hello").contains("gzip"));
    assert!(refuse(&gzip(b"hello")).contains("no file"));
    assert!(refuse(&gzip(&tar(&[TarMember::new("etc/hosts", "x")]))).contains("local.tgz"));
    let state = state_tgz("h");
    let error = validate_state(&state, 100).unwrap_err();
    assert!(matches!(error, StateError::TooLarge { limit: 100, .. }));
    let mut longer = state.clone();
    longer.push(0);
    assert!(refuse(&longer).contains("follow"));
    // One whose inner archive is encrypted with the host's own key cannot be looked into, and is one all the same.
    assert!(validate_state(&gzip(&tar(&[TarMember::new("local.tgz.ve", "?")])), ROOM).is_ok());
}

#[test]
fn a_state_cut_at_any_length_is_not_taken() {
    let state = state_tgz("esx7.example");
    for len in 0..state.len() {
        assert!(
            validate_state(&state[..len].to_vec(), ROOM).is_err(),
            "{len} of {} bytes were taken",
            state.len()
        );
    }
}

#[test]
fn a_bomb_is_refused_at_its_limit() {
    // After a full flush the compressor begins anew, so that the same bytes may stand there any number of times: 3 GiB
    // of zeros in some megabytes.
    let mut compress = flate2::Compress::new(flate2::Compression::fast(), false);
    let mut piece = Vec::with_capacity(1 << 20);
    compress.compress_vec(&vec![0; 16 << 20], &mut piece, flate2::FlushCompress::Full).unwrap();
    assert_eq!(compress.total_in(), 16 << 20);
    let mut bomb = gzip(b"")[..10].to_vec();
    bomb.extend(piece.repeat(192));
    let error = inspect(&bomb, &whole(&bomb)).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
    let state = gzip(&tar(&[TarMember::new("local.tgz", bomb)]));
    assert!(validate_state(&state, 256 << 20).is_err());
}

#[test]
fn archives_are_told_apart_and_checked() {
    let members = [TarMember::new("a", vec![1; 1000]), TarMember::new("b", vec![2; 513])];
    let seen = |bytes: &Vec<u8>| inspect(bytes, &whole(bytes)).unwrap();
    let plain = seen(&gzip(&tar(&members)));
    assert_eq!((plain.form, plain.members), (Form::GzipTar, 2));
    let visor = seen(&gzip(&visor_tar(&members)));
    assert_eq!((visor.form, visor.members), (Form::GzipVisorTar, 2));
    assert_eq!(seen(&gzip(b"\x7fELF")).form, Form::Gzip);
    assert_eq!(seen(&gzip(b"")).form, Form::Gzip);
    assert_eq!(seen(&b"text".to_vec()).form, Form::Plain);
    assert_eq!(seen(&Vec::new()).form, Form::Plain);
    let mut longer = gzip(b"x");
    longer.extend([0; 5]);
    assert_eq!(seen(&longer).trailing, 5);

    let broken = |bytes: Vec<u8>| {
        let packed = gzip(&bytes);
        inspect(&packed, &whole(&packed)).unwrap_err().to_string()
    };
    let mut cut = visor_tar(&members);
    cut.truncate(cut.len() - 600);
    assert!(broken(cut).contains("ends at byte"));
    let mut cut = tar(&members);
    cut.truncate(700);
    assert!(broken(cut).contains("inside member"));
    let mut sum = tar(&members);
    sum[0] ^= 1;
    assert!(broken(sum).contains("checksum"));
}

#[test]
fn a_real_module_is_read_as_the_kernels_tar() {
    const VIB: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/vib/ghettovcb_2015/ghettoVCB.vib");
    let Ok(vib) = std::fs::read(VIB) else {
        println!("skipped: no sample of a real package beside this repository ({VIB})");
        return;
    };
    // The last member of the package is its payload; a member begins after a header of 60 bytes.
    let at = vib.windows(3).rposition(|window| window == [0x1f, 0x8b, 8]).unwrap();
    let size: usize = String::from_utf8_lossy(&vib[at - 12..at - 2]).trim().parse().unwrap();
    let payload = vib[at..at + size].to_vec();
    let seen = inspect(&payload, &whole(&payload)).unwrap();
    println!("{seen:?}");
    assert_eq!(seen.form, Form::GzipVisorTar);
    assert!(seen.members > 3);
}
