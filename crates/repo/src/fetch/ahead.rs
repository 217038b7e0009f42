//! Reading ahead: a few connections fetch the ranges that a reader will ask for.
//!
//! Promises: at most [`AHEAD`] ranges are in memory or under way; a range that failed is told as such, and the reader
//! asks for it itself; the threads end when this is dropped. Does not: guess (the ranges are given).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use lifeboat_bundle::PackId;

/// Ranges in memory or under way: 8 of at most 2 MiB.
const AHEAD: usize = 8;
/// Connections.
const CONNECTIONS: usize = 4;

/// Bytes `offset` to `end` (not included) of a pack.
pub(crate) type Wanted = (PackId, u64, u64);
pub(crate) type Fetch = dyn Fn(&Wanted) -> Option<Vec<u8>> + Send + Sync;

/// The threads and what they have.
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    wanted: Vec<Wanted>,
    numbers: HashMap<Wanted, usize>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// First range that no thread has begun.
    next: usize,
    /// All ranges below were taken or passed over.
    taken: usize,
    ready: HashMap<usize, Option<Vec<u8>>>,
    stopped: bool,
}

impl Ahead {
    pub(crate) fn start(wanted: Vec<Wanted>, fetch: &Arc<Fetch>) -> Self {
        let numbers = wanted.iter().enumerate().map(|(number, range)| (*range, number)).collect();
        let shared = Arc::new(Shared {
            wanted,
            numbers,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let threads = (0..CONNECTIONS)
            .map(|_| {
                let (shared, fetch) = (Arc::clone(&shared), Arc::clone(fetch));
                thread::spawn(move || shared.work(&*fetch))
            })
            .collect();
        Self { shared, threads }
    }

    /// The bytes of a range, waiting for them; `None` if it was not announced, was passed over, or failed.
    pub(crate) fn take(&self, range: &Wanted) -> Option<Vec<u8>> {
        let number = *self.shared.numbers.get(range)?;
        let mut state = self.shared.lock();
        if number < state.taken {
            return None;
        }
        // What the reader has jumped over it will not ask for again.
        state.taken = number;
        state.next = state.next.max(number);
        state.ready.retain(|there, _| *there >= number);
        self.shared.changed.notify_all();
        loop {
            if let Some(bytes) = state.ready.remove(&number) {
                state.taken = number + 1;
                self.shared.changed.notify_all();
                return bytes;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has fetched nothing; the reader has asked itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, fetch: &Fetch) {
        loop {
            let mut state = self.lock();
            while !state.stopped && state.next < self.wanted.len() && state.next >= state.taken + AHEAD {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let number = state.next;
            let Some(range) = self.wanted.get(number).filter(|_| !state.stopped) else { return };
            state.next += 1;
            drop(state);
            let bytes = fetch(range);
            let mut state = self.lock();
            if number >= state.taken {
                state.ready.insert(number, bytes);
            }
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use lifeboat_model::Sha256Hex;

    use super::*;

    #[test]
    fn ranges_come_in_order_and_never_more_than_a_few_are_in_memory() {
        let pack = PackId(Sha256Hex([7; 32]));
        let wanted: Vec<Wanted> = (0..100).map(|n| (pack, n * 10, n * 10 + 10)).collect();
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let fetch: Arc<Fetch> = Arc::new(move |range: &Wanted| {
            counter.fetch_add(1, Ordering::SeqCst);
            if range.1 == 500 { None } else { Some(vec![u8::try_from(range.1 / 10).unwrap(); 10]) }
        });
        let ahead = Ahead::start(wanted.clone(), &fetch);
        for (number, range) in wanted.iter().enumerate() {
            // Some are jumped over.
            if number % 7 == 3 {
                continue;
            }
            let bytes = ahead.take(range);
            if number == 50 {
                assert_eq!(bytes, None);
            } else {
                assert_eq!(bytes.unwrap(), vec![u8::try_from(number).unwrap(); 10]);
            }
            assert!(begun.load(Ordering::SeqCst) <= number + 1 + AHEAD);
        }
        assert_eq!(ahead.take(wanted.first().unwrap()), None, "it was passed long ago");
        assert_eq!(ahead.take(&(pack, 1, 2)), None, "it was never announced");
    }
}
