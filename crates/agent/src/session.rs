//! The conversation with the controller.
//!
//! Owns: dialling, the hello, the sign of life, one worker for commands. Promises: a lost connection never stops a
//! command; it is dialled again for ever, with growing pauses that differ from host to host, so that a pool does not
//! come back at once; one command is carried out at a time. Does not: know what commands do.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender as Queue, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_model::agent::{
    AGENT_PROTOCOL, AgentCommand, AgentMessage, AgentOutcome, ControllerMessage, Fence,
};
use lifeboat_model::chain;
use serde::Deserialize;

use crate::connection::{Connection, Sender, next_line, open_connection, random_below, told};
use crate::renewal::Renewal;
use crate::{Commands, Reply, System};

/// Pause between signs of life, in a lab and over TLS: a thousand hosts speak with one controller.
const BEATS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How often is looked whether something is due.
const TICK: Duration = Duration::from_secs(1);
/// First and longest pause before dialling again, in a lab and over TLS.
const LAB_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long the worker has to be idle before it looks whether the agent's own program was replaced.
const IDLE: Duration = Duration::from_secs(5);

/// Why the conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A command wants a reboot, and everything for it is set.
    Reboot,
    /// The agent's program was replaced by this one, and nothing is at work.
    Upgraded(PathBuf),
}

/// A command on its way to the worker.
struct Job {
    key: String,
    command: AgentCommand,
    fence: Option<Fence>,
}

/// What several threads share.
struct Shared {
    system: System,
    line: Mutex<Option<Sender>>,
    /// Keys that wait or are at work: a command that comes twice is not queued twice.
    open: Mutex<BTreeSet<String>>,
    renewal: Mutex<Renewal>,
    secure: Mutex<bool>,
}

/// Speaks with the controller until a reboot is due, or another program is to go on.
pub fn serve(system: System, commands: Commands) -> Ended {
    let shared = Arc::new(Shared {
        system,
        line: Mutex::new(None),
        open: Mutex::new(BTreeSet::new()),
        renewal: Mutex::default(),
        secure: Mutex::new(false),
    });
    let (queue, work) = channel();
    let dialer = Arc::clone(&shared);
    thread::spawn(move || dial_for_ever(&dialer, &queue));
    let beats = Arc::clone(&shared);
    thread::spawn(move || beat_for_ever(&beats));
    let ended = work_until_ended(&shared, commands, &work);
    if let Some(sender) = lock(&shared.line).take() {
        // The reboot cuts it anyway; a word that is not delivered is asked for again.
        sender.close();
    }
    ended
}

fn beat_for_ever(shared: &Shared) {
    let mut last = Instant::now();
    loop {
        thread::sleep(TICK);
        let beat = if *lock(&shared.secure) { BEATS.1 } else { BEATS.0 };
        if last.elapsed() >= beat {
            last = Instant::now();
            shared.say_status();
        }
        if lock(&shared.line).is_some()
            && let Some(message) = lock(&shared.renewal).ask(shared.system.machine())
        {
            shared.say(&message);
        }
    }
}

fn work_until_ended(shared: &Shared, mut commands: Commands, work: &Receiver<Job>) -> Ended {
    loop {
        let job = match work.recv_timeout(IDLE) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => match replaced_program() {
                Some(program) if lock(&shared.open).is_empty() => return Ended::Upgraded(program),
                Some(_) | None => continue,
            },
            // The dialler never ends.
            Err(RecvTimeoutError::Disconnected) => return Ended::Reboot,
        };
        let Job { key, command, fence } = job;
        let mut told = 0_u64;
        let mut last = String::new();
        let mut progress = |step: &str, done: u64, total: u64| {
            // Twenty words per step are enough for a person.
            let share = done.checked_mul(20).and_then(|twenty| twenty.checked_div(total)).unwrap_or(0);
            if step != last || share != told {
                step.clone_into(&mut last);
                told = share;
                let message = AgentMessage::Progress { key: key.clone(), step: step.to_owned(), done, total };
                shared.say(&message);
            }
        };
        match commands.run(&key, &command, fence.as_ref(), &mut progress) {
            Reply::Outcome(outcome) => {
                shared.say_status();
                lock(&shared.open).remove(&key);
                shared.say(&AgentMessage::Outcome { key, outcome });
            }
            Reply::Reboot => return Ended::Reboot,
        }
    }
}

