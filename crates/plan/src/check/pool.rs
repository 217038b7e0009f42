//! The survey by index: what several checks need, computed once.
//!
//! Owns: who has a turn, who can take guests, loads and room, and the strategy of each guest. Promises: sums end at the
//! largest number instead of overflowing; the time is that of one pass. Does not: judge.

use std::collections::{BTreeSet, HashMap};

use lifeboat_model::{
    FeatureKind, FeatureView, GuestFacts, GuestId, GuestStrategy, GuestView, HostFacts, HostId, HostView,
    Mib, Movable, Policy, ReleaseRef, matches_name,
};

use super::ground::Ground;

/// A host.
pub(super) struct Host<'a> {
    pub(super) view: &'a HostView,
    pub(super) facts: Option<&'a HostFacts>,
    /// It is to be upgraded.
    pub(super) turn: bool,
    /// It can give and take guests.
    pub(super) in_service: bool,
    /// MiB of the guests that run on it.
    pub(super) load: u64,
    /// MiB of those that are to be moved away.
    pub(super) moving: u64,
}

impl<'a> Host<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.view.id.as_str()
    }

    /// MiB that guests may use and do not.
    pub(super) fn free(&self) -> u64 {
        self.view.memory.0.saturating_sub(self.load)
    }
}

/// Why a guest cannot be moved while it runs.
pub(super) enum Obstacle<'a> {
    /// A device of its host that it has for itself.
    Device(&'a str),
    /// A disk that only its host has.
    LocalDisk(&'a str),
    /// A CD image or floppy from outside of the shared storage.
    Media(&'a str),
    /// What the driver says.
    Other(&'a str),
}

/// A guest that runs.
pub(super) struct Guest<'a> {
    pub(super) view: &'a GuestView,
    pub(super) facts: Option<&'a GuestFacts>,
    /// Index of its host.
    pub(super) host: usize,
    /// Why it cannot be moved; empty if it can.
    pub(super) obstacles: Vec<Obstacle<'a>>,
    /// What the policy says shall happen to it.
    pub(super) strategy: GuestStrategy,
    /// Whether a rule of the policy names it.
    pub(super) ruled: bool,
}

impl Guest<'_> {
    /// Whether it needs room on another host.
    pub(super) fn moves(&self) -> bool {
        self.obstacles.is_empty() && self.strategy == GuestStrategy::Migrate
    }
}

/// The survey by index. Hosts and guests keep the order of their names.
pub(super) struct Pool<'a> {
    pub(super) ground: Ground<'a>,
    /// What the hosts shall run.
    pub(super) target: Option<&'a ReleaseRef>,
    pub(super) hosts: Vec<Host<'a>>,
    /// Those that run.
    pub(super) guests: Vec<Guest<'a>>,
    /// Which rules of the policy name at least one guest.
    pub(super) used_rules: BTreeSet<usize>,
    by_name: HashMap<&'a HostId, usize>,
}

impl<'a> Pool<'a> {
    pub(super) fn new(ground: &Ground<'a>) -> Self {
        let (survey, world) = (ground.survey, &ground.survey.world);
        let target = ground
            .plan
            .map(|plan| &plan.target)
            .or_else(|| survey.release.as_ref().map(|release| &release.release));
        let excluded: BTreeSet<&HostId> = ground.plan.iter().flat_map(|plan| &plan.excluded).collect();
        let mut by_name = HashMap::with_capacity(world.hosts().len());
        let mut hosts = Vec::with_capacity(world.hosts().len());
        for view in world.hosts() {
            by_name.insert(&view.id, hosts.len());
            let done = target.is_some_and(|target| view.running == Some(target.digest));
            hosts.push(Host {
                view,
                facts: survey.hosts.get(&view.id),
                turn: !done && !excluded.contains(&view.id),
                in_service: view.reachable && !view.maintenance,
                load: 0,
                moving: 0,
            });
        }
        let rules = Rules::new(ground.policy);
        let mut used_rules = BTreeSet::new();
        let mut guests = Vec::with_capacity(world.guests().len());
        // Both are in the order of names, so one pass over each is enough.
        let mut told = survey.guests.iter().peekable();
        for view in world.guests() {
            while told.next_if(|(id, _)| **id < view.id).is_some() {}
            let facts = told.next_if(|(id, _)| **id == view.id).map(|(_, facts)| facts);
            let rule = rules.of(&view.id);
            if let Some((number, _)) = rule {
                used_rules.insert(number);
            }
            let Some(&host) = by_name.get(&view.host).filter(|_| view.running) else { continue };
            let obstacles = obstacles(view, facts);
            let strategy = match rule {
                Some((_, strategy)) => strategy,
                None if obstacles.is_empty() => GuestStrategy::Migrate,
                None => ground.policy.immovable_guests,
            };
            let guest = Guest { view, facts, host, obstacles, strategy, ruled: rule.is_some() };
            if let Some(host) = hosts.get_mut(host) {
                host.load = host.load.saturating_add(view.memory.0);
                if guest.moves() {
                    host.moving = host.moving.saturating_add(view.memory.0);
                }
            }
            guests.push(guest);
        }
        Self { ground: *ground, target, hosts, guests, used_rules, by_name }
    }

