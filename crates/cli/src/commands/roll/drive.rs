//! Carrying a roll to its end while a person looks on.

use std::path::PathBuf;

use lifeboat_executor::{Executor, Options};
use lifeboat_model::{Phase, RollEnd};
use lifeboat_roll::Journal;
use lifeboat_store::Holder;

use super::{ended, executor_error};
use crate::error::CliError;
use crate::run::Ctx;
use crate::view::LiveView;

/// Who this process is, for lease and journal.
pub(crate) fn holder() -> Holder {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = format!("lifeboat@{machine}[{}]", std::process::id());
    Holder { name, since: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string() }
}

/// Hosts of a pool that is large.
const LARGE: usize = 200;

/// How the loop runs for a person who looks on. In a large pool news are gathered for a moment, so that one durable
/// step serves many.
pub(crate) fn options(hosts: usize) -> Options {
    let mut options = Options::new(holder());
    if hosts > LARGE {
        options.gather = std::time::Duration::from_millis(50);
    }
    options.wait = std::time::Duration::from_millis(150);
    options
}

/// Where the board of a roll is published.
pub(crate) fn board_path(ctx: &Ctx, roll: &lifeboat_model::RollId) -> PathBuf {
    ctx.state.root().join("boards").join(format!("{roll}.json"))
}

/// Runs the roll to its end, drawing it; says what to do when it stopped.
pub(crate) fn drive(ctx: &Ctx, executor: &mut Executor<'_>, mut view: LiveView) -> Result<(), CliError> {
    let roll = executor.roll().clone();
    let end = executor.run(&mut view).map_err(executor_error)?;
    view.draw(executor.snapshot(), true);
    if end == RollEnd::Completed {
        ctx.out.say("every planned host runs the release, and serves");
    }
    ended(&roll, &end, &advice(executor.journal()))
}

/// What a person can do about a roll that stopped.
pub(crate) fn advice(journal: &Journal) -> String {
    if journal.aborted() {
        return "mend it, then: lifeboat roll abort".to_owned();
    }
    let failed = journal.hosts().iter().find(|run| run.phase.is_failure());
    let Some(run) = failed.filter(|_| journal.stopped_by_failure()) else {
        return "mend it, then: lifeboat roll resume".to_owned();
    };
    let host = &run.host;
    let pool = &journal.plan().pool;
    let what = match run.phase {
        Phase::RolledBack { .. } => format!(
            "{host} serves from its old bank, nothing is lost. Mend the release and plan again (lifeboat plan create \
             {pool} …)"
        ),
        _ => format!("look at {host} and mend what is named above"),
    };
    let again = format!("{what}; or try the host again: lifeboat roll resume --retry {host}");
    if journal.plan().coordinator.as_ref() == Some(host) {
        // Members are not upgraded before it: there is no going on without it.
        return again;
    }
    format!("{again}; or go on without it: lifeboat plan create {pool} … --exclude {host}")
}
