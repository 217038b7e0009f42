//! Generations of packages: what a host without banks has in their place.
//!
//! Owns: the record of the generation that runs and of the next one, its two copies, and what follows from it for a
//! boot (`docs/design/package-releases.md`). Promises: pure, except for reading and writing the copies; every change is
//! one record on stable storage. Does not: touch packages.

mod copies;
mod judge;
mod record;

pub use copies::{CopiesError, read_generations, write_generations};
pub use judge::{MOST_STARTS, PackageVerdict, judge_packages};
pub use record::{FailedPackages, GENERATIONS_SCHEMA, Generations, Next, bank_of};
