//! Promises of lifeboat-topology.
