#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifeboat_model::Bank;
use proptest::prelude::*;

use super::*;
use crate::guid::Guid;
use crate::ops::BootControl;

fn drive(number: u32) -> HardDrive {
    let byte = u8::try_from(number).unwrap();
    HardDrive::gpt(number, u64::from(number) * 2048, 2048, Guid([byte; 16]))
}

fn host(vars: MemVars) -> UefiBoot<MemVars> {
    UefiBoot::new(vars, drive(1), drive(3))
}

fn foreign() -> LoadOption {
    let network = Node::Other { kind: 3, subtype: 11, data: vec![9; 33] };
    LoadOption::new("PXE", DevicePath(vec![network]))
}

/// A machine whose firmware made two entries of its own, numbers 0 and 7.
fn used_machine() -> MemVars {
    let mut vars = MemVars::new();
    for number in [0, 7] {
        vars.set(&boot_entry_name(number), &EFI_GLOBAL, &Var::boot(foreign().encode())).unwrap();
    }
    vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(encode_numbers(&[7, 0]))).unwrap();
    vars
}

fn order(vars: &MemVars) -> Vec<u16> {
    decode_numbers(&vars.get(BOOT_ORDER, &EFI_GLOBAL).unwrap().unwrap().data).unwrap()
}

#[test]
fn a_load_option_has_the_bytes_of_the_standard() {
    let bytes = LoadOption::new("Hi", DevicePath::file_on(drive(2), r"\a")).encode();
    let mut expected = vec![1, 0, 0, 0, 56, 0, b'H', 0, b'i', 0, 0, 0];
    expected.extend([4, 1, 42, 0, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0]);
    expected.extend([2; 18]);
    expected.extend([4, 4, 10, 0, b'\\', 0, b'a', 0, 0, 0, 0x7f, 0xff, 4, 0]);
    assert_eq!(bytes, expected);
}

#[test]
fn a_new_machine_gets_both_entries_behind_those_of_others() {
    let mut boot = host(used_machine());
    let entries = boot.ensure_entries().unwrap();
    assert_eq!((entries.a, entries.b), (1, 2));
    assert_eq!(entries.changes.len(), 3);
    let again = boot.ensure_entries().unwrap();
    assert_eq!(again.changes, Vec::<String>::new(), "a second call finds nothing to do");
    assert_eq!(order(&boot.into_vars()), [7, 0, 1, 2]);
}

#[test]
fn commit_puts_ours_first_and_keeps_those_of_others() {
    let mut boot = host(used_machine());
    boot.ensure_entries().unwrap();
    boot.commit(Bank::B).unwrap();
    let status = boot.status().unwrap();
    assert_eq!(status.order.iter().map(|e| e.number).collect::<Vec<_>>(), [2, 1, 7, 0]);
    assert_eq!(status.asked(), Some(Bank::B));
    assert_eq!(status.findings, []);
    let before = boot.vars.writes();
    boot.commit(Bank::B).unwrap();
    assert_eq!(boot.vars.writes(), before, "an order that is right is not written again");
}

#[test]
fn the_one_try_is_set_seen_and_withdrawn() {
    let mut boot = host(MemVars::new());
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    boot.set_next(Bank::B).unwrap();
    let status = boot.status().unwrap();
    assert_eq!((status.next, status.asked()), (Some(Bank::B), Some(Bank::B)));
    boot.clear_next().unwrap();
    boot.clear_next().unwrap();
    assert_eq!(boot.status().unwrap().asked(), Some(Bank::A));
}

#[test]
fn an_entry_of_ours_that_names_another_partition_is_repaired_in_its_place() {
    let mut vars = used_machine();
    let stale = LoadOption::new("Lifeboat A", DevicePath::file_on(drive(9), UKI_PATH));
    vars.set("Boot0003", &EFI_GLOBAL, &Var::boot(stale.encode())).unwrap();
    let mut boot = host(vars);
    assert!(matches!(boot.set_next(Bank::A), Err(UefiBootError::NoEntry { bank: Bank::A })));
    assert_eq!(boot.ensure_entries().unwrap().a, 3);
    boot.set_next(Bank::A).unwrap();
}

