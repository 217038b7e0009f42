//! How far something has come, on standard error.
//!
//! Promises: on a terminal one line is redrawn at most ten times a second; elsewhere work of less than five seconds
//! is silent, and longer work writes a line at each tenth of the way, or every five seconds. Does not: write
//! anything when nothing moves.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use lifeboat_model::Millis;

use crate::size::show_size;

/// How long work may be silent where no line can be redrawn.
const SOON: Duration = Duration::from_secs(5);

/// A line that shows how far something has come.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    label: String,
    total: u64,
    started: Instant,
    told: Option<(Instant, u64)>,
    terminal: bool,
    drawn: bool,
}

impl ProgressLine {
    /// Begins at zero of `total` bytes.
    pub(crate) fn bytes(label: impl Into<String>, total: u64) -> Self {
        Self {
            label: label.into(),
            total,
            started: Instant::now(),
            told: None,
            terminal: io::stderr().is_terminal(),
            drawn: false,
        }
    }

    /// Names another step and its total; the line goes on.
    pub(crate) fn step(&mut self, label: impl Into<String>, total: u64) {
        let label = label.into();
        if self.label != label || self.total != total {
            let drawn = std::mem::take(&mut self.drawn);
            *self = Self::bytes(label, total);
            self.drawn = drawn;
        }
    }

    /// Takes over how much is done.
    pub(crate) fn set(&mut self, done: u64) {
        let now = Instant::now();
        let tenth = |done: u64| done.saturating_mul(10) / self.total.max(1);
        let due = match self.told {
            None => self.terminal || now - self.started > SOON,
            Some((at, _)) if self.terminal => now - at > Duration::from_millis(100),
            Some((at, before)) => now - at > SOON || tenth(before) < tenth(done),
        };
        if !due {
            return;
        }
        self.told = Some((now, done));
        self.draw(done, now - self.started);
    }

    fn draw(&mut self, done: u64, taken: Duration) {
        let text = line(&self.label, done, self.total, taken);
        let mut stderr = io::stderr().lock();
        let written =
            if self.terminal { write!(stderr, "\r\x1b[K{text}") } else { writeln!(stderr, "{text}") };
        self.drawn = self.terminal && written.and_then(|()| stderr.flush()).is_ok();
    }

    /// Clears the line, so that a result or an error stands alone.
    pub(crate) fn finish(&mut self) {
        if self.drawn {
            // Nobody is there to be told that standard error is closed.
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
            self.drawn = false;
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.finish();
    }
}

/// `writing bank B   42 %  12.0 MiB of 28.0 MiB  96.1 MiB/s  ETA 12s`
fn line(label: &str, done: u64, total: u64, taken: Duration) -> String {
    let percent = done.saturating_mul(100) / total.max(1);
    let mut text = format!("{label} {percent:>3} %  {} of {}", show_size(done), show_size(total));
    let millis = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
    if done > 0 && millis > 0 {
        let rate = u128::from(done) * 1000 / u128::from(millis);
        let left = u128::from(total.saturating_sub(done)) * u128::from(millis) / u128::from(done);
        let left = Millis(u64::try_from(left).unwrap_or(u64::MAX));
        text.push_str(&format!("  {}/s  ETA {left}", show_size(u64::try_from(rate).unwrap_or(u64::MAX))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_share_rate_and_time_left() {
        let text = line("writing", 10 << 20, 40 << 20, Duration::from_secs(5));
        assert_eq!(text, "writing  25 %  10.0 MiB of 40.0 MiB  2.0 MiB/s  ETA 15s");
        assert_eq!(line("writing", 0, 0, Duration::ZERO), "writing   0 %  0 B of 0 B");
    }
}