    /// A host by its name.
    pub(super) fn host(&self, id: &HostId) -> Option<&Host<'a>> {
        self.by_name.get(id).and_then(|&host| self.hosts.get(host))
    }

    /// Name of the pool.
    pub(super) fn name(&self) -> &'a str {
        self.ground.survey.world.pool().as_str()
    }

    /// The host of a guest.
    pub(super) fn host_of(&self, guest: &Guest<'a>) -> Option<&Host<'a>> {
        self.hosts.get(guest.host)
    }

    /// Guests that run on hosts with a turn, with their hosts.
    pub(super) fn guests_with_turn(&self) -> impl Iterator<Item = (&Guest<'a>, &Host<'a>)> {
        self.guests
            .iter()
            .filter_map(|guest| self.host_of(guest).map(|host| (guest, host)))
            .filter(|(_, host)| host.turn)
    }

    /// What running guests need of one kind (`net:`), and how many of them need it.
    pub(super) fn needed(&self, kind: &str) -> HashMap<&'a str, usize> {
        let mut needed = HashMap::new();
        for need in self.guests.iter().flat_map(|guest| &guest.view.needs) {
            if let Some(name) = need.strip_prefix(kind) {
                *needed.entry(name).or_default() += 1;
            }
        }
        needed
    }

    /// A feature that is on.
    pub(super) fn feature(&self, kind: FeatureKind) -> Option<&'a FeatureView> {
        self.ground.survey.world.feature(kind).filter(|feature| feature.is_on())
    }

    /// Hosts that can take guests.
    pub(super) fn in_service(&self) -> impl Iterator<Item = &Host<'a>> {
        self.hosts.iter().filter(|host| host.in_service)
    }

    /// Number, memory and load of the hosts that can take guests.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        let mut sizes: Vec<u64> = Vec::new();
        for host in self.in_service() {
            figures.hosts += 1;
            figures.memory = figures.memory.saturating_add(host.view.memory.0);
            figures.load = figures.load.saturating_add(host.load);
            figures.free = figures.free.saturating_add(host.free());
            sizes.push(host.view.memory.0);
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        figures.largest = sizes;
        figures
    }

    /// MiB that the policy keeps free.
    pub(super) fn reserve(&self, figures: &Figures) -> u64 {
        let hosts =
            figures.of_largest(usize::try_from(self.ground.policy.reserve_hosts).unwrap_or(usize::MAX));
        let share = u128::from(figures.memory) * u128::from(self.ground.policy.reserve_percent) / 100;
        hosts.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// Figures of the hosts that can take guests, in MiB.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) hosts: usize,
    pub(super) memory: u64,
    pub(super) load: u64,
    pub(super) free: u64,
    /// Memory of each host, the largest first.
    largest: Vec<u64>,
}

impl Figures {
    /// Memory of so many of the largest hosts.
    pub(super) fn of_largest(&self, hosts: usize) -> u64 {
        self.largest.iter().take(hosts).fold(0, |sum, size| sum.saturating_add(*size))
    }

    /// How many of the largest hosts have together no more than `memory`.
    pub(super) fn fit_into(&self, memory: u64) -> usize {
        let mut sum = 0_u64;
        let fits = |size: &&u64| {
            sum = sum.saturating_add(**size);
            sum <= memory
        };
        self.largest.iter().take_while(fits).count()
    }
}

