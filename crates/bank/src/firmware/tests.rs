#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifeboat_model::Bank;
use lifeboat_model::io::WriteAt;
use proptest::prelude::*;

use super::fixture::{MIB, host, invalidate};
use super::*;
use crate::efi::{
    BOOT_CURRENT, BOOT_NEXT, BOOT_ORDER, DevicePath, EFI_GLOBAL, HardDrive, LoadOption, MemVars, Node,
    UefiBoot, Var, VarFault, VarStore, boot_entry_name, decode_numbers, encode_numbers,
};

fn booted(result: &FirmwareResult) -> (Option<Bank>, Via) {
    let booted = result.booted.as_ref().unwrap();
    (booted.bank, booted.via)
}

fn current(vars: &MemVars) -> Option<Vec<u16>> {
    vars.get(BOOT_CURRENT, &EFI_GLOBAL).unwrap().map(|var| decode_numbers(&var.data).unwrap())
}

#[test]
fn the_one_try_is_taken_once_and_then_the_order_rules_again() {
    let (disk, layout, mut vars) = host();
    UefiBoot::of_layout(&mut vars, &layout).set_next(Bank::B).unwrap();
    let first = boot(&disk, &mut vars);
    assert_eq!(booted(&first), (Some(Bank::B), Via::BootNext { number: 1 }));
    let image = first.booted.unwrap();
    assert_eq!(
        (image.cmdline.as_str(), image.kernel.as_slice()),
        ("lifeboat.bank=B panic=5", b"B".as_slice())
    );
    assert_eq!(current(&vars), Some(vec![1]));
    let second = boot(&disk, &mut vars);
    assert_eq!(booted(&second), (Some(Bank::A), Via::Order { number: 0 }));
    assert_eq!(current(&vars), Some(vec![0]));
    assert_eq!(second.tried, []);
}

#[test]
fn a_prediction_says_what_boots_and_why_and_changes_nothing() {
    let (mut disk, layout, mut vars) = host();
    assert_eq!(predict(&disk, &vars).why(), "bank A boots by the boot order (Boot0000)");
    UefiBoot::of_layout(&mut vars, &layout).set_next(Bank::B).unwrap();
    let before = vars.clone();
    assert_eq!(predict(&disk, &vars).why(), "bank B boots by BootNext (Boot0001)");
    invalidate(&mut disk, &layout, Bank::B);
    let why = predict(&disk, &vars).why();
    let expected = "bank A boots by the boot order (Boot0000), after these failed: BootNext (Boot0001): \
                    \"Lifeboat B\" cannot be loaded: no FAT volume";
    assert!(why.starts_with(expected), "{why}");
    assert_eq!(vars, before);
}

#[test]
fn a_bank_that_cannot_be_loaded_falls_back_in_the_same_power_cycle() {
    let (mut disk, layout, mut vars) = host();
    invalidate(&mut disk, &layout, Bank::B);
    UefiBoot::of_layout(&mut vars, &layout).set_next(Bank::B).unwrap();
    let result = boot(&disk, &mut vars);
    assert_eq!(booted(&result), (Some(Bank::A), Via::Order { number: 0 }));
    assert_eq!(vars.get(BOOT_NEXT, &EFI_GLOBAL).unwrap(), None);
}

#[test]
fn without_any_variable_the_first_bank_that_loads_is_found() {
    let (mut disk, layout, _) = host();
    let mut vars = MemVars::new();
    assert_eq!(booted(&boot(&disk, &mut vars)), (Some(Bank::A), Via::Removable { partition: 1 }));
    invalidate(&mut disk, &layout, Bank::A);
    assert_eq!(booted(&boot(&disk, &mut vars)), (Some(Bank::B), Via::Removable { partition: 3 }));
    assert_eq!(current(&vars), None);
    invalidate(&mut disk, &layout, Bank::B);
    let dark = boot(&disk, &mut vars);
    assert_eq!((&dark.booted, dark.tried.len()), (&None, 2));
    assert!(dark.why().starts_with("nothing boots: the removable-media path of partition 1: no FAT volume"));
}

