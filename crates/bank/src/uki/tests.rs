#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::pe::parse_headers;
use super::*;

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const CMDLINE: &str = "lifeboat.bank=A root=PARTUUID=0 lifeboat.release=1 panic=5";
const OSREL: &str = "ID=lifeboat\nIMAGE_ID=lab\nIMAGE_VERSION=1\n";

/// Prints why a test is skipped; fails instead where the peers are required.
fn skipped(reason: &str) {
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "a required peer is missing: {reason}");
    println!("skipped: {reason}");
}

fn small() -> Vec<u8> {
    build_uki(&minimal_stub(), CMDLINE, OSREL, &[1; 700], &[2; 5000]).unwrap()
}

fn section<'a>(image: &'a [u8], name: &str) -> &'a [u8] {
    let headers = parse_headers(image).unwrap();
    let section = headers.sections.into_iter().find(|section| section.name == name).unwrap();
    &image[section.content()]
}

#[test]
fn what_is_built_is_read_back() {
    let image = small();
    let uki = parse_uki(&image).unwrap();
    assert_eq!(uki.cmdline, CMDLINE);
    assert_eq!(uki.osrel, OSREL);
    assert_eq!(image[uki.kernel.clone()], [1; 700]);
    assert_eq!(image[uki.initrd.clone()], [2; 5000]);
    assert_eq!(uki.option("lifeboat.bank"), Some("A"));
    assert_eq!(uki.option("root"), Some("PARTUUID=0"));
    assert_eq!(uki.option("lifeboat"), None);
    assert_eq!(image, small(), "the same input gives the same bytes");
}

#[test]
fn parts_larger_than_32_mib_do_not_collide() {
    let kernel = vec![3; 40 << 20];
    let image = build_uki(&minimal_stub(), CMDLINE, OSREL, &kernel, &[4]).unwrap();
    let uki = parse_uki(&image).unwrap();
    assert_eq!(uki.kernel.len(), kernel.len());
    assert_eq!(image[uki.initrd], [4]);
}

#[test]
fn a_stub_without_parts_is_no_unified_image() {
    assert_eq!(parse_uki(&minimal_stub()), Err(UkiError::MissingSection { name: ".cmdline" }));
}

#[test]
fn a_used_stub_an_empty_part_and_a_nul_are_refused() {
    let again = build_uki(&small(), CMDLINE, OSREL, &[1], &[1]);
    assert_eq!(again, Err(UkiError::StubInUse { name: ".osrel" }));
    let empty = build_uki(&minimal_stub(), CMDLINE, OSREL, &[], &[1]);
    assert_eq!(empty, Err(UkiError::EmptySection { name: ".linux" }));
    let nul = build_uki(&minimal_stub(), "a\0b", OSREL, &[1], &[1]);
    assert_eq!(nul, Err(UkiError::NulInText { name: ".cmdline", at: 1 }));
}

#[test]
fn a_stub_without_header_room_is_refused() {
    let mut stub = minimal_stub();
    // Directories cut to 16, headers cut to just behind the one section header.
    let table_end = 0x58 + 240 + 40;
    stub[0x58 + 60..0x58 + 64].copy_from_slice(&u32::try_from(table_end + 80).unwrap().to_le_bytes());
    let refused = build_uki(&stub, CMDLINE, OSREL, &[1], &[1]);
    assert_eq!(refused, Err(UkiError::NoHeaderRoom { room: 2, needed: 4 }));
}

#[test]
fn an_image_cut_off_anywhere_is_an_error() {
    let image = build_uki(&minimal_stub(), CMDLINE, OSREL, &[1; 90], &[2; 600]).unwrap();
    for len in 0..image.len() {
        assert!(parse_uki(&image[..len]).is_err(), "cut to {len} bytes");
    }
}

