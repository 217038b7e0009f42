//! Activate, bless, fail: who is told what, and in which order.

use lifeboat_bank::efi::MemVars;
use lifeboat_bank::firmware;
use lifeboat_bank::layout::Layout;
use lifeboat_bank::ops::{
    BootControl, BootControlError, BootStatus, BootVerdict, OpsError, activate, bless, close_failed,
    judge_boot, mark_failed, record_failed,
};
use lifeboat_bank::record::{FAILED_LIMIT, read_record, write_record};
use lifeboat_model::{Bank, BankState, Sha256Hex};

use crate::fixture::{Release, provisioned};

/// Boot variables in memory, which may refuse or forget.
#[derive(Default)]
struct Variables {
    status: BootStatus,
    refuse_next: bool,
    forget_next: bool,
    forget_order: bool,
    calls: Vec<String>,
}

fn a_first() -> Variables {
    Variables {
        status: BootStatus { order: vec![Bank::A, Bank::B], ..BootStatus::default() },
        ..Variables::default()
    }
}

impl BootControl for Variables {
    fn status(&mut self) -> Result<BootStatus, BootControlError> {
        Ok(self.status.clone())
    }

    fn set_next(&mut self, bank: Bank) -> Result<(), BootControlError> {
        self.calls.push(format!("next {bank}"));
        if self.refuse_next {
            return Err(BootControlError { doing: "writing BootNext".to_owned(), source: None });
        }
        if !self.forget_next {
            self.status.next = Some(bank);
        }
        Ok(())
    }

    fn clear_next(&mut self) -> Result<(), BootControlError> {
        self.calls.push("no next".to_owned());
        self.status.next = None;
        Ok(())
    }

    fn commit(&mut self, bank: Bank) -> Result<(), BootControlError> {
        self.calls.push(format!("first {bank}"));
        if !self.forget_order {
            self.status.order = vec![bank, bank.other()];
        }
        Ok(())
    }
}

fn upgraded() -> (Vec<u8>, Layout) {
    let (mut disk, layout) = provisioned();
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    (disk, layout)
}

fn state(disk: &[u8], layout: &Layout, bank: Bank) -> BankState {
    read_record(&disk, layout).unwrap().record.bank(bank).state
}

#[test]
fn a_trial_goes_from_upgraded_to_good_and_doing_each_step_twice_is_doing_it_once() {
    let (mut disk, layout) = upgraded();
    let mut boot = a_first();
    let first = activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    let second = activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    assert_eq!(first, second);
    assert_eq!(boot.status.next, Some(Bank::B));
    assert_eq!(boot.status.order, [Bank::A, Bank::B]);
    assert_eq!(judge_boot(&first, Bank::B), BootVerdict::OnTrial { bank: Bank::B });
    assert_eq!(judge_boot(&first, Bank::A), BootVerdict::FellBack { tried: Bank::B });

    boot.status = BootStatus { current: Some(Bank::B), next: None, ..boot.status };
    let blessed = bless(&mut disk, &layout, Bank::B, &mut boot).unwrap();
    assert_eq!(bless(&mut disk, &layout, Bank::B, &mut boot).unwrap(), blessed);
    assert_eq!(boot.status.order, [Bank::B, Bank::A]);
    assert_eq!(blessed.floor, 2);
    assert_eq!(
        (blessed.bank(Bank::A).state, blessed.bank(Bank::B).state),
        (BankState::Good, BankState::Good)
    );
    assert_eq!(judge_boot(&blessed, Bank::B), BootVerdict::Steady);
    // The next release goes into A.
    Release::new(3).install(&mut disk, &layout, Bank::A).unwrap();
}

#[test]
fn the_firmware_hears_of_a_trial_after_the_record_and_the_watchdog() {
    let (mut disk, layout) = upgraded();
    let mut boot = Variables { refuse_next: true, ..a_first() };
    let seen = std::cell::Cell::new(false);
    let error = activate(
        &mut disk,
        &layout,
        Bank::B,
        &mut || {
            seen.set(true);
            Ok(())
        },
        &mut boot,
    )
    .unwrap_err();
    assert!(matches!(error, OpsError::Boot { .. }) && seen.get());
    assert_eq!(boot.calls, ["first A", "next B", "no next"]);
    assert_eq!(
        state(&disk, &layout, Bank::B),
        BankState::Upgraded,
        "a trial that was never possible is no fall-back"
    );

    let mut boot = a_first();
    let error =
        activate(&mut disk, &layout, Bank::B, &mut || Err("no such device".into()), &mut boot).unwrap_err();
    assert!(matches!(error, OpsError::Watchdog { .. }));
    assert_eq!(boot.calls, ["no next"], "without a watchdog there is no trial");

    let mut boot = Variables { forget_next: true, ..a_first() };
    let error = activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap_err();
    assert!(matches!(error, OpsError::NotKept { .. }), "{error}");
}

#[test]
fn a_trial_falls_back_to_the_old_bank_even_if_the_order_named_the_new_one_first() {
    let (mut disk, layout) = upgraded();
    let mut boot = a_first();
    boot.status.order = vec![Bank::B, Bank::A];
    activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    assert_eq!(boot.calls, ["first A", "next B"]);
}

