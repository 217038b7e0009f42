//! Units as types.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An amount of memory in mebibytes (2^20 bytes).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mib(pub u64);

impl Mib {
    /// Gibibytes as mebibytes.
    #[must_use]
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib * 1024)
    }

    /// Subtraction that ends at zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Mib {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Mib {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Mib {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Mib {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Mib {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|m| m.0).sum())
    }
}

impl fmt::Display for Mib {
    /// `512 MiB`, `4.0 GiB`, `1.5 TiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let value = self.0 as f64;
        let text = if self.0 < 1024 {
            format!("{} MiB", self.0)
        } else if self.0 < 1024 * 1024 {
            format!("{:.1} GiB", value / 1024.0)
        } else {
            format!("{:.1} TiB", value / 1024.0 / 1024.0)
        };
        f.pad(&text)
    }
}

/// A length of time in milliseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Whole seconds as milliseconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Millis {
    /// `0.4s`, `12s`, `3m05s`, `2h07m`, `3d04h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0 / 1000;
        let text = match secs {
            0..=9 => format!("{}.{}s", secs, self.0 % 1000 / 100),
            10..=59 => format!("{secs}s"),
            60..=3599 => format!("{}m{:02}s", secs / 60, secs % 60),
            3600..=86399 => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
            _ => format!("{}d{:02}h", secs / 86400, secs % 86400 / 3600),
        };
        f.pad(&text)
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Time gone since `earlier`; zero if the clock went backwards.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// The point `later` after this one.
    #[must_use]
    pub const fn after(self, later: Millis) -> Self {
        Self(self.0.saturating_add(later.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_well() {
        let cases = [
            (400, "0.4s"),
            (12_000, "12s"),
            (185_000, "3m05s"),
            (7_620_000, "2h07m"),
            (273_600_000, "3d04h"),
        ];
        for (millis, text) in cases {
            assert_eq!(Millis(millis).to_string(), text);
        }
        assert_eq!(Mib(512).to_string(), "512 MiB");
        assert_eq!(Mib::from_gib(4).to_string(), "4.0 GiB");
        assert_eq!(Mib(1024 * 1536).to_string(), "1.5 TiB");
        assert_eq!(Timestamp(5).since(Timestamp(9)), Millis(0));
    }
}
