//! Disks as files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};
use lifeboat_device::{BlockFile, DeviceError, Force, SystemRoots, WriteScope};
use lifeboat_model::Bank;
use lifeboat_model::io::{ReadAt, WriteAt};

#[test]
fn what_is_written_is_read_back_after_the_cache_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut disk = BlockFile::create_image(&path, 1 << 20).unwrap();
    assert_eq!(disk.size(), 1 << 20);
    disk.write_at(4000, &[7; 5000]).unwrap();
    disk.flush().unwrap();
    disk.drop_cache(0, 1 << 20).unwrap();
    let mut bytes = [0; 5002];
    disk.read_at(3999, &mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[5001]), (0, 0));
    assert_eq!(bytes[1..5001], [7; 5000]);
    drop(disk);
    let mut byte = [0];
    BlockFile::open_read(&path).unwrap().read_at(4000, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}

#[test]
fn a_range_that_leaves_the_disk_is_refused_and_the_file_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut disk = BlockFile::create_image(&path, 4096).unwrap();
    for (offset, len) in [(4095, 2), (4096, 1), (u64::MAX, 1)] {
        assert_eq!(disk.write_at(offset, &vec![1; len]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(disk.read_at(offset, &mut vec![1; len]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 4096);
}

#[test]
fn a_disk_open_for_reading_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, [0; 512]).unwrap();
    let mut disk = BlockFile::open_read(&path).unwrap();
    assert_eq!(disk.write_at(0, &[1]).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(disk.flush().unwrap_err().kind(), ErrorKind::PermissionDenied);
    disk.drop_cache(0, 512).unwrap();
}

#[test]
fn a_second_writer_is_refused_even_by_force_until_the_first_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let first = BlockFile::create_image(&path, 512).unwrap();
    for force in [Force::No, Force::Yes] {
        assert!(matches!(BlockFile::open_write(&path, force), Err(DeviceError::Locked { .. })));
    }
    BlockFile::open_read(&path).unwrap();
    drop(first);
    BlockFile::open_write(&path, Force::No).unwrap();
}

#[test]
fn a_new_image_has_its_space_and_an_old_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    drop(BlockFile::create_image(&path, 3 << 20).unwrap());
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 3 << 20);
    let error = BlockFile::create_image(&path, 512).unwrap_err();
    assert!(matches!(error, DeviceError::Exists { .. }), "{error}");
}

#[test]
fn an_image_that_does_not_fit_is_refused_before_the_first_write_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let error = BlockFile::create_image(&path, 1 << 55).unwrap_err();
    assert!(error.to_string().starts_with("cannot reserve the space of"), "{error}");
    assert!(!path.exists());
}

#[test]
fn holes_are_filled_and_the_content_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, b"content").unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2 << 20).unwrap();
    let mut disk = BlockFile::open_write(&path, Force::No).unwrap();
    disk.reserve().unwrap();
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 2 << 20);
    let mut bytes = [0; 7];
    disk.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"content");
}

#[test]
fn what_is_no_disk_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(BlockFile::open_read(folder.path()), Err(DeviceError::NotADisk { .. })));
    assert!(matches!(BlockFile::open_read("/dev/null".as_ref()), Err(DeviceError::NotADisk { .. })));
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert!(matches!(BlockFile::open_read(&pipe), Err(DeviceError::NotADisk { .. })), "and nobody waits");
    let missing = BlockFile::open_write(&folder.path().join("missing"), Force::No);
    assert!(matches!(missing, Err(DeviceError::Io { .. })));
}

#[test]
fn a_write_outside_of_the_scope_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    drop(BlockFile::create_image(&path, 8192).unwrap());
    let (volume, record) = (1024..2048, 4096..4608);
    let scope = WriteScope { exclusive: vec![volume], shared: vec![record] };
    let mut disk = BlockFile::open_write_within(&path, scope, &SystemRoots::default()).unwrap();
    disk.write_at(1024, &[1; 1024]).unwrap();
    disk.write_at(4100, &[2; 8]).unwrap();
    for (offset, len) in [(1023, 1), (1024, 1025), (2048, 1), (4607, 2), (0, 8192)] {
        let error = disk.write_at(offset, &vec![9; len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{len} bytes at {offset}");
    }
    disk.flush().unwrap();
    assert!(!std::fs::read(&path).unwrap().contains(&9));
}

#[test]
fn the_scope_beside_a_running_bank_holds_the_other_bank_and_the_record_and_not_a_byte_of_the_running_one() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let geometry = Geometry { boot: 5 * MIB, root: 2 * MIB, state: MIB };
    let mut disk = BlockFile::create_image(&path, geometry.disk_bytes()).unwrap();
    let mut random = [0; 96];
    for (byte, value) in random.iter_mut().zip(1..) {
        *byte = value;
    }
    let layout = create_layout(&mut disk, &geometry, &LayoutGuids::from_random(&random)).unwrap();
    drop(disk);
    for running in Bank::BOTH {
        let scope = WriteScope::beside(&layout, running);
        let mut disk = BlockFile::open_write_within(&path, scope, &SystemRoots::default()).unwrap();
        let (own, other) = (layout.volumes(running), layout.volumes(running.other()));
        for offset in [other.boot.offset(), other.root.offset(), other.record_offset(), own.record_offset()] {
            disk.write_at(offset, &[1; 4096]).unwrap();
        }
        for offset in
            [0, own.boot.offset(), own.root.offset(), own.record_offset() - 1, layout.state.offset()]
        {
            let error = disk.write_at(offset, &[9]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "bank {running} runs, byte {offset}");
        }
    }
}
