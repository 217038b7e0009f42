//! Which controller this host obeys.
//!
//! Owns: the file `fences.json`: for each pool the highest number that a controller gave. Promises: a higher number
//! is on stable storage before its command is begun; a lower one is refused for ever after; a damaged file refuses
//! everything that is fenced, since what it held is not known. Does not: choose controllers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_model::agent::Fence;
use lifeboat_wire::write_durably;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const SCHEMA: u32 = 1;
/// Pools that one host may belong to in its life.
const MOST_POOLS: usize = 1000;

/// Why a command is not obeyed.
#[derive(Debug, Error)]
pub enum FenceError {
    /// A later controller took over.
    #[error(
        "controller number {number} of pool {pool} is not obeyed any more: number {highest} took over; look which \
         lifeboat runs this roll"
    )]
    Old {
        /// The pool.
        pool: String,
        /// The number that came.
        number: u64,
        /// The highest that was obeyed.
        highest: u64,
    },
    /// A command without a number, on a host that was given numbers before.
    #[error("this host obeys numbered controllers, and the command has no number: order it through lifeboat")]
    Missing,
    /// The numbers cannot be known.
    #[error(
        "{} cannot be used, so which controller to obey is not known: when only one lifeboat runs, remove the file and \
         restart the agent", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The number could not be kept.
    #[error("the controller's number cannot be kept in {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// More pools than a host has.
    #[error("this host was given numbers of {MOST_POOLS} pools already: remove {} if they are gone", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Form {
    schema: u32,
    pools: BTreeMap<String, u64>,
}

/// The highest numbers.
#[derive(Debug)]
pub struct Fences {
    path: PathBuf,
    /// Or why they cannot be known.
    pools: Result<BTreeMap<String, u64>, String>,
}

impl Fences {
    /// Reads the file at `path`; one that is not there holds no numbers.
    pub fn open(path: &Path) -> Self {
        let pools = match fs::read(path) {
            Ok(bytes) => match serde_json::from_slice::<Form>(&bytes) {
                Ok(form) if form.schema == SCHEMA => Ok(form.pools),
                Ok(form) => Err(format!("it has schema {}, known is {SCHEMA}", form.schema)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
        };
        Self { path: path.to_owned(), pools }
    }

    /// Why the file cannot be used, if so.
    pub fn damage(&self) -> Option<String> {
        self.check().err().map(|error| lifeboat_model::chain(&error))
    }

    fn check(&self) -> Result<&BTreeMap<String, u64>, FenceError> {
        self.pools.as_ref().map_err(|why| FenceError::Damaged {
            path: self.path.clone(),
            source: io::Error::other(why.clone()),
        })
    }

    /// Whether a command may be begun; a higher number is kept first.
    pub fn admit(&mut self, fence: Option<&Fence>) -> Result<(), FenceError> {
        let pools = self.check()?;
        let Some(fence) = fence else {
            return if pools.is_empty() { Ok(()) } else { Err(FenceError::Missing) };
        };
        let highest = pools.get(&fence.pool).copied();
        match highest {
            Some(highest) if fence.number < highest => {
                let (pool, number) = (fence.pool.clone(), fence.number);
                Err(FenceError::Old { pool, number, highest })
            }
            Some(highest) if fence.number == highest => Ok(()),
            None if pools.len() >= MOST_POOLS => Err(FenceError::Full { path: self.path.clone() }),
            Some(_) | None => {
                let mut pools = pools.clone();
                pools.insert(fence.pool.clone(), fence.number);
                let form = Form { schema: SCHEMA, pools };
                let bytes = serde_json::to_vec(&form).unwrap_or_default();
                write_durably(&self.path, &bytes)
                    .map_err(|source| FenceError::Write { path: self.path.clone(), source })?;
                self.pools = Ok(form.pools);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn fence(pool: &str, number: u64) -> Fence {
        Fence { pool: pool.to_owned(), number }
    }

    #[test]
    fn a_lower_number_is_refused_also_after_a_restart_and_pools_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fences.json");
        let mut fences = Fences::open(&path);
        fences.admit(None).unwrap();
        fences.admit(Some(&fence("a", 5))).unwrap();
        fences.admit(Some(&fence("b", 1))).unwrap();
        let mut fences = Fences::open(&path);
        assert!(matches!(fences.admit(Some(&fence("a", 4))), Err(FenceError::Old { highest: 5, .. })));
        fences.admit(Some(&fence("a", 5))).unwrap();
        fences.admit(Some(&fence("b", 2))).unwrap();
        assert!(matches!(fences.admit(None), Err(FenceError::Missing)));
    }

    #[test]
    fn a_number_that_cannot_be_kept_is_not_obeyed_and_a_damaged_file_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/fences.json");
        let mut fences = Fences::open(&path);
        assert!(matches!(fences.admit(Some(&fence("a", 5))), Err(FenceError::Write { .. })));
        let path = folder.path().join("fences.json");
        Fences::open(&path).admit(Some(&fence("a", 5))).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut fences = Fences::open(&path);
            assert!(fences.damage().unwrap().contains("remove the file"));
            assert!(matches!(fences.admit(Some(&fence("a", 9))), Err(FenceError::Damaged { .. })));
        }
    }
}
