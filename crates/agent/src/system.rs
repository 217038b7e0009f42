//! What the agent runs on: a host with banks, or one whose root takes packages.

use std::sync::Arc;

use lifeboat_model::agent::AgentStatus;

use crate::{Host, Machine, PackageHost};

/// The system under the agent.
#[derive(Debug, Clone)]
pub enum System {
    /// One of two banks runs.
    Banks(Arc<Host>),
    /// There are no banks: packages are installed into the one root.
    Packages(Arc<PackageHost>),
}

impl System {
    /// What both have.
    pub fn machine(&self) -> &Machine {
        match self {
            Self::Banks(host) => host,
            Self::Packages(host) => host,
        }
    }

    /// The host as it is now.
    pub fn status(&self) -> AgentStatus {
        match self {
            Self::Banks(host) => host.status(),
            Self::Packages(host) => host.status(),
        }
    }
}
