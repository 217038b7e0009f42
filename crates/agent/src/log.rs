//! The agent's log.
//!
//! Owns: lines on standard error (the console of a lab host) and the newest of them in memory. Promises: bounded.
//! Does not: know the time; the kernel's uptime is handed in.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Lines that are kept.
const KEPT: usize = 1000;

/// A log that several threads write.
#[derive(Debug, Default)]
pub struct Log {
    lines: Mutex<VecDeque<String>>,
}

impl Log {
    /// Adds a line.
    pub fn line(&self, text: &str) {
        eprintln!("lifeboat-agent: {text}");
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(text.to_owned());
        if lines.len() > KEPT {
            lines.pop_front();
        }
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }
}
