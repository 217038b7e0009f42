//! What happened, for whoever watches.
//!
//! Owns: the newest events, numbered, as lines. Promises: numbers have no gaps; a watcher that fell behind what is
//! kept is told so; a slow watcher costs nothing. Does not: survive a restart; what must is in the ledger.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_wire::{HubAnswer, HubEvent, HubEventKind};
use tokio::sync::watch;

use crate::time::now_millis;

/// Events and bytes of events that are kept.
const KEPT: usize = 16_384;
const KEPT_BYTES: usize = 32 << 20;

/// The newest events.
#[derive(Debug)]
pub struct EventLog {
    stream: String,
    lines: Mutex<Lines>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Number of the newest.
    newest: u64,
    kept: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Lines, and the number of the last of them.
    Lines(Vec<Arc<[u8]>>, u64),
    /// Nothing yet.
    Wait,
    /// What would come next is not kept any more.
    Behind,
}

impl EventLog {
    /// An empty log with a name of its own.
    pub fn new(stream: String) -> Self {
        Self { stream, lines: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Name of this stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Number of the newest event.
    pub fn newest(&self) -> u64 {
        self.lines().newest
    }

    /// Adds an event.
    pub fn tell(&self, host: &str, what: HubEventKind) {
        let mut lines = self.lines();
        let seq = lines.newest + 1;
        let event = HubEvent { seq, at: now_millis(), host: host.to_owned(), what };
        let mut line = serde_json::to_vec(&HubAnswer::Event { event }).unwrap_or_default();
        line.push(b'\n');
        lines.newest = seq;
        lines.bytes += line.len();
        lines.kept.push_back(line.into());
        while lines.kept.len() > KEPT || lines.bytes > KEPT_BYTES {
            let dropped = lines.kept.pop_front().map_or(0, |line| line.len());
            lines.bytes -= dropped;
        }
        drop(lines);
        self.newest.send_replace(seq);
    }

    /// Whether everything after event `after` is kept.
    pub(crate) fn reaches(&self, after: u64) -> bool {
        let lines = self.lines();
        after <= lines.newest && lines.newest - after <= lines.kept.len() as u64
    }

    /// At most 256 lines after event `after`.
    pub(crate) fn next(&self, after: u64) -> Next {
        let lines = self.lines();
        let behind = lines.newest.saturating_sub(after);
        if behind == 0 {
            return Next::Wait;
        }
        let Some(skip) = usize::try_from(behind).ok().and_then(|behind| lines.kept.len().checked_sub(behind))
        else {
            return Next::Behind;
        };
        let found: Vec<Arc<[u8]>> = lines.kept.iter().skip(skip).take(256).cloned().collect();
        let last = after + found.len() as u64;
        Next::Lines(found, last)
    }

    /// Wakes a watcher at each event.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_hears_every_event_once_or_is_told_that_it_fell_behind() {
        let log = EventLog::new("one".to_owned());
        let tell = || log.tell("host", HubEventKind::Lost { reason: String::new() });
        assert_eq!(log.next(0), Next::Wait);
        (0..300).for_each(|_| tell());
        let (mut after, mut heard) = (0, 0);
        while let Next::Lines(lines, last) = log.next(after) {
            heard += lines.len();
            after = last;
        }
        assert_eq!((heard, after, log.newest()), (300, 300, 300));
        assert!(log.reaches(0) && !log.reaches(301));
        (0..KEPT).for_each(|_| tell());
        assert_eq!(log.next(299), Next::Behind);
        assert!(!log.reaches(299) && log.reaches(300));
    }
}
