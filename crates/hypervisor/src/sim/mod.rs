//! The embedded simulated pool (being built).
