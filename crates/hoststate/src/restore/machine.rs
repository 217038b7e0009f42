//! Names that mean something else on this machine: devices (incident I-14) and network cards.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::Sha256Hex;

use super::{Blocker, NicChoice, RestoreOptions};
use crate::backup::document;
use crate::compare::{Item, Listing, contents};
use crate::devices::{DeviceChoice, Devices, KnownDevice, Outcome, resolve_devices};
use crate::facts::{Nic, NicMove, match_nics, names_in_use, pin_file, read_nics};
use crate::form::{Backup, Entry, FormError, Kind, Meta};
use crate::path::RelPath;
use crate::root::Section;

/// What was found, and what it changes.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) devices: Vec<DeviceChoice>,
    pub(super) nics: Vec<NicMove>,
    /// Content that is written instead of, or besides, the backup's.
    pub(super) written: BTreeMap<RelPath, Vec<u8>>,
    pub(super) blockers: Vec<Blocker>,
    pub(super) notes: Vec<String>,
}

impl Machine {
    /// Finds devices again, and puts their names here into the files that are wanted.
    pub(super) fn devices(
        &mut self,
        backup: &Backup,
        wanted: &mut Listing,
        devices: &dyn Devices,
        options: &RestoreOptions,
    ) -> Result<(), FormError> {
        let known: Vec<KnownDevice> =
            backup.document(Section::Storage.word(), document::DEVICES)?.unwrap_or_default();
        let known: Vec<KnownDevice> =
            known.into_iter().filter(|known| wanted.contains_key(&known.file)).collect();
        if options.devices_as_is {
            if !known.is_empty() {
                self.notes.push(
                    "names of devices were left as they stand in the backup (--devices as-is)".to_owned(),
                );
            }
            return Ok(());
        }
        self.devices = resolve_devices(&known, devices);
        let mut renamed = BTreeSet::new();
        for choice in &self.devices {
            match &choice.outcome {
                Outcome::Same { .. } => {}
                Outcome::Left { why } => self.notes.push(format!("{}: {}: {why}", choice.file, choice.name)),
                Outcome::Renamed { .. } => drop(renamed.insert(choice.file.clone())),
                Outcome::Unclear { why, had, candidates } => {
                    self.blockers.push(unclear(choice, why, had, candidates));
                }
            }
        }
        for (path, bytes) in contents(backup, &renamed)? {
            let new = crate::devices::rewrite(&path, &bytes, &self.devices);
            if let Some(item) = wanted.get_mut(&path) {
                item.entry.kind = Kind::File { len: new.len() as u64 };
                item.sha256 = Some(Sha256Hex::of(&new));
            }
            self.written.insert(path, new);
        }
        Ok(())
    }

