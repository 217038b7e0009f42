//! `lifeboat depot resolve`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lifeboat_bank::esx::find_banks;
use lifeboat_depot::host::{Host, parse};
use lifeboat_depot::resolve::{
    BankShape, ChangeKind, Fit, GoneWhy, Mode, Need, Request, Resolution, ResolveError, SkipWhy,
};
use lifeboat_depot::signature::verify;
use lifeboat_depot::{Code, Level, Platform, VibId};
use lifeboat_model::{Finding, Severity, chain};

use super::findings::{count, several, table};
use super::open::{Loaded, open};
use super::trust::{date, load};
use crate::args::{ModeWord, ResolveArgs};
use crate::error::{CliError, Kind};
use crate::files::{FileAt, read_text};
use crate::output::{Cell, Paint, ProgressLine, Table};
use crate::run::Ctx;
use crate::size::show_size;

pub(super) fn resolve(ctx: &Ctx, args: &ResolveArgs) -> Result<(), CliError> {
    let host = read_host(args)?;
    let loaded = open(&args.path)?;
    let mut request = request(args, &loaded)?;
    let ask = |request: &Request| {
        lifeboat_depot::resolve::resolve(&loaded.depot, &host, request).map_err(|cause| refuse(cause, args))
    };
    let mut answer = ask(&request)?;
    if !args.trust.trust.is_empty() {
        let (proved, findings) = prove(args, &loaded, &answer)?;
        request.proved = proved;
        answer = ask(&request)?;
        answer.findings.extend(findings);
        answer.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.code.cmp(&b.code)));
    }
    // What the depot itself lacks or says twice about a VIB that would come is in the way, too.
    let coming: BTreeSet<&str> = answer.installed.iter().map(|change| change.id.as_str()).collect();
    let of_these = |finding: &&Finding| {
        finding.severity == Severity::Blocker && coming.contains(finding.subject.as_str())
    };
    let more: Vec<Finding> = loaded.depot.findings.iter().filter(of_these).cloned().collect();
    for finding in more {
        if !answer.findings.contains(&finding) {
            answer.findings.insert(0, finding);
        }
    }
    ctx.out.object("depot-resolution", &answer, answer.mode.words(), || people(ctx, &answer))?;
    let blockers = count(&answer.findings, Severity::Blocker);
    if blockers == 0 {
        return Ok(());
    }
    Err(CliError::new(Kind::Blockers, format!("{} in the way of this update", several(blockers, "thing")))
        .because("nothing was changed")
        .remedy("see the findings above; each names what to do")
        .told())
}

fn read_host(args: &ResolveArgs) -> Result<Host, CliError> {
    let mut host = Host::default();
    for path in &args.host {
        let text = read_text(path, "the host's list of VIBs", 16 << 20)?;
        let more = parse(&text).map_err(|cause| {
            CliError::new(Kind::Failed, format!("{} is not a list of VIBs", path.display()))
                .because(cause)
                .remedy(
                    "make it on the host: esxcli software vib list > FILE; esxcli software vib get >> FILE",
                )
        })?;
        host.merge(more);
    }
    Ok(host)
}

fn request(args: &ResolveArgs, loaded: &Loaded) -> Result<Request, CliError> {
    let mode = match args.mode {
        Some(ModeWord::VibUpdate) => Mode::VibUpdate,
        Some(ModeWord::VibInstall) => Mode::VibInstall,
        Some(ModeWord::ProfileInstall) => Mode::ProfileInstall,
        None if args.profile.is_none() && loaded.depot.profiles.is_empty() => Mode::VibUpdate,
        Some(ModeWord::ProfileUpdate) | None => Mode::ProfileUpdate,
    };
    if mode.of_profile() && !args.only.is_empty() {
        return Err(CliError::usage("--vib chooses VIBs of a depot, and a profile is taken whole")
            .remedy("add --mode vib-update or --mode vib-install"));
    }
    if !mode.of_profile() && args.profile.is_some() {
        return Err(CliError::usage("--profile needs a mode that takes a profile")
            .remedy("add --mode profile-update or --mode profile-install"));
    }
    let level = args.host_level.as_deref().map(str::parse::<Level>).transpose();
    let hardware = args.hardware.as_deref().map(|text| {
        let (vendor, model) = text.split_once(':').unwrap_or((text, ""));
        Platform { vendor: vendor.trim().to_owned(), model: model.trim().to_owned() }
    });
    let bank = match (&args.bank, args.bank_size) {
        (Some(text), _) => Some(bank(text, args.reserve)?),
        (None, Some(bytes)) => Some(BankShape::of_volume(bytes, args.reserve)),
        (None, None) => None,
    };
    Ok(Request {
        profile: args.profile.clone(),
        only: args.only.clone(),
        allow_downgrades: args.allow_downgrades,
        ok_to_remove: args.ok_to_remove,
        host_level: level.map_err(CliError::usage)?,
        hardware,
        bank,
        ..Request::new(mode)
    })
}

