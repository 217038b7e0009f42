//! Bringing the saved state up at boot.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_bank::state::{Choice, Declaration, Header, Offer, choose};
use lifeboat_model::{Bank, Sha256Hex};

use super::KeepError;
use super::carry::carry;
use super::migrate::migrate;
use super::place::{
    Live, Marker, carried, declaration, kept, live, numbers, saved, sync_folder, write_durable,
};
use super::tree::{check, copy, unpack};

/// What was brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Each kept directory of the root, and the one of the state that belongs over it.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Version of the state.
    pub version: u32,
    /// What a person should know, for each thing that was done.
    pub notes: Vec<String>,
}

/// Makes the state of `bank` ready for the release `digest`, whose root is at `root` and whose declaration lies in
/// `etc`; `state` is the state partition. None if the release keeps nothing. Doing it again after a cut, or at every
/// boot, does what is missing and nothing else.
pub fn bring_up(
    state: &Path,
    etc: &Path,
    root: &Path,
    bank: Bank,
    digest: Sha256Hex,
) -> Result<Option<Brought>, KeepError> {
    let Some(declared) = declaration(etc)? else { return Ok(None) };
    let folder = saved(state);
    fs::create_dir_all(folder.join("kept")).map_err(KeepError::file("making", &folder))?;
    let mut notes = Vec::new();
    let mine = live(state, bank)?.filter(|live| live.marker.release == digest);
    let offered = offered(state, bank, digest, mine.as_ref(), &mut notes)?;
    let live = match (mine, offered) {
        (Some(live), None) => live,
        (Some(live), Some(offer)) if live.marker.carried == Some(offer.1) => live,
        (_, offer) => make(Boot { state, etc, root, declared: &declared, bank, digest }, offer, &mut notes)?,
    };
    clean(state, bank, live.number)?;
    let tree = live.tree();
    let over = |keep: &String| {
        let inside = keep.trim_start_matches('/');
        (root.join(inside), tree.join(inside))
    };
    let binds = declared.keep.iter().map(over).collect();
    Ok(Some(Brought { binds, version: live.marker.version, notes }))
}

/// The archive that was carried for this release: checked whole, with its digest. Without one the state of the other
/// bank is copied now, as after an install into a disk that lay still.
fn offered(
    state: &Path,
    bank: Bank,
    digest: Sha256Hex,
    mine: Option<&Live>,
    notes: &mut Vec<String>,
) -> Result<Option<(Header, Sha256Hex)>, KeepError> {
    let path = carried(state, bank);
    if path.exists() {
        match check(&path) {
            Ok((header, found)) if header.carried_for == digest => return Ok(Some((header, found))),
            Ok(_) => {}
            // A bank that has its state does not need the archive any more.
            Err(error) if mine.is_some() => {
                notes.push(format!(
                    "an old archive of saved state is damaged: {}",
                    lifeboat_model::chain(&error)
                ));
            }
            Err(error) => return Err(error),
        }
    }
    if mine.is_some() {
        return Ok(None);
    }
    match carry(state, bank.other(), None, digest)? {
        None => Ok(None),
        Some(note) => {
            notes.push(note);
            check(&path).map(Some)
        }
    }
}

/// A boot that needs a state.
#[derive(Clone, Copy)]
struct Boot<'a> {
    state: &'a Path,
    etc: &'a Path,
    root: &'a Path,
    declared: &'a Declaration,
    bank: Bank,
    digest: Sha256Hex,
}