#[test]
fn a_bank_is_blessed_only_by_its_own_id_on_the_running_kernel_line() {
    let (mut disk, layout) = upgraded();
    let mut boot = a_first();
    activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    // The trap: the variable still names the bank that failed to load, and the old bank runs.
    boot.status.current = Some(Bank::B);
    let error = bless(&mut disk, &layout, Bank::A, &mut boot).unwrap_err();
    assert!(matches!(error, OpsError::FellBack { running: Bank::A, on_trial: Bank::B }), "{error}");
    boot.status.current = Some(Bank::A);
    let error = bless(&mut disk, &layout, Bank::B, &mut boot).unwrap_err();
    assert!(matches!(error, OpsError::Disagree { running: Bank::B, current: Bank::A }), "{error}");
    assert_eq!(boot.status.order, [Bank::A, Bank::B]);
    assert_eq!(state(&disk, &layout, Bank::B), BankState::Trying);

    boot.status.current = None;
    boot.forget_order = true;
    assert!(matches!(bless(&mut disk, &layout, Bank::B, &mut boot), Err(OpsError::NotKept { .. })));
    assert_eq!(state(&disk, &layout, Bank::B), BankState::Trying, "the record follows the firmware");
}

#[test]
fn a_failed_trial_is_remembered_and_its_release_needs_an_explicit_retry() {
    let (mut disk, layout) = upgraded();
    let mut boot = a_first();
    activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    boot.status.order = vec![Bank::B, Bank::A];
    let record = mark_failed(&mut disk, &layout, Bank::B, "health:\nno storage path", &mut boot).unwrap();
    assert_eq!(mark_failed(&mut disk, &layout, Bank::B, "again", &mut boot).unwrap(), record);
    assert_eq!(record.bank(Bank::B).note.as_deref(), Some("health: no storage path"));
    assert_eq!((boot.status.next, boot.status.order), (None, vec![Bank::A, Bank::B]));
    assert_eq!(judge_boot(&record, Bank::A), BootVerdict::Steady);
    let unexpected = BootVerdict::Unexpected { running: Bank::B, state: BankState::Failed };
    assert_eq!(judge_boot(&record, Bank::B), unexpected);

    let error = Release::new(2).install(&mut disk, &layout, Bank::B).unwrap_err();
    assert!(error.to_string().contains("no storage path"), "{error}");
    Release::new(3).install(&mut disk, &layout, Bank::B).unwrap();
}

#[test]
fn steps_out_of_turn_are_refused_with_the_state_and_the_remedy() {
    let (mut disk, layout) = provisioned();
    let mut boot = a_first();
    for (error, word) in [
        (activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap_err(), "empty"),
        (activate(&mut disk, &layout, Bank::A, &mut || Ok(()), &mut boot).unwrap_err(), "good"),
        (bless(&mut disk, &layout, Bank::B, &mut boot).unwrap_err(), "empty"),
        (record_failed(&mut disk, &layout, Bank::A, "no").unwrap_err(), "good"),
    ] {
        assert!(matches!(error, OpsError::WrongState { .. }) && error.to_string().contains(word), "{error}");
    }
    assert_eq!(boot.calls, Vec::<String>::new());
    let (mut disk, layout) = upgraded();
    let mut record = read_record(&disk, &layout).unwrap().record;
    record.bank_mut(Bank::A).state = BankState::Failed;
    write_record(&mut disk, &layout, &record).unwrap();
    let error = activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap_err();
    assert!(matches!(error, OpsError::NoFallback { fallback: Bank::A, .. }), "{error}");
}

#[test]
fn the_record_holds_sixteen_failures_whatever_their_reasons_are() {
    let (mut disk, layout) = upgraded();
    let mut record = read_record(&disk, &layout).unwrap().record;
    for number in 0..40_u8 {
        record.remember_failure(Sha256Hex([number; 32]), &"\u{7}\"\\é".repeat(100));
    }
    record.bank_mut(Bank::A).note = Some("\"".repeat(200));
    record.bank_mut(Bank::B).note = Some("\"".repeat(200));
    write_record(&mut disk, &layout, &record).unwrap();
    let read = read_record(&disk, &layout).unwrap().record;
    let digests: Vec<u8> = read.failed.iter().map(|failed| failed.digest.0[0]).collect();
    assert_eq!(digests, (24..40).collect::<Vec<u8>>());
    assert_eq!(read.failed.len(), FAILED_LIMIT);
    assert_eq!(read.bank(Bank::B).release, record.bank(Bank::B).release);
}

#[test]
fn a_firmware_that_forgot_its_variables_does_not_boot_a_bank_that_failed() {
    let (mut disk, layout) = upgraded();
    let mut boot = a_first();
    activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    bless(&mut disk, &layout, Bank::B, &mut boot).unwrap();
    Release::new(3).install(&mut disk, &layout, Bank::A).unwrap();
    let refused = close_failed(&mut disk, &layout, Bank::A);
    assert!(matches!(refused, Err(OpsError::WrongState { .. })), "{refused:?}");
    record_failed(&mut disk, &layout, Bank::A, "kernel panic").unwrap();
    let boots = |disk: &Vec<u8>| {
        let booted = firmware::boot(disk, &mut MemVars::new()).booted;
        booted.and_then(|booted| booted.bank)
    };
    // Bank A is the first on the disk: without variables it is what firmware finds.
    assert_eq!(boots(&disk), Some(Bank::A));
    assert!(close_failed(&mut disk, &layout, Bank::A).unwrap());
    assert_eq!(boots(&disk), Some(Bank::B));
    assert!(!close_failed(&mut disk, &layout, Bank::A).unwrap(), "twice is once");
    assert!(matches!(close_failed(&mut disk, &layout, Bank::B), Err(OpsError::WrongState { .. })));
    // The next release goes into it as into any other.
    Release::new(4).install(&mut disk, &layout, Bank::A).unwrap();
    assert_eq!(state(&disk, &layout, Bank::A), BankState::Upgraded);
}
