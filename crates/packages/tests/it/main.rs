//! Promises of lifeboat-packages, on the real dpkg and the real rpm in roots of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boot;
mod btrfs;
mod common;
mod conffiles;
mod debs;
mod finds;
mod incident_07;
mod incident_08;
mod kill;
mod parsers;
mod rpms;
mod systemd;
