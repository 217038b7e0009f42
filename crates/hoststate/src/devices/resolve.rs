//! An identity beside every name, and what becomes of the name on the machine of a restore.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refs::SIZE_LIMIT;
use super::{Device, DeviceError, Devices, Reference, find_references, is_searched};
use crate::path::RelPath;
use crate::root::{Root, RootError, Tree};

/// A name in a file, and the device that it stood for when the backup was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// The file.
    pub file: RelPath,
    /// The name as it stands there.
    pub name: String,
    /// Whether the host comes up without.
    #[serde(default)]
    pub optional: bool,
    /// What the device was; none if it was not there.
    #[serde(default)]
    pub identity: Option<String>,
    /// Whether the identity outlives a move to another slot.
    #[serde(default)]
    pub durable: bool,
    /// Every name that it had.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What becomes of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Outcome {
    /// It stands for the same device here.
    Same {
        /// The node.
        node: String,
    },
    /// The device has another name here, which is written instead.
    Renamed {
        /// The new name.
        to: String,
        /// By what it was found.
        why: String,
    },
    /// It is left as it stands: the host comes up without, or it was not there at the backup either.
    Left {
        /// Why.
        why: String,
    },
    /// A person has to say what is meant.
    Unclear {
        /// Why.
        why: String,
        /// Every name that it had.
        had: Vec<String>,
        /// Devices that could be meant.
        candidates: Vec<String>,
    },
}

/// A name and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceChoice {
    /// The file.
    pub file: RelPath,
    /// The name as it stands there.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// Finds the names in the files of a tree, and what each stands for now.
pub fn know_devices(root: &Root, tree: &Tree, devices: &dyn Devices) -> Result<Vec<KnownDevice>, RootError> {
    let mut known = Vec::new();
    for found in tree.found.iter().filter(|found| is_searched(&found.entry.path)) {
        let crate::form::Kind::File { len } = found.entry.kind else { continue };
        let path = &found.entry.path;
        let Some(text) = path.as_str().filter(|_| len <= SIZE_LIMIT) else { continue };
        let bytes = root.read(text, SIZE_LIMIT)?.unwrap_or_default();
        for Reference { name, optional, .. } in find_references(path, &bytes) {
            let device = devices.resolve(&name).ok();
            let names = device.as_ref().map(|device| devices.names_of(&device.identity)).unwrap_or_default();
            let (identity, durable) =
                device.map_or((None, false), |Device { identity, durable, .. }| (Some(identity), durable));
            known.push(KnownDevice { file: path.clone(), name, optional, identity, durable, names });
        }
    }
    Ok(known)
}

/// What becomes of every name on this machine.
pub fn resolve_devices(known: &[KnownDevice], devices: &dyn Devices) -> Vec<DeviceChoice> {
    // The same name in many files is asked for once.
    let mut told: BTreeMap<(&str, Option<&str>), Outcome> = BTreeMap::new();
    let mut choices = Vec::new();
    for device in known {
        let key = (device.name.as_str(), device.identity.as_deref());
        let outcome = told.entry(key).or_insert_with(|| outcome_of(device, devices)).clone();
        let outcome = match outcome {
            Outcome::Unclear { why, .. } if device.optional => {
                Outcome::Left { why: format!("{why}; the host comes up without it (noauto, nofail)") }
            }
            outcome => outcome,
        };
        choices.push(DeviceChoice { file: device.file.clone(), name: device.name.clone(), outcome });
    }
    choices
}

fn outcome_of(known: &KnownDevice, devices: &dyn Devices) -> Outcome {
    let unclear =
        |why: String| Outcome::Unclear { why, had: known.names.clone(), candidates: devices.candidates() };
    let here = devices.resolve(&known.name);
    let Some(identity) = &known.identity else {
        return match here {
            Ok(device) => Outcome::Same { node: device.node },
            Err(_) => Outcome::Left { why: "it was not there when the backup was made, either".to_owned() },
        };
    };
    match &here {
        Ok(device) if device.identity == *identity => {
            // The name found it; whether the system finds it by this spelling is another question.
            let spelled =
                devices.names_of(identity).contains(&known.name) || !known.name.starts_with("/dev/");
            return match (spelled, better_name(known, identity, devices)) {
                (false, Some(to)) => Outcome::Renamed { to, why: device.why.clone() },
                _ => Outcome::Same { node: device.node.clone() },
            };
        }
        Ok(_) | Err(_) => {}
    }
    if !known.durable {
        // Known by its place only: by what comes first here it would be guessed.
        return unclear(match here {
            Ok(device) => format!(
                "it was known by its place only ({identity}), and the name stands for {} here",
                device.identity
            ),
            Err(error) => format!("it was known by its place only ({identity}): {error}"),
        });
    }
    match (devices.find(identity), here) {
        (Ok(device), _) => match better_name(known, identity, devices) {
            Some(to) => Outcome::Renamed { to, why: device.why },
            None => unclear(format!("{} is it, and has no name that lasts", device.node)),
        },
        (Err(DeviceError::Unknown), Ok(other)) => unclear(format!(
            "the name stands for another device here ({}), and {identity} is not here",
            other.identity
        )),
        (Err(error), _) => unclear(format!("{identity}: {error}")),
    }
}

/// The name that is written for a device: of the kind that was used, if there is one.
fn better_name(known: &KnownDevice, identity: &str, devices: &dyn Devices) -> Option<String> {
    let names = devices.names_of(identity);
    let kind = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let lasting = |name: &&String| name.starts_with("/dev/disk/") || name.starts_with("/dev/mapper/");
    let same_kind = names.iter().filter(lasting).find(|name| kind(name) == kind(&known.name));
    let by_id = names.iter().filter(lasting).find(|name| name.starts_with("/dev/disk/by-id/"));
    same_kind.or(by_id).or_else(|| names.iter().find(lasting)).cloned()
}

/// The bytes of a file with the new names in it.
pub(crate) fn rewrite(path: &RelPath, bytes: &[u8], choices: &[DeviceChoice]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for reference in find_references(path, bytes) {
        let new = choices.iter().find_map(|choice| match &choice.outcome {
            Outcome::Renamed { to, .. } if choice.file == *path && choice.name == reference.name => Some(to),
            _ => None,
        });
        let end = reference.offset + reference.name.len();
        if let (Some(new), Some(before)) = (new, bytes.get(at..reference.offset)) {
            out.extend_from_slice(before);
            out.extend_from_slice(new.as_bytes());
            at = end;
        }
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}
