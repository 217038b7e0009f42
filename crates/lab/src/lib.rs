//! The rules of the house, as tests.
//!
//! Owns: nothing but its tests: who may depend on whom (`tests/it/layers.rs`), what a source file may hold
//! (`tests/it/sources.rs`), and that links and commands in the documents exist (`tests/it/links.rs`).
//! Promises: no program and no other crate depends on it, except for tests. Does not: hold the disk that cuts
//! the power (it is beside the tests of `lifeboat-bank`) or the simulated pool (it is a driver, since the
//! command line offers it); incident scenarios will move in here.
