//! What a roll with a damaged journal left behind, as far as its events tell it.
//!
//! Owns: the meaning of salvaged events, and the file that keeps it (`recovered/ROLL.json` in the state directory).
//! Promises: a value is taken for true only if an event that is proved whole holds it, or a person named it; what is
//! hearsay or unknown is kept apart and said. Does not: look at the pool, or change anything in it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lifeboat_model::{
    Effect, EventKind, FeatureKind, GuestId, HostId, OperatorVerb, Outcome, Phase, RollId, Timestamp,
};
use lifeboat_store::{Salvage, Store};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Kind};
use crate::files::{ReplaceError, read_text, replace};
use crate::state::StateDir;

const FORM: &str = "lifeboat.salvage/1";

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Proof {
    /// An event that is proved whole says it.
    Proved,
    /// A person said it.
    Person,
    /// An event that is damaged says it, or events are missing that could say otherwise.
    Hearsay,
    /// Nothing says it.
    Unknown,
}

impl Proof {
    /// Whether something may be done on it.
    pub(crate) fn holds(self) -> bool {
        match self {
            Self::Proved | Self::Person => true,
            Self::Hearsay | Self::Unknown => false,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Person => "named by a person",
            Self::Hearsay => "hearsay",
            Self::Unknown => "unknown",
        }
    }
}

/// How a feature, host or guest stands in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stand {
    /// Not looked at yet.
    NotSeen,
    /// As the roll left it: off, in maintenance, shut down.
    Left,
    /// As it was before the roll; nothing to do.
    AsBefore,
    /// Somebody gave it another value; it is left alone.
    Other,
    /// This recovery put it back.
    Restored,
    /// It does not answer, or is not well.
    NotWell,
}

/// A place that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DamageLine {
    pub(crate) seq: Option<u64>,
    pub(crate) reason: String,
}

/// A feature that the roll had switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FeatureLeft {
    pub(crate) feature: FeatureKind,
    /// The value it had before.
    pub(crate) original: Option<String>,
    pub(crate) proof: Proof,
    /// The event that says so.
    pub(crate) seq: Option<u64>,
    /// The value it has in the pool.
    pub(crate) now: Option<String>,
    pub(crate) stand: Stand,
}

/// A host that the roll had in its hands.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a form that programs read")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostLeft {
    pub(crate) host: HostId,
    /// The last phase that is known.
    pub(crate) phase: String,
    pub(crate) in_flight: bool,
    /// The roll ordered maintenance, and is not known to have ended it.
    pub(crate) maintenance: bool,
    /// It was told to reboot, and is not known to have been judged.
    pub(crate) rebooting: bool,
    /// The alternate bank was being written.
    pub(crate) installing: bool,
    pub(crate) proof: Proof,
    pub(crate) stand: Stand,
}

/// A guest that the roll had shut down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GuestLeft {
    pub(crate) guest: GuestId,
    pub(crate) host: HostId,
    pub(crate) proof: Proof,
    pub(crate) stand: Stand,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Salvaged {
    /// Form of the file.
    pub(crate) form: String,
    pub(crate) roll: RollId,
    pub(crate) pool: String,
    /// Events that could be read, and of those the proved ones.
    pub(crate) events: u64,
    pub(crate) proved: u64,
    /// Position of the last event that was written.
    pub(crate) last: u64,
    /// Whether the plan is the one that was approved.
    pub(crate) plan_whole: bool,
    pub(crate) damage: Vec<DamageLine>,
    pub(crate) features: Vec<FeatureLeft>,
    pub(crate) hosts: Vec<HostLeft>,
    pub(crate) guests: Vec<GuestLeft>,
    /// Orders of people that could be read.
    pub(crate) orders: Vec<String>,
    /// Copies of the damaged file.
    pub(crate) copies: Vec<PathBuf>,
    /// When it was last brought up to date.
    pub(crate) at: Timestamp,
}

/// A suspension while the events are read.
struct Off {
    original: String,
    seq: u64,
    proof: Proof,
    restored: bool,
}

/// Reads the meaning of what was salvaged.
pub(crate) fn read(salvage: &Salvage) -> Salvaged {
    let mut reader = Reader::default();
    for event in &salvage.events {
        let proof = if event.doubt.is_none() { Proof::Proved } else { Proof::Hearsay };
        reader.take(event.event.seq, &event.event.what, proof);
    }
    let damaged_after = |seq: u64| salvage.damage.iter().any(|damage| damage.seq.is_none_or(|at| at > seq));
    let mut features: Vec<FeatureLeft> = Vec::new();
    for (feature, off) in reader.features {
        // What was given back is left alone, unless events are missing in which it may have been taken again.
        if off.restored && !damaged_after(off.seq) {
            continue;
        }
        let proof = if off.restored { Proof::Hearsay } else { off.proof };
        let (original, seq) = (Some(off.original), Some(off.seq));
        features.push(FeatureLeft { feature, original, proof, seq, now: None, stand: Stand::NotSeen });
    }
    // The plan names what a roll switches off, but not which value it had.
    for feature in salvage.plan.iter().flat_map(|plan| &plan.suspends) {
        if !salvage.damage.is_empty() && !reader.named.contains(feature) {
            let (proof, stand) = (Proof::Unknown, Stand::NotSeen);
            features.push(FeatureLeft {
                feature: *feature,
                original: None,
                proof,
                seq: None,
                now: None,
                stand,
            });
        }
    }
    Salvaged {
        form: FORM.to_owned(),
        roll: salvage.roll.clone(),
        pool: salvage.pool.to_string(),
        events: salvage.events.len() as u64,
        proved: salvage.proved() as u64,
        last: salvage.last,
        plan_whole: salvage.plan.is_some(),
        damage: salvage
            .damage
            .iter()
            .map(|damage| DamageLine { seq: damage.seq, reason: damage.reason.clone() })
            .collect(),
        features,
        hosts: reader.hosts.into_values().collect(),
        guests: reader.guests.into_values().collect(),
        orders: reader.orders,
        copies: Vec::new(),
        at: Timestamp(0),
    }
}

