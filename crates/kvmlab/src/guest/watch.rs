//! Watching guests live.
//!
//! Owns: a thread that reads serial lines as they grow, and the longest silence of each guest. Promises: a silence is
//! measured from count to count, to within some milliseconds. Does not: judge.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::GuestLife;

/// How often the lines are looked at.
const BEAT: Duration = Duration::from_millis(4);

/// What is known of one guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuestReport {
    /// The guest.
    pub guest: String,
    /// Everything since it began.
    pub life: GuestLife,
    /// Counts since the watch began.
    pub counts: u64,
    /// The longest time from one count to the next since the watch began, in milliseconds. None: fewer than two came.
    pub max_gap_ms: Option<u64>,
    /// The time since its last count, or since the watch began, in milliseconds.
    pub silent_ms: u64,
}

struct Watched {
    report: GuestReport,
    path: PathBuf,
    file: Option<File>,
    last: Option<Instant>,
}

struct Shared {
    guests: Mutex<Vec<Watched>>,
    began: Instant,
    stop: AtomicBool,
}

/// A watch that goes on until it is dropped.
pub struct LifeWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for LifeWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LifeWatch").finish_non_exhaustive()
    }
}

impl LifeWatch {
    /// Watches guests by the files of their serial lines. What is in them already counts for the life, not for gaps.
    pub(crate) fn start(guests: Vec<(String, PathBuf)>) -> Self {
        let watched = guests.into_iter().map(|(guest, path)| {
            let life = GuestLife::default();
            let report = GuestReport { guest, life, counts: 0, max_gap_ms: None, silent_ms: 0 };
            let mut watched = Watched { report, path, file: None, last: None };
            watched.read();
            watched
        });
        let guests = Mutex::new(watched.collect());
        let shared = Arc::new(Shared { guests, began: Instant::now(), stop: AtomicBool::new(false) });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    look(&shared);
                    std::thread::sleep(BEAT);
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// What is known now.
    pub fn report(&self) -> Vec<GuestReport> {
        look(&self.shared);
        let guests = self.shared.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let one = |watched: &Watched| {
            let mut report = watched.report.clone();
            report.silent_ms = millis(now - watched.last.unwrap_or(self.shared.began));
            report
        };
        guests.iter().map(one).collect()
    }
}

impl Drop for LifeWatch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It can only have ended by a panic, which has told itself.
            let _ = thread.join();
        }
    }
}

fn look(shared: &Shared) {
    let mut guests = shared.guests.lock().unwrap_or_else(PoisonError::into_inner);
    for watched in guests.iter_mut() {
        let counts = watched.read();
        if counts == 0 {
            continue;
        }
        let now = Instant::now();
        if let Some(last) = watched.last.replace(now) {
            let gap = millis(now - last);
            watched.report.max_gap_ms = watched.report.max_gap_ms.max(Some(gap));
        }
        watched.report.counts += counts;
    }
}

impl Watched {
    /// Reads what is new. How many counts came.
    fn read(&mut self) -> u64 {
        if self.file.is_none() {
            // It comes when the guest is started.
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return 0 };
        let mut bytes = Vec::new();
        // An error ends this look; the next one goes on.
        let _ = file.read_to_end(&mut bytes);
        self.report.life.feed(&bytes)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_silence_is_measured_from_count_to_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g1.log");
        let mut line = File::create(&path).unwrap();
        line.write_all(b"\nT00000001\n00000001\n").unwrap();
        let watch = LifeWatch::start(vec![("g1".to_owned(), path)]);
        let mut say = |text: &str, pause: u64| {
            line.write_all(text.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(pause));
        };
        say("00000002\n", 300);
        say("00000003\n", 30);
        say("0000", 30);
        let report = watch.report().pop().unwrap();
        assert_eq!((report.counts, report.life.counter), (2, Some(3)));
        let gap = report.max_gap_ms.unwrap();
        assert!((290..2000).contains(&gap), "{gap}");
        assert!(report.silent_ms >= 55 && report.life.is_whole());
    }
}