/// Makes a new live state beside the old one and gives it its name when it is complete.
fn make(
    boot: Boot<'_>,
    carried_one: Option<(Header, Sha256Hex)>,
    notes: &mut Vec<String>,
) -> Result<Live, KeepError> {
    let Boot { state, etc, root, declared, bank, digest } = boot;
    let number = numbers(state, bank)?.pop().unwrap_or(0) + 1;
    let name = format!("{bank}.{number}");
    let beside = saved(state).join(format!("{name}.new"));
    remove(&beside)?;
    let tree = beside.join("tree");
    fs::create_dir_all(&tree).map_err(KeepError::file("making", &tree))?;
    let offer =
        carried_one.as_ref().map(|(header, _)| Offer { version: header.version, what: Source::Carried });
    let note = match choose(declared.version, offer, &kept_offers(state)?) {
        Choice::Defaults { too_new: None } => {
            "there was no saved state: the defaults of the release".to_owned()
        }
        Choice::Defaults { too_new: Some(version) } => format!(
            "the saved state has version {version}, this release knows {}, and none that it knows was kept: the \
             defaults of the release",
            declared.version
        ),
        Choice::Take { offer, older } => {
            let path = match offer.what {
                Source::Carried => carried(state, bank),
                Source::Kept(version) => kept(state, version),
            };
            let (header, _) = unpack(&path, &tree)?;
            migrate(&etc.join("migrations"), &tree, header.version, declared.version)?;
            if header.version < declared.version && !older {
                keep(state, &path, header.version)?;
            }
            match (older, header.version < declared.version) {
                (true, _) => format!(
                    "the saved state is newer than this release knows: it got the one of version {} that was kept",
                    header.version
                ),
                (false, true) => {
                    format!(
                        "the saved state was migrated from version {} to {}",
                        header.version, declared.version
                    )
                }
                (false, false) => format!("the saved state of version {} was taken over", header.version),
            }
        }
    };
    notes.push(note.clone());
    seed(root, &tree, declared, notes)?;
    let marker = Marker {
        schema: 1,
        version: declared.version,
        release: digest,
        carried: carried_one.map(|(_, digest)| digest),
        note,
    };
    let text = serde_json::to_vec_pretty(&marker).map_err(|error| KeepError::File {
        doing: "describing",
        path: beside.clone(),
        source: std::io::Error::other(error),
    })?;
    write_durable(&beside.join("marker.json"), &text)?;
    // Every file of the tree, before the folder gets the name by which it counts.
    rustix::fs::sync();
    let folder = saved(state).join(name);
    fs::rename(&beside, &folder).map_err(KeepError::file("naming", &folder))?;
    sync_folder(&saved(state))?;
    Ok(Live { number, folder, marker })
}

/// Fills what is declared and not there yet with what the release brings.
fn seed(root: &Path, tree: &Path, declared: &Declaration, notes: &mut Vec<String>) -> Result<(), KeepError> {
    for keep in &declared.keep {
        let inside = keep.trim_start_matches('/');
        let place = tree.join(inside);
        if place.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(KeepError::file("making", parent))?;
        }
        copy(&root.join(inside), &place)?;
        notes.push(format!("{keep} begins with what the release brings"));
    }
    Ok(())
}

/// What an offered state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Carried,
    Kept(u32),
}

fn kept_offers(state: &Path) -> Result<Vec<Offer<Source>>, KeepError> {
    let folder = saved(state).join("kept");
    let mut offers = Vec::new();
    for entry in fs::read_dir(&folder).map_err(KeepError::file("reading", &folder))? {
        let name = entry.map_err(KeepError::file("reading", &folder))?.file_name();
        let version = name.to_string_lossy().strip_suffix(".state").and_then(|text| text.parse().ok());
        // One that is damaged is no offer.
        offers.extend(
            version
                .filter(|&version| {
                    check(&kept(state, version)).is_ok_and(|(header, _)| header.version == version)
                })
                .map(|version| Offer { version, what: Source::Kept(version) }),
        );
    }
    Ok(offers)
}

/// Keeps an archive of an old version for the way back.
fn keep(state: &Path, archive: &Path, version: u32) -> Result<(), KeepError> {
    let path = kept(state, version);
    let beside = path.with_extension("new");
    fs::copy(archive, &beside).map_err(KeepError::file("copying", archive))?;
    fs::File::open(&beside).and_then(|file| file.sync_all()).map_err(KeepError::file("flushing", &beside))?;
    fs::rename(&beside, &path).map_err(KeepError::file("naming", &path))
}

/// Removes what an earlier release left in this bank, and what was never finished.
fn clean(state: &Path, bank: Bank, number: u64) -> Result<(), KeepError> {
    for old in numbers(state, bank)?.into_iter().filter(|old| *old < number) {
        remove(&saved(state).join(format!("{bank}.{old}")))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), KeepError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(KeepError::File { doing: "removing", path: folder.to_owned(), source }),
    }
}
