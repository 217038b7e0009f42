//! Firmware variables in a plain folder.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{read, write};

use lifeboat_bank::efi::{
    BOOT_NEXT, EFI_GLOBAL, HardDrive, NV_BS_RT, UefiBoot, Var, VarError, VarName, VarStore,
};
use lifeboat_bank::guid::Guid;
use lifeboat_device::EfivarFs;
use lifeboat_model::Bank;

const NEXT: &str = "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c";

#[test]
fn a_variable_is_a_file_of_its_attributes_and_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut vars = EfivarFs::open(folder.path()).unwrap();
    assert_eq!(vars.get(BOOT_NEXT, &EFI_GLOBAL).unwrap(), None);
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![3, 0, 9])).unwrap();
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![2, 0])).unwrap();
    assert_eq!(read(folder.path().join(NEXT)).unwrap(), [7, 0, 0, 0, 2, 0]);
    let expected = Var { attributes: NV_BS_RT, data: vec![2, 0] };
    assert_eq!(vars.get(BOOT_NEXT, &EFI_GLOBAL).unwrap(), Some(expected));
    let name = VarName { vendor: EFI_GLOBAL, name: BOOT_NEXT.to_owned() };
    write(folder.path().join("no variable"), "").unwrap();
    assert_eq!(vars.list().unwrap(), [name]);
    vars.delete(BOOT_NEXT, &EFI_GLOBAL).unwrap();
    vars.delete(BOOT_NEXT, &EFI_GLOBAL).unwrap();
    assert_eq!(vars.list().unwrap(), []);
}

#[test]
fn a_file_shorter_than_its_attributes_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let vars = EfivarFs::open(folder.path()).unwrap();
    for len in 0..4 {
        write(folder.path().join(NEXT), vec![7; len]).unwrap();
        let damaged = vars.get(BOOT_NEXT, &EFI_GLOBAL);
        assert!(matches!(damaged, Err(VarError::Damaged { .. })), "{len} bytes");
    }
    write(folder.path().join(NEXT), vec![7; (1 << 20) + 1]).unwrap();
    assert!(matches!(vars.get(BOOT_NEXT, &EFI_GLOBAL), Err(VarError::Damaged { .. })));
}

#[test]
fn a_name_that_would_leave_the_folder_and_an_empty_value_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut vars = EfivarFs::open(folder.path()).unwrap();
    for name in ["", "../x", "a\0b"] {
        let refused = vars.set(name, &EFI_GLOBAL, &Var::boot(vec![1]));
        assert!(matches!(refused, Err(VarError::Refused { .. })), "{name:?}");
    }
    assert!(matches!(vars.set("A", &EFI_GLOBAL, &Var::boot(vec![])), Err(VarError::Refused { .. })));
}

#[test]
fn a_machine_without_the_folder_is_told_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(EfivarFs::open(&folder.path().join("efivars")), Err(VarError::Io { .. })));
}

#[test]
fn the_boot_control_of_the_banks_works_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let drive = |number| HardDrive::gpt(number, 2048, 2048, Guid([u8::try_from(number).unwrap(); 16]));
    let mut boot = UefiBoot::new(EfivarFs::open(folder.path()).unwrap(), drive(1), drive(3));
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    boot.set_next(Bank::B).unwrap();
    assert_eq!(boot.status().unwrap().asked(), Some(Bank::B));
    boot.clear_next().unwrap();
    assert_eq!(boot.status().unwrap().asked(), Some(Bank::A));
    assert_eq!(boot.status().unwrap().findings, []);
}

#[test]
fn an_immutable_variable_is_changed_and_stays_guarded() {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NEXT);
    write(&path, [7, 0, 0, 0, 1, 0]).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let flags = ioctl_getflags(&file).unwrap_or(IFlags::empty());
    if ioctl_setflags(&file, flags | IFlags::IMMUTABLE).is_err() {
        // Not a peer but a privilege: there is nothing to install for it.
        println!("skipped: this user or file system cannot mark a file immutable");
        return;
    }
    let mut vars = EfivarFs::open(folder.path()).unwrap();
    let set = vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![2, 0]));
    let guarded = ioctl_getflags(&file).unwrap().contains(IFlags::IMMUTABLE);
    let deleted = vars.delete(BOOT_NEXT, &EFI_GLOBAL);
    assert!(set.is_ok() && guarded && deleted.is_ok(), "{set:?} {guarded} {deleted:?}");
    assert!(!path.exists());
}
