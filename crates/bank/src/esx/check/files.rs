//! What the files of a bank mean.

use super::options::{BankManifest, CheckOptions};
use super::report::Subject;
use crate::esx::archive::{Form, Inspected};
use crate::esx::content::{BankContent, BankFile, Look, Naming, Role};
use crate::esx::{EsxDisk, EsxFinding, EsxSeverity};

/// Most foreign files that get a finding of their own.
const MOST_FOREIGN: usize = 50;
/// The loader's answer to a file that it cannot load.
const STANDS: &str = "the loader chooses a bank before it looks at modules: it stops with a fatal error for ever, and \
                      a bank in state 0 is chosen again at every boot; nothing falls back";

pub(super) fn judge(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>, options: &CheckOptions<'_>) {
    missing(findings, subject);
    for file in subject.content.belonging() {
        of_file(findings, subject, file);
    }
    unnamed(findings, subject);
    foreign(findings, subject);
    let letter = subject.bank.letter;
    if let Some((_, manifest)) = options.manifests.iter().find(|(bank, _)| *bank == letter) {
        against(findings, subject, manifest);
    }
}

fn missing(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>) {
    for missing in &subject.content.missing {
        let what = if missing.role == Role::Kernel { "kernel" } else { "module" };
        let name = &missing.name;
        let (code, text) = match missing.naming {
            Naming::Absent => ("esx-module-missing", format!("the {what} {name} is named and not there")),
            Naming::LongOnly => (
                "esx-module-name",
                format!("the {what} {name} is there under a long name only; the loader reads 8.3 names"),
            ),
            Naming::Below => (
                "esx-module-name",
                format!("the {what} {name} lies in a folder; the loader reads the root of a bank only"),
            ),
            Naming::Directory => ("esx-module-missing", format!("the {what} {name} is a directory")),
        };
        let finding = subject.finding(code, subject.weight(), text, STANDS);
        findings.push(finding.at(name.clone()).with(subject.rebuild()));
    }
}

fn of_file(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>, file: &BankFile) {
    let mut add = |code, severity, text: String, next: &str| {
        let finding = subject.finding(code, severity, text, next);
        findings.push(finding.at(file.path.clone()).with(subject.rebuild()));
    };
    let loaded = matches!(file.role, Role::Kernel | Role::Module | Role::State);
    if loaded && file.len == 0 {
        let text = format!(
            "{} has no content; the loader lets it pass with a warning and boots without it",
            file.path
        );
        add(
            "esx-module-empty",
            subject.weight(),
            text,
            "the system comes up incomplete, and an update calls it good",
        );
        return;
    }
    match &file.look {
        Look::Broken { why } if file.role == Role::State => {
            let text = format!("the saved state {} is damaged: {why}", file.path);
            add(
                "esx-state-damaged",
                subject.weight(),
                text,
                "the host's own settings are lost, or it does not boot",
            );
        }
        Look::Broken { why } => {
            add("esx-module-damaged", subject.weight(), format!("{} is damaged: {why}", file.path), STANDS);
        }
        Look::Whole(Inspected { form: Form::Plain, .. }) if loaded => {
            let text =
                format!("{} is not compressed; the loader takes it with a warning, unchecked", file.path);
            add("esx-module-plain", EsxSeverity::Warning, text, "nothing tells whether its content is right");
        }
        Look::Whole(Inspected { trailing, .. }) if *trailing > 0 => {
            let text = format!("{trailing} bytes follow the end of the compressed file {}", file.path);
            add(
                "esx-module-tail",
                EsxSeverity::Warning,
                text,
                "the file was not written as a whole release has it",
            );
        }
        Look::Whole(_) | Look::NotLooked => {}
    }
}

