//! What the driver and its workers share: answers.

use lifeboat_model::Outcome;

/// What was done, or why not and whether another try may help.
pub(super) type Answer = Result<String, (String, bool)>;

/// An answer as the outcome of an effect.
pub(super) fn outcome(answer: Answer) -> Outcome {
    match answer {
        Ok(detail) => Outcome::Done { detail: Some(detail) },
        Err((reason, retriable)) => Outcome::Failed { reason, retriable },
    }
}
