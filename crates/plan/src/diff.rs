//! What differs between two plans.
//!
//! Owns: [`PlanDiff`], a value that can be shown. Does not: judge which plan is better.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lifeboat_model::{Figures, GuestId, HostId, Mib, Move, Plan, Prices};

use crate::policy_diff;

/// A move of a guest that only one plan has, or that goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveChange {
    /// The guest.
    pub guest: GuestId,
    /// Where it goes in the old plan, in the order of its moves; empty if it stays.
    pub old: Vec<HostId>,
    /// Where it goes in the new plan, in the order of its moves; empty if it stays.
    pub new: Vec<HostId>,
}

/// A figure that differs, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureChange {
    /// Which figure.
    pub name: &'static str,
    /// In the old plan.
    pub old: String,
    /// In the new plan.
    pub new: String,
}

/// What differs between two plans. Hosts are listed by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PlanDiff {
    /// Target, pool or suspended features differ: text of each, old and new.
    pub frame: Vec<FigureChange>,
    /// Values of the policy that differ, by the key that the file has.
    pub policy: Vec<FigureChange>,
    /// Hosts with a turn in the new plan only.
    pub added: Vec<HostId>,
    /// Hosts with a turn in the old plan only.
    pub removed: Vec<HostId>,
    /// Hosts whose wave differs: old and new wave.
    pub rewaved: Vec<(HostId, u32, u32)>,
    /// Whether the hosts that both plans have come in another order.
    pub reordered: bool,
    /// Hosts blocked in the new plan only, with the reason.
    pub newly_blocked: Vec<(HostId, String)>,
    /// Hosts blocked in the old plan only.
    pub no_longer_blocked: Vec<HostId>,
    /// Hosts left out on request in the new plan only.
    pub newly_excluded: Vec<HostId>,
    /// Hosts left out on request in the old plan only.
    pub no_longer_excluded: Vec<HostId>,
    /// Guests that go elsewhere when the turn of a host comes.
    pub moves: Vec<MoveChange>,
    /// Guests that are down while their host is upgraded in one plan only, or in another way: old and new, as text.
    pub stops: Vec<(GuestId, String, String)>,
    /// Guests that go elsewhere after the last host.
    pub placement: Vec<MoveChange>,
    /// Figures that differ.
    pub figures: Vec<FigureChange>,
}

/// Compares two plans.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> PlanDiff {
    let waves = |plan: &Plan| -> BTreeMap<HostId, u32> {
        plan.steps.iter().map(|step| (step.host.clone(), step.wave)).collect()
    };
    let (old_waves, new_waves) = (waves(old), waves(new));
    let only = |these: &BTreeMap<HostId, u32>, those: &BTreeMap<HostId, u32>| -> Vec<HostId> {
        these.keys().filter(|host| !those.contains_key(*host)).cloned().collect()
    };
    let rewaved = old_waves.iter().filter_map(|(host, &old)| {
        let new = *new_waves.get(host)?;
        (old != new).then(|| (host.clone(), old, new))
    });
    let order = |plan: &Plan, other: &BTreeMap<HostId, u32>| -> Vec<HostId> {
        plan.steps.iter().map(|step| step.host.clone()).filter(|host| other.contains_key(host)).collect()
    };
    let blocked = |plan: &Plan| -> BTreeMap<HostId, String> {
        plan.blocked.iter().map(|blocked| (blocked.host.clone(), blocked.reason.clone())).collect()
    };
    let (old_blocked, new_blocked) = (blocked(old), blocked(new));
    PlanDiff {
        frame: frame(old, new),
        policy: policy_diff::changes(&old.policy, &new.policy),
        added: only(&new_waves, &old_waves),
        removed: only(&old_waves, &new_waves),
        rewaved: rewaved.collect(),
        reordered: order(old, &new_waves) != order(new, &old_waves),
        newly_blocked: new_blocked
            .iter()
            .filter(|(host, _)| !old_blocked.contains_key(*host))
            .map(|(host, reason)| (host.clone(), reason.clone()))
            .collect(),
        no_longer_blocked: old_blocked.into_keys().filter(|host| !new_blocked.contains_key(host)).collect(),
        newly_excluded: missing(&new.excluded, &old.excluded),
        no_longer_excluded: missing(&old.excluded, &new.excluded),
        moves: move_changes(in_turns(old), in_turns(new)),
        stops: stop_changes(old, new),
        placement: move_changes(old.placement.iter(), new.placement.iter()),
        figures: figure_changes(&old.figures, &new.figures),
    }
}

fn frame(old: &Plan, new: &Plan) -> Vec<FigureChange> {
    let mut changes = Vec::new();
    let mut compare = |name, old: String, new: String| {
        if old != new {
            changes.push(FigureChange { name, old, new });
        }
    };
    compare("pool", old.pool.to_string(), new.pool.to_string());
    compare("release", old.target.to_string(), new.target.to_string());
    let suspends = |plan: &Plan| plan.suspends.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
    compare("suspended features", suspends(old), suspends(new));
    changes
}

fn missing(these: &[HostId], those: &[HostId]) -> Vec<HostId> {
    let those: BTreeSet<&HostId> = those.iter().collect();
    these.iter().filter(|host| !those.contains(host)).cloned().collect()
}

fn in_turns(plan: &Plan) -> impl Iterator<Item = &Move> {
    plan.steps.iter().flat_map(|step| &step.moves)
}

