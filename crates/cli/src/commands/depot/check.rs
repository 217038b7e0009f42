//! `lifeboat depot check`

use lifeboat_depot::signature::{SignatureReport, verify};
use lifeboat_depot::{Code, Level};
use lifeboat_model::{Finding, Severity, chain};
use serde::Serialize;

use super::findings::{count, several, table};
use super::open::open;
use super::trust::{date, load};
use crate::args::CheckDepotArgs;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Paint, ProgressLine, Table};
use crate::run::Ctx;
use crate::size::show_size;

/// One VIB as it was read.
#[derive(Serialize)]
struct Checked {
    id: String,
    size: u64,
    sha256: String,
    payloads: usize,
    sums_right: usize,
    claimed: Option<Level>,
    signature: SignatureReport,
}

#[derive(Serialize)]
struct Report {
    path: String,
    at: u64,
    vibs: Vec<Checked>,
    findings: Vec<Finding>,
}

pub(super) fn check(ctx: &Ctx, args: &CheckDepotArgs) -> Result<(), CliError> {
    let (trust, at) = (load(&args.trust)?, date(&args.trust)?);
    let mut loaded = open(&args.path)?;
    let (_, bytes) = loaded.volume();
    let mut findings = std::mem::take(&mut loaded.depot.findings);
    findings.extend(loaded.depot.profile_findings());
    let mut vibs = Vec::new();
    let mut line = ProgressLine::bytes("reading", bytes);
    let mut done = 0;
    loaded.read_all(None, |id, read| match read {
        Ok(Some(vib)) => {
            done += vib.size;
            line.set(done);
            let claimed = vib.descriptor.level;
            let signature = verify(id.as_str(), &vib.descriptor_bytes, &vib.signature, claimed, &trust, at);
            findings.extend(vib.findings.iter().chain(&signature.findings).cloned());
            vibs.push(Checked {
                id: id.to_string(),
                size: vib.size,
                sha256: vib.sha256.to_string(),
                payloads: vib.payloads.len(),
                sums_right: vib.payloads.iter().map(|payload| payload.sums_right).sum(),
                claimed,
                signature,
            });
        }
        // The index said so already.
        Ok(None) => {}
        Err(error) => findings.push(Code::VibUnreadable.at(id.as_str(), chain(&error))),
    });
    drop(line);
    // The index and the VIB in it may say the same twice.
    findings.sort_by(|a, b| {
        let key = |one: &Finding| (std::cmp::Reverse(one.severity), one.code.clone(), one.subject.clone());
        key(a).cmp(&key(b)).then_with(|| a.evidence.cmp(&b.evidence))
    });
    findings.dedup();
    let report = Report { path: args.path.display().to_string(), at, vibs, findings };
    ctx.out.object("depot-check", &report, &report.path, || people(ctx, &report))?;
    let blockers = count(&report.findings, Severity::Blocker);
    if blockers == 0 {
        return Ok(());
    }
    let what = format!("{} must not be relied upon: {}", report.path, several(blockers, "blocker"));
    Err(CliError::new(Kind::Verification, what)
        .remedy("see the findings above; each names what to do")
        .told())
}

fn people(ctx: &Ctx, report: &Report) -> String {
    let mut table_of_vibs = Table::new()
        .flexible("VIB")
        .number("SIZE")
        .number("SUMS")
        .column("CLAIMS")
        .column("PROVED")
        .flexible("SIGNED BY");
    for vib in &report.vibs {
        let word = |level: Option<Level>| level.map_or_else(|| "-".to_owned(), |level| level.to_string());
        let proved = if vib.signature.signed { vib.signature.proved.to_string() } else { "-".to_owned() };
        let paint = match vib.claimed {
            Some(claimed) if claimed > vib.signature.proved => Paint::Warn,
            Some(_) | None => Paint::Good,
        };
        let by: Vec<String> = vib.signature.signers.iter().map(|signer| signer.subject.clone()).collect();
        table_of_vibs.row([
            Cell::from(vib.id.clone()),
            Cell::from(show_size(vib.size)),
            Cell::from(format!("{} right", vib.sums_right)),
            Cell::from(word(vib.claimed)),
            Cell::painted(proved, paint),
            Cell::from(if by.is_empty() { "nobody".to_owned() } else { by.join("; ") }),
        ]);
    }
    let mut text = format!("{}: {} read to the end\n\n", report.path, several(report.vibs.len(), "VIB"));
    if !report.vibs.is_empty() {
        text.push_str(&ctx.out.wrap(&table_of_vibs));
    }
    text.push_str(&table(ctx, &report.findings));
    if count(&report.findings, Severity::Blocker) == 0 {
        text.push_str("\nnothing in it contradicts itself\n");
    }
    text
}
