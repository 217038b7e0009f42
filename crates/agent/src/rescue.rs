//! When the agent cannot do its work: what becomes of the host.
//!
//! Owns: the choice between going back to the old bank and leaving the host in peace. Promises: a bank on trial
//! whose agent fails is left at once; a host that is not on trial is never reset because its agent fails, since its
//! guests run on. Does not: mend what made the agent fail.

use std::fs;

use lifeboat_bank::layout::{Layout, read_layout};
use lifeboat_bank::ops::{BootControl, mark_failed};
use lifeboat_bank::record::read_record;
use lifeboat_device::{BlockFile, EfivarFs};
use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, BankState};

use crate::host::open_beside;
use crate::{KernelLine, Paths, UefiControl, find_root};

/// What is to be done with a host whose agent failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescue {
    /// The running bank was on trial: it is marked failed as far as that was possible; reboot.
    Leave,
    /// Nothing tells that a trial is open: stop the watchdog, and let the host run.
    Stay,
}

/// Decides, and marks a bank on trial as failed with `reason`.
pub fn rescue(paths: &Paths, reason: &str) -> Rescue {
    // What cannot be read here is what may have made the agent fail; each step that fails means "no evidence".
    let Ok(line) = fs::read_to_string(paths.proc.join("cmdline")) else { return Rescue::Stay };
    let Ok(line) = KernelLine::parse(&line) else { return Rescue::Stay };
    let Ok(found) = find_root(&paths.sys, &paths.dev, line.root) else { return Rescue::Stay };
    // Evidence needs only reading, and leaving needs no write: the order names the old bank first.
    let Ok(looked) = BlockFile::open_read(&found.disk) else { return Rescue::Stay };
    let Ok(layout) = read_layout(&looked) else { return Rescue::Stay };
    let vars = EfivarFs::open(&paths.sys.join("firmware/efi/efivars")).ok();
    let mut control = vars.and_then(|vars| UefiControl::open(vars, &layout).ok()).map(|(control, _)| control);
    let seen = control.as_mut().map(|control| control as &mut dyn BootControl);
    if !evidence_of_trial(&looked, &layout, line.bank, seen) {
        return Rescue::Stay;
    }
    if let Some(control) = control.as_mut() {
        // If even this fails the order still names the old bank first, unless the blessing came that far.
        if let Ok((mut disk, layout)) = open_beside(&found.disk, line.bank) {
            let _ = mark_failed(&mut disk, &layout, line.bank, reason, control);
        }
        let _ = control.commit(line.bank.other());
    }
    Rescue::Leave
}

/// Whether `running` is on trial: by the record, or if that cannot be read, because the firmware booted it although
/// the other bank is first in its order.
fn evidence_of_trial(
    disk: &dyn ReadAt,
    layout: &Layout,
    running: Bank,
    control: Option<&mut dyn BootControl>,
) -> bool {
    match read_record(disk, layout) {
        Ok(read) => read.record.bank(running).state == BankState::Trying,
        Err(_) => control
            .and_then(|control| control.status().ok())
            .is_some_and(|status| status.order.first() == Some(&running.other())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_bank::efi::MemVars;
    use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};
    use lifeboat_bank::record::{BankRecord, write_record};

    use super::*;

    #[test]
    fn only_evidence_of_a_trial_takes_a_host_away_from_its_guests() {
        let mib = 1 << 20;
        let geometry = Geometry { boot: 4 * mib, root: mib, state: mib };
        let mut disk = vec![0_u8; usize::try_from(geometry.disk_bytes()).unwrap()];
        let guids = LayoutGuids::from_random(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let layout = create_layout(&mut disk, &geometry, &guids).unwrap();
        let (mut control, _) = UefiControl::open(MemVars::new(), &layout).unwrap();
        control.commit(Bank::A).unwrap();
        // No record: the firmware's order decides.
        assert!(evidence_of_trial(&disk, &layout, Bank::B, Some(&mut control)));
        assert!(!evidence_of_trial(&disk, &layout, Bank::A, Some(&mut control)));
        assert!(!evidence_of_trial(&disk, &layout, Bank::B, None));
        for (state, trial) in
            [(BankState::Trying, true), (BankState::Good, false), (BankState::Failed, false)]
        {
            let mut record = BankRecord::empty();
            record.bank_mut(Bank::B).state = state;
            write_record(&mut disk, &layout, &record).unwrap();
            assert_eq!(evidence_of_trial(&disk, &layout, Bank::B, Some(&mut control)), trial, "{state}");
        }
    }

    #[test]
    fn a_machine_that_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { proc: folder.path().into(), ..Paths::default() };
        assert_eq!(rescue(&paths, "test"), Rescue::Stay);
        std::fs::write(folder.path().join("cmdline"), "quiet splash").unwrap();
        assert_eq!(rescue(&paths, "test"), Rescue::Stay);
    }
}