#[derive(Default)]
struct Reader {
    features: BTreeMap<FeatureKind, Off>,
    named: Vec<FeatureKind>,
    hosts: BTreeMap<HostId, HostLeft>,
    guests: BTreeMap<GuestId, GuestLeft>,
    open: BTreeMap<String, (Effect, Proof)>,
    orders: Vec<String>,
}

impl Reader {
    fn host(&mut self, host: &HostId) -> &mut HostLeft {
        self.hosts.entry(host.clone()).or_insert_with(|| HostLeft {
            host: host.clone(),
            phase: "unknown".to_owned(),
            in_flight: false,
            maintenance: false,
            rebooting: false,
            installing: false,
            proof: Proof::Proved,
            stand: Stand::NotSeen,
        })
    }

    fn off(&mut self, seq: u64, feature: FeatureKind, original: &str, proof: Proof) {
        self.named.push(feature);
        let known = self.features.get(&feature);
        // The first intent has the value from before; a repetition of it must not weaken a proof.
        if known.is_none_or(|off| off.restored || (off.proof == Proof::Hearsay && proof == Proof::Proved)) {
            let off = Off { original: original.to_owned(), seq, proof, restored: false };
            self.features.insert(feature, off);
        }
    }

    fn take(&mut self, seq: u64, what: &EventKind, proof: Proof) {
        match what {
            EventKind::Intent { key, effect, .. } => {
                self.intent(seq, effect, proof);
                self.open.insert(key.0.clone(), (effect.clone(), proof));
            }
            EventKind::Outcome { key, outcome } => {
                if let (Outcome::Done { .. }, Some((effect, ordered))) = (outcome, self.open.remove(&key.0)) {
                    let sure = if ordered == Proof::Proved { proof } else { Proof::Hearsay };
                    self.done(seq, &effect, sure);
                }
            }
            EventKind::HostPhase { host, phase } => {
                let left = self.host(host);
                phase.word().clone_into(&mut left.phase);
                left.in_flight = phase.in_flight();
                left.proof = proof;
                if matches!(phase, Phase::Verified | Phase::Leaving { .. }) || !phase.in_flight() {
                    left.rebooting = false;
                    left.installing = false;
                }
                if matches!(phase, Phase::Installed) {
                    left.installing = false;
                }
            }
            EventKind::FeatureTouched { feature, value } => {
                self.features.remove(feature);
                self.off(seq, *feature, value, proof);
            }
            EventKind::FeatureKept { feature, .. } => self.restored(seq, *feature, proof),
            EventKind::SuspensionAdopted { feature, original, .. } => {
                self.off(seq, *feature, original, proof);
            }
            EventKind::Operator { verb, who } => {
                let mark = if proof == Proof::Proved { "" } else { " (hearsay)" };
                self.orders.push(format!("event {seq}: {who}: {}{mark}", verb_word(verb)));
            }
            EventKind::RollStarted { .. }
            | EventKind::ControllerStarted { .. }
            | EventKind::Halted { .. }
            | EventKind::CoordinatorLost { .. }
            | EventKind::CoordinatorBack { .. }
            | EventKind::RollEnded { .. }
            | EventKind::Held { .. }
            | EventKind::WindowOpened { .. }
            | EventKind::WindowClosed { .. }
            | EventKind::Warned { .. }
            | EventKind::Unknown => {}
        }
    }