/// Modules that nobody names: a line of boot.cfg was lost, or an older release left them. Never removed.
fn unnamed(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>) {
    // Without a boot.cfg nothing is named, and that is a finding of its own.
    if subject.bank.cfg.is_none() {
        return;
    }
    let names: Vec<&str> = subject.content.unnamed().map(|file| file.path.as_str()).collect();
    let Some(first) = names.first() else { return };
    let more = if names.len() == 1 { String::new() } else { format!(" and {} more", names.len() - 1) };
    let text = format!(
        "{first}{more} look like modules, and boot.cfg does not name them: a line of boot.cfg was lost or cut, or an \
         older release left them; `bank clean` leaves them alone"
    );
    let next = "the system comes up without what is not named; an update may fail at them";
    findings.push(
        subject
            .finding("esx-module-unnamed", subject.weight(), text, next)
            .at(*first)
            .with(subject.rebuild()),
    );
}

fn foreign(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>) {
    let next = "an update copies its files and then fails at the unexpected ones (\"cannot run upgrade script on host\"), \
                or has no room";
    let all: Vec<&BankFile> = subject.content.foreign().filter(|file| !file.ghost).collect();
    for file in all.iter().take(MOST_FOREIGN) {
        let leaver = if let Role::Foreign { leaver } = file.role { leaver.words() } else { "" };
        let kind = if file.is_dir { "directory" } else { "file" };
        let text = format!(
            "the {kind} {} is not named by the bank's own boot.cfg and is no fixed file of a bank{leaver}",
            file.path
        );
        let finding = subject.finding("esx-file-foreign", EsxSeverity::Error, text, next);
        findings.push(finding.at(file.path.clone()).with(subject.clean()));
    }
    if all.len() > MOST_FOREIGN {
        let text = format!("{} more foreign files are not listed", all.len() - MOST_FOREIGN);
        let finding = subject.finding("esx-file-foreign", EsxSeverity::Error, text, next);
        findings.push(finding.with(subject.clean()));
    }
}

/// Compares with what a release says about its files.
fn against(findings: &mut Vec<EsxFinding>, subject: &Subject<'_>, manifest: &BankManifest) {
    for file in subject.content.belonging() {
        let Some(digest) = manifest.get(&file.short.to_ascii_lowercase()) else { continue };
        let text = match &file.look {
            Look::Whole(found) if found.sha256 != digest.sha256 => {
                format!("{} is whole, but not the file of its release (SHA-256 {})", file.path, found.sha256)
            }
            Look::NotLooked if digest.len.is_some_and(|len| len != file.len) => {
                format!("{} has {} bytes, which is not the size in its release", file.path, file.len)
            }
            Look::Whole(_) | Look::NotLooked | Look::Broken { .. } => continue,
        };
        let next = "the bank holds another release than it says; what boots was not tested together";
        let finding = subject.finding("esx-module-differs", subject.weight(), text, next);
        findings.push(finding.at(file.path.clone()).with(subject.rebuild()));
    }
}

/// Two banks with the same files are no two releases.
pub(super) fn compare(findings: &mut Vec<EsxFinding>, contents: &[BankContent], disk: &EsxDisk) {
    let [first, second, ..] = contents else { return };
    let hashes = |content: &BankContent| {
        let files = content.belonging().filter(|file| matches!(file.role, Role::Kernel | Role::Module));
        let mut out: Vec<(String, String)> = files
            .filter_map(|file| match &file.look {
                Look::Whole(found) => Some((file.short.to_ascii_lowercase(), found.sha256.clone())),
                Look::NotLooked | Look::Broken { .. } => None,
            })
            .collect();
        out.sort();
        out
    };
    let (one, two) = (hashes(first), hashes(second));
    if one.is_empty() || one != two {
        return;
    }
    let build =
        disk.banks.first().and_then(|bank| bank.cfg.as_ref()).map_or("", |cfg| cfg.values.build.as_str());
    let text = format!(
        "the banks {} and {} hold the same kernel and modules ({build})",
        first.letter, second.letter
    );
    let next = "going back changes nothing but the saved state; the next update makes them differ again";
    findings.push(EsxFinding::new("esx-banks-equal", EsxSeverity::Note, text, next));
}
