//! `lifeboat bank check` of a disk with ESXi banks, and what changes ask of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_bank::esx::change::Content as ForChange;
use lifeboat_bank::esx::check::{
    BankDamage, BankManifest, CheckOptions, CheckReport, Content, FileDigest, ReleaseSize, Structure, check,
};
use lifeboat_bank::esx::content::{Depth, Role};
use lifeboat_bank::esx::{EsxDisk, EsxFinding, EsxSeverity};
use lifeboat_device::BlockFile;
use serde::Serialize;

use crate::args::CheckBankArgs;
use crate::error::{CliError, Kind};
use crate::files::read_text;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Shown<'a> {
    disk: PathBuf,
    kind: &'static str,
    layout: String,
    next: Option<char>,
    why: String,
    verdict: &'static str,
    report: &'a CheckReport,
}

pub(in crate::commands::bank) fn run(
    ctx: &Ctx,
    args: &CheckBankArgs,
    file: &BlockFile,
    esx: &EsxDisk,
) -> Result<(), CliError> {
    let path = &args.disk;
    let release =
        args.space.map(|bytes| ReleaseSize { name: "the next release".to_owned(), files: vec![bytes] });
    let manifest = args.digests.as_deref().map(read_digests).transpose()?;
    let manifests: Vec<(char, BankManifest)> = manifest
        .iter()
        .flat_map(|manifest| esx.banks.iter().map(|bank| (bank.letter, manifest.clone())))
        .collect();
    let depth = if args.quick { Depth::Structure } else { Depth::Content };
    let options =
        CheckOptions { release: release.as_ref(), manifests: &manifests, ..CheckOptions::new(depth) };
    let report = check(file, esx, &options);
    let verdict = match report.worst() {
        Some(EsxSeverity::Error) if report.damage.iter().all(BankDamage::is_clean) => "in the way",
        Some(EsxSeverity::Error) => "damaged",
        Some(EsxSeverity::Warning) => "look at it",
        Some(EsxSeverity::Note) | None => "good",
    };
    let next = report.selection.boots().and_then(|index| esx.banks.get(index)).map(|bank| bank.letter);
    let why = esx.next_boot(&report.selection);
    let shown = Shown {
        disk: path.clone(),
        kind: "esxi",
        layout: esx.layout.words(),
        next,
        why,
        verdict,
        report: &report,
    };
    ctx.out.object("bank-check", &shown, verdict, || people(ctx, &shown, esx))?;
    match report.worst() {
        Some(EsxSeverity::Error) => {
            let count =
                report.findings.iter().filter(|finding| finding.severity == EsxSeverity::Error).count();
            let findings = if count == 1 { "one finding".to_owned() } else { format!("{count} findings") };
            let what = format!("{}: {findings} would stop an upgrade or a boot", path.display());
            Err(CliError::new(Kind::Blockers, what)
                .remedy("the commands stand with the findings above")
                .told())
        }
        Some(EsxSeverity::Warning | EsxSeverity::Note) | None => Ok(()),
    }
}

/// Lines as sha256sum writes them: digest, blanks, name.
fn read_digests(path: &Path) -> Result<BankManifest, CliError> {
    let text = read_text(path, "the list of digests", 16 << 20)?;
    let mut manifest = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || {
            CliError::new(Kind::Failed, format!("{}:{}: not a line of sha256sum", path.display(), number + 1))
                .remedy("write: 64 hexadecimal digits, two blanks, the name of a file on the bank")
        };
        let (digest, name) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
        let name = name.trim_start().trim_start_matches('*');
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) || name.is_empty() {
            return Err(wrong());
        }
        manifest.insert(name, FileDigest { len: None, sha256: digest.to_ascii_lowercase() });
    }
    Ok(manifest)
}

/// The check that stands before a change.
pub(super) fn examine(file: &BlockFile, esx: &EsxDisk, depth: Depth) -> CheckReport {
    check(file, esx, &CheckOptions::new(depth))
}

/// The verdict over a bank's content, as changes take it.
pub(super) fn content_of(report: &CheckReport, esx: &EsxDisk, letter: char) -> ForChange {
    let of = esx.banks.iter().zip(&report.damage).find(|(bank, _)| bank.letter == letter);
    match of.map(|(_, damage)| &damage.content) {
        Some(Content::Whole) => ForChange::Whole,
        Some(Content::Damaged { why }) => ForChange::Damaged { why: why.clone() },
        Some(Content::NotLooked) | None => ForChange::Unchecked,
    }
}

/// What does not belong into a bank.
pub(super) struct Foreign {
    /// What is removed: whole directories once, not each file in them.
    pub(super) tops: Vec<String>,
    /// Every file among it that can be read.
    pub(super) files: Vec<String>,
}

