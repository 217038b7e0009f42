//! What a host does about its own boot, before it speaks to anybody.
//!
//! Owns: the acts that follow a verdict: bless, mark failed, put the boot order right. Promises: a bank on trial is
//! blessed only after every check passed; one that fails a check is marked failed before the host leaves it; a
//! trial that did not come to its end is told. Does not: reboot (it says so), or run checks (they are handed in).

use lifeboat_bank::install::check_boot;
use lifeboat_bank::layout::Layout;
use lifeboat_bank::ops::{
    BootControl, BootControlError, BootStatus, BootVerdict, OpsError, bless, close_failed, judge_boot,
    mark_failed,
};
use lifeboat_bank::record::{BankRecord, RecordError, read_record, write_record};
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, BankState};
use thiserror::Error;

use crate::CheckResult;

/// What came of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootAnswer {
    /// The host serves.
    Serve {
        /// What a person should know.
        notes: Vec<String>,
    },
    /// The running bank failed its trial and was marked so: reboot, and the old bank comes back.
    Leave {
        /// Why.
        reason: String,
    },
}

/// Why a boot could not be judged.
#[derive(Debug, Error)]
pub enum BootError {
    /// The record cannot be read.
    #[error("the boot cannot be judged")]
    Record {
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// A step failed.
    #[error("the boot of bank {bank} could not be {step}")]
    Step {
        /// The running bank.
        bank: Bank,
        /// What was to be done.
        step: &'static str,
        /// The cause.
        #[source]
        source: OpsError,
    },
}

/// Judges the boot of `running` and does what follows. `check` is asked only if the bank is on trial.
pub fn act_on_boot(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    running: Bank,
    boot: &mut dyn BootControl,
    check: &mut dyn FnMut() -> Vec<CheckResult>,
) -> Result<BootAnswer, BootError> {
    let mut record = read_record(&*disk, layout).map_err(|source| BootError::Record { source })?.record;
    let failed = |step| move |source| BootError::Step { bank: running, step, source };
    let other = running.other();
    if record.bank(running).state == BankState::Upgraded && record.bank(other).state == BankState::Good {
        // It was written and never ordered to boot: a firmware that forgot its variables found it. That is a trial
        // like any other, and the proven bank stays first until it is blessed.
        boot.commit(other).map_err(|source| failed("put on trial")(called_off(source)))?;
        record.bank_mut(running).state = BankState::Trying;
        write_record(disk, layout, &record).map_err(|source| BootError::Record { source })?;
    }
    match judge_boot(&record, running) {
        BootVerdict::Steady => {
            let mut notes = Vec::new();
            let status = boot.status().unwrap_or_default();
            let other_is_good = record.bank(other).state == BankState::Good;
            if status.order.first() == Some(&other) && other_is_good {
                notes.push(why_not_first(&*disk, layout, &record, running, &status));
                // If this fails the menu tells of older states; nothing is decided by it.
                let _ = boot.describe(&record);
            } else {
                bless(disk, layout, running, boot).map_err(failed("put first in the boot order"))?;
            }
            if record.bank(other).state == BankState::Failed {
                notes.extend(close(disk, layout, other));
            }
            Ok(BootAnswer::Serve { notes })
        }
        BootVerdict::OnTrial { bank } => {
            let failures: Vec<String> = check()
                .into_iter()
                .filter_map(|result| {
                    Some(format!("health check {} failed: {}", result.name, result.failure?))
                })
                .collect();
            if failures.is_empty() {
                bless(disk, layout, bank, boot).map_err(failed("blessed"))?;
                let notes = vec![format!("bank {bank} passed its health checks and was blessed")];
                return Ok(BootAnswer::Serve { notes });
            }
            let reason = failures.join("; ");
            mark_failed(disk, layout, bank, &reason, boot).map_err(failed("marked failed"))?;
            Ok(BootAnswer::Leave { reason })
        }
        BootVerdict::FellBack { tried } => {
            let unused = boot.status().is_ok_and(|status| status.next == Some(tried));
            if unused {
                // Firmware deletes the one-shot boot before it uses it: no boot lies between the order and now, so
                // it was this agent that ended. The bank is not to blame.
                boot.clear_next()
                    .map_err(|source| failed("freed of a trial that never began")(called_off(source)))?;
                record.bank_mut(tried).state = BankState::Upgraded;
                write_record(disk, layout, &record).map_err(|source| BootError::Record { source })?;
                let note =
                    format!("the trial of bank {tried} was ordered and never began; it can be ordered again");
                return Ok(BootAnswer::Serve { notes: vec![note] });
            }
            // Had its own agent failed it, it would not be on trial any more; so it never came that far.
            let reason = "it did not come to the end of its trial (panic, hang, reset or power cut)";
            mark_failed(disk, layout, tried, reason, boot).map_err(failed("settled after a fall-back"))?;
            let note = format!("the host fell back to bank {running}; of bank {tried} is known: {reason}");
            let mut notes = vec![note];
            notes.extend(close(disk, layout, tried));
            Ok(BootAnswer::Serve { notes })
        }
        BootVerdict::Unexpected { running, state } => {
            let note =
                format!("bank {running} runs although its state is {state}: it should not have booted");
            Ok(BootAnswer::Serve { notes: vec![note] })
        }
    }
}

/// Both banks are good, and the one that is first in the order does not run. Either firmware could not load it, or a
/// person chose the other one; the boot volume of the first one tells which. The order stays: a choice holds for one
/// boot, and a bank that is damaged is mended, not blamed.
fn why_not_first(
    disk: &dyn ReadAt,
    layout: &Layout,
    record: &BankRecord,
    running: Bank,
    status: &BootStatus,
) -> String {
    let other = running.other();
    let damage = check_boot(disk, layout, record, other);
    if let Some(first) = damage.first() {
        return format!(
            "bank {other} is first in the boot order and could not be booted: {}; bank {running} runs in its place: \
             rebuild bank {other} from it",
            first.text
        );
    }
    if status.current == Some(running) {
        return format!(
            "bank {running} was chosen by hand for this boot: bank {other} is whole and stays first in the boot order"
        );
    }
    format!(
        "bank {other} is first in the boot order and whole, but bank {running} runs, and the firmware does not say \
         why: look at {other}"
    )
}

/// Makes a failed bank unbootable. Trouble with the other bank takes no agent away from a host that serves.
fn close(disk: &mut dyn WriteAt, layout: &Layout, bank: Bank) -> Option<String> {
    close_failed(disk, layout, bank)
        .err()
        .map(|error| format!("bank {bank} could not be made unbootable: {error}"))
}

fn called_off(source: BootControlError) -> OpsError {
    OpsError::Boot { doing: "calling off a trial", source }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use lifeboat_bank::efi::{BOOT_CURRENT, EFI_GLOBAL, MemVars, VOLATILE_BS_RT, Var, VarStore as _};
    use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};
    use lifeboat_model::{ReleaseRef, ReleaseVersion, Sha256Hex};

