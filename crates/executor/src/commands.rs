//! Hooks and gates: the commands of a policy, which the executor runs itself.
//!
//! Owns: what a command is told, what its exit code means, and how many run. Promises: a command that was ordered ends
//! by an [`Outcome`] within its limit and a few seconds, in real time, whatever the pool's clock does; one that is
//! running is not begun a second time. Does not: remember anything across processes. A controller that takes a roll up
//! runs an interrupted command again, so a command must be able to run twice.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_model::{
    Effect, EffectKey, EventKind, HookStage, HostId, Millis, NOTHING_TO_DO, Outcome, Policy,
};
use lifeboat_roll::Journal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;

use crate::process::{Ended, Program, how};

/// Where the kernel cannot tell that a program ended, it is looked at so often.
const SLICE: Duration = Duration::from_millis(20);

/// Why a command of a policy cannot be run on this controller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}: {program} {reason}")]
pub struct CommandProblem {
    /// Its place in the policy, as `hooks.2.command`: the third hook.
    pub key: String,
    /// The program.
    pub program: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// Every hook and gate whose program is not here or cannot be run. Only a look: files can change until their turn.
#[must_use]
pub fn command_problems(policy: &Policy) -> Vec<CommandProblem> {
    let hooks = policy.hooks.iter().enumerate().map(|(at, hook)| ("hooks", at, &hook.command));
    let gates = policy.gates.iter().enumerate().map(|(at, gate)| ("gates", at, &gate.command));
    let mut problems = Vec::new();
    for (list, at, command) in hooks.chain(gates) {
        let Some(program) = command.first() else { continue };
        if let Some(reason) = unfit(Path::new(program)) {
            problems.push(CommandProblem {
                key: format!("{list}.{at}.command"),
                program: program.clone(),
                reason,
            });
        }
    }
    problems
}

fn unfit(program: &Path) -> Option<String> {
    match std::fs::metadata(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("does not exist on this controller; put it there, or correct the policy".to_owned())
        }
        Err(error) => Some(format!("cannot be looked at: {error}")),
        Ok(found) if !found.is_file() => Some("is not a file; name a program".to_owned()),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some("is not executable; make it so with `chmod +x`".to_owned())
        }
        Ok(_) => None,
    }
}

/// A command at work.
#[derive(Debug)]
struct Running {
    program: Program,
    /// As people call it.
    name: String,
    hook: bool,
    limit: Millis,
    /// A warning is due after so long.
    warn_after: Option<Duration>,
}

/// The commands of one roll that run now.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    running: BTreeMap<EffectKey, Running>,
    /// Ended, and not told yet.
    ended: Vec<(EffectKey, Outcome)>,
    warnings: Vec<EventKind>,
}

/// What happened to commands.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) outcomes: Vec<(EffectKey, Outcome)>,
    pub(crate) warnings: Vec<EventKind>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.warnings.is_empty()
    }
}

impl Commands {
    /// Whether one runs, or has ended and was not told.
    pub(crate) fn any(&self) -> bool {
        !self.running.is_empty() || !self.ended.is_empty()
    }

    /// Starts the command of a hook or gate, unless it runs already. Trouble is its outcome.
    pub(crate) fn start(&mut self, roll: &str, journal: &Journal, attempt: u32, effect: &Effect) {
        let key = effect.key();
        if self.running.contains_key(&key) {
            return;
        }
        let Some(order) = Order::of(roll, journal, attempt, effect) else {
            let reason = "the policy has no such command any more".to_owned();
            return self.ended.push((key, Outcome::Failed { reason, retriable: false }));
        };
        match Program::start(order.command, &order.environment, order.limit.duration()) {
            Ok(program) => {
                let Order { name, hook, limit, warn_after, .. } = order;
                let warn_after = warn_after.map(Millis::duration);
                self.running.insert(key, Running { program, name, hook, limit, warn_after });
            }
            Err(error) => {
                let program = order.command.first().map_or("", String::as_str);
                // A system that is short of something may have it a little later; a program does not appear by itself.
                let retriable =
                    !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
                let reason = match unfit(Path::new(program)) {
                    Some(reason) => format!("{program} {reason}"),
                    None => format!("{program} cannot be run: {error}"),
                };
                self.ended.push((key, Outcome::Failed { reason, retriable }));
            }
        }
    }

    /// Ends commands whose outcome the roll has decided itself.
    pub(crate) fn forget_all_but(&mut self, wanted: impl Fn(&EffectKey) -> bool) {
        self.running.retain(|key, _| wanted(key));
        self.ended.retain(|(key, _)| wanted(key));
    }

    /// Waits for something to happen to a command, at most for `wait`.
    pub(crate) fn wait(&mut self, wait: Duration) -> News {
        let until = Instant::now() + wait;
        loop {
            self.look();
            let news = News {
                outcomes: std::mem::take(&mut self.ended),
                warnings: std::mem::take(&mut self.warnings),
            };
            let left = until.saturating_duration_since(Instant::now());
            if !news.is_empty() || left.is_zero() || self.running.is_empty() {
                return news;
            }
            self.sleep(left);
        }
    }

    fn look(&mut self) {
        let mut over = Vec::new();
        for (key, running) in &mut self.running {
            match running.program.look() {
                Ok(Some(ended)) => over.push((key.clone(), running.outcome(&ended))),
                Ok(None) => self.warnings.extend(running.slow()),
                Err(error) => {
                    let reason = format!("{}: it cannot be waited for: {error}", running.name);
                    over.push((key.clone(), Outcome::Failed { reason, retriable: true }));
                }
            }
        }
        for (key, outcome) in over {
            self.running.remove(&key);
            self.ended.push((key, outcome));
        }
    }

