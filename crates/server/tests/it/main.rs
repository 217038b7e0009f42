//! `lifeboatd` and real agents, as processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod enrolment;
mod libvirt_tls;
mod orders;
mod packages;
mod peers;
mod support;
