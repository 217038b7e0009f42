//! What the banks mean together: what boots next, what there is to go back to, and what an update would destroy.

use super::damage::{BankDamage, Content, Structure};
use crate::esx::select::{Selection, WhyNot};
use crate::esx::{EsxBank, EsxDisk, EsxFinding, EsxSeverity, EsxTable, Remedy};

pub(super) fn judge(
    findings: &mut Vec<EsxFinding>,
    disk: &EsxDisk,
    selection: &Selection,
    damage: &[BankDamage],
) {
    identity_remedy(findings, disk, selection);
    if disk.table == EsxTable::Bare {
        return;
    }
    let Some(chosen) = selection.chosen else {
        nothing_boots(findings, disk, selection, damage);
        return;
    };
    let Some(bank) = disk.banks.get(chosen) else { return };
    if selection.stops_at_version {
        let text = format!(
            "the loader chooses bank {} and stops at its version, which does not begin with a digit",
            bank.letter
        );
        let next = "the host does not boot, and the other bank is not tried";
        let other = other_clean(disk, damage, chosen);
        let remedy = other.map(|from| Remedy::Rebuild { bank: bank.letter, from });
        findings.push(
            EsxFinding::new("esx-next-stops", EsxSeverity::Error, text, next).on(bank.letter).with(remedy),
        );
    }
    chosen_damaged(findings, disk, selection, damage, (chosen, bank));
    for (index, other) in disk.banks.iter().enumerate().filter(|(index, _)| *index != chosen) {
        of_other(findings, selection, (chosen, bank), (index, other));
    }
    upgrade_state(findings, disk);
    let eligible = selection.banks.iter().filter(|bank| bank.eligible).count();
    if eligible == 1 && disk.banks.len() > 1 {
        let others = disk.banks.iter().zip(&selection.banks).filter(|(other, _)| other.letter != bank.letter);
        let whys: Vec<String> = others
            .map(|(other, outcome)| {
                let why = outcome.why_not.iter().map(|why| why.clause());
                format!("{} {}", other.letter, why.collect::<Vec<_>>().join(", and "))
            })
            .collect();
        let text = format!("only bank {} can boot: {}", bank.letter, whys.join("; "));
        let next = "until the next update is installed there is nothing to go back to; the update itself needs no \
                    other bank to boot";
        findings.push(EsxFinding::new("esx-no-fallback", EsxSeverity::Note, text, next));
    }
    if bank.cfg.as_ref().is_some_and(|cfg| cfg.values.updated == u32::MAX) {
        let text = format!("`updated` of bank {} is the largest that there is", bank.letter);
        let next = "no update can be newer than it: the next one would never be chosen";
        findings.push(EsxFinding::new("esx-updated-last", EsxSeverity::Error, text, next).on(bank.letter));
    }
}

/// The first other bank without damage.
fn other_clean(disk: &EsxDisk, damage: &[BankDamage], but: usize) -> Option<char> {
    let banks = disk.banks.iter().zip(damage).enumerate();
    banks
        .filter(|(index, (_, damage))| *index != but && damage.can_be_copied())
        .map(|(_, (bank, _))| bank.letter)
        .next()
}

/// Of two banks with one identity, the one that does not boot next is made anew.
fn identity_remedy(findings: &mut [EsxFinding], disk: &EsxDisk, selection: &Selection) {
    let chosen = selection.chosen.and_then(|index| disk.banks.get(index)).map(|bank| bank.letter);
    let Some(from) = chosen else { return };
    for finding in findings.iter_mut().filter(|finding| finding.code == "esx-uuid-twice") {
        let other = disk.banks.iter().map(|bank| bank.letter).find(|letter| *letter != from);
        let bank = finding.bank.filter(|letter| *letter != from).or(other);
        finding.remedy = bank.map(|bank| Remedy::Rebuild { bank, from });
    }
}

fn nothing_boots(
    findings: &mut Vec<EsxFinding>,
    disk: &EsxDisk,
    selection: &Selection,
    damage: &[BankDamage],
) {
    let whys: Vec<String> = disk
        .banks
        .iter()
        .zip(&selection.banks)
        .map(|(bank, outcome)| {
            let why = outcome.why_not.iter().map(|why| why.clause());
            format!("{} {}", bank.letter, why.collect::<Vec<_>>().join(", and "))
        })
        .collect();
    let text = format!("no bank boots (\"No hypervisor found\"): {}", whys.join("; "));
    let next = "the host does not boot";
    let clean = disk.banks.iter().zip(damage).find(|(bank, damage)| damage.is_clean() && bank.cfg.is_some());
    let remedy =
        clean.filter(|_| disk.loader_reads_table()).map(|(bank, _)| Remedy::SetNext { bank: bank.letter });
    findings.push(EsxFinding::new("esx-nothing-boots", EsxSeverity::Error, text, next).with(remedy));
}