/// What takes the suspension of a feature back.
pub(super) const RESTORED: &str = "The roll restores the value itself, in reverse order, also when it is stopped, \
                                   aborted or taken up after a crash; until then `lifeboat status` shows what is \
                                   suspended, since when and by which roll.";

/// What is done about a feature that a roll suspends.
pub(super) fn suspended(value: &str) -> String {
    format!("nothing: the roll suspends it and restores exactly \"{value}\" when it ends")
}

/// Memory for people.
pub(super) fn mib(memory: u64) -> Mib {
    Mib(memory)
}

fn obstacles<'a>(guest: &'a GuestView, facts: Option<&'a GuestFacts>) -> Vec<Obstacle<'a>> {
    let mut found = Vec::new();
    if let Some(facts) = facts {
        found.extend(facts.device.as_deref().map(Obstacle::Device));
        found.extend(facts.local_disk.as_deref().map(Obstacle::LocalDisk));
        found.extend(facts.media.as_deref().map(Obstacle::Media));
    }
    match &guest.movable {
        // The driver's reason is one of the facts, in other words.
        Movable::No { .. } if !found.is_empty() => {}
        Movable::No { reason } => found.push(Obstacle::Other(reason)),
        Movable::Yes => {}
    }
    found
}

/// The guest rules of a policy, so that most guests are compared with few of them.
struct Rules<'p> {
    plain: HashMap<&'p str, (usize, GuestStrategy)>,
    patterns: Vec<Pattern<'p>>,
}

struct Pattern<'p> {
    text: &'p str,
    /// The longest part without `*` and `?`: a name without it need not be compared.
    part: &'p str,
    /// Number and strategy of the rule.
    rule: (usize, GuestStrategy),
}

impl<'p> Rules<'p> {
    fn new(policy: &'p Policy) -> Self {
        let (mut plain, mut patterns) = (HashMap::new(), Vec::new());
        for (number, rule) in policy.guests.iter().enumerate() {
            for text in &rule.guests {
                let rule = (number, rule.strategy);
                if text.contains(['*', '?']) {
                    let part = text.split(['*', '?']).max_by_key(|part| part.len()).unwrap_or_default();
                    patterns.push(Pattern { text, part, rule });
                } else {
                    plain.entry(text.as_str()).or_insert(rule);
                }
            }
        }
        Self { plain, patterns }
    }

    /// The first rule that names a guest.
    fn of(&self, guest: &GuestId) -> Option<(usize, GuestStrategy)> {
        let name = guest.as_str();
        let plain = if self.plain.is_empty() { None } else { self.plain.get(name).copied() };
        let before = plain.map_or(usize::MAX, |(number, _)| number);
        let is_it = |pattern: &&Pattern<'_>| {
            pattern.text == "*" || (name.contains(pattern.part) && matches_name(pattern.text, name))
        };
        let pattern = self.patterns.iter().take_while(|pattern| pattern.rule.0 < before).find(is_it);
        pattern.map(|pattern| pattern.rule).or(plain)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::GuestRule;

    use super::*;

    #[test]
    fn the_first_rule_that_names_a_guest_counts_as_the_policy_says() {
        let rule = |names: &[&str], strategy| GuestRule {
            guests: names.iter().map(|name| (*name).to_owned()).collect(),
            strategy,
        };
        let policy = Policy {
            guests: vec![
                rule(&["db1", "web-*"], GuestStrategy::StopStart),
                rule(&["db?"], GuestStrategy::Leave),
                rule(&["web-1", "x"], GuestStrategy::Forbid),
                rule(&["*"], GuestStrategy::Migrate),
            ],
            ..Policy::default()
        };
        let rules = Rules::new(&policy);
        for name in ["db1", "db2", "web-1", "x", "other", "db22"] {
            let id = GuestId::new(name).unwrap();
            let found = rules.of(&id).map(|(_, strategy)| strategy);
            assert_eq!(found, Some(policy.strategy_of(&id, true)), "{name}");
        }
        assert!(Rules::new(&Policy::default()).of(&GuestId::new("a").unwrap()).is_none());
    }
}