    /// Finds network cards again. One that has another name, or is gone, matters only if a file of the network names it.
    pub(super) fn nics(
        &mut self,
        backup: &Backup,
        wanted: &mut Listing,
        sys: &std::path::Path,
        options: &RestoreOptions,
    ) -> Result<(), FormError> {
        let there: Vec<Nic> = backup.document(Section::Network.word(), document::NICS)?.unwrap_or_default();
        let files: BTreeSet<RelPath> = wanted
            .iter()
            .filter(|(_, item)| {
                item.section == Section::Network && matches!(item.entry.kind, Kind::File { .. })
            })
            .map(|(path, _)| path.clone())
            .collect();
        if there.is_empty() || files.is_empty() {
            return Ok(());
        }
        let texts = contents(backup, &files)?;
        let used = |name: &str| -> Vec<String> {
            let in_name = |path: &RelPath| {
                path.as_str().is_some_and(|path| !names_in_use(path, [name].into_iter()).is_empty())
            };
            let in_text = |bytes: &[u8]| {
                std::str::from_utf8(bytes)
                    .is_ok_and(|text| !names_in_use(text, [name].into_iter()).is_empty())
            };
            texts
                .iter()
                .filter(|(path, bytes)| in_name(path) || in_text(bytes))
                .map(|(path, _)| path.to_string())
                .collect()
        };
        self.nics = match_nics(&there, &read_nics(sys));
        for change in self.nics.clone() {
            let (NicMove::Renamed { was, .. } | NicMove::Missing { was, .. }) = &change;
            let files = used(was);
            if files.is_empty() {
                continue;
            }
            let files = files.join(", ");
            match (&change, options.nics) {
                (_, NicChoice::AsIs) => self.notes.push(format!("{}; left as it stands (--nics as-is)", words(&change, &files))),
                (NicMove::Renamed { .. }, NicChoice::Pin) => match there.iter().find(|nic| nic.name == *was).and_then(pin_file) {
                    Some((path, text)) => {
                        self.notes.push(format!("{}; {path} gives it its name back", words(&change, &files)));
                        add_file(wanted, &path, text.as_bytes(), backup.index().made.at);
                        if let Ok(path) = RelPath::new(path.as_bytes()) {
                            self.written.insert(path, text.into_bytes());
                        }
                    }
                    None => self.blockers.push(Blocker::new(
                        "nic-renamed",
                        format!("{}, and nothing that lasts is known of it", words(&change, &files)),
                        "restore without the network (--only …), or leave the names as they stand: --nics as-is",
                    )),
                },
                (NicMove::Renamed { .. }, NicChoice::Ask) => self.blockers.push(Blocker::new(
                    "nic-renamed",
                    words(&change, &files),
                    "give the card its name back at the next boot: --nics pin; or leave the names as they stand: --nics as-is",
                )),
                (NicMove::Missing { .. }, NicChoice::Ask | NicChoice::Pin) => self.blockers.push(Blocker::new(
                    "nic-missing",
                    words(&change, &files),
                    "put the card in, restore without the network (--only …), or leave the names as they stand: --nics as-is",
                )),
            }
        }
        Ok(())
    }
}

fn words(change: &NicMove, files: &str) -> String {
    match change {
        NicMove::Renamed { was, now, by } => {
            format!("network card {was} is called {now} on this machine (same {by}), and {files} name {was}")
        }
        NicMove::Missing { was, known_by, candidates } => {
            let others = if candidates.is_empty() {
                String::new()
            } else {
                format!("; cards that are in no backup: {}", candidates.join(", "))
            };
            format!("network card {was} ({known_by}) is not in this machine, and {files} name it{others}")
        }
    }
}

fn unclear(choice: &DeviceChoice, why: &str, had: &[String], candidates: &[String]) -> Blocker {
    let list = |names: &[String]| names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    let had = if had.is_empty() { String::new() } else { format!("; it was also called {}", list(had)) };
    let candidates = if candidates.is_empty() {
        String::new()
    } else {
        format!("; this machine has {}", list(candidates))
    };
    Blocker::new(
        "device-unclear",
        format!("{} names device {}: {why}{had}{candidates}", choice.file, choice.name),
        format!(
            "attach the device; or keep the host's file with --keep {}; or leave all names as they stand: --devices as-is",
            choice.file
        ),
    )
}

/// Adds a file that is not in the backup to what is wanted, with the folders that lead to it.
fn add_file(wanted: &mut Listing, path: &str, bytes: &[u8], at: i64) {
    let Ok(path) = RelPath::new(path.as_bytes()) else { return };
    let meta = |mode| Meta { mode, uid: 0, gid: 0, seconds: at, nanos: 0 };
    let item = |path: &RelPath, kind, mode, sha256| Item {
        section: Section::Network,
        entry: Entry { path: path.clone(), kind, meta: meta(mode), xattrs: Vec::new() },
        sha256,
    };
    for folder in path.ancestors() {
        wanted.entry(folder.clone()).or_insert_with(|| item(&folder, Kind::OnTheWay, 0o755, None));
    }
    let kind = Kind::File { len: bytes.len() as u64 };
    wanted.insert(path.clone(), item(&path, kind, 0o644, Some(Sha256Hex::of(bytes))));
}
