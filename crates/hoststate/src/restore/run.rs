//! Carrying a restore out, finishing it, taking it back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use lifeboat_model::Sha256Hex;
use rustix::fs::{FlockOperation, Mode, flock, mkdirat};
use rustix::io::Errno;
use serde::Serialize;

use super::apply::{Applied, apply};
use super::journal::{Journal, read_standing};
use super::set::{Content, PATHS, REMOVALS, write_set};
use super::{Begun, Ended, Plan, RestoreError, Standing, Step, Watch, Way};
use crate::compare::{Item, Listing, differs};
use crate::form::{Backup, FileMaker, FormError, Kind, Made, Purpose};
use crate::path::RelPath;
use crate::root::{Root, RootError, Section};

/// Where the files of a restore are, below the root.
pub const WORK_FOLDER: &str = "var/lib/lifeboat/host-restore";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the restore.
    pub id: String,
    /// How it ended.
    pub ended: Ended,
    /// Paths that were written.
    pub written: u64,
    /// Paths that were taken away.
    pub removed: u64,
    /// Folders that were to go and hold something that others put there.
    pub stayed: Vec<RelPath>,
    /// The file with what was there before.
    pub undo_file: PathBuf,
}

/// The folder of restores, held by this process alone.
struct Work {
    /// Keeps the folder open, and the lock.
    fd: OwnedFd,
    _lock: File,
    root: PathBuf,
}

impl Work {
    fn open(root: &Root) -> Result<Self, RestoreError> {
        let path = RelPath::new(WORK_FOLDER.as_bytes()).map_err(RootError::from)?;
        for folder in path.ancestors().into_iter().chain([path.clone()]) {
            let above = root.folder_of(&folder).map_err(root.error("opening the folder of", &folder))?;
            let mode = if folder == path { Mode::RWXU } else { Mode::from_raw_mode(0o755) };
            match mkdirat(&above, folder.name(), mode) {
                Err(Errno::EXIST) | Ok(()) => {}
                Err(error) => return Err(root.error("making the folder", &folder)(error).into()),
            }
        }
        let fd = root.folder(&path).map_err(root.error("opening", &path))?;
        let place = held(&fd);
        let lock = File::create(place.join("lock"))
            .map_err(FormError::io("creating", &root.place(&path).join("lock")))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) => return Err(RestoreError::Locked { root: root.path().to_owned() }),
            Err(error) => return Err(FormError::io("locking", &place)(error.into()).into()),
            Ok(()) => {}
        }
        Ok(Self { fd, _lock: lock, root: root.path().to_owned() })
    }

    fn file(&self, name: &str) -> PathBuf {
        held(&self.fd).join(name)
    }

    fn journal(&self) -> PathBuf {
        self.file("journal")
    }

    /// The path that a person sees.
    fn shown(&self, name: &str) -> PathBuf {
        self.root.join(WORK_FOLDER).join(name)
    }

    /// Opens a set and holds it to the journal.
    fn set(&self, what: &'static str, id: &str, sha256: Sha256Hex) -> Result<Backup, RestoreError> {
        let name = format!("{what}-{id}.lfhs");
        let path = self.shown(&name);
        let file = File::open(self.file(&name)).map_err(FormError::io("opening", &path))?;
        let set = Backup::verify(file, &path)?;
        if set.sha256() == sha256 { Ok(set) } else { Err(RestoreError::OtherFile { what }) }
    }

    /// Removes files of restores that nobody can take back any more.
    fn clear(&self, keep: &str) {
        let Ok(items) = fs::read_dir(held(&self.fd)) else { return };
        for item in items.flatten() {
            let name = item.file_name();
            let name = name.to_string_lossy();
            let ours = (name.starts_with("redo-") || name.starts_with("undo-")) && name.contains(".lfhs");
            if ours && !name.contains(keep) {
                // It is found again by the next restore.
                drop(fs::remove_file(item.path()));
            }
        }
    }
}

