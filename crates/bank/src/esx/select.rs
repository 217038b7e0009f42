//! Which bank the loader boots next, and what it writes on the way: exactly its algorithm.
//!
//! Owns: the selection of the loader (measured, ESXi 9.0 level; 2,449 pairs of banks were run for it) as a function
//! of the banks' `boot.cfg`. Promises: states written, the word for the kernel, pauses and reasons are those of the
//! loader; nothing is guessed from what is on the rest of a bank, for the loader does not look there before it has
//! chosen. Does not: write, or know whether the chosen bank can be loaded.

use serde::Serialize;

use super::bootcfg::{BootCfg, StatePatch};

/// Most banks that the loader looks at.
pub const MOST_BANKS: usize = 3;

/// A partition of a possible bank, in the order of partition numbers.
#[derive(Debug, Clone, Copy)]
pub struct BankInput<'a> {
    /// Whether the second sector begins with the mark of a bank.
    pub marked: bool,
    /// Its `boot.cfg`, if the loader can read it.
    pub cfg: Option<&'a BootCfg>,
}

/// What the loader notes about a bank while it reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNot {
    /// The primary partition table is not usable, and the loader uses no other.
    NoTable,
    /// The second sector lacks the mark: no bank.
    NoMagic,
    /// `boot.cfg` is missing or cannot be read.
    NoCfg,
    /// Three banks were read before this one.
    NotLookedAt,
    /// A number in `boot.cfg` is none.
    Syntax,
    /// `quickboot` is not 0.
    Quickboot,
    /// `updated` is 0.
    UpdatedZero,
    /// `build` is missing or empty.
    NoBuild,
    /// `bootstate` is none of 0 to 3.
    BadState,
    /// The state has to change and cannot be written: ten seconds' pause, bank dropped.
    CannotWriteState,
    /// The first boot of an upgrade did not come to its end (state 2).
    Dirty,
    /// Marked invalid (state 3).
    Invalid,
    /// Eligible, but another bank has a larger `updated`, or an equal one and a lower partition number.
    Older,
}

impl WhyNot {
    /// The word in reports and in the truth table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoTable => "no-table",
            Self::NoMagic => "no-magic",
            Self::NoCfg => "no-cfg",
            Self::NotLookedAt => "not-looked-at",
            Self::Syntax => "syntax",
            Self::Quickboot => "quickboot",
            Self::UpdatedZero => "updated=0",
            Self::NoBuild => "no-build",
            Self::BadState => "bad-state",
            Self::CannotWriteState => "cannot-write-state",
            Self::Dirty => "dirty",
            Self::Invalid => "invalid",
            Self::Older => "older",
        }
    }

    /// The reason as the end of a sentence that begins with the bank's name.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::NoTable => "is not seen: the primary partition table is not usable",
            Self::NoMagic => "is not seen: its second sector lacks the mark of a bank",
            Self::NoCfg => "has no boot.cfg that the loader can read",
            Self::NotLookedAt => "is the fourth bank, and the loader looks at three",
            Self::Syntax => {
                "has something else than a number in a number of its boot.cfg, which is refused whole"
            }
            Self::Quickboot => "has a `quickboot` that is not 0",
            Self::UpdatedZero => "has `updated` 0",
            Self::NoBuild => "has no `build`",
            Self::BadState => "has a `bootstate` that is no state",
            Self::CannotWriteState => {
                "has a state that must change and cannot be written (no digit from 0 to 3 in the first 512 bytes of \
                 boot.cfg): ten seconds' pause, then dropped"
            }
            Self::Dirty => "did not come to the end of its first boot after an upgrade (state 2)",
            Self::Invalid => "is marked invalid (state 3)",
            Self::Older => "is older by `updated`",
        }
    }
}

/// What becomes of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankOutcome {
    /// `bootstate` as read; none when there was nothing to read.
    pub state: Option<i32>,
    /// `updated` as compared.
    pub updated: u32,
    /// The loader took it for a bank and read it, so that it counts among the three.
    pub counted: bool,
    /// It may be chosen.
    pub eligible: bool,
    /// The one byte that the loader writes before any kernel runs.
    pub write: Option<StatePatch>,
    /// Reasons in the order in which the loader notes them, then ours; empty for the chosen bank.
    pub why_not: Vec<WhyNot>,
}