/// The bank that boots next is damaged: the loader does not notice, and nothing falls back.
fn chosen_damaged(
    findings: &mut Vec<EsxFinding>,
    disk: &EsxDisk,
    selection: &Selection,
    damage: &[BankDamage],
    (chosen, bank): (usize, &EsxBank),
) {
    let Some(own) = damage.get(chosen) else { return };
    let ((Content::Damaged { why }, _) | (_, Structure::Damaged { why })) = (&own.content, &own.structure)
    else {
        return;
    };
    let other_eligible =
        selection.banks.iter().enumerate().any(|(index, bank)| index != chosen && bank.eligible);
    let letter = bank.letter;
    if let Content::Damaged { .. } = own.content {
        let text = format!("the loader boots bank {letter} next, and it is damaged: {why}");
        let next = if selection.upgrading {
            "the first boot of the upgrade fails; after a reset the loader falls back to the other bank"
        } else {
            "the host stands in the loader at its next boot; nothing falls back from a bank in state 0"
        };
        let usable = disk.banks.iter().zip(damage).enumerate();
        let remedy = usable
            .filter(|(index, (bank, damage))| *index != chosen && damage.is_clean() && bank.cfg.is_some())
            .map(|(_, (bank, _))| Remedy::SetNext { bank: bank.letter })
            .next();
        findings.push(
            EsxFinding::new("esx-next-damaged", EsxSeverity::Error, text, next).on(letter).with(remedy),
        );
    }
    if !other_eligible {
        let text = format!("bank {letter} is the only one that can boot, and it is damaged: {why}");
        let next = "an upgrade is refused: it would be installed from a system that may not come up again";
        let finding = EsxFinding::new("esx-only-bank-damaged", EsxSeverity::Error, text, next).on(letter);
        findings.push(finding);
    }
}

fn of_other(
    findings: &mut Vec<EsxFinding>,
    selection: &Selection,
    (chosen, bank): (usize, &EsxBank),
    (index, other): (usize, &EsxBank),
) {
    let (Some(own), Some(cfg)) = (&bank.cfg, &other.cfg) else { return };
    let (ours, theirs) = (own.values.updated, cfg.values.updated);
    let eligible = selection.banks.get(index).is_some_and(|bank| bank.eligible);
    if ours == theirs && eligible && ours != 0 {
        let text = format!(
            "the banks {} and {} have the same `updated` {ours}; the loader takes the lower partition number",
            bank.letter, other.letter
        );
        let next = "which bank is the newer cannot be told; the order of partitions decides at every boot";
        let remedy = Some(Remedy::SetNext { bank: bank.letter });
        findings.push(EsxFinding::new("esx-updated-equal", EsxSeverity::Warning, text, next).with(remedy));
    }
    let invalid = selection.banks.get(index).is_some_and(|bank| bank.why_not.contains(&WhyNot::Invalid));
    let trying = selection.banks.get(chosen).is_some_and(|bank| bank.state == Some(1));
    if ours < theirs && invalid && !trying {
        let text = format!(
            "the host was rolled back: bank {} boots with `updated` {ours}, and bank {} with {theirs} is marked \
             invalid ({})",
            bank.letter, other.letter, cfg.values.build
        );
        let next = "the release in that bank failed on this host, or a person rolled it back; find out why before it is \
                    tried again";
        findings.push(EsxFinding::new("esx-rolled-back", EsxSeverity::Warning, text, next).on(other.letter));
    }
}

/// An update on its way.
fn upgrade_state(findings: &mut Vec<EsxFinding>, disk: &EsxDisk) {
    for bank in &disk.banks {
        let Some(cfg) = bank.cfg.as_ref().filter(|cfg| cfg.refused.is_none()) else { continue };
        let (letter, build) = (bank.letter, &cfg.values.build);
        if cfg.values.bootstate == 1 {
            let text = format!("bank {letter} holds an update that waits for its first boot ({build})");
            let next = "staging another update now would write over it; boot it first, or mark it invalid";
            findings.push(EsxFinding::new("esx-upgrade-waits", EsxSeverity::Warning, text, next).on(letter));
        } else if cfg.values.bootstate == 2 {
            let text = format!(
                "the first boot of bank {letter} ({build}) has not come to its end: the system is in it now, or it \
                 failed"
            );
            let next = "the next boot marks the bank invalid and goes back to the other one";
            findings
                .push(EsxFinding::new("esx-upgrade-unproven", EsxSeverity::Warning, text, next).on(letter));
        }
    }
}
