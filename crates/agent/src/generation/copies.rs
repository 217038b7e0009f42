//! The record on disk: two copies in two folders.
//!
//! Owns: the form of a copy and the order in which they are written. Promises: at every moment, also between any two
//! writes, one copy is whole if one was before; the one with the higher number counts; one that is damaged or gone is
//! made anew by the next write; a newer form is never overwritten. Does not: guess when both are damaged.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use lifeboat_model::Sha256Hex;
use lifeboat_wire::write_durably;
use serde::Deserialize;
use thiserror::Error;

use super::record::{GENERATIONS_SCHEMA, Generations};

/// First word of a copy; the number is the version of the form around the record.
const MARK: &str = "LFGEN1";
/// Longest copy that is read.
const LONGEST: u64 = 256 * 1024;

/// Why the record cannot be used.
#[derive(Debug, Error)]
pub enum CopiesError {
    /// A copy cannot be read for another reason than that it is not there.
    #[error("{doing} the record of generations {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The copy.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Copies are there, and none of them is whole.
    #[error(
        "no copy of the record of generations is whole ({why}): which release runs here is not known; look at the \
         packages, then remove {} and {} to begin anew", first.display(), second.display()
    )]
    Damaged {
        /// What is wrong with each.
        why: String,
        /// The first copy.
        first: PathBuf,
        /// The second copy.
        second: PathBuf,
    },
    /// The record was written by a newer agent.
    #[error("{} is of form {found}; this agent knows {GENERATIONS_SCHEMA}: use a newer agent", path.display())]
    Newer {
        /// The copy.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// The record cannot be put into words.
    #[error("encoding the record of generations")]
    Encode(#[source] serde_json::Error),
}

/// What a copy is.
enum Copy {
    Whole { sequence: u64, record: Box<Generations> },
    Newer { found: u32 },
    Gone,
    Damaged { why: &'static str },
}

/// Both places under the agent's folder: a folder that is removed whole takes one of them along.
fn places(state: &Path) -> [PathBuf; 2] {
    [state.join("packages/generation.json"), state.join("generation.json")]
}

/// Reads the record; the first one of a host that has none. Also returns what was wrong with a copy.
pub fn read_generations(state: &Path) -> Result<(Generations, Option<String>), CopiesError> {
    let (newest, troubles) = newest(state)?;
    let troubles = (!troubles.is_empty()).then(|| troubles.join("; "));
    Ok((newest.map_or_else(Generations::first, |(_, record)| record), troubles))
}

/// Writes both copies; returns when they are on stable storage.
pub fn write_generations(state: &Path, record: &Generations) -> Result<(), CopiesError> {
    let sequence = newest(state)?.0.map_or(0, |(sequence, _)| sequence).saturating_add(1);
    let bytes = encode(sequence, record)?;
    for path in places(state) {
        let failed = |source| CopiesError::File { doing: "writing", path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        write_durably(&path, &bytes).map_err(failed)?;
    }
    Ok(())
}

/// The newest whole copy with its number, and what is wrong with others.
#[expect(clippy::type_complexity, reason = "a pair of what was found and what was not")]
fn newest(state: &Path) -> Result<(Option<(u64, Generations)>, Vec<String>), CopiesError> {
    let [first, second] = places(state);
    let mut found: Option<(u64, Generations)> = None;
    let (mut damaged, mut gone) = (Vec::new(), Vec::new());
    for path in [&first, &second] {
        match read_copy(path)? {
            Copy::Whole { sequence, record } => {
                if found.as_ref().is_none_or(|(known, _)| *known < sequence) {
                    found = Some((sequence, *record));
                }
            }
            Copy::Newer { found } => return Err(CopiesError::Newer { path: path.clone(), found }),
            Copy::Gone => gone.push(format!("{} is not there", path.display())),
            Copy::Damaged { why } => damaged.push(format!("{}: {why}", path.display())),
        }
    }
    if found.is_none() {
        if damaged.is_empty() {
            return Ok((None, Vec::new()));
        }
        damaged.extend(gone);
        return Err(CopiesError::Damaged { why: damaged.join("; "), first, second });
    }
    damaged.extend(gone);
    Ok((found, damaged))
}

fn encode(sequence: u64, record: &Generations) -> Result<Vec<u8>, CopiesError> {
    let json = serde_json::to_string(record).map_err(CopiesError::Encode)?;
    Ok(format!("{MARK} {sequence} {} {json}\n", digest(sequence, &json)).into_bytes())
}

fn digest(sequence: u64, json: &str) -> Sha256Hex {
    Sha256Hex::of(format!("{MARK} {sequence} {json}").as_bytes())
}

fn read_copy(path: &Path) -> Result<Copy, CopiesError> {
    let failed = |source| CopiesError::File { doing: "reading", path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Gone),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(parse_copy(&bytes))
}

/// Asked before the rest, so that a newer form is not called damaged.
#[derive(Deserialize)]
struct Form {
    schema: u32,
}

fn parse_copy(bytes: &[u8]) -> Copy {
    let damaged = |why| Copy::Damaged { why };
    let Some(line) = bytes.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
        return damaged("it has no end");
    };
    let mut words = line.splitn(4, ' ');
    let (Some(mark), Some(sequence), Some(told), Some(json)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return damaged("it is not of the form of a record");
    };
    let Some(sequence) = sequence.parse::<u64>().ok().filter(|_| mark == MARK) else {
        return damaged("it does not begin as a record");
    };
    if digest(sequence, json).to_string() != told {
        return damaged("its digest does not fit");
    }
    match serde_json::from_str::<Form>(json) {
        Ok(form) if form.schema > GENERATIONS_SCHEMA => return Copy::Newer { found: form.schema },
        Ok(_) => {}
        Err(_) => return damaged("it has no form"),
    }
    match serde_json::from_str(json) {
        Ok(record) => Copy::Whole { sequence, record: Box::new(record) },
        Err(_) => damaged("its words cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::{ReleaseRef, ReleaseVersion};

    use super::*;
    use crate::Next;

    fn release(serial: u64) -> ReleaseRef {
        let version = ReleaseVersion(serial.to_string());
        ReleaseRef { name: "kvm".to_owned(), version, serial, digest: Sha256Hex::of(&serial.to_le_bytes()) }
    }

    fn records() -> Vec<Generations> {
        let first = Generations::first();
        let begun = first.with_begun(&release(1), Some("t-0".to_owned()));
        let upgraded = begun.with_next(Next::Upgraded {
            release: release(1),
            transaction: Some("t-1".to_owned()),
            boot_id: "boot one".to_owned(),
        });
        let failed = upgraded.with_failure(&release(1), None, "a check failed: \"no\"\nat all", None);
        let blessed = upgraded.with_blessed(&release(1));
        vec![first, begun, upgraded, failed, blessed]
    }

    #[test]
    fn every_record_comes_back_and_one_lost_copy_is_told_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        for record in records() {
            write_generations(folder.path(), &record).unwrap();
            assert_eq!(read_generations(folder.path()).unwrap(), (record.clone(), None));
            for place in places(folder.path()) {
                fs::remove_file(&place).unwrap();
                let (read, trouble) = read_generations(folder.path()).unwrap();
                assert_eq!(read, record);
                assert!(trouble.unwrap().contains(&place.display().to_string()));
                write_generations(folder.path(), &record).unwrap();
                assert_eq!(read_generations(folder.path()).unwrap().1, None);
            }
        }
    }

    #[test]
    fn a_copy_cut_or_turned_at_any_byte_is_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = places(folder.path());
        let [old, new] = [&records()[1], &records()[2]];
        write_generations(folder.path(), old).unwrap();
        let before = fs::read(&second).unwrap();
        write_generations(folder.path(), new).unwrap();
        let whole = fs::read(&first).unwrap();
        for at in 0..whole.len() {
            // A power cut within the first write leaves the second copy as it was.
            fs::write(&second, &before).unwrap();
            fs::write(&first, &whole[..at]).unwrap();
            assert_eq!(read_generations(folder.path()).unwrap().0, *old, "cut at {at}");
            // The same within the second write.
            fs::write(&first, &whole).unwrap();
            fs::write(&second, &whole[..at]).unwrap();
            assert_eq!(read_generations(folder.path()).unwrap().0, *new, "cut at {at}");
            let mut turned = whole.clone();
            turned[at] ^= 1;
            fs::write(&first, &turned).unwrap();
            fs::write(&second, &turned).unwrap();
            let error = read_generations(folder.path()).unwrap_err();
            assert!(matches!(error, CopiesError::Damaged { .. }), "byte {at}: {error}");
            assert!(write_generations(folder.path(), new).is_err(), "what is not known is not overwritten");
            fs::remove_file(&second).unwrap();
            assert!(
                read_generations(folder.path()).is_err(),
                "one damaged copy is not a host without a record"
            );
        }
    }

    #[test]
    fn a_newer_form_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let newer = Generations { schema: 2, ..Generations::first() };
        let [first, _] = places(folder.path());
        fs::create_dir_all(first.parent().unwrap()).unwrap();
        fs::write(&first, encode(7, &newer).unwrap()).unwrap();
        let before = fs::read(&first).unwrap();
        assert!(matches!(read_generations(folder.path()), Err(CopiesError::Newer { found: 2, .. })));
        assert!(write_generations(folder.path(), &Generations::first()).is_err());
        assert_eq!(fs::read(&first).unwrap(), before);
    }

    #[test]
    fn endless_and_hostile_copies_cost_bounded_memory() {
        let folder = tempfile::tempdir().unwrap();
        let [first, _] = places(folder.path());
        fs::create_dir_all(first.parent().unwrap()).unwrap();
        for bytes in
            [vec![b'['; 400_000], b"LFGEN1 1 x {}\n".to_vec(), b"LFGEN1 -1 x {}\n".to_vec(), vec![0xff; 9]]
        {
            fs::write(&first, bytes).unwrap();
            assert!(matches!(read_generations(folder.path()), Err(CopiesError::Damaged { .. })));
        }
    }
}
