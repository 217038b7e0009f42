//! Making a bank the one that the loader chooses.

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::cfgedit::CfgSpot;
use super::error::ChangeError;
use super::fatmap::FatMap;
use super::judge::{Banks, Content};
use super::plan::ChangePlan;
use crate::esx::EsxDisk;
use crate::esx::bootcfg::{CfgChanges, QuickBoot, write_strict};

/// How a bank becomes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextBy {
    /// Its own boot.cfg gets the largest `updated`. The other bank is not written, and stays as good as it is.
    Counter,
    /// The other bank is marked invalid, one digit, as the loader itself does on a roll-back by hand. The other bank
    /// is no fall-back any more until it is chosen again.
    OtherInvalid,
}

/// The state that the bank gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextState {
    /// 0: it boots from now on, whatever happens.
    Valid,
    /// 1: one try. A boot that does not come to its end makes the loader go back to the other bank.
    Trial,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextRequest {
    /// The bank.
    pub bank: char,
    /// How.
    pub by: NextBy,
    /// Its state afterwards, with [`NextBy::Counter`].
    pub state: NextState,
    /// What a check of the bank's content said.
    pub content: Content,
    /// Do it although the content is damaged or was not checked.
    pub force: bool,
}

/// Plans to make a bank the next. The plan is empty when the loader would choose it already, with the state asked for.
pub fn plan_set_next(
    disk: &dyn ReadAt,
    esx: &EsxDisk,
    request: &NextRequest,
) -> Result<ChangePlan, ChangeError> {
    let what = format!("making bank {} the next to boot", request.bank);
    let refused =
        |why: &str, remedy: &str| ChangeError::refused(what.clone(), why.to_owned(), remedy.to_owned());
    let banks = Banks::of(disk, esx)?;
    let bank = banks.get(request.bank, &what)?;
    let Some(cfg) = &bank.cfg else {
        let why = format!("bank {} has no boot.cfg that the loader could read", request.bank);
        return Err(refused(&why, "rebuild it from the other bank"));
    };
    let forced = match (&request.content, request.force) {
        (Content::Whole, _) => None,
        (Content::Damaged { why }, false) => {
            let why = format!("bank {} is not whole ({why})", request.bank);
            return Err(refused(
                &why,
                "rebuild it from the other bank; the loader boots a damaged bank again and again",
            ));
        }
        (Content::Unchecked, false) => {
            return Err(refused("its content was not checked", "check the bank first, or force it"));
        }
        (Content::Damaged { why }, true) => Some(format!("forced although the bank is not whole: {why}")),
        (Content::Unchecked, true) => Some("forced although the content was not checked".to_owned()),
    };
    let now = banks.select();
    let chosen = banks.chosen(&now);
    let mut plan = ChangePlan::new(what.clone(), banks.identity, bank.place(None));
    plan.notes.extend(forced);
    plan.then_chosen = Some(bank.offset);
    let state = match request.state {
        NextState::Valid => 0,
        NextState::Trial => 1,
    };
    if chosen == Some(bank.offset) && cfg.values.bootstate == state {
        plan.note(format!("the loader would choose bank {} already; nothing is written", bank.letter));
        return Ok(plan);
    }
    if request.by == NextBy::OtherInvalid {
        return other_invalid(disk, &banks, request.bank, plan, &what);
    }
    let others = || banks.list.iter().filter(|other| other.offset != bank.offset);
    let largest = others().filter_map(|other| other.cfg.as_ref()).map(|cfg| cfg.values.updated).max();
    let updated = match (cfg.values.updated, largest.unwrap_or(0)) {
        (own, largest) if own > largest => own,
        (_, largest) => largest.checked_add(1).ok_or_else(|| {
            let why = "another bank's `updated` is 4294967295, the largest there is, and it does not wrap";
            refused(why, "mark the other bank invalid instead")
        })?,
    };
    let changes = CfgChanges {
        state: u8::from(state == 1),
        updated: Some(updated),
        build: None,
        quickboot: QuickBoot::Drop,
    };
    let text = write_strict(cfg, &changes).map_err(|source| ChangeError::Fat {
        doing: "writing the boot.cfg",
        letter: bank.letter,
        source: Box::new(source),
    })?;
    plan.note(format!(
        "`updated` of bank {} becomes {updated} (it is {}; the largest of the other banks is {}), its state {state}",
        bank.letter,
        cfg.values.updated,
        largest.map_or_else(|| "none".to_owned(), |value| value.to_string())
    ));
    if largest.is_none() {
        plan.note("no other bank can be read: while boot.cfg is written the host has no bank to boot");
    }
    let (map, spot) = locate(disk, bank.offset, bank.bytes, bank.letter)?;
    spot.push_rewrite(&map, disk, &mut plan, &text)?;
    Ok(plan)
}

/// Marks the bank that is chosen now invalid, so that `letter` comes next.
fn other_invalid(
    disk: &dyn ReadAt,
    banks: &Banks,
    letter: char,
    mut plan: ChangePlan,
    what: &str,
) -> Result<ChangePlan, ChangeError> {
    let refused = |why: String| {
        ChangeError::refused(what.to_owned(), why, "raise the bank's own counter instead (the default)")
    };
    let bank = banks.get(letter, what)?;
    let Some(other) = banks.chosen(&banks.select()).and_then(|offset| banks.at(offset)) else {
        return Err(refused("the loader chooses no bank now, so there is none to mark".to_owned()));
    };
    if other.offset == bank.offset {
        return Err(refused(format!("bank {letter} is chosen already, with another state")));
    }
    plan.place = other.place(None);
    let (map, spot) = locate(disk, other.offset, other.bytes, other.letter)?;
    plan.guard(disk, map.base(), super::plan::SECTOR)?;
    if !spot.push_invalid(&mut plan)? {
        return Err(refused(format!("bank {} has no digit that could be changed", other.letter)));
    }
    let after = banks.chosen(&banks.select_without(other.offset));
    if after != Some(bank.offset) {
        let then = after.and_then(|offset| banks.at(offset));
        let then = then.map_or_else(|| "none".to_owned(), |bank| bank.letter.to_string());
        return Err(refused(format!(
            "with bank {} marked invalid the loader would choose {then}",
            other.letter
        )));
    }
    plan.note(format!(
        "bank {} is marked invalid: it is no fall-back until it is chosen again",
        other.letter
    ));
    Ok(plan)
}

/// The geometry and the boot.cfg of a bank.
pub(super) fn locate(
    disk: &dyn ReadAt,
    offset: u64,
    bytes: u64,
    letter: char,
) -> Result<(FatMap, CfgSpot), ChangeError> {
    let wrong = |doing: &'static str, why: String| ChangeError::Fat { doing, letter, source: why.into() };
    let map = FatMap::open(disk, offset, bytes)
        .map_err(|why| wrong("reading the volume", format!("the volume {why}")))?;
    let spot =
        CfgSpot::find(disk, &map).map_err(|why| wrong("reading the boot.cfg", format!("boot.cfg {why}")))?;
    Ok((map, spot))
}
