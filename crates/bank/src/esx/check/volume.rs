//! What the file system's state means.

use super::report::Subject;
use crate::esx::{EsxFinding, EsxSeverity};
use crate::fat::{FatCode, FatFinding, FatSeverity};

const CLEARS: &str = "an update clears this bank first and stops at such an entry (\"Failed to clear bootbank content … \
                      Bad file descriptor\"); no program on the host can delete it";
const REFUSES: &str = "the file system check that ESXi 7.0 U3, 8.0 U1 and later make before an update refuses the host; \
                       a repair program may cut or mix up files and call the bank clean, so it is made anew instead";
const DIRTY: &str = "no damage, but the file system check that ESXi 7.0 U3, 8.0 U1 and later make before an update \
                     refuses the host for this mark alone";
const UNSEEN: &str = "the loader does not see this bank, and an update cannot write into it";
const CUT: &str = "nothing may be written here; copy the disk again, whole";
const NOTHING: &str = "nothing";

pub(super) fn judge(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>) {
    let unreadable = subject.content.fat.findings.iter().any(|f| f.severity == FatSeverity::Unreadable);
    if subject.bank.uuid.is_none() && !unreadable {
        let text = format!(
            "the second sector of partition {} lacks the mark and identity of a bank (a plain formatting wipes them)",
            subject.bank.partition
        );
        let finding = subject.finding("esx-mark-missing", EsxSeverity::Error, text, UNSEEN);
        findings.push(finding.with(subject.rebuild()));
    }
    for seen in &subject.content.fat.findings {
        findings.push(of_finding(subject, seen));
    }
}

fn of_finding(subject: &Subject<'_>, seen: &FatFinding) -> EsxFinding {
    let dirty = matches!(seen.code, FatCode::DirtyBoot | FatCode::DirtyTable | FatCode::DiskErrorBit);
    let ghost = match &seen.path {
        Some(path) => subject.content.files.iter().any(|file| file.ghost && file.path == *path),
        None => false,
    };
    let (severity, next, remedy) = match seen.severity {
        FatSeverity::Innocent if dirty => (EsxSeverity::Error, DIRTY, subject.clean()),
        FatSeverity::Innocent => (EsxSeverity::Note, NOTHING, None),
        // What is cut off here may be whole on the disk that it was copied from.
        FatSeverity::Damage | FatSeverity::Unreadable if seen.code == FatCode::ImageCut => {
            (EsxSeverity::Error, CUT, None)
        }
        FatSeverity::Unreadable => (EsxSeverity::Error, UNSEEN, subject.rebuild()),
        FatSeverity::Damage if ghost => (EsxSeverity::Error, CLEARS, subject.rebuild()),
        FatSeverity::Damage => (EsxSeverity::Error, REFUSES, subject.rebuild()),
    };
    let mut out = subject.finding(seen.code.word(), severity, seen.text.clone(), next).with(remedy);
    out.path.clone_from(&seen.path);
    out
}
