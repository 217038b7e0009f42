//! `lifeboat roll …`
//!
//! Owns: starting, resuming and showing rolls. Promises: a roll that a command leaves behind can be taken up by
//! the next one; the exit code tells how a roll ended. Does not: decide anything about hosts.

mod control;
mod drive;
mod export;
mod log;
mod recover;
mod report;
mod salvaged;
mod show;
mod start;

use lifeboat_executor::ExecutorError;
use lifeboat_model::{RollEnd, RollId};
use lifeboat_store::{RollRow, RollState, Store, StoreError};

use crate::args::{RollCmd, RollRef};
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::pick;

pub(crate) use control::who;
pub(crate) use drive::{advice, options};
pub(crate) use show::{LeftOff, left_off, suspended};
pub(crate) use start::{live, new_roll_id, summary};

pub(crate) fn run(ctx: &Ctx, cmd: &RollCmd) -> Result<(), CliError> {
    match cmd {
        RollCmd::Start(args) => start::run(ctx, args),
        RollCmd::Watch(roll) => show::watch(ctx, roll),
        RollCmd::Pause { roll, after_host } => control::pause(ctx, roll, *after_host),
        RollCmd::Stop(roll) => control::stop(ctx, roll),
        RollCmd::Skip(args) => control::skip(ctx, args),
        RollCmd::Retry(args) => control::retry(ctx, args),
        RollCmd::Approve { roll, wave } => control::approve(ctx, roll, *wave),
        RollCmd::SetPolicy { file, roll } => control::set_policy(ctx, roll, file),
        RollCmd::Resume { roll, retry, skip, take_over } => {
            control::resume(ctx, roll, retry, skip, *take_over)
        }
        RollCmd::Abort { roll, give_up } => control::abort(ctx, roll, *give_up),
        RollCmd::Status(roll) => show::status(ctx, roll),
        RollCmd::Log(args) => log::run(ctx, args),
        RollCmd::Report(args) => report::run(ctx, args),
        RollCmd::Export { roll, out } => export::export(ctx, roll, out.as_deref()),
        RollCmd::Verify { roll, file } => export::verify(ctx, roll, file.as_deref()),
        RollCmd::Recover(args) => recover::run(ctx, args),
        RollCmd::List => show::list(ctx),
    }
}

/// Opens the journal. Looking at rolls makes no journal.
pub(crate) fn open_store(ctx: &Ctx) -> Result<Store, CliError> {
    Store::open(&ctx.state.database()).map_err(store_error)
}

/// The roll that is meant: by name or its beginning, else the one that has not ended, else the last.
pub(crate) fn find(store: &Store, wanted: &RollRef) -> Result<RollRow, CliError> {
    let rolls = store.rolls().map_err(store_error)?;
    let Some(given) = &wanted.roll else {
        let open = |state| rolls.iter().find(|row| row.state == state);
        let chosen = open(RollState::Active).or_else(|| open(RollState::Stopped)).or(rolls.first());
        return chosen.cloned().ok_or_else(|| {
            CliError::new(Kind::NotFound, "there is no roll yet")
                .remedy("start one: lifeboat plan create, then lifeboat roll start")
        });
    };
    let names = rolls.iter().map(|row| row.id.to_string()).collect();
    let name = pick("roll", given, names, "lifeboat roll list")?;
    let id = RollId::new(&name).map_err(|error| CliError::usage("a roll's name").because(error))?;
    store.roll(&id).map_err(store_error)
}

/// What can be done about a roll that cannot be read.
const UNREADABLE: &str = "see what can be proved of it: lifeboat roll recover --dry-run; then take up from the world what it \
                          left: lifeboat roll recover (or end it and look at everything by hand: lifeboat roll abort --give-up)";

/// What can be done when the file of all rolls cannot be read at all.
const LOST: &str = "restore the file from a backup; without one: lifeboat pool show POOL tells which features are off and \
                    which hosts are in maintenance; put that right by hand before a new plan";

/// A journal that cannot do what was asked.
pub(crate) fn store_error(cause: StoreError) -> CliError {
    let (kind, remedy) = match &cause {
        StoreError::Active { .. } => (Kind::Conflict, None),
        StoreError::Held { .. } => (Kind::Conflict, Some("wait for it, or look on: lifeboat roll watch")),
        StoreError::NoRoll { .. } => (Kind::NotFound, Some("see: lifeboat roll list")),
        StoreError::Chain { .. } => (Kind::Verification, Some(UNREADABLE)),
        StoreError::Damaged { .. } => (Kind::Verification, Some(LOST)),
        StoreError::Newer { .. } => (Kind::Failed, None),
        StoreError::File { .. } | StoreError::Sql { .. } => {
            (Kind::Failed, Some("look at the disk and the rights of the state directory: lifeboat env"))
        }
    };
    let error = CliError::new(kind, "the journal").because(cause);
    match remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

/// A controller that cannot go on.
pub(crate) fn executor_error(cause: ExecutorError) -> CliError {
    match cause {
        ExecutorError::Store(cause) => store_error(cause),
        ExecutorError::Driver(cause) => CliError::new(Kind::Unreachable, "the pool cannot be reached")
            .because(cause)
            .remedy("the roll is kept; when the pool answers again: lifeboat roll resume"),
        ExecutorError::Left { roll } => {
            CliError::new(Kind::PartlyDone, format!("roll {roll} was left where it stands"))
                .remedy("take it up: lifeboat roll resume")
        }
        cause @ (ExecutorError::NotApproved { .. } | ExecutorError::Stale { .. }) => {
            CliError::new(Kind::Conflict, "the plan cannot be started")
                .because(cause)
                .remedy("lifeboat plan create")
        }
        cause @ ExecutorError::Blocked { .. } => CliError::new(Kind::Blockers, "the plan cannot be started")
            .because(cause)
            .remedy("see them all: lifeboat plan show"),
        cause @ (ExecutorError::Windows(_) | ExecutorError::Commands { .. }) => {
            CliError::new(Kind::Usage, "the policy cannot be used here")
                .because(cause)
                .remedy("correct the policy file, then make a new plan: lifeboat plan create --policy FILE")
        }
        cause @ ExecutorError::Ended { .. } => CliError::new(Kind::Conflict, "it cannot be taken up")
            .because(cause)
            .remedy("lifeboat plan create"),
        cause @ ExecutorError::Fold { .. } => {
            CliError::new(Kind::Verification, "the journal contradicts itself")
                .because(cause)
                .remedy(UNREADABLE)
        }
        cause @ ExecutorError::Restless { .. } => {
            CliError::new(Kind::Bug, "the roll does not settle").because(cause)
        }
    }
}

/// The exit of a command that carried a roll to its end.
pub(crate) fn ended(roll: &RollId, end: &RollEnd, advice: &str) -> Result<(), CliError> {
    match end {
        RollEnd::Completed => Ok(()),
        RollEnd::CompletedWithExceptions { hosts } => Err(CliError::new(
            Kind::PartlyDone,
            format!("roll {roll} has ended; {hosts} planned hosts do not run the release"),
        )
        .remedy("see why: lifeboat roll status; then: lifeboat plan create")),
        RollEnd::Stopped { reason } => {
            Err(CliError::new(Kind::NeedsPerson, format!("roll {roll} stopped: {reason}")).remedy(advice))
        }
        RollEnd::Aborted => Err(CliError::new(Kind::PartlyDone, format!("roll {roll} was aborted"))
            .remedy("features are restored; to go on: lifeboat plan create")),
    }
}
