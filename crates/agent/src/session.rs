//! The conversation with the controller.
//!
//! Owns: dialling, the hello, the sign of life, one worker for commands. Promises: a lost connection never stops a
//! command; it is dialled again with growing pauses for ever; one command is carried out at a time. Does not: know
//! what commands do.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lifeboat_model::agent::{AGENT_PROTOCOL, AgentCommand, AgentMessage, ControllerMessage};

use crate::stage::{connect, read_line};
use crate::{Commands, Host, Reply};

/// Pause between signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// First and longest pause before dialling again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What several threads share.
#[derive(Debug)]
struct Shared {
    host: Arc<Host>,
    line: Mutex<Option<TcpStream>>,
    /// Keys that wait or are at work: a command that comes twice is not queued twice.
    open: Mutex<BTreeSet<String>>,
}

/// Speaks with the controller until a reboot is due.
pub fn serve(host: Arc<Host>, commands: Commands) {
    let shared = Arc::new(Shared { host, line: Mutex::new(None), open: Mutex::new(BTreeSet::new()) });
    let (queue, work) = channel();
    let dialer = Arc::clone(&shared);
    thread::spawn(move || dial_for_ever(&dialer, &queue));
    let beats = Arc::clone(&shared);
    thread::spawn(move || {
        loop {
            thread::sleep(BEAT);
            beats.say_status();
        }
    });
    work_until_reboot(&shared, commands, &work);
    if let Some(stream) = shared.line.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The reboot cuts it anyway; a word that is not delivered is asked for again.
        drop(stream.shutdown(Shutdown::Both));
    }
}

fn work_until_reboot(shared: &Shared, mut commands: Commands, work: &Receiver<(String, AgentCommand)>) {
    while let Ok((key, command)) = work.recv() {
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
        match commands.run(&key, &command, &mut progress) {
            Reply::Outcome(outcome) => {
                shared.say_status();
                shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                shared.say(&AgentMessage::Outcome { key, outcome });
            }
            Reply::Reboot => return,
        }
    }
}

fn dial_for_ever(shared: &Shared, queue: &Sender<(String, AgentCommand)>) {
    let mut pause = PAUSES.0;
    let mut told = String::new();
    loop {
        let ended = talk(shared, queue, &mut pause)
            .err()
            .map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        *shared.line.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if ended != told {
            shared.host.log.line(&format!("no connection to the controller: {ended}"));
            told = ended;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// One connection, from hello to its end.
fn talk(shared: &Shared, queue: &Sender<(String, AgentCommand)>, pause: &mut Duration) -> io::Result<()> {
    let config = &shared.host.config;
    let mut stream = connect(&config.controller)?;
    let status = Box::new(shared.host.status());
    let hello = AgentMessage::Hello { protocol: AGENT_PROTOCOL, token: config.token.clone(), status };
    write_message(&mut stream, &hello)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    *shared.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    while let Some(line) = read_line(&mut reader)? {
        let message = serde_json::from_slice(&line).map_err(io::Error::other)?;
        match message {
            ControllerMessage::Welcome { .. } => {
                *pause = PAUSES.0;
                shared.host.log.line(&format!("the controller {} knows this host", config.controller));
            }
            ControllerMessage::Refused { reason } => return Err(io::Error::other(reason)),
            ControllerMessage::Command { key, command } => {
                let new = shared.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
                if new && queue.send((key, command)).is_err() {
                    return Ok(());
                }
            }
            ControllerMessage::Bundle { .. } => {}
        }
    }
    Ok(())
}

impl Shared {
    /// Says something if somebody listens. What is lost here is asked for again by the controller.
    fn say(&self, message: &AgentMessage) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = line.as_mut()
            && write_message(stream, message).is_err()
        {
            // Ends the reader too, which dials again.
            drop(stream.shutdown(Shutdown::Both));
            *line = None;
        }
    }

    fn say_status(&self) {
        self.say(&AgentMessage::Status { status: Box::new(self.host.status()) });
    }
}

fn write_message(stream: &mut TcpStream, message: &AgentMessage) -> io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}