#[test]
fn a_duplicate_hands_its_place_in_the_order_to_the_one_that_is_kept() {
    let mut boot = host(used_machine());
    boot.ensure_entries().unwrap();
    let twin = boot.wanted(Bank::B).encode();
    boot.vars.set("Boot0009", &EFI_GLOBAL, &Var::boot(twin)).unwrap();
    boot.vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(encode_numbers(&[9, 7, 1]))).unwrap();
    let entries = boot.ensure_entries().unwrap();
    assert_eq!(entries.b, 2);
    assert_eq!(order(&boot.vars), [2, 7, 1]);
    assert_eq!(boot.vars.get("Boot0009", &EFI_GLOBAL).unwrap(), None);
}

#[test]
fn a_firmware_that_loses_or_tears_a_write_is_found_out() {
    for fault in [VarFault::Lost, VarFault::Torn] {
        let mut boot = host(MemVars::new());
        boot.ensure_entries().unwrap();
        let at = boot.vars.writes();
        boot.vars = boot.vars.with_fault(at, fault);
        assert!(matches!(boot.set_next(Bank::B), Err(UefiBootError::NotKept { .. })), "{fault:?}");
    }
}

#[test]
fn cut_at_any_write_the_same_bank_is_first_and_the_next_call_completes_the_work() {
    for fault in [VarFault::Fails, VarFault::FailsAfterwards] {
        for at in 0.. {
            let mut vars = used_machine();
            let start = vars.writes();
            vars = vars.with_fault(start + at, fault);
            let mut boot = host(vars);
            let first = boot.ensure_entries();
            assert_eq!(order(&boot.vars)[0], 7, "the entry that booted before is still the first");
            if first.is_ok() {
                assert_eq!(at, 3, "two entries and one order");
                break;
            }
            boot.ensure_entries().unwrap();
            assert_eq!(boot.status().unwrap().order.len(), 4);
        }
    }
}

#[test]
fn the_menu_tells_what_a_bank_holds_and_an_entry_stays_ours_whatever_it_tells() {
    let mut boot = host(used_machine());
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    let mut record = crate::record::BankRecord::empty();
    let release = lifeboat_model::ReleaseRef {
        name: "line".to_owned(),
        version: lifeboat_model::ReleaseVersion("2.0".to_owned()),
        serial: 2,
        digest: lifeboat_model::Sha256Hex([1; 32]),
    };
    record.bank_mut(Bank::A).release = Some(release);
    record.bank_mut(Bank::A).state = lifeboat_model::BankState::Good;
    boot.describe(&record).unwrap();
    let texts = |boot: &UefiBoot<MemVars>| -> Vec<String> {
        boot.status().unwrap().order.iter().filter_map(|place| place.description.clone()).collect()
    };
    assert_eq!(texts(&boot), ["Lifeboat bank A (2.0, good)", "Lifeboat bank B (empty)", "PXE", "PXE"]);
    assert_eq!(boot.status().unwrap().findings, []);
    let writes = boot.vars.writes();
    boot.describe(&record).unwrap();
    assert_eq!(boot.ensure_entries().unwrap().changes, Vec::<String>::new());
    assert_eq!(boot.vars.writes(), writes, "what is right is not written again");
    boot.set_next(Bank::B).unwrap();
    boot.commit(Bank::B).unwrap();
    assert_eq!(order(&boot.vars), [2, 1, 7, 0]);
}

#[test]
fn oddities_are_findings() {
    let mut vars = MemVars::new();
    vars.set("Boot0020", &EFI_GLOBAL, &Var::boot(foreign().encode())).unwrap();
    vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(encode_numbers(&[5, 0x20]))).unwrap();
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![1])).unwrap();
    vars.set(BOOT_CURRENT, &EFI_GLOBAL, &Var { attributes: VOLATILE_BS_RT, data: vec![6, 0] }).unwrap();
    let status = host(vars).status().unwrap();
    let codes: Vec<&str> = status.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "boot-entry-foreign",
            "boot-number-bad",
            "boot-entry-missing",
            "boot-entry-missing",
            "boot-order-dangling",
            "boot-order-foreign-first"
        ]
    );
}

