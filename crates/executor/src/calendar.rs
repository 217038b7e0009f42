//! When maintenance windows are open.
//!
//! Owns: weekly windows on the wall clocks of IANA time zones. Promises: windows that overlap or adjoin are one; a
//! window opens the first time its clock shows `from` and closes the first time after that it shows `to`; a time that
//! the clock skips is the moment of the skip. Does not: have a clock of its own.

use jiff::ToSpan as _;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use lifeboat_model::{Day, Policy, Timestamp, Window, minutes_of};
use thiserror::Error;

/// Windows are looked at so many days back: one that opened yesterday may be open still.
const BACK: i32 = 2;
/// And so many days ahead. Every window comes back within a week, or within two if a clock skips it.
const AHEAD: i32 = 18;
/// Windows that do not change within so many days do not change.
const NEVER: u64 = 14 * 86_400_000;

/// Why windows cannot be used.
#[derive(Debug, Error)]
pub enum CalendarError {
    /// The IANA database has no such time zone.
    #[error("{key} = {zone:?}: there is no such time zone; write an IANA name, as Europe/Vienna")]
    Zone {
        /// Its place in the policy, as `windows.2.zone`.
        key: String,
        /// What was found.
        zone: String,
        /// The cause.
        #[source]
        source: jiff::Error,
    },
    /// A time of day has no meaning.
    #[error("{key} = {text:?}: write a time as HH:MM, 00:00 to 24:00")]
    Time {
        /// Its place in the policy, as `windows.2.from`.
        key: String,
        /// What was found.
        text: String,
    },
}

/// What the windows say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowNow {
    /// Hosts may begin.
    Open {
        /// When the windows close; none if they do not within two weeks.
        until: Option<Timestamp>,
    },
    /// They may not.
    Closed {
        /// When a window opens; none if none does within two weeks.
        until: Option<Timestamp>,
    },
}

impl WindowNow {
    /// When it changes.
    #[must_use]
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Open { until } | Self::Closed { until } => until,
        }
    }
}

/// The windows of a policy.
#[derive(Debug, Clone)]
pub struct Calendar {
    windows: Vec<Weekly>,
}

#[derive(Debug, Clone)]
struct Weekly {
    days: Vec<Weekday>,
    from: u16,
    to: u16,
    zone: TimeZone,
}

impl Calendar {
    /// The windows of a policy.
    ///
    /// # Errors
    /// [`CalendarError`] with the place in the policy.
    pub fn new(policy: &Policy) -> Result<Self, CalendarError> {
        let windows = policy.windows.iter().enumerate().map(|(at, window)| Weekly::new(at, window));
        Ok(Self { windows: windows.collect::<Result<_, _>>()? })
    }

    /// Whether there are no windows: hosts may begin at any time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// What the windows say at a moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> WindowNow {
        if self.windows.is_empty() {
            return WindowNow::Open { until: None };
        }
        let mut spans: Vec<(u64, u64)> = self
            .windows
            .iter()
            .flat_map(|window| window.around(now))
            .filter(|(from, to)| from < to)
            .collect();
        spans.sort_unstable();
        // The union of all that touch each other, up to the first that ends after now.
        let mut union: Option<(u64, u64)> = None;
        for (from, to) in spans {
            match &mut union {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                Some((_, end)) if *end > now.0 => break,
                Some(_) | None => union = Some((from, to)),
            }
        }
        let soon = |at: u64| (at.saturating_sub(now.0) <= NEVER).then_some(Timestamp(at));
        match union.filter(|(_, end)| *end > now.0) {
            Some((from, end)) if from <= now.0 => WindowNow::Open { until: soon(end) },
            Some((from, _)) => WindowNow::Closed { until: soon(from) },
            None => WindowNow::Closed { until: None },
        }
    }
}

impl Weekly {
    fn new(at: usize, window: &Window) -> Result<Self, CalendarError> {
        let time = |key: &str, text: &str| {
            minutes_of(text).ok_or_else(|| CalendarError::Time {
                key: format!("windows.{at}.{key}"),
                text: text.to_owned(),
            })
        };
        let zone = TimeZone::get(&window.zone).map_err(|source| CalendarError::Zone {
            key: format!("windows.{at}.zone"),
            zone: window.zone.clone(),
            source,
        })?;
        let days = if window.days.is_empty() { &Day::ALL[..] } else { &window.days };
        Ok(Self {
            days: days.iter().copied().map(weekday).collect(),
            from: time("from", &window.from)?,
            to: time("to", &window.to)?,
            zone,
        })
    }

    /// Its spans around a moment, as milliseconds since 1970.
    fn around(&self, now: Timestamp) -> Vec<(u64, u64)> {
        let Some(today) =
            i64::try_from(now.0).ok().and_then(|now| jiff::Timestamp::from_millisecond(now).ok())
        else {
            return Vec::new();
        };
        let today = today.to_zoned(self.zone.clone()).date();
        let days = (-BACK..=AHEAD).filter_map(|days| today.checked_add(days.days()).ok());
        days.filter(|day| self.days.contains(&day.weekday())).filter_map(|day| self.span(day)).collect()
    }

    fn span(&self, day: Date) -> Option<(u64, u64)> {
        let to = if self.to > self.from { u32::from(self.to) } else { u32::from(self.to) + 24 * 60 };
        let from = self.instant(day, u32::from(self.from))?;
        // Never before `from`; at the same moment if the clock skips both.
        Some((from, self.instant(day, to)?))
    }

    /// The first moment at which the clock shows so many minutes after the midnight of a day, or has skipped them.
    fn instant(&self, day: Date, minutes: u32) -> Option<u64> {
        let wall = wall(day, minutes)?;
        let moment = self.zone.to_ambiguous_timestamp(wall);
        let instant = match moment.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => moment.compatible().ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset the time lies before the skip, and the next change is the skip itself.
                let before = after.to_timestamp(wall).ok()?;
                self.zone.following(before).next()?.timestamp()
            }
        };
        u64::try_from(instant.as_millisecond()).ok()
    }
}

fn wall(day: Date, minutes: u32) -> Option<jiff::civil::DateTime> {
    let day = day.checked_add(i64::from(minutes / (24 * 60)).days()).ok()?;
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()?;
    Some(day.to_datetime(time))
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests;