fn held(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Where the last restore of a root stands; none if there was none. Changes nothing.
pub fn standing(root: &Root) -> Result<Option<Standing>, RestoreError> {
    let path = RelPath::new(WORK_FOLDER.as_bytes()).map_err(RootError::from)?;
    match root.folder(&path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        fd => {
            let fd = fd.map_err(root.error("opening", &path))?;
            read_standing(&held(&fd).join("journal"))
        }
    }
}

/// Carries a plan out. `id` names this restore: letters and digits, another one every time.
pub fn carry_out(
    root: &Root,
    backup: &Backup,
    plan: &Plan,
    id: &str,
    made: &Made,
    watch: &mut Watch<'_>,
) -> Result<Report, RestoreError> {
    if !plan.blockers.is_empty() {
        return Err(RestoreError::Blocked(plan.blockers.clone()));
    }
    if let Some(Standing { ended: None, begun, .. }) = standing(root)? {
        return Err(RestoreError::Unfinished { time: begun.made.time });
    }
    watch(Step { doing: "making the folder of the restore", path: None });
    let work = Work::open(root)?;
    let mut write =
        |what: &str, purpose, content: &Content<'_>, template| -> Result<Sha256Hex, RestoreError> {
            watch(Step { doing: "writing a file of the restore", path: None });
            let name = format!("{what}-{id}.lfhs");
            let (maker, file) = FileMaker::begin(&work.file(&name))?;
            let file = write_set(content, purpose, template, file, &work.shown(&name))?;
            watch(Step { doing: "naming a file of the restore", path: None });
            maker.name(&file)?;
            Ok(Backup::verify(file, &work.shown(&name))?.sha256())
        };
    let redo = Content {
        source: backup,
        listing: &plan.wanted,
        paths: &plan.redo,
        written: &plan.written,
        folders: &plan.folders,
        removals: &[],
    };
    let undo = Content {
        source: &plan.now,
        listing: &plan.now_listing,
        paths: &plan.back,
        written: &BTreeMap::new(),
        folders: &plan.folders,
        removals: &plan.removals,
    };
    let undo_sha256 = write("undo", Purpose::Undo, &undo, plan.now.index())?;
    let redo_sha256 = write("redo", Purpose::Redo, &redo, backup.index())?;
    let redo = work.set("redo", id, redo_sha256)?;
    still_as_planned(root, plan)?;
    watch(Step { doing: "beginning the journal", path: None });
    let begun = Begun {
        schema: Begun::schema(),
        id: id.to_owned(),
        made: made.clone(),
        backup: backup.path().display().to_string(),
        backup_sha256: backup.sha256(),
        sections: plan.sections.clone(),
        redo_sha256,
        undo_sha256,
    };
    let mut journal = Journal::begin(&work.journal(), &begun)?;
    work.clear(id);
    let applied = apply(root, &redo, id, watch)?;
    end(&work, &mut journal, id, Ended::Restored, applied, watch)
}

/// Finishes a restore that was left half done, in the direction in which it went.
pub fn resume(root: &Root, overwrite_changed: bool, watch: &mut Watch<'_>) -> Result<Report, RestoreError> {
    let nothing = || RestoreError::NothingToResume { root: root.path().to_owned() };
    let Some(Standing { begun, way, ended: None }) = standing(root)? else { return Err(nothing()) };
    go(root, &begun, way, overwrite_changed, watch)
}

/// Takes the last restore back, whether it was finished or not.
pub fn undo(root: &Root, overwrite_changed: bool, watch: &mut Watch<'_>) -> Result<Report, RestoreError> {
    let nothing = || RestoreError::NothingToUndo { root: root.path().to_owned() };
    match standing(root)? {
        None | Some(Standing { ended: Some(Ended::Undone), .. }) => Err(nothing()),
        Some(Standing { begun, .. }) => go(root, &begun, Way::Back, overwrite_changed, watch),
    }
}

fn go(
    root: &Root,
    begun: &Begun,
    way: Way,
    overwrite_changed: bool,
    watch: &mut Watch<'_>,
) -> Result<Report, RestoreError> {
    let work = Work::open(root)?;
    let redo = work.set("redo", &begun.id, begun.redo_sha256)?;
    let undo = work.set("undo", &begun.id, begun.undo_sha256)?;
    if !overwrite_changed {
        let changed = changed_by_others(root, &redo, &undo)?;
        if !changed.is_empty() {
            return Err(RestoreError::Changed(changed));
        }
    }
    let mut journal = Journal::go_on(&work.journal())?;
    watch(Step { doing: "turning", path: None });
    journal.turned(way)?;
    let (set, ended) = match way {
        Way::Forward => (&redo, Ended::Restored),
        Way::Back => (&undo, Ended::Undone),
    };
    let applied = apply(root, set, &begun.id, watch)?;
    end(&work, &mut journal, &begun.id, ended, applied, watch)
}

