//! What uses a disk, on made-up lists of the kernel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{create_dir_all, metadata, write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use lifeboat_device::{BlockFile, DeviceError, Force, SystemRoots, Use, uses_of, uses_within};

/// A machine whose lists lie under `folder`.
fn roots(folder: &Path) -> SystemRoots {
    let roots = SystemRoots { proc: folder.join("proc"), sys: folder.join("sys") };
    create_dir_all(roots.proc.join("self")).unwrap();
    create_dir_all(roots.sys.join("block")).unwrap();
    roots
}

#[test]
fn an_image_that_a_loop_device_shows_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (roots, image) = (roots(folder.path()), folder.path().join("image"));
    write(&image, [0; 512]).unwrap();
    create_dir_all(roots.sys.join("block/loop7/loop")).unwrap();
    write(roots.sys.join("block/loop7/loop/backing_file"), format!("{}\n", image.display())).unwrap();
    let expected = [Use::Loop { name: "loop7".to_owned() }];
    assert_eq!(uses_of(&metadata(&image).unwrap(), &roots).unwrap(), expected);
    let error = BlockFile::open_write_among(&image, Force::No, &roots).unwrap_err();
    assert!(matches!(&error, DeviceError::InUse { uses, .. } if *uses == expected), "{error}");
    assert!(error.to_string().contains("is in use: shown as disk loop7; release it first"), "{error}");
    BlockFile::open_write_among(&image, Force::Yes, &roots).unwrap();
}

#[test]
fn a_swap_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (roots, file) = (roots(folder.path()), folder.path().join("swap"));
    write(&file, [0; 512]).unwrap();
    write(roots.proc.join("swaps"), format!("Filename Type Size\n{} file 1 0 -2\n", file.display())).unwrap();
    assert_eq!(uses_of(&metadata(&file).unwrap(), &roots).unwrap(), [Use::Swap { name: file }]);
}

#[test]
fn an_idle_file_is_free_on_a_machine_without_lists() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = SystemRoots { proc: folder.path().join("no"), sys: folder.path().join("no") };
    let file = folder.path().join("image");
    write(&file, [0; 512]).unwrap();
    assert_eq!(uses_of(&metadata(&file).unwrap(), &nothing).unwrap(), []);
}

/// Any block device of this machine: only its number is looked at, it is never opened.
fn some_block_device() -> Option<PathBuf> {
    let mut devices: Vec<PathBuf> =
        std::fs::read_dir("/dev").ok()?.map(|entry| entry.unwrap().path()).collect();
    devices.sort();
    devices.into_iter().find(|path| metadata(path).is_ok_and(|meta| meta.file_type().is_block_device()))
}

#[test]
fn a_disk_is_in_use_by_its_own_mount_its_partitions_mount_and_its_holders() {
    let Some(device) = some_block_device() else {
        // Nothing that could be installed: a container may have none.
        println!("skipped: no block device in /dev");
        return;
    };
    let meta = metadata(&device).unwrap();
    let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    let folder = tempfile::tempdir().unwrap();
    let roots = roots(folder.path());
    let disk = roots.sys.join(format!("dev/block/{major}:{minor}"));
    create_dir_all(disk.join("part1/holders/md5")).unwrap();
    create_dir_all(disk.join("holders/dm-3")).unwrap();
    write(disk.join("part1/partition"), "1\n").unwrap();
    write(disk.join("part1/dev"), "4000:77\n").unwrap();
    let mounts = format!(
        "1 0 {major}:{minor} / /whole rw - ext4 none rw\n2 0 4000:77 / /part rw shared:1 - vfat none rw\n\
         3 0 4000:78 / /other rw - vfat none rw\n"
    );
    write(roots.proc.join("self/mountinfo"), mounts).unwrap();
    let uses = uses_of(&meta, &roots).unwrap();
    let expected = [
        Use::Holder { name: "dm-3".to_owned() },
        Use::Holder { name: "md5".to_owned() },
        Use::Mounted { at: "/whole".into() },
        Use::Mounted { at: "/part".into() },
    ];
    assert_eq!(uses, expected);
    write(disk.join("part1/start"), "2048\n").unwrap();
    write(disk.join("part1/size"), "8\n").unwrap();
    let (before, inside) = (0..2048 * 512, 0..2048 * 512 + 1);
    let whole = [Use::Holder { name: "dm-3".to_owned() }, Use::Mounted { at: "/whole".into() }];
    assert_eq!(uses_within(&meta, std::slice::from_ref(&before), &roots).unwrap(), whole);
    assert_eq!(uses_within(&meta, std::slice::from_ref(&inside), &roots).unwrap(), expected);
}