/// The program that took the place of the one that runs, if it can be started.
fn replaced_program() -> Option<PathBuf> {
    let running = fs::read_link("/proc/self/exe").ok()?;
    let path = PathBuf::from(running.to_str()?.strip_suffix(" (deleted)")?);
    let answers = Command::new(&path).arg("version").output().is_ok_and(|output| output.status.success());
    answers.then_some(path)
}

fn dial_for_ever(shared: &Shared, queue: &Queue<Job>) {
    let machine = shared.system.machine();
    let pauses = |shared: &Shared| if *lock(&shared.secure) { PAUSES } else { LAB_PAUSES };
    let mut pause = pauses(shared).0;
    let mut said = String::new();
    loop {
        let ended = talk(shared, queue, &mut pause)
            .err()
            .map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        *lock(&shared.line) = None;
        if ended != said {
            machine
                .log
                .line(&format!("no connection to the controller {}: {ended}", machine.config.controller));
            said = ended;
        }
        // Between a half and one and a half of the pause.
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        thread::sleep(Duration::from_millis(millis / 2 + random_below(millis.max(1))));
        pause = (pause * 2).min(pauses(shared).1);
    }
}

/// One connection, from hello to its end.
fn talk(shared: &Shared, queue: &Queue<Job>, pause: &mut Duration) -> io::Result<()> {
    let machine = shared.system.machine();
    let config = &machine.config;
    let Connection { mut reader, mut sender, identity } = open_connection(config, &machine.paths.pki())?;
    *lock(&shared.secure) = identity.is_some();
    machine.keep_certificate(identity.as_ref().map(|identity| identity.read.not_after));
    let status = Box::new(shared.system.status());
    let token = if identity.is_some() { String::new() } else { config.token.clone() };
    let explained = |error: io::Error| told(&error, identity.as_ref(), config);
    sender.say(&AgentMessage::Hello { protocol: AGENT_PROTOCOL, token, status }).map_err(explained)?;
    if let Some(identity) = &identity {
        lock(&shared.renewal).connected(&identity.read);
    }
    // A lab's controller says nothing by itself.
    if identity.is_none() {
        sender.limit_silence(None)?;
    }
    *lock(&shared.line) = Some(sender);
    while let Some(line) = next_line(&mut reader).map_err(explained)? {
        match serde_json::from_slice(&line) {
            Ok(ControllerMessage::Welcome { alive_secs, .. }) => {
                *pause = PAUSES.0;
                if alive_secs > 0
                    && let Some(sender) = lock(&shared.line).as_ref()
                {
                    sender.limit_silence(Some(Duration::from_secs(u64::from(alive_secs) * 4)))?;
                }
                machine.log.line(&format!("the controller {} knows this host", config.controller));
            }
            Ok(ControllerMessage::Refused { reason }) => return Err(io::Error::other(reason)),
            Ok(ControllerMessage::Command { key, command, fence }) => {
                let new = lock(&shared.open).insert(key.clone());
                if new && queue.send(Job { key, command, fence }).is_err() {
                    return Ok(());
                }
            }
            Ok(ControllerMessage::Renewed { certificate }) => {
                lock(&shared.renewal).came(machine, &certificate);
            }
            Ok(
                ControllerMessage::Alive {}
                | ControllerMessage::Enrolled { .. }
                | ControllerMessage::Bundle { .. },
            ) => {}
            Err(error) => shared.say_unknown(&line, &error)?,
        }
    }
    Ok(())
}

/// As much of a command as every version has.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnyCommand {
    Command { key: String },
}

impl Shared {
    /// Says something if somebody listens. What is lost here is asked for again by the controller.
    fn say(&self, message: &AgentMessage) {
        let mut line = lock(&self.line);
        if let Some(sender) = line.as_mut()
            && sender.say(message).is_err()
        {
            // Ends the reader too, which dials again.
            sender.close();
            *line = None;
        }
    }

    fn say_status(&self) {
        if lock(&self.line).is_some() {
            self.say(&AgentMessage::Status { status: Box::new(self.system.status()) });
        }
    }

    /// Answers a command of a newer controller; another word that is not known ends the connection.
    fn say_unknown(&self, line: &[u8], error: &serde_json::Error) -> io::Result<()> {
        let Ok(AnyCommand::Command { key }) = serde_json::from_slice(line) else {
            return Err(io::Error::other(format!("a word that is not known: {}", chain(error))));
        };
        let reason = format!(
            "this agent ({}) does not know the command: {error}; upgrade the agent",
            env!("CARGO_PKG_VERSION")
        );
        self.say(&AgentMessage::Outcome { key, outcome: AgentOutcome::Failed { reason, retriable: false } });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
