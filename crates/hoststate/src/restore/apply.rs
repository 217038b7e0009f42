//! Bringing a tree to the state of a set, whatever was done of it before.

use super::RestoreError;
use super::set::{PATHS, REMOVALS};
use crate::form::{Backup, Entry, FilePart, Kind, Record};
use crate::path::RelPath;
use crate::root::{Put, Root};

/// A moment of a restore: before what it names is done.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is about to be done.
    pub doing: &'static str,
    /// To what; none for what concerns the whole restore.
    pub path: Option<&'a RelPath>,
}

/// Is told of every step, before it is done.
pub type Watch<'a> = dyn FnMut(Step<'_>) + 'a;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) written: u64,
    pub(super) removed: u64,
    /// Folders that were to go and hold something.
    pub(super) stayed: Vec<RelPath>,
}

/// Brings the tree to the state of a set.
pub(super) fn apply(
    root: &Root,
    set: &Backup,
    id: &str,
    watch: &mut Watch<'_>,
) -> Result<Applied, RestoreError> {
    let mut put = Put::new(root, id);
    let mut done = Applied::default();
    let mut removals: Vec<RelPath> = set.document(REMOVALS, PATHS)?.unwrap_or_default();
    removals.sort();
    for path in removals.iter().rev() {
        watch(Step { doing: "removing", path: Some(path) });
        let removed = put.remove(path).map_err(|error| stopped("removing", path, error))?;
        if removed {
            done.removed += 1;
        } else {
            done.stayed.push(path.clone());
        }
    }
    let mut folders = Vec::new();
    let mut piece = Vec::new();
    for section in set.index().sections.iter().filter(|section| section.name != REMOVALS) {
        let Some(mut reader) = set.section(&section.name)? else { continue };
        while let Some(record) = reader.next()? {
            let Record::Entry(entry) = record else { continue };
            let path = entry.path.clone();
            let failed = |error| stopped("writing", &path, error);
            match entry.kind {
                Kind::Directory | Kind::OnTheWay => {
                    watch(Step { doing: "making the folder", path: Some(&path) });
                    put.folder(&entry).map_err(failed)?;
                    if entry.kind == Kind::Directory {
                        folders.push(entry);
                    }
                }
                Kind::File { len } => {
                    watch(Step { doing: "beginning", path: Some(&path) });
                    let beside = put.begin_file(&path).map_err(failed)?;
                    while let FilePart::Piece { offset } = reader.part(&mut piece)? {
                        watch(Step { doing: "writing", path: Some(&path) });
                        put.write(&beside, &path, offset, &piece).map_err(failed)?;
                    }
                    watch(Step { doing: "completing", path: Some(&path) });
                    put.complete(&beside, &entry, len).map_err(failed)?;
                    watch(Step { doing: "naming", path: Some(&path) });
                    put.name(&beside, &path).map_err(failed)?;
                    done.written += 1;
                }
                Kind::Link { .. }
                | Kind::HardLink { .. }
                | Kind::Fifo
                | Kind::CharDevice { .. }
                | Kind::BlockDevice { .. } => {
                    watch(Step { doing: "putting", path: Some(&path) });
                    put.other(&entry).map_err(failed)?;
                    done.written += 1;
                }
            }
        }
    }
    // The inner ones first: what is done to them changes the times of the outer ones.
    folders.sort_by(|a: &Entry, b: &Entry| b.path.cmp(&a.path));
    for entry in &folders {
        watch(Step { doing: "setting the metadata of", path: Some(&entry.path) });
        put.folder_meta(entry).map_err(|error| stopped("setting the metadata of", &entry.path, error))?;
    }
    watch(Step { doing: "flushing", path: None });
    put.flush()?;
    Ok(done)
}

fn stopped(doing: &str, path: &RelPath, error: crate::root::RootError) -> RestoreError {
    RestoreError::Stopped { at: format!("{doing} {path}"), source: Box::new(error.into()) }
}