#[test]
fn entries_that_are_foreign_off_missing_or_damaged_are_passed_over_and_named() {
    let (disk, layout, mut vars) = host();
    let drive = |guid| HardDrive::gpt(1, 1, 1, guid);
    let elsewhere = DevicePath::file_on(drive(crate::guid::Guid([9; 16])), r"\x.efi");
    let mut off = LoadOption::new("off", DevicePath::file_on(drive(layout.banks[0].boot.guid), r"\x.efi"));
    off.active = false;
    let network = DevicePath(vec![Node::Other { kind: 3, subtype: 11, data: vec![0; 33] }]);
    for (number, bytes) in [
        (0x10, LoadOption::new("elsewhere", elsewhere).encode()),
        (0x11, off.encode()),
        (0x12, LoadOption::new("net", network).encode()),
        (0x13, vec![1, 2, 3]),
    ] {
        vars.set(&boot_entry_name(number), &EFI_GLOBAL, &Var::boot(bytes)).unwrap();
    }
    let order = encode_numbers(&[0x10, 0x11, 0x12, 0x13, 0x14, 0x10, 1]);
    vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(order)).unwrap();
    let result = predict(&disk, &vars);
    assert_eq!(booted(&result), (Some(Bank::B), Via::Order { number: 1 }));
    let reasons =
        ["not on this disk", "switched off", "not modelled", "ends inside its header", "no such entry"];
    assert_eq!(result.tried.len(), reasons.len());
    for (tried, reason) in result.tried.iter().zip(reasons) {
        assert!(tried.why_not.contains(reason), "{tried} should say {reason}");
    }
}

#[test]
fn a_partition_without_a_file_stands_for_its_removable_media_path() {
    let (disk, layout, mut vars) = host();
    let drive = HardDrive::gpt(3, 0, 0, layout.banks[1].boot.guid);
    let option = LoadOption::new("disk", DevicePath(vec![Node::HardDrive(drive)]));
    vars.set("Boot0020", &EFI_GLOBAL, &Var::boot(option.encode())).unwrap();
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![0x20, 0])).unwrap();
    assert_eq!(booted(&predict(&disk, &vars)), (Some(Bank::B), Via::BootNext { number: 0x20 }));
}

#[test]
fn a_store_that_refuses_to_delete_the_one_try_is_named_and_does_not_stop_the_boot() {
    let (disk, layout, mut vars) = host();
    UefiBoot::of_layout(&mut vars, &layout).set_next(Bank::B).unwrap();
    let at = vars.writes();
    let mut vars = vars.with_fault(at, VarFault::Fails);
    let result = boot(&disk, &mut vars);
    assert_eq!(booted(&result).0, Some(Bank::B));
    assert_eq!(result.tried[0].what, "deleting BootNext");
}

#[test]
fn a_damaged_first_copy_of_the_table_does_not_stop_the_boot() {
    let (mut disk, _, vars) = host();
    disk[512..600].fill(0xee);
    assert_eq!(booted(&predict(&disk, &vars)).0, Some(Bank::A));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_damage_to_one_bank_leaves_the_other_bootable(
        hits in proptest::collection::vec((0_u64..5 * MIB, any::<u8>()), 1..200),
        near in proptest::collection::vec((0_u64..64 * 1024, any::<u8>()), 0..200),
    ) {
        let (mut disk, layout, mut vars) = host();
        for (offset, byte) in hits.into_iter().chain(near) {
            disk.write_at(layout.volumes(Bank::B).boot.offset() + offset, &[byte]).unwrap();
        }
        UefiBoot::of_layout(&mut vars, &layout).set_next(Bank::B).unwrap();
        let predicted = predict(&disk, &vars);
        let result = boot(&disk, &mut vars);
        prop_assert_eq!(&predicted, &result);
        prop_assert!(result.booted.is_some());
    }
}