    use super::*;
    use crate::UefiControl;

    struct Rig {
        disk: Vec<u8>,
        layout: Layout,
        boot: UefiControl<MemVars>,
    }

    fn rig(a: BankState, b: BankState, first: Bank) -> Rig {
        let mib = 1 << 20;
        let geometry = Geometry { boot: 4 * mib, root: mib, state: mib };
        let mut disk = vec![0_u8; usize::try_from(geometry.disk_bytes()).unwrap()];
        let guids = LayoutGuids::from_random(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let layout = create_layout(&mut disk, &geometry, &guids).unwrap();
        let mut record = BankRecord { floor: 1, ..BankRecord::empty() };
        for (bank, state, serial) in [(Bank::A, a, 1), (Bank::B, b, 2)] {
            let entry = record.bank_mut(bank);
            entry.state = state;
            entry.release = Some(ReleaseRef {
                name: "line".to_owned(),
                version: ReleaseVersion(serial.to_string()),
                serial,
                digest: Sha256Hex::of(&[u8::try_from(serial).unwrap()]),
            });
        }
        write_record(&mut disk, &layout, &record).unwrap();
        let (mut boot, _) = UefiControl::open(MemVars::new(), &layout).unwrap();
        boot.commit(first).unwrap();
        Rig { disk, layout, boot }
    }

    fn act(rig: &mut Rig, running: Bank, failure: Option<&str>) -> (BootAnswer, BankRecord, Vec<Bank>) {
        let mut check = || {
            let failure = failure.map(str::to_owned);
            vec![CheckResult { name: "10-disk".to_owned(), failure, took: Duration::ZERO }]
        };
        let answer = act_on_boot(&mut rig.disk, &rig.layout, running, &mut rig.boot, &mut check).unwrap();
        let record = read_record(&rig.disk, &rig.layout).unwrap().record;
        (answer, record, rig.boot.status().unwrap().order)
    }

    #[test]
    fn a_bank_on_trial_is_blessed_only_after_its_checks() {
        let mut rig = rig(BankState::Good, BankState::Trying, Bank::A);
        let (answer, record, order) = act(&mut rig, Bank::B, None);
        assert!(matches!(answer, BootAnswer::Serve { .. }));
        assert_eq!((record.bank(Bank::B).state, record.floor), (BankState::Good, 2));
        assert_eq!(order, [Bank::B, Bank::A]);
    }

    #[test]
    fn a_bank_that_fails_a_check_is_left_and_its_release_remembered() {
        let mut rig = rig(BankState::Good, BankState::Trying, Bank::A);
        let (answer, record, order) = act(&mut rig, Bank::B, Some("disk is gone"));
        let BootAnswer::Leave { reason } = answer else { unreachable!("a failed check must be left") };
        assert_eq!(reason, "health check 10-disk failed: disk is gone");
        assert_eq!(record.bank(Bank::B).state, BankState::Failed);
        assert_eq!(record.bank(Bank::B).note.as_deref(), Some(reason.as_str()));
        assert_eq!((record.failed.len(), record.floor), (1, 1));
        assert_eq!(order, [Bank::A, Bank::B]);
        // Its watchdog may cut the reboot short: the next boot of the old bank finds everything settled.
        let (answer, again, _) = act(&mut rig, Bank::A, None);
        assert_eq!(answer, BootAnswer::Serve { notes: Vec::new() });
        assert_eq!(again, record);
    }

    #[test]
    fn a_bank_that_was_never_ordered_to_boot_is_on_trial_when_a_firmware_finds_it() {
        // A firmware that forgot its variables took the first bank on the disk; the entries were made anew, A first.
        let mut rig = rig(BankState::Upgraded, BankState::Good, Bank::A);
        let (answer, record, order) = act(&mut rig, Bank::A, Some("disk is gone"));
        assert!(matches!(answer, BootAnswer::Leave { .. }), "{answer:?}");
        assert_eq!(record.bank(Bank::A).state, BankState::Failed);
        assert_eq!(order, [Bank::B, Bank::A]);
        let mut rig = super::tests::rig(BankState::Upgraded, BankState::Good, Bank::A);
        let (answer, record, order) = act(&mut rig, Bank::A, None);
        assert!(matches!(answer, BootAnswer::Serve { .. }), "{answer:?}");
        assert_eq!(record.bank(Bank::A).state, BankState::Good);
        assert_eq!(order, [Bank::A, Bank::B]);
    }

    #[test]
    fn a_trial_that_never_ended_is_settled_by_the_old_bank() {
        let mut rig = rig(BankState::Good, BankState::Trying, Bank::A);
        let (answer, record, order) = act(&mut rig, Bank::A, Some("is not asked"));
        let BootAnswer::Serve { notes } = answer else { unreachable!("the old bank serves") };
        assert!(notes[0].contains("fell back to bank A"), "{notes:?}");
        assert_eq!(record.bank(Bank::B).state, BankState::Failed);
        assert_eq!((record.failed.len(), order), (1, vec![Bank::A, Bank::B]));
        assert_eq!(rig.boot.status().unwrap().next, None);
    }

    #[test]
    fn a_trial_that_never_began_blames_nobody() {
        let mut rig = rig(BankState::Good, BankState::Trying, Bank::A);
        rig.boot.set_next(Bank::B).unwrap();
        let (answer, record, order) = act(&mut rig, Bank::A, None);
        assert!(matches!(answer, BootAnswer::Serve { notes } if notes[0].contains("never began")));
        assert_eq!((record.bank(Bank::B).state, record.failed.len()), (BankState::Upgraded, 0));
        assert_eq!((rig.boot.status().unwrap().next, order), (None, vec![Bank::A, Bank::B]));
    }

    #[test]
    fn a_first_boot_puts_its_bank_first_and_a_boot_past_the_order_is_told() {
        let mut fresh = rig(BankState::Good, BankState::Empty, Bank::B);
        let (_, _, order) = act(&mut fresh, Bank::A, None);
        assert_eq!(order, [Bank::A, Bank::B]);
        let mut skipped = rig(BankState::Good, BankState::Good, Bank::B);
        let (answer, _, order) = act(&mut skipped, Bank::A, None);
        assert!(matches!(answer, BootAnswer::Serve { notes } if notes[0].contains("rebuild bank B")));
        assert_eq!(order, [Bank::B, Bank::A], "what a person has to look at is left as it is");
    }

    #[test]
    fn a_bank_that_a_person_chose_serves_and_nobody_is_blessed_or_blamed() {
        let mut rig = rig(BankState::Empty, BankState::Empty, Bank::A);
        let stub = lifeboat_bank::uki::minimal_stub();
        let parts = [7_u8; 5000];
        let image = lifeboat_bank::install::Image {
            release: ReleaseRef {
                name: "line".to_owned(),
                version: ReleaseVersion("1".to_owned()),
                serial: 1,
                digest: Sha256Hex([1; 32]),
            },
            cmdline_extra: "",
            stub: &stub,
            kernel: &parts,
            initrd: &parts,
            osrel: "ID=line\n",
            root_len: parts.len() as u64,
            root_sha256: Sha256Hex::of(&parts),
            verity: None,
        };
        let disk = &mut rig.disk;
        write_record(disk, &rig.layout, &BankRecord::empty()).unwrap();
        let (layout, mut root) = (&rig.layout, parts.as_slice());
        lifeboat_bank::install::bootstrap(disk, layout, Bank::A, &image, &mut root, &mut |_, _, _| ())
            .unwrap();
        lifeboat_bank::rebuild::rebuild(disk, layout, Bank::A, Bank::B, &mut |_, _, _| ()).unwrap();
        let mut record = read_record(&*disk, layout).unwrap().record;
        record.bank_mut(Bank::B).state = BankState::Good;
        write_record(disk, layout, &record).unwrap();
        let mut boot = UefiControl::open(MemVars::new(), layout).unwrap().0;
        boot.commit(Bank::A).unwrap();
        let mut vars = boot.into_vars();
        // The entry of bank B is the second that was made.
        let current = Var { attributes: VOLATILE_BS_RT, data: vec![1, 0] };
        vars.set(BOOT_CURRENT, &EFI_GLOBAL, &current).unwrap();
        rig.boot = UefiControl::open(vars, &rig.layout).unwrap().0;
        let before = rig.disk.clone();
        let (answer, _, order) = act(&mut rig, Bank::B, None);
        assert!(
            matches!(&answer, BootAnswer::Serve { notes } if notes[0].contains("chosen by hand")),
            "{answer:?}"
        );
        assert_eq!(order, [Bank::A, Bank::B], "a choice holds for one boot");
        assert_eq!(rig.disk, before);
        // The same boot, but the first bank cannot be loaded: that is no choice.
        let at = usize::try_from(rig.layout.volumes(Bank::A).boot.offset()).unwrap();
        rig.disk[at..at + 512].fill(0);
        let (answer, _, _) = act(&mut rig, Bank::B, None);
        assert!(
            matches!(&answer, BootAnswer::Serve { notes } if notes[0].contains("rebuild bank A")),
            "{answer:?}"
        );
    }

    #[test]
    fn a_bank_that_should_not_run_is_told_and_nothing_is_changed() {
        let mut rig = rig(BankState::Good, BankState::Failed, Bank::A);
        let before = rig.disk.clone();
        let (answer, _, _) = act(&mut rig, Bank::B, None);
        assert!(matches!(answer, BootAnswer::Serve { notes } if notes[0].contains("should not have booted")));
        assert_eq!(rig.disk, before);
    }
}
