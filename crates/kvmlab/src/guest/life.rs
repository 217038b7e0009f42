//! The life of a guest, read from its serial line and its disk.
//!
//! Owns: the reader of what the boot sectors print. Promises: nothing is lost between pieces; any bytes can be fed.
//! Does not: know when a line came (the watch does).

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;

use crate::LabError;

/// Longer lines are none of a guest's.
const LINE_LIMIT: usize = 64;

/// What a guest proved so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GuestLife {
    /// The last count of its present life.
    pub counter: Option<u32>,
    /// How often it began: 1 is a guest that was never restarted.
    pub lives: u32,
    /// Counts that are missing between two that came: lost time or memory.
    pub lost: u64,
    /// Counts that came again or went back: it was rolled back, or it runs twice.
    pub repeated: u64,
    /// Counts that could not be written to its disk.
    pub failed_writes: u64,
    /// Pages of memory that did not hold what was written.
    pub wrong_pages: u64,
    /// Lines that no guest prints whole: its serial line was cut, as when its host lost power.
    pub cut_lines: u64,
    /// It was switched off by its power button.
    pub powered_off: bool,
    /// The disk holds an older count than was printed: a write was lost. None: not known.
    pub disk_behind: Option<u32>,
    #[serde(skip)]
    line: Vec<u8>,
    #[serde(skip)]
    number: u32,
}

impl GuestLife {
    /// Takes the next bytes of the serial line. How many counts came.
    pub fn feed(&mut self, bytes: &[u8]) -> u64 {
        let mut counts = 0;
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                counts += u64::from(self.take(&line));
            } else if self.line.len() < LINE_LIMIT {
                self.line.push(*byte);
            }
        }
        counts
    }

    fn take(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        match line.split_first() {
            None => {}
            Some((b'T' | b'C', number)) if hex(number).is_some() => {
                self.lives += 1;
                self.number = hex(number).unwrap_or_default();
                self.counter = None;
                self.powered_off = false;
            }
            Some((b'E', _)) => self.wrong_pages += 1,
            Some((b'O', [])) => self.powered_off = true,
            Some((b'!', rest)) => {
                self.failed_writes += 1;
                return self.take(rest);
            }
            Some(_) => match hex(line) {
                Some(count) => {
                    self.count(count);
                    return true;
                }
                None => self.cut_lines += 1,
            },
        }
        false
    }

    fn count(&mut self, count: u32) {
        // The first count of a life is 1.
        let before = self.counter.unwrap_or(0);
        if count <= before {
            self.repeated += 1;
        } else {
            self.lost += u64::from(count - before - 1);
        }
        self.counter = Some(count);
    }

    /// Whether it was never restarted, and lost nothing.
    pub fn is_whole(&self) -> bool {
        self.lives == 1
            && self.lost == 0
            && self.repeated == 0
            && self.failed_writes == 0
            && self.wrong_pages == 0
            && self.cut_lines == 0
            && self.disk_behind.unwrap_or(0) == 0
    }

    /// One line for people.
    pub fn words(&self) -> String {
        let mut words = format!(
            "counter {}, {} {}",
            self.counter.unwrap_or(0),
            self.lives,
            if self.lives == 1 { "life" } else { "lives" }
        );
        let mut add = |number: u64, what: &str| {
            if number > 0 {
                // Writing to a string cannot fail.
                let _ = write!(words, ", {number} {what}");
            }
        };
        add(self.lost, "counts lost");
        add(self.repeated, "counts repeated");
        add(self.failed_writes, "writes failed");
        add(self.wrong_pages, "pages wrong");
        add(self.cut_lines, "lines cut");
        add(u64::from(self.disk_behind.unwrap_or(0)), "counts missing on its disk");
        if self.powered_off {
            words.push_str(", switched off by its button");
        }
        words
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.len() == 8 && !text.starts_with('+'))?;
    u32::from_str_radix(text, 16).ok()
}

/// Compares the disk of a guest with what it printed: how far the disk is behind. The serial line must have been read
/// before the disk is. None for guests that write no counts.
pub(crate) fn check_disk(life: &GuestLife, image: &Path) -> Result<Option<u32>, LabError> {
    let Some(counter) = life.counter else { return Ok(None) };
    let file = File::open(image).map_err(LabError::file("open", image))?;
    let mut newest = None;
    for sector in 1..=62_u64 {
        let (mut magic, mut number, mut count) = ([0; 4], [0; 4], [0; 4]);
        for (at, part) in [(0, &mut magic), (4, &mut number), (8, &mut count)] {
            file.read_exact_at(part, sector * 512 + at).map_err(LabError::file("read", image))?;
        }
        if &magic == b"LBTK" && u32::from_le_bytes(number) == life.number {
            newest = newest.max(Some(u32::from_le_bytes(count)));
        }
    }
    Ok(newest.map(|newest| counter.saturating_sub(newest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(text: &str) -> GuestLife {
        let mut life = GuestLife::default();
        // Byte by byte: nothing may depend on how it was cut.
        for byte in text.bytes() {
            life.feed(&[byte]);
        }
        life
    }

    #[test]
    fn a_whole_life_is_a_banner_and_counts_that_go_on() {
        let life = life("\nT00000001\n00000001\n00000002\n0000");
        assert!(life.is_whole());
        assert_eq!(life.words(), "counter 2, 1 life");
    }

    #[test]
    fn what_is_lost_repeated_restarted_or_wrong_is_told() {
        let begin = "\nT00000001\n00000001\n";
        assert_eq!(life(&format!("{begin}00000005\n")).lost, 3);
        assert_eq!(life(&format!("{begin}00000001\n")).repeated, 1);
        assert_eq!(life(&format!("{begin}\nT00000002\n00000001\n")).lives, 2);
        assert_eq!(life(&format!("{begin}!00000002\n")).failed_writes, 1);
        assert_eq!(life(&format!("{begin}!00000002\n")).counter, Some(2));
        assert_eq!(life(&format!("{begin}E00000004@00101000\n")).wrong_pages, 1);
        assert_eq!(life(&format!("{begin}0000\nT00000002\n")).cut_lines, 1);
        assert!(life(&format!("{begin}O\n")).powered_off);
        assert!(!life(&format!("{begin}00000005\n")).is_whole());
        assert!(!life("").is_whole());
    }

    #[test]
    fn any_bytes_can_be_fed() {
        let mut life = GuestLife::default();
        let noise: Vec<u8> = (0..20_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        life.feed(&noise);
        assert!(life.line.len() <= LINE_LIMIT && !life.is_whole());
    }
}
