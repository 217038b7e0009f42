//! What a person may order while a roll goes on, and what of it is refused.

use lifeboat_model::{EventKind, OperatorVerb, Policy};

use crate::calendar::Calendar;
use crate::commands::command_problems;

/// The event that an order becomes. A policy that cannot be used is not taken over, and the reason is kept instead.
pub(crate) fn event(planned: &Policy, verb: OperatorVerb, who: String) -> EventKind {
    if let OperatorVerb::SetPolicy { policy } = &verb
        && let Some(text) = refusal(planned, policy)
    {
        return EventKind::Warned { code: "policy-refused".to_owned(), subject: who, text };
    }
    EventKind::Operator { verb, who }
}

/// Whether an order takes up a roll that a failure stopped. Any other waits until one of these comes.
pub(crate) fn takes_up(verb: &OperatorVerb) -> bool {
    match verb {
        OperatorVerb::Resume
        | OperatorVerb::Abort
        | OperatorVerb::Retry { .. }
        | OperatorVerb::Skip { .. } => true,
        OperatorVerb::Pause
        | OperatorVerb::PauseAfterHost
        | OperatorVerb::Stop
        | OperatorVerb::Approve { .. }
        | OperatorVerb::SetPolicy { .. }
        | OperatorVerb::HandOver => false,
    }
}

/// Why a policy cannot take the place of the one that the plan was made with.
fn refusal(planned: &Policy, new: &Policy) -> Option<String> {
    let mut reasons: Vec<String> = new.problems().iter().map(ToString::to_string).collect();
    let bound = planned.bound_to_plan(new);
    if !bound.is_empty() {
        let one = bound.len() == 1;
        let (verb, them) = if one { ("is", "it") } else { ("are", "them") };
        reasons
            .push(format!("{} {verb} bound to the plan: make a new plan to change {them}", bound.join(", ")));
    }
    reasons.extend(Calendar::new(new).err().map(|error| error.to_string()));
    reasons.extend(command_problems(new).iter().map(ToString::to_string));
    (!reasons.is_empty()).then(|| format!("the policy was not changed: {}", reasons.join("; ")))
}
