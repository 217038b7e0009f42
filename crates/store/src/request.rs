//! What operators ordered from other processes.

use lifeboat_model::OperatorVerb;

/// An order that the controller of the roll has not taken over yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Number of the order.
    pub id: i64,
    /// What is ordered.
    pub verb: OperatorVerb,
    /// Who ordered it.
    pub who: String,
}