/// What happens when the machine is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Index of the chosen bank in the input; none: "No hypervisor found", and the firmware goes on.
    pub chosen: Option<usize>,
    /// The kernel of the chosen bank gets the word `rollback`.
    pub rollback: bool,
    /// The chosen bank was in the state of an upgrade when it was read.
    pub upgrading: bool,
    /// The chosen bank's `build` does not begin with a digit: the loader stops there and tries no other bank.
    pub stops_at_version: bool,
    /// Banks that were dropped with a pause of ten seconds each.
    pub pauses: u32,
    /// One for each input.
    pub banks: Vec<BankOutcome>,
}

impl Selection {
    /// The bank that really boots: the chosen one, unless the loader stops at its version.
    #[must_use]
    pub fn boots(&self) -> Option<usize> {
        self.chosen.filter(|_| !self.stops_at_version)
    }
}

/// Runs the selection over the banks in the order of their partition numbers.
#[must_use]
pub fn select(inputs: &[BankInput<'_>]) -> Selection {
    let mut out = Selection {
        chosen: None,
        rollback: false,
        upgrading: false,
        stops_at_version: false,
        pauses: 0,
        banks: Vec::with_capacity(inputs.len()),
    };
    let mut counted = 0;
    for input in inputs {
        let bank = if counted == MOST_BANKS { dropped(WhyNot::NotLookedAt) } else { read(input, &mut out) };
        counted += usize::from(bank.counted);
        out.banks.push(bank);
    }
    let eligible = out.banks.iter().enumerate().filter(|(_, bank)| bank.eligible);
    // The first of the largest: `max_by_key` would take the last.
    let best = eligible.rev().max_by_key(|(_, bank)| bank.updated).map(|(index, _)| index);
    out.chosen = best;
    for (index, bank) in out.banks.iter_mut().enumerate() {
        if bank.eligible && best != Some(index) {
            bank.why_not.push(WhyNot::Older);
        }
    }
    let cfg = best.and_then(|index| inputs.get(index)).and_then(|input| input.cfg);
    if let Some(cfg) = cfg {
        out.upgrading = cfg.values.bootstate == 1;
        out.stops_at_version = !cfg.values.build.starts_with(|first: char| first.is_ascii_digit());
    } else {
        out.rollback = false;
    }
    out
}

fn dropped(why: WhyNot) -> BankOutcome {
    BankOutcome { state: None, updated: 0, counted: false, eligible: false, write: None, why_not: vec![why] }
}

/// Reads one bank and writes its state back.
fn read(input: &BankInput<'_>, out: &mut Selection) -> BankOutcome {
    if !input.marked {
        return dropped(WhyNot::NoMagic);
    }
    let Some(cfg) = input.cfg else { return dropped(WhyNot::NoCfg) };
    if cfg.refused.is_some() {
        return dropped(WhyNot::Syntax);
    }
    let values = &cfg.values;
    let state = values.bootstate;
    let mut why_not = Vec::new();
    let quickboot = values.quickboot != 0;
    let no_counter = values.updated == 0;
    let no_build = values.build.is_empty();
    why_not.extend(quickboot.then_some(WhyNot::Quickboot));
    why_not.extend(no_counter.then_some(WhyNot::UpdatedZero));
    why_not.extend(no_build.then_some(WhyNot::NoBuild));
    why_not.extend((!(0..=3).contains(&state)).then_some(WhyNot::BadState));
    let usable = why_not.is_empty();

    // What the loader wants to write, by the state that it read.
    let wanted = match state {
        0 if quickboot => Some(3),
        0 | 3 => None,
        1 if usable => Some(2),
        _ => Some(3),
    };
    let write = wanted.and_then(|state| cfg.state_digit.patch(state));
    let failed = wanted.is_some() && write.is_none();
    let told = !quickboot && matches!(state, 1 | 2) && (no_counter || no_build);
    out.rollback |= told && !failed;
    if failed {
        out.pauses += 1;
        why_not.push(WhyNot::CannotWriteState);
    }
    let eligible = usable && !failed && matches!(state, 0 | 1);
    if usable && !failed {
        why_not.extend((state == 2).then_some(WhyNot::Dirty));
    }
    why_not.extend((state == 3).then_some(WhyNot::Invalid));
    BankOutcome { state: Some(state), updated: values.updated, counted: !failed, eligible, write, why_not }
}

#[cfg(test)]
mod tests;