fn stop_changes(old: &Plan, new: &Plan) -> Vec<(GuestId, String, String)> {
    fn stops(plan: &Plan) -> BTreeMap<&GuestId, String> {
        let stops = plan.steps.iter().flat_map(|step| step.stops.iter().map(move |stop| (step, stop)));
        let how = |by_owner: bool| if by_owner { "left to its owner" } else { "stopped and started" };
        stops.map(|(step, stop)| (&stop.guest, format!("{} on {}", how(stop.by_owner), step.host))).collect()
    }
    let (old, new) = (stops(old), stops(new));
    let guests: BTreeSet<&GuestId> = old.keys().chain(new.keys()).copied().collect();
    let text = |stops: &BTreeMap<&GuestId, String>, guest: &GuestId| {
        stops.get(guest).cloned().unwrap_or_else(|| "not stopped".to_owned())
    };
    let changed = guests.into_iter().filter(|guest| old.get(*guest) != new.get(*guest));
    changed.map(|guest| (guest.clone(), text(&old, guest), text(&new, guest))).collect()
}

fn move_changes<'p>(
    old: impl Iterator<Item = &'p Move>,
    new: impl Iterator<Item = &'p Move>,
) -> Vec<MoveChange> {
    let mut guests: BTreeMap<&GuestId, (Vec<&HostId>, Vec<&HostId>)> = BTreeMap::new();
    for each in old {
        guests.entry(&each.guest).or_default().0.push(&each.to);
    }
    for each in new {
        guests.entry(&each.guest).or_default().1.push(&each.to);
    }
    let changed = guests.into_iter().filter(|(_, (old, new))| old != new);
    let names = |hosts: Vec<&HostId>| hosts.into_iter().cloned().collect();
    changed
        .map(|(guest, (old, new))| MoveChange { guest: guest.clone(), old: names(old), new: names(new) })
        .collect()
}

fn figure_changes(old: &Figures, new: &Figures) -> Vec<FigureChange> {
    let pairs = [
        ("moves", old.moves.planned.to_string(), new.moves.planned.to_string()),
        ("lower bound of moves", old.moves.bound.to_string(), new.moves.bound.to_string()),
        ("memory moved", old.moved.planned.to_string(), new.moved.planned.to_string()),
        ("estimated time", old.makespan.planned.to_string(), new.makespan.planned.to_string()),
        (
            "most hosts down at once",
            old.peak_hosts_down.planned.to_string(),
            new.peak_hosts_down.planned.to_string(),
        ),
        (
            "most memory out of service",
            old.peak_unavailable.planned.to_string(),
            new.peak_unavailable.planned.to_string(),
        ),
        (
            "most moves of one guest",
            old.most_moves_of_a_guest.to_string(),
            new.most_moves_of_a_guest.to_string(),
        ),
        ("waves", old.waves.to_string(), new.waves.to_string()),
        ("price of rebalance", price(old.prices, |p| p.rebalance), price(new.prices, |p| p.rebalance)),
        ("price of restore", price(old.prices, |p| p.restore), price(new.prices, |p| p.restore)),
        ("waves without failover", ranges(&old.no_failover), ranges(&new.no_failover)),
    ];
    let changed = pairs.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(name, old, new)| FigureChange { name, old, new }).collect()
}

fn price(prices: Option<Prices>, of: impl Fn(&Prices) -> (u64, Mib)) -> String {
    prices.as_ref().map_or_else(
        || "unknown".to_owned(),
        |prices| {
            let (moves, memory) = of(prices);
            format!("{moves} moves, {memory}")
        },
    )
}

fn ranges(ranges: &[(u32, u32)]) -> String {
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let texts = ranges.iter().map(
        |&(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    );
    texts.collect::<Vec<_>>().join(", ")
}

impl PlanDiff {
    /// Whether the plans do the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for PlanDiff {
    /// One line per difference: `+` only in the new plan, `-` only in the old one, `~` in both and different.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "the plans do the same");
        }
        for change in &self.policy {
            writeln!(f, "~ policy {}: {} -> {}", change.name, change.old, change.new)?;
        }
        for change in &self.frame {
            writeln!(f, "~ {}: {} -> {}", change.name, change.old, change.new)?;
        }
        for host in &self.added {
            writeln!(f, "+ host {host} has a turn")?;
        }
        for host in &self.removed {
            writeln!(f, "- host {host} has no turn any more")?;
        }
        for (host, old, new) in &self.rewaved {
            writeln!(f, "~ host {host}: wave {old} -> {new}")?;
        }
        if self.reordered {
            writeln!(f, "~ hosts come in another order")?;
        }
        for (host, reason) in &self.newly_blocked {
            writeln!(f, "+ host {host} is blocked: {reason}")?;
        }
        for host in &self.no_longer_blocked {
            writeln!(f, "- host {host} is not blocked any more")?;
        }
        for host in &self.newly_excluded {
            writeln!(f, "+ host {host} is left out on request")?;
        }
        for host in &self.no_longer_excluded {
            writeln!(f, "- host {host} is not left out any more")?;
        }
        for change in &self.moves {
            writeln!(f, "~ guest {}: {} -> {}", change.guest, path(&change.old), path(&change.new))?;
        }
        for (guest, old, new) in &self.stops {
            writeln!(f, "~ guest {guest}: {old} -> {new}")?;
        }
        for change in &self.placement {
            let (old, new) = (path(&change.old), path(&change.new));
            writeln!(f, "~ guest {} after the last host: {old} -> {new}", change.guest)?;
        }
        for change in &self.figures {
            writeln!(f, "~ {}: {} -> {}", change.name, change.old, change.new)?;
        }
        Ok(())
    }
}

fn path(hosts: &[HostId]) -> String {
    if hosts.is_empty() {
        return "stays".to_owned();
    }
    hosts.iter().map(HostId::as_str).collect::<Vec<_>>().join(" then ")
}
