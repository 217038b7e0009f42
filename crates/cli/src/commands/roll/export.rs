//! `lifeboat roll export|verify`
//!
//! Owns: carrying a journal away, and proving one whole. Promises: an export holds nothing secret and is whole or not
//! there; a journal that is not whole ends with exit code 10 and the first damaged event. Does not: mend.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;

use lifeboat_model::{Event, RollEnd, Sha256Hex, Timestamp};
use lifeboat_roll::{Journal, Status};
use lifeboat_store::{ExportFault, ExportReader, StoreError};
use serde::Serialize;

use super::show::clock;
use super::{find, open_store, store_error};
use crate::args::RollRef;
use crate::error::{CliError, Kind, file_error};
use crate::files::{FileAt, ReplaceError, replace};
use crate::run::Ctx;
use crate::state::PlanSource;

pub(super) fn export(ctx: &Ctx, roll: &RollRef, out: Option<&Path>) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    let context = told_context(&row.context);
    let Some(path) = out else {
        let mut stdout = std::io::stdout().lock();
        store.export(&row, &context, &mut stdout).map_err(store_error)?;
        return Ok(());
    };
    if ctx.dry_run {
        return ctx.out.text(&format!("would write the journal of roll {} to {}\n", row.id, path.display()));
    }
    let done = replace(path, 0o600, |file| {
        let mut out = std::io::BufWriter::new(file);
        let done = store.export(&row, &context, &mut out).map_err(store_error)?;
        out.flush().map_err(ReplaceError::from)?;
        Ok::<_, ReplaceError>(done)
    })?;
    ctx.out.say(&format!(
        "{} events of roll {} are in {} ({} bytes), the last with hash {}; check it with: lifeboat roll verify --file {}",
        done.events,
        row.id,
        path.display(),
        done.bytes,
        done.tail.short(),
        path.display()
    ));
    Ok(())
}

/// What may be told of a roll's context: the name of the bundle and which pool it was, and nothing else.
fn told_context(context: &str) -> String {
    #[derive(Serialize)]
    struct Told {
        bundle: String,
        pool_id: String,
    }
    let told = serde_json::from_str::<PlanSource>(context).ok().and_then(|source| {
        let bundle = source.bundle.file_name().map(|name| name.to_string_lossy().into_owned());
        let told = Told { bundle: bundle.unwrap_or_default(), pool_id: source.pool_id };
        serde_json::to_string(&told).ok()
    });
    told.unwrap_or_else(|| "{}".to_owned())
}

/// What was proved.
#[derive(Debug, Serialize)]
struct Verified {
    source: String,
    roll: String,
    pool: String,
    plan: Sha256Hex,
    hosts: usize,
    events: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Controllers that wrote, by their fencing numbers.
    controllers: u64,
    fence: u64,
    tail: Sha256Hex,
    state: String,
}

/// Folds events, counting.
struct Fold {
    journal: Journal,
    first: Option<Timestamp>,
    controllers: u64,
}

impl Fold {
    fn new(plan: Arc<lifeboat_model::Plan>, hash: Sha256Hex) -> Self {
        Self { journal: Journal::new(plan, hash), first: None, controllers: 0 }
    }

    fn take(&mut self, source: &str, event: &Event) -> Result<(), CliError> {
        self.first.get_or_insert(event.at);
        self.controllers += u64::from(event.fence > self.journal.fence() || self.journal.last_seq() == 0);
        self.journal.apply(event).map_err(|cause| {
            let what = format!("{source}: event {} cannot follow the ones before it", event.seq);
            broken(what).because(cause)
        })
    }

    fn verified(self, source: String, roll: String, plan: Sha256Hex, tail: Sha256Hex) -> Verified {
        let journal = self.journal;
        let state = match journal.status() {
            Status::Running => "not ended",
            Status::Paused => "paused",
            Status::Finishing => "pausing",
            Status::Aborting => "aborting",
            Status::Ended(RollEnd::Completed) => "completed",
            Status::Ended(RollEnd::CompletedWithExceptions { .. }) => "completed with exceptions",
            Status::Ended(RollEnd::Stopped { .. }) => "stopped",
            Status::Ended(RollEnd::Aborted) => "aborted",
        };
        Verified {
            source,
            roll,
            pool: journal.plan().pool.to_string(),
            plan,
            hosts: journal.hosts().len(),
            events: journal.last_seq(),
            first: self.first,
            last: self.first.map(|_| journal.last_at()),
            controllers: self.controllers,
            fence: journal.fence(),
            tail,
            state: state.to_owned(),
        }
    }
}