/// What does not belong into this bank.
pub(super) fn foreign_of(report: &CheckReport, letter: char) -> Foreign {
    let content = report.contents.iter().find(|content| content.letter == letter);
    let mut foreign = Foreign { tops: Vec::new(), files: Vec::new() };
    let all = content.into_iter().flat_map(|content| &content.files);
    for file in all.filter(|file| matches!(file.role, Role::Foreign { .. })) {
        let inside = foreign
            .tops
            .iter()
            .any(|above| file.path.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/')));
        if !inside {
            foreign.tops.push(file.path.clone());
        }
        if !file.is_dir {
            foreign.files.push(file.path.clone());
        }
    }
    foreign
}

fn people(ctx: &Ctx, shown: &Shown<'_>, esx: &EsxDisk) -> String {
    let mut text = format!("{}: {}, {}\n\n", shown.disk.display(), show_size(esx.bytes), shown.layout);
    let mut table = Table::new()
        .column("BANK")
        .column("FILE SYSTEM")
        .column("FILES")
        .number("FOREIGN")
        .number("FREE")
        .number("OF");
    for ((bank, content), damage) in esx.banks.iter().zip(&shown.report.contents).zip(&shown.report.damage) {
        let foreign = content.files.iter().filter(|file| matches!(file.role, Role::Foreign { .. })).count();
        let cluster = u64::from(content.fat.cluster_bytes);
        table.row([
            Cell::painted(bank.letter.to_string(), Paint::Strong),
            structure(damage),
            files(damage),
            Cell::from(foreign.to_string()),
            Cell::from(show_size(u64::from(content.fat.free_clusters) * cluster)),
            Cell::from(show_size(bank.bytes)),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    text.push_str(&format!("\nboots next: {}\n", shown.why));
    text.push_str(&finding_lines(ctx, &shown.disk, &shown.report.findings));
    let paint = match shown.verdict {
        "good" => Paint::Good,
        "damaged" | "in the way" => Paint::Bad,
        _ => Paint::Warn,
    };
    text.push_str(&format!("\n{}\n", ctx.out.paint(shown.verdict, paint)));
    text
}

fn structure(damage: &BankDamage) -> Cell {
    match damage.structure {
        Structure::Sound => Cell::painted("sound", Paint::Good),
        Structure::Damaged { .. } => Cell::painted("damaged", Paint::Bad),
    }
}

fn files(damage: &BankDamage) -> Cell {
    match damage.content {
        Content::Whole => Cell::painted("whole", Paint::Good),
        Content::NotLooked => Cell::painted("there, not read", Paint::Dim),
        Content::Damaged { .. } => Cell::painted("damaged", Paint::Bad),
    }
}

/// Most findings of one kind of consequence that are told one by one without `-v`.
const TOLD: usize = 6;

/// What was found, with what it means for the next upgrade and the command that mends it said once for all that share
/// them.
pub(super) fn finding_lines(ctx: &Ctx, disk: &Path, findings: &[EsxFinding]) -> String {
    let mut groups: Vec<Vec<&EsxFinding>> = Vec::new();
    for finding in findings {
        let like = |group: &&mut Vec<&EsxFinding>| group.first().is_some_and(|first| share(first, finding));
        match groups.iter_mut().find(like) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let worst = |group: &Vec<&EsxFinding>| group.iter().map(|finding| finding.severity).max();
    groups.sort_by_key(|group| std::cmp::Reverse(worst(group)));
    let mut text = String::new();
    for group in &groups {
        text.push('\n');
        let told = if ctx.verbose > 0 { group.len() } else { TOLD.max(group.len().min(TOLD + 1)) };
        for finding in group.iter().take(told) {
            let (word, paint) = match finding.severity {
                EsxSeverity::Error => ("error", Paint::Bad),
                EsxSeverity::Warning => ("warning", Paint::Warn),
                EsxSeverity::Note => ("note", Paint::Dim),
            };
            let bank = finding.bank.map_or_else(String::new, |bank| format!(" bank {bank}:"));
            let (word, code) = (ctx.out.paint(word, paint), finding.code);
            text.push_str(&format!("{word} [{code}]{bank} {}\n", finding.text));
        }
        if group.len() > told {
            text.push_str(&format!("  and {} more of the same; all of them: -v\n", group.len() - told));
        }
        let Some(first) = group.first() else { continue };
        if !first.next_upgrade.is_empty() {
            text.push_str(&format!("  next upgrade: {}\n", first.next_upgrade));
        }
        if let Some(remedy) = &first.remedy {
            text.push_str(&format!("  remedy: {}\n", remedy.command(&disk.display().to_string())));
        }
    }
    text
}

fn share(one: &EsxFinding, other: &EsxFinding) -> bool {
    (one.bank, &one.next_upgrade, &one.remedy) == (other.bank, &other.next_upgrade, &other.remedy)
}
