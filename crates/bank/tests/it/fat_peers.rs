//! Volumes that we write are read by others, and volumes of others by us.

use std::fs::File;

use lifeboat_bank::fat::{FatFile, FatImage, FatVolume, FatWriteError};
use lifeboat_model::io::WriteAt;

use crate::fixture::{FileDisk, MIB, noise, sparse};
use crate::peers::run;

/// Writes a volume over what the disk holds; the ranges that it claims to write are all it needs.
fn format(disk: &mut dyn WriteAt, files: &[FatFile<'_>]) {
    let image = FatImage::new(disk.size(), 0x1234_5678, b"LIFEBOAT A ", files).unwrap();
    for piece in image.body() {
        let mut bytes = piece.data.to_vec();
        bytes.resize(usize::try_from(piece.len).unwrap(), 0);
        disk.write_at(piece.offset, &bytes).unwrap();
    }
    for (offset, sector) in image.boot_sectors() {
        disk.write_at(*offset, sector).unwrap();
    }
}

fn tree<'a>(uki: &'a [u8], manifest: &'a [u8], many: &'a [(String, Vec<u8>)]) -> Vec<FatFile<'a>> {
    let mut files = vec![
        FatFile { path: "EFI/BOOT/BOOTX64.EFI", data: uki },
        FatFile { path: "lifeboat/bank.json", data: manifest },
        FatFile { path: "lifeboat/A name with blanks, and thirty-two.text", data: b"long" },
        FatFile { path: "empty.txt", data: b"" },
    ];
    files.extend(many.iter().map(|(path, data)| FatFile { path, data }));
    files
}

#[test]
fn volumes_of_every_size_pass_fsck_and_are_read_by_mtools_and_by_us() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("volume.img");
    let name = path.to_str().unwrap();
    let (uki, manifest) = (noise(1, 1_234_567), noise(2, 777));
    let many: Vec<_> =
        (0..60).map(|n| (format!("many/file-number-{n}.json"), noise(n, 300 * n as usize))).collect();
    for mib in [4, 5, 16, 33, 64, 127, 128, 129, 300, 511, 512, 513, 1024, 9 * 1024, 32 * 1024] {
        let mut disk = sparse(&path, mib * MIB);
        // What an older volume left: none of it may show through.
        disk.write_at(0, &noise(99, 3 << 20)).unwrap();
        let files = tree(&uki, &manifest, &many);
        format(&mut disk, &files);
        let volume = FatVolume::open(&disk, 0, mib * MIB).unwrap();
        for file in &files {
            assert_eq!(volume.read_file(file.path, 2 * MIB).unwrap(), file.data, "{mib} MiB, {}", file.path);
        }
        assert_eq!(volume.list("efi\\boot").unwrap().len(), 1);
        let Some((clean, text)) = run("fsck.fat", &["-n", "-v", name]) else { continue };
        assert!(clean, "{mib} MiB: {text}");
        let kind = if mib < 512 { "16 bit entries" } else { "32 bit entries" };
        assert!(text.contains(kind), "{mib} MiB should have {kind}: {text}");
        let Some((ok, text)) =
            run("mtype", &["-i", name, "::/lifeboat/A name with blanks, and thirty-two.text"])
        else {
            continue;
        };
        assert!(ok && text == "long", "{mib} MiB: {text}");
        let (ok, text) = run("mdir", &["-i", name, "-/", "-b", "::/"]).unwrap();
        assert!(
            ok && text.contains("::/EFI/BOOT/BOOTX64.EFI") && text.contains("::/lifeboat/bank.json"),
            "{text}"
        );
        let out = scratch.path().join("out");
        let _ = std::fs::remove_file(&out);
        let (ok, text) =
            run("mcopy", &["-i", name, "::/efi/boot/bootx64.efi", out.to_str().unwrap()]).unwrap();
        assert!(ok, "{text}");
        assert_eq!(std::fs::read(&out).unwrap(), uki);
    }
}

#[test]
fn volumes_of_mkfs_and_mtools_are_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("volume.img");
    let name = path.to_str().unwrap();
    let data = noise(5, 700_001);
    let source = scratch.path().join("source");
    std::fs::write(&source, &data).unwrap();
    for (mib, width) in [(2, "12"), (8, "12"), (32, "16"), (200, "16"), (64, "32"), (600, "32")] {
        drop(sparse(&path, mib * MIB));
        let Some((ok, text)) = run("mkfs.fat", &["-F", width, name]) else { return };
        assert!(ok, "{text}");
        for target in ["::/EFI", "::/EFI/Some longer folder"] {
            let Some((ok, text)) = run("mmd", &["-i", name, target]) else { return };
            assert!(ok, "{text}");
        }
        // A hole between two files breaks the third one into runs.
        for (target, delete) in
            [("::/one", true), ("::/two", false), ("::/EFI/Some longer folder/Été and more.efi", false)]
        {
            let short = scratch.path().join("short");
            std::fs::write(&short, &data[..100_000]).unwrap();
            let from = if delete || target == "::/two" { &short } else { &source };
            let (ok, text) = run("mcopy", &["-i", name, from.to_str().unwrap(), target]).unwrap();
            assert!(ok, "{text}");
            if target == "::/two" {
                run("mdel", &["-i", name, "::/one"]).unwrap();
            }
        }
        let disk = FileDisk(File::open(&path).unwrap(), mib * MIB);
        let volume = FatVolume::open(&disk, 0, mib * MIB).unwrap();
        let folder = volume.list("efi/some LONGER folder").unwrap();
        assert_eq!(folder.len(), 1, "FAT{width}: {folder:?}");
        let file = format!("/EFI/Some longer folder/{}", folder[0].name);
        let span = volume.locate(&file, MIB).unwrap();
        assert_eq!(volume.read_file(&file, MIB).unwrap(), data, "FAT{width}: {span:?}");
    }
}

#[test]
fn a_volume_refuses_what_it_cannot_hold_before_anything_is_written() {
    let file = |path| FatFile { path, data: b"x" };
    let new = |bytes, files: &[FatFile<'_>]| FatImage::new(bytes, 1, b"LIFEBOAT A ", files).map(|_| ());
    let big = noise(1, 5 << 20);
    assert!(matches!(new(MIB, &[]), Err(FatWriteError::VolumeSize { .. })));
    assert!(matches!(new(64 << 30, &[]), Err(FatWriteError::VolumeSize { .. })));
    assert!(matches!(new(4 * MIB, &[FatFile { path: "a", data: &big }]), Err(FatWriteError::Full { .. })));
    for path in ["", "/a", "a//b", "a/../b", "a:b", "Ünicode", "a.", "nul\0"] {
        assert!(matches!(new(4 * MIB, &[file(path)]), Err(FatWriteError::BadPath { .. })), "{path:?}");
    }
    assert!(matches!(new(4 * MIB, &[file("a/b"), file("A/B")]), Err(FatWriteError::BadPath { .. })));
    assert!(matches!(new(4 * MIB, &[file("a"), file("A/B")]), Err(FatWriteError::BadPath { .. })));
}