fn end(
    work: &Work,
    journal: &mut Journal,
    id: &str,
    ended: Ended,
    applied: Applied,
    watch: &mut Watch<'_>,
) -> Result<Report, RestoreError> {
    watch(Step { doing: "ending the journal", path: None });
    journal.ended(ended)?;
    watch(Step { doing: "done", path: None });
    Ok(Report {
        id: id.to_owned(),
        ended,
        written: applied.written,
        removed: applied.removed,
        stayed: applied.stayed.into_iter().filter(|path| !leads_to_work(path)).collect(),
        undo_file: work.shown(&format!("undo-{id}.lfhs")),
    })
}

/// Whether what is overwritten is still what was read: a person may have looked at the plan for hours.
fn still_as_planned(root: &Root, plan: &Plan) -> Result<(), RestoreError> {
    let mut changed = Vec::new();
    for path in plan.redo.iter().chain(&plan.back) {
        let here = present(root, path)?;
        let same = match (plan.now_listing.get(path), &here) {
            (None, None) => true,
            // The folder of the restore was made meanwhile, by this restore.
            (None, Some(new)) => new.entry.kind.is_folder() && leads_to_work(path),
            (Some(old), Some(new)) => means_the_same(old, new),
            _ => false,
        };
        if !same {
            changed.push(path.clone());
        }
    }
    changed.dedup();
    if changed.is_empty() { Ok(()) } else { Err(RestoreError::Changed(changed)) }
}

/// Paths that are neither as the restore writes them nor as they were.
fn changed_by_others(root: &Root, redo: &Backup, undo: &Backup) -> Result<Vec<RelPath>, RestoreError> {
    let (after, before) = (list(redo)?, list(undo)?);
    let mut changed = Vec::new();
    let paths: std::collections::BTreeSet<&RelPath> = after.keys().chain(before.keys()).collect();
    for path in paths {
        let here = present(root, path)?;
        let is = |state: Option<&Option<Item>>| match (state, &here) {
            (Some(Some(item)), Some(here)) => means_the_same(item, here),
            (Some(None), None) => true,
            // A path that one of the two does not touch is as the other one says.
            _ => false,
        };
        let folder = here.as_ref().is_some_and(|here| here.entry.kind.is_folder());
        if !folder && !is(after.get(path)) && !is(before.get(path)) {
            changed.push(path.clone());
        }
    }
    Ok(changed)
}

/// The states of a set: what is there, and what is not.
fn list(set: &Backup) -> Result<BTreeMap<RelPath, Option<Item>>, RestoreError> {
    let mut states: BTreeMap<RelPath, Option<Item>> = BTreeMap::new();
    let listing: Listing = crate::compare::read_listing(set, &Section::ALL)?;
    for (path, item) in listing {
        if item.entry.kind != Kind::OnTheWay {
            states.insert(path, Some(item));
        }
    }
    for path in set.document::<Vec<RelPath>>(REMOVALS, PATHS)?.unwrap_or_default() {
        states.insert(path, None);
    }
    Ok(states)
}

/// A path as it is now, with the digest of its content.
fn present(root: &Root, path: &RelPath) -> Result<Option<Item>, RestoreError> {
    let Some(seen) = root.look(path)? else { return Ok(None) };
    let Some(entry) = seen.entry else { return Ok(None) };
    let sha256 = match entry.kind {
        Kind::File { .. } => Some(hash(root, path)?),
        _ => None,
    };
    Ok(Some(Item { section: Section::Configuration, entry, sha256 }))
}

fn leads_to_work(path: &RelPath) -> bool {
    RelPath::new(WORK_FOLDER.as_bytes())
        .is_ok_and(|work| path.as_str().is_some_and(|folder| work.is_within(folder)))
}

/// Whether two mean the same, however many names the file has.
fn means_the_same(a: &Item, b: &Item) -> bool {
    differs(a, b).into_iter().all(|what| what == "names of the file")
}

fn hash(root: &Root, path: &RelPath) -> Result<Sha256Hex, RestoreError> {
    use sha2::Digest as _;
    use std::io::Read as _;
    let mut file = root.open_file(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; 1 << 17];
    loop {
        let n = file.read(&mut piece).map_err(root.io_error("reading", path))?;
        if n == 0 {
            return Ok(Sha256Hex(hasher.finalize().into()));
        }
        hasher.update(piece.get(..n).unwrap_or_default());
    }
}
