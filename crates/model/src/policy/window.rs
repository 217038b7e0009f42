//! Maintenance windows: when hosts may begin.
//!
//! Owns: their words. Promises: nothing about time zones; whoever has a clock and their rules says whether a window is
//! open, and records that as an event. A host that has begun when its window closes is brought to its end.

use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The days from Monday to Sunday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
}

/// A span of time that comes back every week, on the wall clock of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Window {
    /// Days on which it opens. Empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it opens, `HH:MM`, 24 hours.
    pub from: String,
    /// When it closes, `HH:MM`; on the next day if it is not later than `from`.
    pub to: String,
    /// Name of the time zone in the IANA database, for example `Europe/Vienna`.
    pub zone: String,
}

/// Minutes after midnight of a time written `HH:MM`; `24:00` is the end of a day.
#[must_use]
pub fn minutes_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())?
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60 || hours == 24 && minutes == 0).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_each_and_a_meaning() {
        assert_eq!(minutes_of("00:00"), Some(0));
        assert_eq!(minutes_of("23:59"), Some(1439));
        assert_eq!(minutes_of("24:00"), Some(1440));
        for wrong in ["", "7:00", "24:01", "12:60", "1200", "12:0", "+1:00", "12:00 ", "aa:bb"] {
            assert_eq!(minutes_of(wrong), None, "{wrong:?}");
        }
    }
}
