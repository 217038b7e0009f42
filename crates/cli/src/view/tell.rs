//! One event as one line.

use lifeboat_model::{Effect, Event, EventKind, OperatorVerb, Outcome, Phase, RollEnd};

/// An event as programs read it.
#[derive(serde::Serialize)]
pub(crate) struct EventLine<'e> {
    form: u32,
    seq: u64,
    fence: u64,
    at: lifeboat_model::Timestamp,
    what: &'e EventKind,
}

impl<'e> EventLine<'e> {
    pub(crate) fn of(event: &'e Event) -> Self {
        Self { form: event.schema, seq: event.seq, fence: event.fence, at: event.at, what: &event.what }
    }

    /// Its position, by which it is named.
    pub(crate) fn name(&self) -> String {
        self.seq.to_string()
    }
}

/// A line for people; `None` for events that only the journal needs unless `all`.
pub(crate) fn tell(event: &Event, all: bool) -> Option<String> {
    match &event.what {
        EventKind::RollStarted { pool, plan, target } => Some(format!(
            "roll of pool {pool} to {} {} begins, plan {}",
            target.name,
            target.version,
            plan.short()
        )),
        EventKind::ControllerStarted { holder } => Some(format!("controller {holder} takes the roll up")),
        EventKind::Intent { attempt, effect, .. } => {
            let again = if *attempt > 1 { format!(" (try {attempt})") } else { String::new() };
            (all || *attempt > 1 || notable(effect)).then(|| format!("{effect}{again}"))
        }
        EventKind::Outcome { key, outcome } => match outcome {
            Outcome::Done { detail } | Outcome::NothingToDo { detail } => {
                let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                all.then(|| format!("{key} done{detail}"))
            }
            Outcome::Failed { reason, retriable } => {
                let again = if *retriable { "; may be tried again" } else { "" };
                Some(format!("{key} failed: {reason}{again}"))
            }
        },
        EventKind::HostPhase { host, phase } => Some(match phase {
            Phase::Leaving { exit } => format!("{host} is given back to the pool, then: {exit}"),
            phase => match phase.reason() {
                Some(reason) => format!("{host} {phase}: {reason}"),
                None => format!("{host} {phase}"),
            },
        }),
        EventKind::Halted { reason } => Some(format!("no further host is begun: {reason}")),
        EventKind::CoordinatorLost { host } => {
            Some(format!("coordinator {host} does not answer; nothing is begun"))
        }
        EventKind::CoordinatorBack { host } => Some(format!("coordinator {host} answers again")),
        EventKind::Operator { verb, who } => Some(match verb {
            OperatorVerb::Pause => format!("{who} ordered a pause"),
            OperatorVerb::PauseAfterHost => format!("{who} ordered a pause after the hosts in flight"),
            OperatorVerb::Stop => format!("{who} ordered to stop"),
            OperatorVerb::Approve { wave } => format!("{who} approved the waves up to {wave}"),
            OperatorVerb::SetPolicy { .. } => format!("{who} changed the policy"),
            OperatorVerb::HandOver => format!("{who} ordered to leave the roll to another controller"),
            OperatorVerb::Resume => format!("{who} ordered to go on"),
            OperatorVerb::Abort => format!("{who} ordered to abort"),
            OperatorVerb::Retry { host } => format!("{who} ordered another try of {host}"),
            OperatorVerb::Skip { host } => format!("{who} ordered to leave {host} out"),
        }),
        EventKind::RollEnded { end } => Some(match end {
            RollEnd::Completed => "the roll is completed: every planned host runs the release".to_owned(),
            RollEnd::CompletedWithExceptions { hosts } => {
                format!("the roll has ended; {hosts} of the planned hosts do not run the release")
            }
            RollEnd::Stopped { reason } => format!("the roll stopped: {reason}"),
            RollEnd::Aborted => "the roll was aborted; what could be undone was undone".to_owned(),
        }),
        EventKind::Held { reason, .. } => Some(format!("the roll pauses and waits for a person: {reason}")),
        EventKind::FeatureTouched { feature, value } => {
            Some(format!("somebody set {feature} to {value}; that value is restored at the end"))
        }
        EventKind::FeatureKept { feature, value, original } => {
            Some(format!("{feature} stays {value}, as somebody set it; before the roll it was {original}"))
        }
        EventKind::WindowOpened { .. } => Some("the maintenance window is open".to_owned()),
        EventKind::WindowClosed { .. } => {
            Some("the maintenance window is closed: no further host begins".to_owned())
        }
        EventKind::Warned { subject, text, .. } => Some(format!("warning: {subject}: {text}")),
        EventKind::SuspensionAdopted { feature, original, from } => {
            Some(format!("roll {from} switched {feature} off; its value {original} is restored at the end"))
        }
        EventKind::Unknown => all.then(|| "an event of a newer lifeboat".to_owned()),
    }
}
/// What a person wants to see without asking for everything: what happens to guests that do not move, what is switched
/// off and on, and what stands between waves.
fn notable(effect: &Effect) -> bool {
    match effect {
        Effect::StopGuest { .. }
        | Effect::StartGuest { .. }
        | Effect::Restart { .. }
        | Effect::SuspendFeature { .. }
        | Effect::RestoreFeature { .. }
        | Effect::RunGate { .. }
        | Effect::Mend { .. }
        | Effect::Unmend { .. } => true,
        Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::EnterMaintenance { .. }
        | Effect::LeaveMaintenance { .. }
        | Effect::Migrate { .. }
        | Effect::Place { .. }
        | Effect::Stage { .. }
        | Effect::Install { .. }
        | Effect::RebootInto { .. }
        | Effect::RunHook { .. } => false,
    }
}
