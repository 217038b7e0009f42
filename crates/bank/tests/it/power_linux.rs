//! The power-loss proof of the Linux banks: install, activate and bless, in every state that a cut may leave.

use lifeboat_bank::efi::{EFI_GLOBAL, MemVars, UefiBoot, Var, VarError, VarName, VarStore};
use lifeboat_bank::firmware::{self, Via, predict};
use lifeboat_bank::guid::Guid;
use lifeboat_bank::install::verify_bank;
use lifeboat_bank::layout::Layout;
use lifeboat_bank::ops::{activate, bless};
use lifeboat_bank::record::read_record;
use lifeboat_model::{Bank, BankState};

use crate::fixture::{Release, provisioned};
use crate::recorder::{Counts, Op, Ops, Recorder, State, each_state};

/// Firmware variables of which each change is a side state of the recorded disk.
struct RecordedVars {
    vars: MemVars,
    states: Vec<MemVars>,
    ops: Ops,
}

impl RecordedVars {
    fn changed(&mut self) {
        self.states.push(self.vars.clone());
        self.ops.borrow_mut().push(Op::Side(self.states.len() - 1));
    }
}

impl VarStore for RecordedVars {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        self.vars.get(name, vendor)
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        self.vars.set(name, vendor, var)?;
        self.changed();
        Ok(())
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        self.vars.delete(name, vendor)?;
        self.changed();
        Ok(())
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        self.vars.list()
    }
}

/// What the oracle met.
#[derive(Debug, Default)]
struct Met {
    old: usize,
    new: usize,
    states: Vec<BankState>,
}

/// The oracle: the firmware boots the old release or the new one, whole; and what the record calls upgraded or better
/// is whole to the last byte.
struct Oracle<'a> {
    start: &'a [u8],
    layout: &'a Layout,
    old: Bank,
    vars: &'a [MemVars],
    met: Met,
}

impl Oracle<'_> {
    fn look(&mut self, state: &State<'_>) -> Result<(), String> {
        let (old, new) = (self.old, self.old.other());
        let volumes = self.layout.volumes(old);
        let (boot, root) = (volumes.boot, volumes.root);
        for (from, len) in [(boot.offset(), boot.bytes()), (root.offset(), volumes.root_capacity())] {
            let range = from as usize..(from + len) as usize;
            if state.disk[range.clone()] != self.start[range] {
                return Err(format!("the old bank {old} was written"));
            }
        }
        let read = read_record(state.disk, self.layout).map_err(|error| format!("no record: {error}"))?;
        let found = read.record.bank(new).state;
        let mut whole = None;
        let mut new_is_whole =
            || *whole.get_or_insert_with(|| verify_bank(state.disk, self.layout, None, new).is_whole());
        if matches!(found, BankState::Upgraded | BankState::Trying | BankState::Good) && !new_is_whole() {
            return Err(format!("bank {new} is called {found}, and is not whole"));
        }
        for vars in [&self.vars[state.side], &MemVars::new()] {
            let result = predict(state.disk, vars);
            let Some(booted) = &result.booted else { return Err(format!("nothing boots: {}", result.why())) };
            match booted.bank {
                Some(bank) if bank == old => self.met.old += 1,
                Some(_) if new_is_whole() => {
                    if matches!(booted.via, Via::BootNext { .. }) && found != BankState::Trying {
                        return Err(format!("the firmware tries bank {new}, which is {found}"));
                    }
                    self.met.new += 1;
                }
                _ => return Err(format!("neither the old nor the new release boots: {}", result.why())),
            }
        }
        if !self.met.states.contains(&found) {
            self.met.states.push(found);
        }
        Ok(())
    }
}

struct Upgrade {
    ops: Vec<Op>,
    vars: Vec<MemVars>,
    end: Vec<u8>,
}

/// Installs, activates, boots and blesses, recorded.
fn upgrade(start: &[u8], layout: &Layout, vars: &MemVars, old: Bank, serial: u64) -> Upgrade {
    let new = old.other();
    let mut disk = Recorder::new(start.to_vec());
    let mut store = RecordedVars { vars: vars.clone(), states: vec![vars.clone()], ops: disk.ops.clone() };
    Release::new(serial).install(&mut disk, layout, new).unwrap();
    let mut boot = UefiBoot::of_layout(&mut store, layout);
    activate(&mut disk, layout, new, &mut || Ok(()), &mut boot).unwrap();
    assert_eq!(firmware::boot(&disk, boot.into_vars()).booted.unwrap().bank, Some(new));
    assert!(store.get("BootNext", &EFI_GLOBAL).unwrap().is_none());
    bless(&mut disk, layout, new, &mut UefiBoot::of_layout(&mut store, layout)).unwrap();
    let ops = disk.ops.borrow().clone();
    Upgrade { ops, vars: store.states, end: disk.bytes }
}