fn broken(what: String) -> CliError {
    CliError::new(Kind::Verification, what)
}

pub(super) fn verify(ctx: &Ctx, roll: &RollRef, file: Option<&Path>) -> Result<(), CliError> {
    let verified = match file {
        Some(path) => verify_file(path)?,
        None => verify_roll(ctx, roll)?,
    };
    ctx.out.object("verified", &verified, &verified.roll, || people(&verified))
}

fn verify_roll(ctx: &Ctx, roll: &RollRef) -> Result<Verified, CliError> {
    let damaged = |cause: StoreError| match &cause {
        StoreError::Chain { .. } | StoreError::Damaged { .. } => {
            broken("the journal is not whole".to_owned())
                .because(cause)
                .remedy("see what can be proved of it: lifeboat roll recover --dry-run")
        }
        StoreError::File { .. }
        | StoreError::Newer { .. }
        | StoreError::Sql { .. }
        | StoreError::Active { .. }
        | StoreError::Held { .. }
        | StoreError::NoRoll { .. } => store_error(cause),
    };
    let store = lifeboat_store::Store::open(&ctx.state.database()).map_err(damaged)?;
    let id = super::recover::find_id(&store, roll)?;
    let row = store.roll(&id).map_err(damaged)?;
    let links = store.events(&row, 0).map_err(damaged)?;
    let mut fold = Fold::new(Arc::clone(&row.plan), row.plan_hash);
    let source = format!("roll {}", row.id);
    for link in &links {
        fold.take(&source, &link.event)
            .map_err(|error| error.remedy("see what can be proved of it: lifeboat roll recover --dry-run"))?;
    }
    let tail = links.last().map_or(row.plan_hash, |link| link.hash);
    Ok(fold.verified(store.path().display().to_string(), row.id.to_string(), row.plan_hash, tail))
}

fn verify_file(path: &Path) -> Result<Verified, CliError> {
    let remedy = "export it again: lifeboat roll export; this file proves nothing";
    let fail = |fault: ExportFault| match fault {
        ExportFault::Read { source, .. } if source.kind() != std::io::ErrorKind::InvalidData => {
            file_error("reading the exported journal", path, source)
        }
        fault => {
            let place = fault.seq().map_or_else(String::new, |seq| format!(": event {seq} is damaged"));
            broken(format!("{} is not whole{place}", path.display())).because(fault).remedy(remedy)
        }
    };
    let file = FileAt::open(path, "an exported journal")?.into_reader();
    let mut reader = ExportReader::open(BufReader::with_capacity(1 << 16, file)).map_err(fail)?;
    let head = reader.head().clone();
    let source = path.display().to_string();
    let mut fold = Fold::new(Arc::new(reader.plan().clone()), head.plan_hash);
    while let Some(link) = reader.next_link().map_err(fail)? {
        fold.take(&source, &link.event).map_err(|error| error.remedy(remedy))?;
    }
    Ok(fold.verified(source, head.roll.to_string(), head.plan_hash, reader.tail()))
}

fn people(verified: &Verified) -> String {
    let span = match (verified.first, verified.last) {
        (Some(first), Some(last)) => {
            format!("{} to {} UTC ({})", clock(first.0), clock(last.0), last.since(first))
        }
        _ => "no event yet".to_owned(),
    };
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let Verified { events, hosts, controllers, fence, .. } = verified;
    format!(
        "roll {} of pool {} in {} is whole\n\n\
         chain   {events} event{}, each holds the hash of the one before; {span}\n\
         plan    {}: it is the one that was approved, for {hosts} host{}\n\
         order   every event may follow the ones before it; at the end the roll is {}\n\
         fences  {controllers} controller{}, the last with number {fence}; none wrote after it was replaced\n\
         tail    {}\n",
        verified.roll,
        verified.pool,
        verified.source,
        s(*events),
        verified.plan,
        s(*hosts as u64),
        verified.state,
        s(*controllers),
        verified.tail,
    )
}