/// The bank of a disk or image, by its letter.
fn bank(text: &str, reserve: u64) -> Result<BankShape, CliError> {
    let usage =
        || CliError::usage(format!("--bank {text:?} names no bank")).remedy("write it as DISK:A or DISK:B");
    let (path, letter) = text.rsplit_once(':').ok_or_else(usage)?;
    let mut letters = letter.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return Err(usage()) };
    let path = Path::new(path);
    let disk = FileAt::open(path, "the disk")?;
    let found = find_banks(&disk).map_err(|cause| {
        CliError::new(Kind::Failed, format!("looking for banks on {}", path.display()))
            .because(cause)
            .remedy("give the image of the disk or stick from which the host boots, or --bank-size")
    })?;
    let volume = found.bank(letter).and_then(|bank| bank.volume.as_ref()).ok_or_else(|| {
        CliError::new(Kind::NotFound, format!("{} has no bank {letter} that can be read", path.display()))
            .remedy(format!("see its banks: lifeboat bank show {}", path.display()))
    })?;
    let cluster = u64::from(volume.cluster_bytes);
    Ok(BankShape { capacity: u64::from(volume.clusters) * cluster, cluster, reserve })
}

fn refuse(cause: ResolveError, args: &ResolveArgs) -> CliError {
    let show = format!("lifeboat depot show {}", args.path.display());
    let (kind, remedy) = match &cause {
        ResolveError::NoProfile { .. } => {
            (Kind::NotFound, "use --mode vib-update or --mode vib-install".to_owned())
        }
        ResolveError::WhichProfile { .. } => (Kind::NotFound, "choose one: --profile NAME".to_owned()),
        ResolveError::UnknownProfile { .. } => (Kind::NotFound, format!("see the names: {show}")),
        _ => (Kind::Failed, show),
    };
    CliError::new(kind, "this cannot be resolved").because(cause).remedy(remedy)
}

type Proof = (BTreeMap<VibId, Level>, Vec<Finding>);

/// Reads whole what would come: sums, signatures, dates.
fn prove(args: &ResolveArgs, loaded: &Loaded, answer: &Resolution) -> Result<Proof, CliError> {
    let (trust, at) = (load(&args.trust)?, date(&args.trust)?);
    let only: BTreeSet<VibId> = answer.installed.iter().map(|change| change.id.clone()).collect();
    let total = answer.installed.iter().filter_map(|change| change.size).sum();
    let mut line = ProgressLine::bytes("reading", total);
    let (mut proved, mut findings, mut done) = (BTreeMap::new(), Vec::new(), 0);
    loaded.read_all(Some(&only), |id, read| match read {
        Ok(Some(vib)) => {
            done += vib.size;
            line.set(done.min(total));
            let report =
                verify(id.as_str(), &vib.descriptor_bytes, &vib.signature, vib.descriptor.level, &trust, at);
            proved.insert(id.clone(), report.proved);
            findings.extend(vib.findings.into_iter().chain(report.findings));
        }
        Ok(None) => findings.push(Code::VibMissing.at(id.as_str(), "the depot has its descriptor only")),
        Err(error) => findings.push(Code::VibUnreadable.at(id.as_str(), chain(&error))),
    });
    Ok((proved, findings))
}