fn fresh_variables(layout: &Layout) -> MemVars {
    let mut boot = UefiBoot::of_layout(MemVars::new(), layout);
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    boot.into_vars()
}

fn proved(start: &[u8], layout: &Layout, old: Bank, upgrade: &Upgrade) -> Result<(Counts, Met), String> {
    let mut oracle = Oracle { start, layout, old, vars: &upgrade.vars, met: Met::default() };
    let counts = each_state(start, &upgrade.ops, &mut |state: &State<'_>| oracle.look(state))?;
    Ok((counts, oracle.met))
}

#[test]
fn every_state_that_a_cut_leaves_of_install_activate_and_bless_boots_the_old_release_or_the_new() {
    let (start, layout) = provisioned();
    let vars = fresh_variables(&layout);
    let first = upgrade(&start, &layout, &vars, Bank::A, 2);
    let (mut counts, met) = proved(&start, &layout, Bank::A, &first).unwrap();
    println!("into an empty bank: {counts}; {met:?}");
    assert!(met.states.len() == 5 && met.new > 0, "some state was never met: {met:?}");

    // The next upgrade goes over a bank that was good, in the other direction.
    let second = upgrade(&first.end, &layout, first.vars.last().unwrap(), Bank::B, 3);
    let (again, met) = proved(&first.end, &layout, Bank::B, &second).unwrap();
    println!("over a good bank: {again}; {met:?}");
    assert!(met.states.len() == 4 && met.new > 0 && met.old > 0, "some state was never met: {met:?}");
    counts += again;
    println!("power-loss proof of install, activate and bless: {counts}");
    assert!(counts.states() > 4000, "too few states: {counts}");
    assert!(counts.reordered > 600 && counts.torn > 1000 && counts.changed * 10 > counts.states() * 9);
}

/// The same log with its flushes taken out, or the writes of one kind moved: the proof must fail.
#[test]
fn the_proof_fails_for_an_install_that_does_not_flush_or_that_marks_the_bank_first() {
    let (start, layout) = provisioned();
    let vars = fresh_variables(&layout);
    let good = upgrade(&start, &layout, &vars, Bank::A, 2);

    let mut unflushed = Upgrade { ops: good.ops.clone(), vars: good.vars.clone(), end: Vec::new() };
    unflushed.ops.retain(|op| !matches!(op, Op::Flush));
    let why = proved(&start, &layout, Bank::A, &unflushed).unwrap_err();
    println!("without a flush: {why}");

    // The last four records of the disk (upgraded, and its copy) before the content.
    let mut early = Upgrade { ops: good.ops.clone(), vars: good.vars.clone(), end: Vec::new() };
    let records: Vec<usize> = early
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| matches!(op, Op::Write { offset, .. } if Bank::BOTH.iter().any(|bank| layout.volumes(*bank).record_offset() == *offset)))
        .map(|(index, _)| index)
        .collect();
    let upgraded = early.ops[records[2]].clone();
    early.ops.insert(records[1] + 2, upgraded);
    let why = proved(&start, &layout, Bank::A, &early).unwrap_err();
    println!("record before content: {why}");
    assert!(why.contains("is called upgraded"), "{why}");
}

#[test]
fn an_install_cut_at_any_prefix_is_finished_by_installing_again() {
    let (start, layout) = provisioned();
    let release = Release::new(2);
    let mut disk = Recorder::new(start.clone());
    release.install(&mut disk, &layout, Bank::B).unwrap();
    let ops: Vec<Op> = disk.ops.borrow().clone();
    let mut cuts = 0;
    for end in 0..ops.len() {
        let mut bytes = start.clone();
        for op in &ops[..end] {
            if let Op::Write { offset, data } = op {
                lifeboat_model::io::WriteAt::write_at(&mut bytes, *offset, data).unwrap();
            }
        }
        release.install(&mut bytes, &layout, Bank::B).unwrap();
        let record = read_record(&bytes, &layout).unwrap().record;
        assert!(verify_bank(&bytes, &layout, Some(&record), Bank::B).is_whole());
        cuts += 1;
    }
    println!("{cuts} installs cut and repeated");
    assert!(cuts > 20);
}
