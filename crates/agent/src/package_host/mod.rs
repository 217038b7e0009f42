//! A host without banks: releases of packages, their trial, and the way back.
//!
//! Owns: what the words of a roll (stage, install, reboot into, judge) mean where there is one root
//! (`docs/design/package-releases.md`). Promises: a release is proven before it counts; one that fails is taken back to
//! the exact versions before it and remembered; after a crash at any point the same orders come to the same end. Does
//! not: run a package manager ([`lifeboat_packages::Guard`] does), or choose releases.

mod back;
mod boot;
mod extract;
mod host;
mod install;

pub use host::{PackageHost, PackageHostError};