fn people(ctx: &Ctx, answer: &Resolution) -> String {
    let profile = answer.profile.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    let mut text = format!(
        "{}{profile}: {} installed, {} removed, {} skipped, {} kept\n\n",
        answer.mode.words(),
        answer.installed.len(),
        answer.removed.len(),
        answer.skipped.len(),
        answer.kept.len()
    );
    let mut rows = Table::new().column("WHAT").flexible("VIB").flexible("WHY").number("SIZE");
    for one in &answer.installed {
        let instead = one.instead_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (why, paint) = match one.kind {
            ChangeKind::New => ("new to the host".to_owned(), Paint::Good),
            ChangeKind::Upgrade => (format!("newer than {instead}"), Paint::Good),
            ChangeKind::Downgrade => (format!("OLDER than {instead}"), Paint::Bad),
            ChangeKind::Renamed => (format!("replaces {instead}"), Paint::Good),
            ChangeKind::OtherVendor => (format!("other vendor than {instead}"), Paint::Warn),
        };
        let size = one.size.map_or_else(|| "-".to_owned(), show_size);
        rows.row([
            Cell::painted("install", paint),
            Cell::from(one.id.to_string()),
            Cell::from(why),
            Cell::from(size),
        ]);
    }
    for one in &answer.removed {
        let (why, paint) = match &one.reason {
            GoneWhy::Successor { by } => (format!("{by} comes"), Paint::Dim),
            GoneWhy::Replaced { by } => (format!("{by} replaces it"), Paint::Dim),
            GoneWhy::NotInProfile => ("the profile does not hold it".to_owned(), Paint::Warn),
        };
        rows.row([
            Cell::painted("remove", paint),
            Cell::from(one.id.to_string()),
            Cell::from(why),
            Cell::from(""),
        ]);
    }
    for one in &answer.skipped {
        let why = match &one.reason {
            SkipWhy::Same => "the host has it".to_owned(),
            SkipWhy::Newer { installed } => format!("the host has {installed}"),
            SkipWhy::NotInstalled => "the host has none of its name".to_owned(),
            SkipWhy::Replaced { by } => format!("{by} replaces it"),
        };
        rows.row([
            Cell::painted("skip", Paint::Dim),
            Cell::from(one.id.to_string()),
            Cell::from(why),
            Cell::from(""),
        ]);
    }
    if !answer.is_nothing() || !answer.skipped.is_empty() {
        text.push_str(&ctx.out.wrap(&rows));
        text.push('\n');
    }
    for (name, need) in [("reboot", &answer.reboot), ("maintenance", &answer.maintenance)] {
        text.push_str(&format!("{name:<13}{}\n", show_need(need)));
    }
    text.push_str(&format!("{:<13}{}\n", "bank", show_fit(&answer.fit)));
    text.push_str(&table(ctx, &answer.findings));
    text
}

fn show_need(need: &Need) -> String {
    let few = |because: &[String]| {
        let more = because.len().saturating_sub(3);
        let more = if more > 0 { format!("; {more} more") } else { String::new() };
        format!("{}{more}", because.iter().take(3).cloned().collect::<Vec<_>>().join("; "))
    };
    match need {
        Need::No => "not needed".to_owned(),
        Need::Yes { because } => format!("needed: {}", few(because)),
        Need::Perhaps { because } => format!("perhaps: the host did not tell it of {}", few(because)),
    }
}

fn show_fit(fit: &Fit) -> String {
    match fit {
        Fit::NotAsked { bytes, unknown: 0 } => {
            format!("{} in all; whether they fit: add --bank-size or --bank", show_size(*bytes))
        }
        Fit::NotAsked { bytes, unknown } => {
            format!("at least {}, and {} of unknown size", show_size(*bytes), several(*unknown, "VIB"))
        }
        Fit::Fits { needed, free } => {
            format!("fits: {} needed, {} stay free", show_size(*needed), show_size(*free))
        }
        Fit::TooSmall { needed, missing } => {
            format!("TOO SMALL: {} needed, {} are missing", show_size(*needed), show_size(*missing))
        }
        Fit::Unknown { at_least, left, unknown } => format!(
            "at least {} needed; {} left for {} of unknown size",
            show_size(*at_least),
            show_size(*left),
            several(*unknown, "VIB")
        ),
    }
}
