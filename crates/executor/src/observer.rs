//! Who looks on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lifeboat_model::{EffectKey, Event, Progress, RollId, Timestamp, World};
use lifeboat_roll::Journal;

/// A moment at which a controller may die. Tests kill it at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepPoint {
    /// Events are about to be appended.
    BeforeAppend,
    /// They are durable.
    AfterAppend,
    /// An effect is about to be ordered; its intent is durable.
    BeforeEffect,
    /// It was ordered.
    AfterEffect,
    /// The driver was asked for news, which are not in the journal yet.
    AfterPoll,
}

/// A roll at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Its name.
    pub roll: &'a RollId,
    /// Its state.
    pub journal: &'a Journal,
    /// The pool as it is seen.
    pub world: &'a World,
    /// How far running effects have come.
    pub progress: &'a BTreeMap<EffectKey, Progress>,
    /// The pool's time.
    pub now: Timestamp,
}

/// Looks on, and may end the controller.
pub trait Observer {
    /// Events were appended.
    fn appended(&mut self, _events: &[Event], _snapshot: Snapshot<'_>) {}

    /// The roll came to rest and waits; called at least at every wait.
    fn waiting(&mut self, _snapshot: Snapshot<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A moment at which the controller may die.
    fn step(&mut self, _point: StepPoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Observer for Quiet {}
