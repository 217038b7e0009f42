//! The pool's own time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifeboat_model::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// How the time of a simulated pool passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    /// Only by waiting: each poll advances it to the next thing that happens, or by the wait that was allowed.
    /// No real time is spent. It stands still while no controller runs.
    Virtual,
    /// So many simulated milliseconds in each real one; at least 1. It goes on while no controller runs.
    Scaled {
        /// Simulated milliseconds in one real millisecond.
        factor: u32,
    },
}

/// Where simulated and real time met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    sim: Timestamp,
    wall: u64,
    factor: u32,
}

/// The running clock.
#[derive(Debug, Clone)]
pub(super) enum Clock {
    Virtual(Timestamp),
    /// Within one controller time is measured by the monotonic clock, between two by the calendar.
    Scaled {
        anchor: Anchor,
        since: Instant,
    },
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Anchor {
    fn after(&self, real: u64) -> Timestamp {
        self.sim.after(Millis(real.saturating_mul(u64::from(self.factor))))
    }
}

impl Clock {
    /// A clock that goes on where the pool was left: at `last`, or later if it was a running one.
    pub(super) fn go_on(mode: ClockMode, last: Timestamp, anchor: Option<Anchor>) -> Self {
        let last = anchor.map_or(last, |anchor| anchor.after(wall().saturating_sub(anchor.wall)).max(last));
        match mode {
            ClockMode::Virtual => Self::Virtual(last),
            ClockMode::Scaled { factor } => {
                let anchor = Anchor { sim: last, wall: wall(), factor: factor.max(1) };
                Self::Scaled { anchor, since: Instant::now() }
            }
        }
    }

    pub(super) fn anchor(&self) -> Option<Anchor> {
        match self {
            Self::Virtual(_) => None,
            Self::Scaled { anchor, since: _ } => Some(*anchor),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::Virtual(now) => *now,
            Self::Scaled { anchor, since } => {
                anchor.after(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
        }
    }

    /// Waits for `next`, but not longer than `wait`. The wait is real time for a scaled clock.
    pub(super) fn wait(&mut self, next: Option<Timestamp>, wait: Duration) {
        let at = self.now();
        match self {
            Self::Virtual(now) => {
                let limit = now.after(Millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
                *now = next.map_or(limit, |next| next.clamp(*now, limit.max(*now)));
            }
            Self::Scaled { anchor, since: _ } => {
                let until = next.map(|next| {
                    let ahead = next.since(at).0;
                    Duration::from_millis(ahead.div_ceil(u64::from(anchor.factor)))
                });
                std::thread::sleep(until.map_or(wait, |until| until.min(wait)));
            }
        }
    }
}
