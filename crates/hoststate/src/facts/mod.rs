//! What a backup tells about its host besides files: product, machine, network cards, packages.
//!
//! Owns: reading them from a root and from a tree like `/sys`. Promises: what cannot be read is absent, never guessed; nothing
//! is run. Does not: read device identities (that is [`crate::devices`]).

mod host;
mod nics;
mod packages;
mod product;

pub use host::{Sameness, compare_hosts, read_host};
pub use nics::{Nic, NicKind, NicMove, match_nics, names_in_use, pin_file, read_nics};
pub use packages::{Package, read_packages};
pub use product::{Difference, compare_products, read_product};