#[test]
fn a_flipped_header_bit_never_panics_and_never_leaves_the_file() {
    let image = build_uki(&minimal_stub(), CMDLINE, OSREL, &[1; 90], &[2; 600]).unwrap();
    for bit in 0..0x400 * 8 {
        let mut bad = image.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(uki) = parse_uki(&bad) {
            assert!(bad.get(uki.kernel).is_some() && bad.get(uki.initrd).is_some());
        }
        if let Ok(again) = build_uki(&bad, "other", OSREL, &[1], &[2]) {
            // A flip in the number of sections makes a stub of a used one; what is built of it is whole.
            assert_eq!(parse_uki(&again).unwrap().cmdline, "other", "bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = parse_uki(&bytes);
        let _ = build_uki(&bytes, CMDLINE, OSREL, &[1], &[2]);
    }

    #[test]
    fn any_parts_are_read_back(
        cmdline in "[ -~]{1,200}",
        kernel in proptest::collection::vec(any::<u8>(), 1..3000),
        initrd in proptest::collection::vec(any::<u8>(), 1..3000),
    ) {
        let image = build_uki(&minimal_stub(), &cmdline, OSREL, &kernel, &initrd).unwrap();
        let uki = parse_uki(&image).unwrap();
        prop_assert_eq!(&uki.cmdline, &cmdline);
        prop_assert_eq!(&image[uki.kernel], &kernel[..]);
        prop_assert_eq!(&image[uki.initrd], &initrd[..]);
    }
}

/// objcopy with the addresses of the recipe that is known to boot.
fn by_objcopy(folder: &Path, kernel: &[u8], initrd: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("objcopy");
    let parts: [(&str, &str, &[u8]); 4] = [
        (".osrel", "0x20000", OSREL.as_bytes()),
        (".cmdline", "0x30000", &[CMDLINE.as_bytes(), b"\0"].concat()),
        (".linux", "0x2000000", kernel),
        (".initrd", "0x4000000", initrd),
    ];
    for (name, address, bytes) in parts {
        let file = folder.join(&name[1..]);
        std::fs::write(&file, bytes).unwrap();
        command.arg("--add-section").arg(format!("{name}={}", file.display()));
        command.arg("--change-section-vma").arg(format!("{name}={address}"));
    }
    let out = folder.join("out.efi");
    let status = command.arg(STUB).arg(&out).status().ok()?;
    assert!(status.success());
    std::fs::read(out).ok()
}

#[test]
fn objcopy_puts_the_same_content_into_the_same_sections() {
    let (Ok(stub), folder) = (std::fs::read(STUB), tempfile::tempdir().unwrap()) else {
        return skipped("no stub of systemd-boot");
    };
    let (kernel, initrd) = (vec![0xaa; 70_001], vec![0xbb; 12_345]);
    let Some(theirs) = by_objcopy(folder.path(), &kernel, &initrd) else { return skipped("no objcopy") };
    let ours = build_uki(&stub, CMDLINE, OSREL, &kernel, &initrd).unwrap();
    let names: Vec<String> = parse_headers(&ours).unwrap().sections.into_iter().map(|s| s.name).collect();
    let their_names: Vec<String> =
        parse_headers(&theirs).unwrap().sections.into_iter().map(|s| s.name).collect();
    assert_eq!(names, their_names);
    for name in names {
        assert_eq!(section(&ours, &name), section(&theirs, &name), "section {name}");
    }
    let (ours, theirs) = (parse_uki(&ours).unwrap(), parse_uki(&theirs).unwrap());
    assert_eq!((ours.cmdline, ours.osrel), (theirs.cmdline, theirs.osrel));
}

#[test]
fn objdump_reads_the_sections_that_were_added() {
    let (Ok(stub), folder) = (std::fs::read(STUB), tempfile::tempdir().unwrap()) else {
        return skipped("no stub of systemd-boot");
    };
    let file = folder.path().join("uki.efi");
    std::fs::write(&file, build_uki(&stub, CMDLINE, OSREL, &[1; 5000], &[2; 5000]).unwrap()).unwrap();
    let Ok(out) = Command::new("objdump").arg("-h").arg(&file).output() else { return skipped("no objdump") };
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for name in [".osrel", ".cmdline", ".linux", ".initrd"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}
