//! The trait that every driver implements.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_model::{
    Effect, EffectKey, FeatureView, GuestId, GuestView, HostId, HostView, Outcome, Progress, ReleaseRef,
    Survey, Timestamp, World, WorldError,
};
use thiserror::Error;

/// What a driver tells between two questions.
#[derive(Debug, Clone, PartialEq)]
pub enum DriverEvent {
    /// An effect ended.
    Outcome {
        /// The name under which it was ordered.
        key: EffectKey,
        /// How it ended.
        outcome: Outcome,
    },
    /// A host is seen anew.
    Host(Box<HostView>),
    /// A guest is seen anew.
    Guest(GuestView),
    /// A guest is gone from the pool.
    GuestGone(GuestId),
    /// A feature is seen anew.
    Feature(FeatureView),
    /// How far an effect has come; may be dropped.
    Progress {
        /// The name under which it was ordered.
        key: EffectKey,
        /// How far.
        progress: Progress,
    },
}

/// Why a driver cannot answer at all. Trouble with one effect is an [`Outcome`], not this.
#[derive(Debug, Error)]
pub enum DriverError {
    /// The pool cannot be reached or read.
    #[error("{doing}: {reason}; {remedy}")]
    Unreachable {
        /// What was being done to what.
        doing: String,
        /// Why it failed.
        reason: String,
        /// What a person can do.
        remedy: String,
    },
    /// A file of the pool cannot be read or written.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file of the pool has wrong content.
    #[error("{path} is damaged: {reason}; {remedy}")]
    Damaged {
        /// The file.
        path: String,
        /// Where and what.
        reason: String,
        /// What a person can do.
        remedy: String,
    },
    /// What the pool says of itself contradicts itself.
    #[error("the pool's own description is wrong")]
    World(#[from] WorldError),
}

/// A host with the guests on it, as they are seen now.
#[derive(Debug, Clone, PartialEq)]
pub struct HostLook {
    /// The host.
    pub host: HostView,
    /// The guests that are on it, running or not.
    pub guests: Vec<GuestView>,
}

/// Speaks to one pool. One thread uses it; a driver may have threads of its own behind it.
pub trait Hypervisor {
    /// Reads the whole pool afresh.
    ///
    /// # Errors
    /// [`DriverError`] if the pool as such cannot be read. A host that does not answer is part of the world
    /// (`reachable` is false), not an error.
    fn observe(&mut self) -> Result<World, DriverError>;

    /// Reads these hosts and the guests on them afresh. A host that is not in the pool any more is left out.
    ///
    /// # Errors
    /// As [`Hypervisor::observe`].
    fn look_at(&mut self, hosts: &BTreeSet<HostId>) -> Result<Vec<HostLook>, DriverError> {
        let world = self.observe()?;
        let looks = hosts.iter().filter_map(|id| world.host(id)).map(|host| HostLook {
            host: host.clone(),
            guests: world.guests_on(&host.id).cloned().collect(),
        });
        Ok(looks.collect())
    }

    /// Reads the whole pool afresh, with everything that checks want to know beyond it. `release` is the one that is
    /// to come, if one was named. What a driver cannot tell it leaves unknown.
    ///
    /// # Errors
    /// As [`Hypervisor::observe`].
    fn survey(&mut self, release: Option<&ReleaseRef>) -> Result<Survey, DriverError> {
        let _ = release;
        let world = self.observe()?;
        Ok(Survey::of_world(world, self.now()))
    }

    /// The fencing number of the controller that speaks: what is ordered from now on carries it, and whoever carries
    /// orders out refuses those of a lower one. Drivers whose pool cannot keep such a number ignore it.
    fn set_fence(&mut self, fence: u64) {
        let _ = fence;
    }

    /// Begins an effect and returns soon. Its end comes as [`DriverEvent::Outcome`] under the same key, also
    /// when there was nothing to do.
    ///
    /// # Errors
    /// [`DriverError`] only if the driver as such is broken.
    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError>;

    /// Gives what happened since the last call, in the order in which it happened: what is seen of the world stands
    /// before the outcome of the effect that changed it; waits at most `wait` for the first event.
    ///
    /// # Errors
    /// [`DriverError`] only if the driver as such is broken.
    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError>;

    /// The pool's time. A simulated pool may have a clock of its own.
    fn now(&self) -> Timestamp;
}
