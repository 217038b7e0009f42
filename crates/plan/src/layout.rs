//! The ramp's result by numbers, before it gets names.
//!
//! Owns: [`Layout`] and its parts. Does not: decide.

/// One host's turn.
#[derive(Debug)]
pub(crate) struct LaidStep {
    pub(crate) host: usize,
    /// From 1.
    pub(crate) wave: u32,
    /// Guest and target.
    pub(crate) moves: Vec<(usize, usize)>,
}

/// Why a guest has no target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lack {
    pub(crate) guest: usize,
    /// Host with the most room among those that were asked and offer what the guest needs, and its room in MiB.
    pub(crate) largest: Option<(usize, u64)>,
    /// Hosts that were asked; not counted if the guest can go everywhere.
    pub(crate) asked: usize,
    /// Of those, hosts with room enough, whatever they offer; not counted if the guest can go everywhere.
    pub(crate) with_room: usize,
    /// Hosts with room enough, and all that it needs, that have another guest of the same keep-apart group.
    pub(crate) kept_apart: usize,
    /// Guests of the same host that had got a target before.
    pub(crate) placed: usize,
    /// Whether only upgraded hosts were asked.
    pub(crate) upgraded_only: bool,
}

/// Why a host has no turn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stuck {
    /// One of its guests has no target.
    Guest(Lack),
    /// Another host must be first and cannot be upgraded.
    First(usize),
}

/// Turns of hosts and the hosts without one.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) steps: Vec<LaidStep>,
    pub(crate) stuck: Vec<(usize, Stuck)>,
}
