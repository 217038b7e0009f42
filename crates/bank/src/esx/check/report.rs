//! The check as a whole.

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::damage::BankDamage;
use super::options::CheckOptions;
use super::{config, files, situation, space, volume};
use crate::esx::content::{BankContent, Depth, look_into, survey};
use crate::esx::select::Selection;
use crate::esx::{EsxBank, EsxDisk, EsxFinding, EsxSeverity, Remedy};

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// How deep it looked.
    pub depth: Depth,
    /// Which bank boots next, and why.
    pub selection: Selection,
    /// What is on each bank.
    pub contents: Vec<BankContent>,
    /// What is wrong with each bank, in short.
    pub damage: Vec<BankDamage>,
    /// Everything that was found: the disk first, then bank by bank.
    pub findings: Vec<EsxFinding>,
}

impl CheckReport {
    /// The worst weight; none when nothing was found.
    #[must_use]
    pub fn worst(&self) -> Option<EsxSeverity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// A bank while it is judged.
pub(super) struct Subject<'a> {
    pub(super) bank: &'a EsxBank,
    pub(super) content: &'a BankContent,
    /// Whether the loader may boot it.
    pub(super) eligible: bool,
    /// The bank from which this one can be made anew.
    pub(super) source: Option<char>,
}

impl Subject<'_> {
    /// A finding about this bank.
    pub(super) fn finding(
        &self,
        code: &'static str,
        severity: EsxSeverity,
        text: impl Into<String>,
        next_upgrade: impl Into<String>,
    ) -> EsxFinding {
        EsxFinding::new(code, severity, text, next_upgrade).on(self.bank.letter)
    }

    /// Damage of content: an error where the loader may boot it, else the next update writes over it.
    pub(super) fn weight(&self) -> EsxSeverity {
        if self.eligible { EsxSeverity::Error } else { EsxSeverity::Warning }
    }

    /// Removing and clearing in place is refused on a file system that is damaged: the bank is made anew then.
    pub(super) fn clean(&self) -> Option<Remedy> {
        if self.content.fat.is_sound() { Some(Remedy::Clean) } else { self.rebuild() }
    }

    pub(super) fn rebuild(&self) -> Option<Remedy> {
        self.source.map(|from| Remedy::Rebuild { bank: self.bank.letter, from })
    }
}

/// Checks the banks of a disk. Reads only.
#[must_use]
pub fn check(disk: &(dyn ReadAt + Sync), found: &EsxDisk, options: &CheckOptions<'_>) -> CheckReport {
    let selection = found.selection();
    let mut contents: Vec<BankContent> = found.banks.iter().map(|bank| survey(disk, bank)).collect();
    if options.depth == Depth::Content {
        look_into(disk, &found.banks, &mut contents, options.threads);
    }
    let damage: Vec<BankDamage> = found
        .banks
        .iter()
        .zip(&contents)
        .map(|(bank, content)| BankDamage::of(bank, content, options.depth))
        .collect();
    let mut findings = found.findings.clone();
    situation::judge(&mut findings, found, &selection, &damage);
    for (index, (bank, content)) in found.banks.iter().zip(&contents).enumerate() {
        let sources = found.banks.iter().zip(&damage).filter(|(other, _)| other.letter != bank.letter);
        let source =
            sources.filter(|(_, damage)| damage.can_be_copied()).map(|(other, _)| other.letter).next();
        let eligible = selection.banks.get(index).is_some_and(|bank| bank.eligible);
        let subject = Subject { bank, content, eligible, source };
        volume::judge(&mut findings, &subject);
        config::judge(&mut findings, &subject);
        files::judge(&mut findings, &subject, options);
    }
    space::judge(&mut findings, found, &selection, &contents, options.release);
    warn_of_older(&mut findings, found, &selection);
    files::compare(&mut findings, &contents, found);
    CheckReport { depth: options.depth, selection, contents, damage, findings }
}

/// Making the bank that boots next anew from the other one gives the host another release, and says so.
fn warn_of_older(findings: &mut [EsxFinding], found: &EsxDisk, selection: &Selection) {
    let chosen = selection.chosen.and_then(|index| found.banks.get(index));
    let Some(chosen) = chosen else { return };
    for finding in findings {
        let Some(Remedy::Rebuild { bank, from }) = finding.remedy else { continue };
        let cfg = found.bank(from).and_then(|bank| bank.cfg.as_ref());
        if let Some(cfg) = cfg.filter(|_| bank == chosen.letter) {
            let build = &cfg.values.build;
            let more = format!(
                ". Bank {bank} boots next: made anew from {from}, the host runs the release of {from} ({build})"
            );
            finding.next_upgrade.push_str(&more);
        }
    }
}
