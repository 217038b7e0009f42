//! The rules of the loader as cases of our own; the whole truth table is an integration test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn cfg(state: &str, updated: &str) -> BootCfg {
    BootCfg::read(format!("{state}\nupdated={updated}\nbuild=8.0.2\nkernel=b.b00\n").as_bytes()).unwrap()
}

fn run(cfgs: &[BootCfg]) -> Selection {
    let inputs: Vec<_> = cfgs.iter().map(|cfg| BankInput { marked: true, cfg: Some(cfg) }).collect();
    select(&inputs)
}

/// The file after the loader wrote its byte.
fn after(cfg: &BootCfg, bank: &BankOutcome) -> BootCfg {
    let mut bytes = cfg.bytes.clone();
    if let Some(patch) = bank.write {
        assert_eq!(bytes[patch.offset], patch.old);
        bytes[patch.offset] = patch.new;
    }
    BootCfg::read(&bytes).unwrap()
}

#[test]
fn an_upgrade_is_tried_once_and_then_falls_back() {
    let mut banks = [cfg("bootstate=0", "5"), cfg("bootstate=1", "6")];
    let mut chosen = Vec::new();
    for _ in 0..3 {
        let selection = run(&banks);
        chosen.push((selection.chosen, selection.upgrading, selection.rollback));
        banks = [after(&banks[0], &selection.banks[0]), after(&banks[1], &selection.banks[1])];
    }
    assert_eq!(chosen, [(Some(1), true, false), (Some(0), false, false), (Some(0), false, false)]);
    assert_eq!(banks[1].values.bootstate, 3);
}

#[test]
fn each_state_is_met_as_the_loader_meets_it() {
    // line, chosen beside a valid older bank, byte written, pauses
    let cases: &[(&str, usize, Option<u8>, u32)] = &[
        ("bootstate=0", 1, None, 0),
        ("bootstate=1", 1, Some(b'2'), 0),
        ("bootstate=2", 0, Some(b'3'), 0),
        ("bootstate=3", 0, None, 0),
        ("", 1, None, 0),
        ("bootstate=", 1, None, 0),
        ("bootstate=4", 0, None, 1),
        ("bootstate=-1", 0, None, 1),
        ("bootstate=10", 0, Some(b'3'), 0),
        ("bootstate=01", 1, Some(b'2'), 0),
        ("bootstate=x", 0, None, 0),
        ("bootstate =1", 1, None, 0),
        ("bootstate= 1", 1, Some(b'2'), 0),
        ("bootstate=1\nquickboot=1", 0, Some(b'3'), 0),
        ("bootstate=0\nquickboot=1", 0, Some(b'3'), 0),
    ];
    for (line, chosen, byte, pauses) in cases {
        let selection = run(&[cfg("bootstate=0", "5"), cfg(line, "6")]);
        assert_eq!(selection.chosen, Some(*chosen), "{line}");
        assert_eq!(selection.banks[1].write.map(|patch| patch.new), *byte, "{line}");
        assert_eq!(selection.pauses, *pauses, "{line}");
    }
}

#[test]
fn the_largest_updated_wins_as_32_bits_without_sign_and_a_tie_goes_to_the_first() {
    let pick = |a: &str, b: &str| run(&[cfg("bootstate=0", a), cfg("bootstate=0", b)]).chosen;
    assert_eq!(pick("5", "6"), Some(1));
    assert_eq!(pick("6", "5"), Some(0));
    assert_eq!(pick("5", "5"), Some(0));
    assert_eq!(pick("4294967294", "-1"), Some(1));
    assert_eq!(pick("1", "4294967296"), Some(0));
    assert_eq!(pick("0", "0"), None);
}

#[test]
fn an_upgrade_without_a_counter_or_build_makes_the_other_bank_boot_with_rollback() {
    let selection = run(&[cfg("bootstate=0", "5"), cfg("bootstate=1", "0")]);
    assert_eq!((selection.chosen, selection.rollback), (Some(0), true));
    assert_eq!(selection.banks[1].why_not, [WhyNot::UpdatedZero]);
    let selection = run(&[cfg("bootstate=0", "5"), cfg("bootstate=0", "0")]);
    assert_eq!((selection.chosen, selection.rollback), (Some(0), false));
}

#[test]
fn a_version_without_a_digit_stops_the_loader_although_the_other_bank_is_good() {
    let odd = BootCfg::read(b"bootstate=0\nupdated=9\nbuild=beta-8\n").unwrap();
    let selection = run(&[cfg("bootstate=0", "5"), odd]);
    assert_eq!((selection.chosen, selection.boots()), (Some(1), None));
    assert!(selection.stops_at_version);
}

#[test]
fn a_fourth_bank_is_not_looked_at_but_an_unreadable_one_does_not_count() {
    let good = |updated: &str| cfg("bootstate=0", updated);
    let banks = [good("1"), good("2"), good("3"), good("4")];
    let selection = run(&banks);
    assert_eq!(selection.chosen, Some(2));
    assert_eq!(selection.banks[3].why_not, [WhyNot::NotLookedAt]);
    let inputs = [
        BankInput { marked: true, cfg: Some(&banks[0]) },
        BankInput { marked: true, cfg: None },
        BankInput { marked: false, cfg: Some(&banks[1]) },
        BankInput { marked: true, cfg: Some(&banks[2]) },
        BankInput { marked: true, cfg: Some(&banks[3]) },
    ];
    assert_eq!(select(&inputs).chosen, Some(4));
}

#[test]
fn nothing_eligible_is_nothing_chosen() {
    let selection = run(&[cfg("bootstate=3", "5"), cfg("bootstate=2", "6")]);
    assert_eq!((selection.chosen, selection.rollback), (None, false));
    assert_eq!(select(&[]).chosen, None);
}