    fn intent(&mut self, seq: u64, effect: &Effect, proof: Proof) {
        match effect {
            // The order to restore holds the value too: it proves it where the suspension itself was lost.
            Effect::SuspendFeature { feature, original } | Effect::RestoreFeature { feature, original } => {
                self.off(seq, *feature, original, proof);
            }
            Effect::EnterMaintenance { host } => {
                let left = self.host(host);
                left.maintenance = true;
                left.proof = proof;
            }
            Effect::Install { host, .. } => self.host(host).installing = true,
            Effect::RebootInto { host, .. } | Effect::Restart { host, .. } => {
                self.host(host).rebooting = true;
            }
            Effect::StopGuest { guest, host } => {
                let (guest, host) = (guest.clone(), host.clone());
                let stand = Stand::NotSeen;
                self.guests.insert(guest.clone(), GuestLeft { guest, host, proof, stand });
            }
            Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Migrate { .. }
            | Effect::Stage { .. }
            | Effect::StartGuest { .. }
            | Effect::Place { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => {}
        }
    }

    fn done(&mut self, seq: u64, effect: &Effect, proof: Proof) {
        match effect {
            Effect::RestoreFeature { feature, .. } => self.restored(seq, *feature, proof),
            // On hearsay a host is still taken for one in maintenance: the pool tells whether it is.
            Effect::LeaveMaintenance { host } if proof == Proof::Proved => {
                self.host(host).maintenance = false;
            }
            Effect::StartGuest { guest, .. } if proof == Proof::Proved => {
                self.guests.remove(guest);
            }
            Effect::Install { host, .. } => self.host(host).installing = false,
            Effect::SuspendFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Migrate { .. }
            | Effect::Stage { .. }
            | Effect::RebootInto { .. }
            | Effect::Restart { .. }
            | Effect::StopGuest { .. }
            | Effect::StartGuest { .. }
            | Effect::Place { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => {}
        }
    }

    fn restored(&mut self, seq: u64, feature: FeatureKind, proof: Proof) {
        if let Some(off) = self.features.get_mut(&feature)
            && proof == Proof::Proved
        {
            off.restored = true;
            off.seq = seq;
        }
    }
}

fn verb_word(verb: &OperatorVerb) -> String {
    match verb {
        OperatorVerb::Pause => "pause".to_owned(),
        OperatorVerb::Resume => "go on".to_owned(),
        OperatorVerb::Abort => "abort".to_owned(),
        OperatorVerb::Retry { host } => format!("try {host} again"),
        OperatorVerb::Skip { host } => format!("leave {host} out"),
        OperatorVerb::PauseAfterHost => "pause after the hosts in flight".to_owned(),
        OperatorVerb::Stop => "stop".to_owned(),
        OperatorVerb::Approve { wave } => format!("approve the waves up to {wave}"),
        OperatorVerb::SetPolicy { .. } => "another policy".to_owned(),
        OperatorVerb::HandOver => "hand over".to_owned(),
    }
}

/// Where the result of a recovery is kept: beside the journal.
fn place(store: &Store, roll: &RollId) -> PathBuf {
    store.path().parent().unwrap_or(Path::new(".")).join("recovered").join(format!("{roll}.json"))
}

/// Where the recovery of a roll is journaled.
pub(crate) fn log_place(store: &Store, roll: &RollId) -> PathBuf {
    place(store, roll).with_extension("log.jsonl")
}

/// Keeps the result.
pub(crate) fn keep(store: &Store, salvaged: &Salvaged) -> Result<(), CliError> {
    let path = place(store, &salvaged.roll);
    if let Some(folder) = path.parent() {
        StateDir::make_dir(folder)?;
    }
    let bug = |cause| CliError::new(Kind::Bug, "writing what was salvaged as JSON").because(cause);
    let bytes = serde_json::to_vec_pretty(salvaged).map_err(bug)?;
    replace(&path, 0o600, |file| file.write_all(&bytes).map_err(ReplaceError::from))
}

/// The result of an earlier recovery; none if there was none.
pub(crate) fn kept(store: &Store, roll: &RollId) -> Result<Option<Salvaged>, CliError> {
    let path = place(store, roll);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(&path, "what was salvaged", 64 << 20)?;
    let damaged = |cause: String| {
        CliError::new(Kind::Failed, format!("{} is damaged", path.display()))
            .because(cause)
            .remedy(format!("remove it, and salvage again: lifeboat roll recover {roll}"))
    };
    let salvaged: Salvaged = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if salvaged.form != FORM {
        return Err(damaged(format!("its form is {:?}; this program knows {FORM:?}", salvaged.form)));
    }
    Ok(Some(salvaged))
}

/// Features that a recovered roll left off and whose values nobody has proved or named.
pub(crate) fn unsettled(store: &Store, roll: &RollId) -> Vec<FeatureKind> {
    let Ok(Some(salvaged)) = kept(store, roll) else { return Vec::new() };
    let open = salvaged.features.iter().filter(|left| left.stand == Stand::Left && !left.proof.holds());
    open.map(|left| left.feature).collect()
}

/// Features that a recovered roll left off and whose values are proved or named by a person: what a new roll adopts.
pub(crate) fn adoptable(
    store: &Store,
    roll: &RollId,
) -> Result<Vec<(FeatureKind, String, RollId)>, CliError> {
    let salvaged = kept(store, roll)?.ok_or_else(|| {
        CliError::new(Kind::NotFound, format!("roll {roll} was not recovered"))
            .remedy(format!("lifeboat roll recover {roll}"))
    })?;
    let left = salvaged.features.into_iter().filter(|left| left.stand == Stand::Left && left.proof.holds());
    Ok(left.filter_map(|left| Some((left.feature, left.original?, roll.clone()))).collect())
}
