//! Who may depend on whom. The picture that these tests hold is in ARCHITECTURE.md.

use std::collections::BTreeSet;

use crate::workspace::{Kind, Workspace, built_into};

/// Rooms without I/O.
pub(crate) const PURE: [&str; 5] = ["plan", "roll", "bank", "bundle", "depot"];
const PROGRAMS: [&str; 3] = ["agent", "cli", "server"];

/// Each room that has rules of its own, and the rooms that it may build upon.
const MAY: [(&str, &[&str]); 19] = [
    ("model", &[]),
    ("plan", &["model"]),
    ("roll", &["model"]),
    ("bank", &["model"]),
    ("bundle", &["model"]),
    ("depot", &["model"]),
    ("device", &["model", "bank"]),
    ("libvirt", &[]),
    ("wire", &["model"]),
    ("packages", &["model"]),
    ("topology", &["model"]),
    ("hoststate", &["model", "topology"]),
    ("kvmlab", &["model", "bank", "bundle", "device"]),
    ("server", &["model", "wire"]),
    ("hypervisor", &["model", "bank", "bundle", "device", "libvirt", "wire"]),
    ("store", &["model"]),
    ("repo", &["model", "bundle"]),
    ("executor", &["model", "roll", "store", "hypervisor"]),
    ("agent", &["model", "bank", "bundle", "device", "libvirt", "wire", "packages", "hoststate", "topology"]),
];

/// What pure rooms may ask of others: words, errors, arithmetic on bytes.
const PURE_OUTSIDE: [&str; 16] = [
    "blake3",
    "cms",
    "crc32fast",
    "der",
    "ed25519-dalek",
    "fastcdc",
    "flate2",
    "num-bigint",
    "quick-xml",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "thiserror",
    "x509-cert",
    "zstd",
];

/// Crates that reach the clock, the system, randomness or a disk.
const IMPURE: [&str; 12] = [
    "rusqlite",
    "libsqlite3-sys",
    "rustix",
    "nix",
    "getrandom",
    "rand_core",
    "rand",
    "jiff",
    "chrono",
    "time",
    "tempfile",
    "tokio",
];

/// Crates that this project does without, and why.
const NOWHERE: [(&str, &str); 2] = [("openssl-sys", "a C library of the system"), ("chrono", "time is jiff")];
/// Crates that reach a network or hold keys, and the rooms that they may be built into.
const NETWORK: [(&[&str], &[&str]); 3] = [
    (&["tough", "ureq"], &["repo", "cli", "bench"]),
    (&["tokio"], &["repo", "cli", "bench", "server"]),
    (
        &["aws-lc-sys", "rustls"],
        &["repo", "cli", "bench", "server", "wire", "libvirt", "agent", "hypervisor", "executor"],
    ),
];

/// Builds in the tests of a room count less: they may look further, but not into a program.
const BUILT: [Kind; 2] = [Kind::Normal, Kind::Build];

#[test]
fn every_room_builds_only_upon_the_rooms_below_it() {
    let workspace = Workspace::read();
    for (room, may) in MAY {
        let may: BTreeSet<&str> = may.iter().copied().collect();
        let asks = workspace.rooms(room, &BUILT);
        let beyond: Vec<_> = asks.difference(&may).collect();
        assert!(beyond.is_empty(), "{room} depends on {beyond:?}; it may depend on {may:?}");
    }
}

#[test]
fn every_crate_of_the_workspace_has_a_place_in_these_rules() {
    let named: BTreeSet<&str> = MAY.iter().map(|(room, _)| *room).chain(["cli", "bench", "lab"]).collect();
    for room in Workspace::read().crates.keys() {
        assert!(
            named.contains(room.as_str()),
            "{room} is new: give it a line in layers.rs and ARCHITECTURE.md"
        );
    }
}

#[test]
fn pure_rooms_never_depend_on_each_other_not_even_in_tests() {
    let workspace = Workspace::read();
    for room in PURE {
        let asks = workspace.rooms(room, &[Kind::Normal, Kind::Build, Kind::Dev]);
        let others: Vec<_> = PURE.iter().filter(|other| asks.contains(*other)).collect();
        assert!(others.is_empty(), "{room} depends on {others:?}");
    }
}

#[test]
fn nothing_depends_on_a_program_or_on_the_benchmarks() {
    let workspace = Workspace::read();
    for room in workspace.crates.keys() {
        let asks = workspace.rooms(room, &[Kind::Normal, Kind::Build, Kind::Dev]);
        for top in PROGRAMS.iter().chain(&["bench"]) {
            assert!(!asks.contains(top), "{room} depends on {top}");
        }
    }
}

#[test]
fn the_lab_is_a_dependency_of_tests_only() {
    let workspace = Workspace::read();
    for room in workspace.crates.keys() {
        assert!(!workspace.rooms(room, &BUILT).contains("lab"), "{room} builds upon lab outside its tests");
    }
}

#[test]
fn pure_rooms_ask_only_for_words_errors_and_arithmetic() {
    let workspace = Workspace::read();
    for room in PURE.iter().chain(&["model"]) {
        let beyond: Vec<_> =
            workspace.outside(room).into_iter().filter(|name| !PURE_OUTSIDE.contains(name)).collect();
        assert!(beyond.is_empty(), "{room} asks for {beyond:?}; pure rooms may ask for {PURE_OUTSIDE:?}");
    }
}

#[test]
fn nothing_that_reaches_clock_system_or_randomness_is_built_into_a_pure_room() {
    for room in PURE.iter().chain(&["model"]) {
        let built = built_into(room);
        assert!(built.contains("serde"), "cargo tree shows nothing of {room}");
        let reached: Vec<_> = IMPURE.iter().filter(|name| built.contains(**name)).collect();
        assert!(reached.is_empty(), "{reached:?} is built into {room}");
    }
}

#[test]
fn the_agent_carries_no_database_no_driver_and_no_planner() {
    let built = built_into("agent");
    for name in ["store", "hypervisor", "plan", "roll", "executor", "server"] {
        assert!(!built.contains(&format!("lifeboat-{name}")), "lifeboat-{name} is built into the agent");
    }
    assert!(!built.contains("libsqlite3-sys"), "SQLite is built into the agent");
}

#[test]
fn network_and_its_cryptography_are_built_only_into_who_speaks_to_others() {
    for room in Workspace::read().crates.keys() {
        let built = built_into(room);
        for (names, rooms) in NETWORK {
            let reached: Vec<_> = names.iter().filter(|name| built.contains(**name)).collect();
            assert!(reached.is_empty() || rooms.contains(&room.as_str()), "{reached:?} is built into {room}");
        }
    }
}

#[test]
fn what_this_project_does_without_is_built_into_nothing() {
    for room in Workspace::read().crates.keys() {
        let built = built_into(room);
        for (name, why) in NOWHERE {
            assert!(!built.contains(name), "{name} is built into {room}: {why}");
        }
    }
}
