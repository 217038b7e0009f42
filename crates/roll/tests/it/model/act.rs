//! One step of a behaviour, in words.

use lifeboat_model::{EffectKey, FeatureKind, HostId};

use super::driver::Next;

/// How an effect ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    /// It fails, and another try may help.
    Again,
    /// It fails for good.
    Firm,
    /// A hook says that nothing is to be done on its host.
    Nothing,
}

/// One step of a behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// The controller decides, and appends records and intents in one step.
    Decide,
    /// The controller orders the first effect that it intends.
    Give,
    /// An effect ends at the driver.
    End(EffectKey, How),
    /// The controller records an end that it has not heard yet.
    Hear(EffectKey),
    /// A host that was told to reboot takes its next step.
    Boot(HostId, Next),
    /// The controller dies.
    Crash,
    /// Another controller takes the roll up.
    Restart,
    /// The controller sleeps.
    Sleep,
    /// It wakes up and goes on with what it knows.
    Wake,
    /// Every wait and every limit that runs is over.
    Tick,
    /// A person orders something.
    Verb(usize),
    /// A person gives a feature a value.
    Touch(FeatureKind, usize),
    /// A person brings a guest to a host in maintenance.
    Stray(HostId),
    /// The maintenance windows open or close.
    Window(bool),
}
