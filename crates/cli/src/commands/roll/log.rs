//! `lifeboat roll log`
//!
//! Owns: choosing events and showing them. Promises: the whole chain is checked, whatever part is shown; a kind, time
//! or name that fits nothing shows nothing and says so. Does not: interpret.

use std::time::Duration;

use lifeboat_model::{Event, EventKind, Timestamp};
use lifeboat_store::{Link, RollState};

use super::show::clock;
use super::{find, open_store, store_error};
use crate::args::LogArgs;
use crate::error::CliError;
use crate::output::{Out, Table, with_schema};
use crate::run::Ctx;
use crate::view::{EventLine, tell};

/// Time between two looks at the journal.
const LOOK: Duration = Duration::from_millis(250);

/// A place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Seq(u64),
    Time(Timestamp),
}

impl Point {
    fn parse(text: &str) -> Result<Self, CliError> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        let civil = || {
            let utc = |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok();
            text.parse::<jiff::civil::DateTime>().ok().and_then(utc).map(|zoned| zoned.timestamp())
        };
        let time = text.parse::<jiff::Timestamp>().ok().or_else(civil);
        let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        millis.map(|millis| Self::Time(Timestamp(millis))).ok_or_else(|| {
            CliError::usage(format!("{text:?} is neither the number of an event nor a time"))
                .remedy("give a number, or a time in UTC like '2026-11-20 22:00'")
        })
    }

    /// How an event lies to this point.
    fn order(self, event: &Event) -> std::cmp::Ordering {
        match self {
            Self::Seq(seq) => event.seq.cmp(&seq),
            Self::Time(time) => event.at.cmp(&time),
        }
    }
}

/// Which events are shown.
struct Choice<'a> {
    args: &'a LogArgs,
    since: Option<Point>,
    until: Option<Point>,
}

impl<'a> Choice<'a> {
    fn of(args: &'a LogArgs) -> Result<Self, CliError> {
        let point = |text: &Option<String>| text.as_deref().map(Point::parse).transpose();
        Ok(Self { args, since: point(&args.since)?, until: point(&args.until)? })
    }

    fn all(&self) -> bool {
        let args = self.args;
        args.host.is_none()
            && args.guest.is_none()
            && args.kind.is_empty()
            && self.since.is_none()
            && self.until.is_none()
    }

    fn takes(&self, event: &Event) -> bool {
        let args = self.args;
        self.since.is_none_or(|since| since.order(event).is_ge())
            && self.until.is_none_or(|until| until.order(event).is_le())
            && (args.kind.is_empty() || args.kind.iter().any(|kind| kind == event.what.word()))
            && args.host.as_deref().is_none_or(|host| about_host(&event.what, host))
            && args.guest.as_deref().is_none_or(|guest| about_guest(&event.what, guest))
    }
}

fn about_host(what: &EventKind, host: &str) -> bool {
    if what.host() == Some(host) {
        return true;
    }
    if let EventKind::Warned { subject, .. } = what {
        return subject == host;
    }
    // A guest that goes there.
    let EventKind::Intent { effect, .. } = what else { return false };
    effect.migration().is_some_and(|(_, _, to)| to.as_str() == host)
}

fn about_guest(what: &EventKind, guest: &str) -> bool {
    let key = match what {
        EventKind::Intent { key, .. } | EventKind::Outcome { key, .. } => key,
        what => return matches!(what, EventKind::Warned { subject, .. } if subject == guest),
    };
    // The guest is the last part of the key of such an effect.
    let mut parts = key.0.rsplit('/');
    parts.next() == Some(guest)
        && matches!(parts.next(), Some("migrate" | "stop" | "start" | "place" | "eject-media"))
}

pub(super) fn run(ctx: &Ctx, args: &LogArgs) -> Result<(), CliError> {
    let choice = Choice::of(args)?;
    let store = open_store(ctx)?;
    let row = find(&store, &args.roll)?;
    let links = store.events(&row, 0).map_err(store_error)?;
    let chosen: Vec<&Event> =
        links.iter().map(|link| &link.event).filter(|event| choice.takes(event)).collect();
    if !args.follow {
        return show(ctx, &choice, &links, &chosen);
    }
    for event in chosen {
        line(ctx, event)?;
    }
    let mut seen = links.last().map_or(0, |link| link.event.seq);
    loop {
        let (state, last) = store.state(&row.id).map_err(store_error)?;
        if last > seen {
            for link in store.events(&row, seen).map_err(store_error)? {
                seen = link.event.seq;
                if choice.takes(&link.event) {
                    line(ctx, &link.event)?;
                }
            }
        } else if state != RollState::Active {
            return Ok(());
        } else {
            std::thread::sleep(LOOK);
        }
    }
}

fn show(ctx: &Ctx, choice: &Choice<'_>, links: &[Link], chosen: &[&Event]) -> Result<(), CliError> {
    let lines: Vec<EventLine<'_>> = chosen.iter().map(|event| EventLine::of(event)).collect();
    ctx.out.list("event", &lines, EventLine::name, || {
        let mut table = Table::new().number("SEQ").column("TIME (UTC)").flexible("WHAT");
        for event in chosen {
            table.row([event.seq.to_string(), clock(event.at.0), told(event)]);
        }
        let of = if choice.all() {
            String::new()
        } else {
            format!("{} of {} events; ", chosen.len(), links.len())
        };
        let chain = links
            .last()
            .map_or_else(String::new, |last| format!("\n{of}chain whole to {}\n", last.hash.short()));
        format!("{}{chain}", table.render(Out::width(), ctx.out.colour))
    })
}

fn line(ctx: &Ctx, event: &Event) -> Result<(), CliError> {
    if ctx.out.format.is_json() {
        return ctx.out.text(&with_schema("event", &EventLine::of(event), false)?);
    }
    ctx.out.text(&format!("{:>6}  {}  {}\n", event.seq, clock(event.at.0), told(event)))
}

fn told(event: &Event) -> String {
    let text = tell(event, true).unwrap_or_else(|| event.what.word().to_owned());
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_number_or_a_time_in_utc() {
        assert_eq!(Point::parse("17").ok(), Some(Point::Seq(17)));
        let at = Some(Point::Time(Timestamp(1_767_227_220_000)));
        for text in
            ["2026-01-01T00:27:00Z", "2026-01-01 00:27", "2026-01-01 00:27:00", "2026-01-01T01:27:00+01:00"]
        {
            assert_eq!(Point::parse(text).ok(), at, "{text}");
        }
        for wrong in ["", "-1", "yesterday", "2026-13-01", "1999999999999999999999"] {
            assert!(Point::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
