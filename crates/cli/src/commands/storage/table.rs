//! Storage as a table: one line per LUN, or one per path.

use lifeboat_topology::{Lun, LunKind, PathState, Topology};

use crate::output::{Cell, Out, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;

/// Each word once, in order.
fn once<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for word in words {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

/// Numbered names as ranges: `host11-18, vmhba2`.
fn ranges<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<(&str, u64, u64)> = Vec::new();
    let mut plain: Vec<&str> = Vec::new();
    for word in words {
        let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
        match word.get(stem.len()..).and_then(|number| number.parse::<u64>().ok()) {
            Some(number) if all.iter().any(|(s, a, b)| *s == stem && (*a..=*b).contains(&number)) => {}
            Some(number) => match all.last_mut() {
                Some((last, _, to)) if *last == stem && to.checked_add(1) == Some(number) => *to = number,
                Some(_) | None => all.push((stem, number, number)),
            },
            None if plain.contains(&word) => {}
            None => plain.push(word),
        }
    }
    let mut shown: Vec<String> = all
        .into_iter()
        .map(
            |(stem, from, to)| {
                if from == to { format!("{stem}{from}") } else { format!("{stem}{from}-{to}") }
            },
        )
        .collect();
    shown.extend(plain.into_iter().map(str::to_owned));
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

/// One or two targets by name, more by number: `--paths` and `--tree` name them all. A long name is cut on a terminal.
fn targets<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    let cut = |name: &str| {
        if Out::width().is_none() || name.chars().count() <= LONG {
            return name.to_owned();
        }
        name.chars().take(LONG - 1).chain(['…']).collect()
    };
    match all.as_slice() {
        [] => "-".to_owned(),
        [one] => cut(one),
        [one, two] => format!("{}, {}", cut(one), cut(two)),
        several => format!("{} targets", several.len()),
    }
}

/// Longest name that stands in a table as it is.
const LONG: usize = 40;

pub(super) fn luns(ctx: &Ctx, topology: &Topology) -> String {
    let long = topology.luns.iter().any(|lun| lun.identity.to_string().len() > LONG);
    let table = Table::new().column("ADAPTER").flexible("TARGET").column("LUN").number("SIZE");
    // An identity is copied from the screen: it is broken only where there is no room for it.
    let table = if long { table.flexible("IDENTITY") } else { table.column("IDENTITY") };
    let mut table = table.column("PATHS").flexible("DEVICES").flexible("USED BY");
    for lun in &topology.luns {
        let paths = || topology.paths_of(lun);
        let numbers: Vec<String> =
            paths().filter_map(|path| path.number).map(|number| number.to_string()).collect();
        table.row([
            Cell::from(ranges(paths().map(|path| path.adapter.as_str()))),
            Cell::from(targets(paths().filter_map(|path| path.target.as_deref()))),
            Cell::from(once(numbers.iter().map(String::as_str))),
            Cell::from(lun.bytes.map_or_else(|| "-".to_owned(), show_size)),
            identity(lun),
            count(topology, lun),
            Cell::from(devices(topology, lun)),
            Cell::from(used(topology, lun)),
        ]);
    }
    let mut text = ctx.out.wrap(&table);
    text.push_str(&ctx.out.paint(&summary(topology), Paint::Dim));
    text
}

pub(super) fn paths(ctx: &Ctx, topology: &Topology) -> String {
    let mut table = Table::new()
        .column("ADAPTER")
        .column("BUS")
        .flexible("TARGET")
        .column("LUN")
        .column("ADDRESS")
        .column("DEVICE")
        .column("STATE")
        .flexible("WORDS")
        .flexible("IDENTITY");
    for path in &topology.paths {
        let address = path.name.clone().or_else(|| path.hctl.map(|hctl| hctl.to_string()));
        let dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        table.row([
            Cell::from(path.adapter.clone()),
            Cell::from(path.transport.to_string()),
            dash(path.target.clone()),
            dash(path.number.map(|number| number.to_string())),
            dash(address),
            dash(path.device.clone()),
            state(path.state),
            dash(Some(path.words.clone()).filter(|words| !words.is_empty())),
            Cell::from(path.lun.to_string()),
        ]);
    }
    let mut text = ctx.out.wrap(&table);
    text.push_str(&ctx.out.paint(&summary(topology), Paint::Dim));
    text
}

fn state(state: PathState) -> Cell {
    let paint = match state {
        PathState::Up => Paint::Good,
        PathState::Standby => Paint::Busy,
        PathState::Down => Paint::Bad,
        PathState::Unknown => Paint::Dim,
    };
    Cell::painted(state.word(), paint)
}

/// An identity that is only a place or a name of today is of less weight.
fn identity(lun: &Lun) -> Cell {
    let text = lun.identity.to_string();
    if lun.identity.is_durable() { Cell::from(text) } else { Cell::painted(text, Paint::Dim) }
}

fn count(topology: &Topology, lun: &Lun) -> Cell {
    let down = topology.paths_of(lun).filter(|path| path.state == PathState::Down).count();
    let all = topology.paths_of(lun).count();
    let known = topology.paths_of(lun).any(|path| path.state != PathState::Unknown);
    let paint = match () {
        () if !known => Paint::Dim,
        () if down == 0 => Paint::Good,
        () if down == all => Paint::Bad,
        () => Paint::Warn,
    };
    Cell::painted(topology.up_of(lun), paint)
}

/// The map first, with its paths behind it.
fn devices(topology: &Topology, lun: &Lun) -> String {
    let map = lun.map.as_ref().and_then(|map| map.device.as_deref());
    let paths: Vec<&str> =
        lun.devices.iter().map(String::as_str).filter(|device| Some(*device) != map).collect();
    match map {
        Some(map) => {
            let label = topology.device(map).map(lifeboat_topology::Device::label);
            // A map without a name of its own is called by its WWID, which stands in the table already.
            let label = label.filter(|label| label.len() < 24).unwrap_or_else(|| map.to_owned());
            format!("{label}: {}", paths.join(" "))
        }
        None if paths.is_empty() => "-".to_owned(),
        None => paths.join(" ").replace('!', "/"),
    }
}

fn used(topology: &Topology, lun: &Lun) -> String {
    let uses = topology.used_by(lun);
    match lun.kind {
        LunKind::Disk if uses.is_empty() => "-".to_owned(),
        LunKind::Disk => uses.join(", "),
        kind if uses.is_empty() => format!("({})", kind.word()),
        kind => format!("({}) {}", kind.word(), uses.join(", ")),
    }
}

fn summary(topology: &Topology) -> String {
    let several = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "\n{}, {}, {}, {}; from {}\n",
        several(topology.adapters.len(), "adapter"),
        several(topology.targets.len(), "target"),
        several(topology.luns.len(), "LUN"),
        several(topology.paths.len(), "path"),
        topology.source.forms.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_stand_as_ranges_and_others_as_they_are() {
        for (names, shown) in [
            (&["host7"][..], "host7"),
            (&["host7", "host7", "host8"], "host7-8"),
            (&["host3", "host11", "host12", "host13", "host11"], "host3, host11-13"),
            (&["vmhba1", "vmhba2", "iscsi-tcp"], "vmhba1-2, iscsi-tcp"),
            (&[], "-"),
        ] {
            assert_eq!(ranges(names.iter().copied()), shown);
        }
    }

    #[test]
    fn more_than_two_targets_are_counted() {
        assert_eq!(targets(["a", "b", "a"].into_iter()), "a, b");
        assert_eq!(targets(["a", "b", "c"].into_iter()), "3 targets");
    }
}