    /// Sleeps until a command writes or ends, one is due, or `left` is over.
    fn sleep(&self, left: Duration) {
        let mut sleep = left;
        let mut handles = Vec::new();
        for running in self.running.values() {
            sleep = sleep.min(running.due());
            if !running.program.tells_its_end() {
                sleep = sleep.min(SLICE);
            }
            let wanted =
                running.program.handles().map(|handle| PollFd::from_borrowed_fd(handle, PollFlags::IN));
            handles.extend(wanted);
        }
        // Not shorter than the clock can tell, so that nothing spins.
        let sleep = Timespec::try_from(sleep.max(Duration::from_millis(1))).ok();
        // Interrupted or not: everything is looked at next.
        let _ = poll(&mut handles, sleep.as_ref());
    }
}

impl Running {
    fn due(&self) -> Duration {
        let warn = self.warn_after.map(|after| after.saturating_sub(self.program.age()));
        warn.map_or(self.program.due(), |warn| warn.min(self.program.due()))
    }

    /// The warning that is due, once.
    fn slow(&mut self) -> Option<EventKind> {
        let after = self.warn_after.filter(|after| self.program.age() >= *after)?;
        self.warn_after = None;
        let shown = Millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        Some(EventKind::Warned {
            code: "hook-slow".to_owned(),
            subject: self.name.clone(),
            text: format!("it has been running for {shown}; it is ended after {}", self.limit),
        })
    }

    fn outcome(&self, ended: &Ended) -> Outcome {
        let code = ended.status.and_then(|status| status.code());
        if !ended.too_long && code == Some(0) {
            return Outcome::Done { detail: ended.last_line.clone() };
        }
        if !ended.too_long && self.hook && code == Some(NOTHING_TO_DO) {
            return Outcome::NothingToDo { detail: ended.last_line.clone() };
        }
        let what = match ended.status {
            Some(status) if !ended.too_long => how(status),
            Some(_) => format!("it did not end within {} and was ended", self.limit),
            None => format!("it did not end within {} and cannot be ended", self.limit),
        };
        let said = ended.last_line.as_ref().map(|line| format!("; its last line was: {line}"));
        // One that cannot be ended is still there: another beside it would not help.
        Outcome::Failed { reason: what + &said.unwrap_or_default(), retriable: ended.status.is_some() }
    }
}

/// A command as the policy has it, and what it is told.
struct Order<'a> {
    name: String,
    hook: bool,
    command: &'a [String],
    limit: Millis,
    warn_after: Option<Millis>,
    environment: Vec<(&'static str, OsString)>,
}

impl<'a> Order<'a> {
    fn of(roll: &str, journal: &'a Journal, attempt: u32, effect: &Effect) -> Option<Self> {
        let policy: &'a Policy = journal.policy();
        match effect {
            Effect::RunHook { hook: name, stage, host } => {
                let hook = policy.hooks.iter().find(|hook| hook.name == *name && hook.stage == *stage)?;
                Some(Self {
                    name: format!("hook {name} for {host}"),
                    hook: true,
                    command: &hook.command,
                    limit: hook.timeout,
                    warn_after: hook.warn_after,
                    environment: environment(roll, journal, attempt, &About::Host(name, *stage, host)),
                })
            }
            Effect::RunGate { gate: name, wave } => {
                let gate = policy.gates.iter().find(|gate| gate.name == *name)?;
                Some(Self {
                    name: format!("gate {name} after wave {wave}"),
                    hook: false,
                    command: &gate.command,
                    limit: gate.timeout,
                    warn_after: None,
                    environment: environment(roll, journal, attempt, &About::Wave(name, *wave)),
                })
            }
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Migrate { .. }
            | Effect::Stage { .. }
            | Effect::Install { .. }
            | Effect::RebootInto { .. }
            | Effect::StopGuest { .. }
            | Effect::StartGuest { .. }
            | Effect::Place { .. }
            | Effect::Restart { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => None,
        }
    }
}

/// What a command is about.
enum About<'a> {
    Host(&'a str, HookStage, &'a HostId),
    Wave(&'a str, u32),
}

/// All that a command is told. Of this process's own environment only what programs need to be found and to write.
fn environment(
    roll: &str,
    journal: &Journal,
    attempt: u32,
    about: &About<'_>,
) -> Vec<(&'static str, OsString)> {
    let mut environment: Vec<(&'static str, OsString)> = ["PATH", "HOME", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
        .collect();
    let plan = journal.plan();
    let mut tell = |name, value: &str| environment.push((name, value.into()));
    tell("LIFEBOAT_ROLL", roll);
    tell("LIFEBOAT_POOL", plan.pool.as_str());
    tell("LIFEBOAT_RELEASE", &plan.target.version.to_string());
    tell("LIFEBOAT_ATTEMPT", &attempt.to_string());
    match about {
        About::Host(name, stage, host) => {
            tell("LIFEBOAT_HOOK", name);
            tell("LIFEBOAT_STAGE", stage.word());
            tell("LIFEBOAT_HOST", host.as_str());
            if let Some(step) = plan.steps.iter().find(|step| step.host == **host) {
                tell("LIFEBOAT_WAVE", &step.wave.to_string());
            }
        }
        About::Wave(name, wave) => {
            tell("LIFEBOAT_HOOK", name);
            tell("LIFEBOAT_STAGE", "gate");
            tell("LIFEBOAT_WAVE", &wave.to_string());
        }
    }
    environment
}

#[cfg(test)]
mod tests;
