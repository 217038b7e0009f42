//! The rules of the house, as tests, and what reads hostile bytes.
//!
//! Owns: its tests: who may depend on whom (`tests/it/layers.rs`), what a source file may hold (`tests/it/sources.rs`),
//! that links and commands in the documents exist (`tests/it/links.rs`), and that every reader of outside bytes keeps
//! its bounds over the corpus (`tests/it/hostile.rs`, by the functions of [`targets`]).
//! Promises: no program and no other crate depends on it, except for tests and fuzzing. Does not: hold the disk that
//! cuts the power (it is beside the tests of `lifeboat-bank`) or the simulated pool (it is a driver, since the
//! command line offers it); incident scenarios will move in here.

pub mod seeds;
pub mod targets;