#[test]
fn as_the_trial_steps_see_it_an_entry_that_is_switched_off_does_not_count() {
    let mut boot = host(used_machine());
    BootControl::commit(&mut boot, Bank::B).unwrap();
    let seen = BootControl::status(&mut boot).unwrap();
    assert_eq!((seen.order, seen.next), (vec![Bank::B, Bank::A], None));
    let mut off = boot.wanted(Bank::B);
    off.active = false;
    boot.vars.set("Boot0002", &EFI_GLOBAL, &Var::boot(off.encode())).unwrap();
    let seen = BootControl::status(&mut boot).unwrap();
    assert_eq!(seen.order, [Bank::A]);
    assert_eq!(seen.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["boot-entry-missing"]);
    BootControl::set_next(&mut boot, Bank::B).unwrap();
    let seen = BootControl::status(&mut boot).unwrap();
    assert_eq!((seen.order, seen.next), (vec![Bank::B, Bank::A], Some(Bank::B)));
}

#[test]
fn a_damaged_order_is_a_finding_and_the_next_commit_writes_it_anew() {
    let mut boot = host(used_machine());
    boot.ensure_entries().unwrap();
    boot.vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(vec![1, 0, 2])).unwrap();
    assert!(boot.status().unwrap().findings.iter().any(|finding| finding.code == "boot-order-bad"));
    boot.commit(Bank::A).unwrap();
    assert_eq!(order(&boot.vars), [1, 2]);
}

#[test]
fn an_entry_that_cannot_be_read_is_kept() {
    let mut vars = MemVars::new();
    vars.set("Boot0000", &EFI_GLOBAL, &Var::boot(vec![1, 2, 3])).unwrap();
    let mut boot = host(vars);
    assert_eq!(boot.ensure_entries().unwrap().a, 1);
    assert_eq!(boot.vars.get("Boot0000", &EFI_GLOBAL).unwrap().unwrap().data, [1, 2, 3]);
}

#[test]
fn only_four_upper_case_digits_are_a_boot_entry() {
    assert_eq!(boot_entry_number("Boot00aF"), None);
    assert_eq!(boot_entry_number("Boot00AF"), Some(0xaf));
    assert_eq!(boot_entry_number("BootOrder"), None);
    assert_eq!(boot_entry_number("Boot+0AF"), None);
}

#[test]
fn the_serde_form_of_the_store_reads_back() {
    let vars = used_machine();
    let text = serde_json::to_string(&vars).unwrap();
    let back: MemVars = serde_json::from_str(&text).unwrap();
    assert_eq!(back.list().unwrap(), vars.list().unwrap());
    assert_eq!(order(&back), [7, 0]);
    assert!(serde_json::from_str::<MemVars>(r#"{"x":{"attributes":7,"data":"0"}}"#).is_err());
}

#[test]
fn a_load_option_cut_off_inside_its_path_is_an_error() {
    let bytes = LoadOption::new("Lifeboat A", DevicePath::file_on(drive(1), UKI_PATH)).encode();
    for len in 0..bytes.len() {
        assert!(LoadOption::decode(&bytes[..len]).is_err(), "cut to {len} bytes");
    }
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        (any::<u32>(), any::<u64>(), any::<u64>(), any::<[u8; 16]>()).prop_map(
            |(number, first, blocks, guid)| {
                Node::HardDrive(HardDrive::gpt(number, first, blocks, Guid(guid)))
            }
        ),
        "[^\0]{0,40}".prop_map(Node::File),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(subtype, data)| Node::Other { kind: 2, subtype, data }),
    ]
}

proptest! {
    #[test]
    fn a_load_option_reads_back(
        description in "[^\0]{0,40}",
        nodes in proptest::collection::vec(node(), 0..6),
        optional in proptest::collection::vec(any::<u8>(), 0..40),
        active in any::<bool>(),
    ) {
        let mut option = LoadOption::new(&description, DevicePath(nodes));
        option.active = active;
        option.optional = optional;
        prop_assert_eq!(LoadOption::decode(&option.encode()), Ok(option));
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = LoadOption::decode(&bytes);
        let _ = DevicePath::decode(&bytes);
    }
}
