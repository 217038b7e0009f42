//! One state of the search.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use lifeboat_model::{Bank, Effect, EffectKey, FeatureKind, HostId, Outcome, Timestamp, World};

use super::fold::Fold;
use super::scene::Budget;

/// The pool with a key.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) world: Arc<World>,
    pub(crate) key: u64,
}

impl Seen {
    /// The key holds what the model's driver and persons can change.
    pub(crate) fn new(world: World) -> Self {
        let mut hasher = DefaultHasher::new();
        for host in world.hosts() {
            (host.reachable, &host.boot_id, host.active, host.running, host.maintenance).hash(&mut hasher);
            (host.failed_releases.len(), host.pending_reboot.len()).hash(&mut hasher);
            for bank in &host.banks {
                (bank.state as u8, bank.digest).hash(&mut hasher);
            }
        }
        for guest in world.guests() {
            (&guest.id, &guest.host, guest.running).hash(&mut hasher);
        }
        for feature in world.features() {
            (feature.kind, &feature.value).hash(&mut hasher);
        }
        Self { world: Arc::new(world), key: hasher.finish() }
    }
}

/// A controller: what it decided and has not ordered yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leader {
    pub(crate) hand: Vec<Effect>,
    /// What a faulty variant keeps in memory: this process ordered the suspensions itself.
    pub(crate) remembers: bool,
}

/// An order that the driver has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) effect: Effect,
    /// The controller that gave it lives and waits for its end.
    pub(crate) mine: bool,
}

/// A controller that sleeps: it knows what it knew.
#[derive(Clone)]
pub(crate) struct Sleeper {
    pub(crate) leader: Leader,
    pub(crate) fold: Fold,
    pub(crate) seen: Seen,
    pub(crate) fence: u64,
}

/// A host that was told to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Boot {
    /// It is down, and will try this bank.
    Down(u8),
    /// It runs this bank on trial.
    Trying(u8),
    /// It is down, and comes back as it was.
    Again,
    /// It does not come back.
    Gone,
}

pub(crate) fn number(bank: Bank) -> u8 {
    u8::from(bank == Bank::B)
}

pub(crate) fn bank_of(number: u8) -> Bank {
    if number == 0 { Bank::A } else { Bank::B }
}

/// What must never happen, and did.
#[expect(clippy::struct_excessive_bools, reason = "each is a promise of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Broken {
    pub(crate) guest_lost: bool,
    pub(crate) guest_twice: bool,
    pub(crate) rebooted_full: bool,
    pub(crate) bad_bank: bool,
    pub(crate) stale_acted: bool,
    pub(crate) unrecordable: bool,
    pub(crate) moved_while_on: bool,
    pub(crate) person_overruled: bool,
    pub(crate) outside_window: bool,
    pub(crate) unapproved: bool,
    pub(crate) last_too_early: bool,
    /// What a hook had prepared was not ended.
    pub(crate) untidy: bool,
    pub(crate) before_preflight: bool,
    /// A feature was restored while a guest was being placed.
    pub(crate) restored_early: bool,
    /// A guest was placed on a host with an older release than the one it came from.
    pub(crate) back_to_old: bool,
    /// A host left maintenance while it was being rebooted.
    pub(crate) left_early: bool,
}

/// One state: the pool, the journal, the driver, the controllers, and what may still happen.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) seen: Seen,
    pub(crate) fold: Fold,
    pub(crate) leader: Option<Leader>,
    pub(crate) sleeper: Option<Box<Sleeper>>,
    /// Number of the controller that acts; the journal's is the same, or older.
    pub(crate) fence: u64,
    /// Orders that the driver has begun and not ended.
    pub(crate) under_way: BTreeMap<EffectKey, Order>,
    /// Ends that the controller has not heard.
    pub(crate) news: BTreeMap<EffectKey, Outcome>,
    pub(crate) boots: BTreeMap<HostId, Boot>,
    pub(crate) left: Budget,
    /// What a person gave a feature during the roll.
    pub(crate) given: BTreeMap<FeatureKind, String>,
    /// What has gone wrong so far: behaviours with and without a crash are compared by it.
    pub(crate) luck: Vec<String>,
    /// The controller died or was replaced at least once.
    pub(crate) crashed: bool,
    /// The gate of the policy has let a wave begin.
    pub(crate) gate_opened: bool,
    /// Hosts on which a hook has prepared something that the last stage has not ended.
    pub(crate) prepared: BTreeSet<HostId>,
    /// Hosts whose preflight hook has passed, as far as anybody heard.
    pub(crate) passed: BTreeSet<HostId>,
    pub(crate) broken: Broken,
    pub(crate) now: Timestamp,
    /// Steps so far; not part of what makes two states one.
    pub(crate) steps: usize,
}

impl State {
    pub(crate) fn world(&self) -> &World {
        &self.seen.world
    }

    /// Whether the driver is at work, or a host on its way back. A host that does not come back keeps nobody busy.
    pub(crate) fn busy(&self) -> bool {
        let gone = |host: &HostId| self.boots.get(host) == Some(&Boot::Gone);
        self.under_way.values().any(|order| match &order.effect {
            Effect::Restart { host, .. } => !gone(host),
            _ => true,
        }) || self.boots.values().any(|boot| *boot != Boot::Gone)
    }

    /// Whether this host is being rebooted as it is.
    pub(crate) fn restarts(&self, id: &HostId) -> bool {
        self.boots.get(id) != Some(&Boot::Gone)
            && self
                .under_way
                .values()
                .any(|order| matches!(&order.effect, Effect::Restart { host, .. } if host == id))
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seen.key, self.fold.key).hash(state);
        hash_leader(self.leader.as_ref(), state);
        if let Some(sleeper) = &self.sleeper {
            hash_leader(Some(&sleeper.leader), state);
            (sleeper.fold.key, sleeper.seen.key, sleeper.fence == self.fence).hash(state);
        }
        self.under_way.len().hash(state);
        for (key, order) in &self.under_way {
            (&key.0, told(&order.effect), order.mine).hash(state);
        }
        for (key, outcome) in &self.news {
            (&key.0, format!("{outcome:?}")).hash(state);
        }
        (&self.prepared, &self.passed).hash(state);
        (&self.boots, self.left, &self.given, &self.luck, self.crashed, self.gate_opened, self.broken)
            .hash(state);
    }
}

fn hash_leader<H: Hasher>(leader: Option<&Leader>, state: &mut H) {
    leader.map(|leader| (leader.hand.len(), leader.remembers)).hash(state);
    for effect in leader.iter().flat_map(|leader| &leader.hand) {
        told(effect).hash(state);
    }
}

fn told(effect: &Effect) -> String {
    format!("{effect:?}")
}

/// Only used by the checker to follow a path again.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let hash = |state: &Self| {
            let mut hasher = DefaultHasher::new();
            state.hash(&mut hasher);
            hasher.finish()
        };
        hash(self) == hash(other)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases: Vec<String> =
            self.fold.journal.hosts().iter().map(|run| format!("{} {}", run.host, run.phase)).collect();
        f.debug_struct("State")
            .field("phases", &phases)
            .field("status", self.fold.journal.status())
            .field("under_way", &self.under_way.keys().collect::<Vec<_>>())
            .field("luck", &self.luck)
            .finish_non_exhaustive()
    }
}
