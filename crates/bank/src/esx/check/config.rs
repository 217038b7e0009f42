//! What `boot.cfg` means.

use super::report::Subject;
use crate::esx::bootcfg::TrapEffect;
use crate::esx::{EsxFinding, EsxSeverity};

pub(super) fn judge(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>) {
    let Some(cfg) = &subject.bank.cfg else {
        let why = subject.bank.cfg_error.as_deref().unwrap_or("has no boot.cfg");
        let text = format!("the loader cannot read boot.cfg of this bank: it {why}");
        let next = "the bank does not boot and is no way back; which of its files are foreign cannot be said";
        let finding = subject.finding("esx-cfg-unreadable", EsxSeverity::Error, text, next);
        findings.push(finding.at("boot.cfg").with(subject.rebuild()));
        return;
    };
    for trap in &cfg.traps {
        let (severity, next) = match trap.effect {
            _ if trap.code == "cfg-not-a-number" && cfg.refused.is_some() => {
                (EsxSeverity::Error, "the bank does not boot and is no way back")
            }
            TrapEffect::Selection => (
                EsxSeverity::Warning,
                "the loader may choose another bank than the file seems to say; an update writes the file anew",
            ),
            TrapEffect::Writing => (
                EsxSeverity::Warning,
                "the fall-back after a failed first boot depends on the loader writing the state here",
            ),
            TrapEffect::Loading => {
                (EsxSeverity::Warning, "other files or words are loaded than the file seems to say")
            }
            TrapEffect::Reading => (EsxSeverity::Note, "nothing"),
        };
        let text = match trap.line {
            Some(line) => format!("line {line}: {}", trap.text),
            None => trap.text.clone(),
        };
        findings.push(subject.finding(trap.code, severity, text, next).at("boot.cfg"));
    }
}
