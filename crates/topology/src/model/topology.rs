//! The whole of it, and questions that any source can answer.
//!
//! Owns: [`Topology`] and its order. Promises: every list is sorted, so that equal machines give equal documents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::device::{Device, DeviceKind};
use super::parts::{Adapter, Lun, Path, PathState, Target};
use crate::ident::Identity;

/// Where a topology came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SourceKind {
    /// Files of a Linux kernel.
    Linux,
    /// A probe's document of a Linux machine.
    Probe,
    /// Node devices of libvirt.
    Nodedev,
    /// Saved outputs of programs.
    Outputs,
}

/// Where a topology came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its kind.
    pub kind: SourceKind,
    /// What in it was understood: `multipath -ll`, `esxcfg-mpath -l`.
    pub forms: Vec<String>,
}

/// Something odd that did not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Remark {
    /// What it is about.
    pub about: String,
    /// What was odd.
    pub text: String,
}

/// Adapters, targets, LUNs, paths, and block devices of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Where it came from.
    pub source: Source,
    /// Adapters by name.
    pub adapters: Vec<Adapter>,
    /// Targets by name.
    pub targets: Vec<Target>,
    /// LUNs by identity.
    pub luns: Vec<Lun>,
    /// Paths by LUN and address.
    pub paths: Vec<Path>,
    /// Block devices by name.
    pub devices: Vec<Device>,
    /// What was odd.
    pub remarks: Vec<Remark>,
}

impl Topology {
    /// An empty one.
    pub fn new(kind: SourceKind) -> Self {
        Self {
            source: Source { kind, forms: Vec::new() },
            adapters: Vec::new(),
            targets: Vec::new(),
            luns: Vec::new(),
            paths: Vec::new(),
            devices: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Puts every list into its order.
    pub(crate) fn sort(&mut self) {
        self.adapters.sort_by_cached_key(|one| natural(&one.id));
        self.targets.sort_by_cached_key(|one| natural(&one.id));
        self.paths.sort_by_cached_key(|path| {
            let device = path.device.as_deref().map(natural);
            (path.lun.clone(), natural(&path.adapter), path.hctl, path.number, device, path.name.clone())
        });
        let first: BTreeMap<&Identity, _> = self
            .paths
            .iter()
            .rev()
            .map(|path| (&path.lun, (natural(&path.adapter), path.hctl, path.number)))
            .collect();
        self.luns.sort_by_cached_key(|lun| (first.get(&lun.identity).cloned(), lun.identity.clone()));
        self.devices.sort_by_cached_key(|one| natural(&one.kernel));
        self.remarks.sort();
    }

    /// The paths of a LUN.
    pub fn paths_of<'a>(&'a self, lun: &'a Lun) -> impl Iterator<Item = &'a Path> {
        self.paths.iter().filter(|path| path.lun == lun.identity)
    }

    /// How many paths of a LUN carry data or could, as `2/2`; `?/2` where the source does not tell states, `-` where it
    /// does not tell paths.
    pub fn up_of(&self, lun: &Lun) -> String {
        let states: Vec<PathState> = self.paths_of(lun).map(|path| path.state).collect();
        let up = states.iter().filter(|state| matches!(state, PathState::Up | PathState::Standby)).count();
        match states.len() {
            0 => "-".to_owned(),
            all if states.iter().all(|state| *state == PathState::Unknown) => format!("?/{all}"),
            all => format!("{up}/{all}"),
        }
    }

    /// A block device by its kernel name.
    pub fn device(&self, kernel: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.kernel == kernel)
    }

    /// What stands directly on a device.
    pub fn upon<'a>(&'a self, kernel: &'a str) -> impl Iterator<Item = &'a Device> {
        self.devices.iter().filter(move |device| device.on.iter().any(|below| below == kernel))
    }

    /// What a LUN is used by in the end: mount points, swap, volumes and RAIDs that nobody mounted, guests' file systems.
    pub fn used_by(&self, lun: &Lun) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut uses = Vec::new();
        let mut todo: Vec<&str> = lun.devices.iter().map(String::as_str).rev().collect();
        while let Some(kernel) = todo.pop() {
            if !seen.insert(kernel) {
                continue;
            }
            let Some(device) = self.device(kernel) else { continue };
            for mount in &device.mounts {
                if !uses.contains(mount) {
                    uses.push(mount.clone());
                }
            }
            let upon: Vec<&Device> = self.upon(kernel).collect();
            let leaf = upon.is_empty() && device.mounts.is_empty();
            let own = !matches!(device.kind, DeviceKind::Disk | DeviceKind::Multipath | DeviceKind::Rom);
            let word = match device.kind {
                DeviceKind::Partition => device.content.as_ref().map(|content| content.kind.clone()),
                _ if own => Some(device.label()),
                _ => device.content.as_ref().map(|content| content.kind.clone()),
            };
            if let Some(word) = word.filter(|word| leaf && !uses.contains(word) && word != "mpath_member") {
                uses.push(word);
            }
            todo.extend(upon.into_iter().rev().map(|device| device.kernel.as_str()));
        }
        uses
    }
}

/// A key that sorts `sd2` before `sd10` and `sdb` before `sdaa`.
pub(crate) fn natural(name: &str) -> (usize, Vec<(String, u64)>) {
    let mut parts = Vec::new();
    let mut letters = String::new();
    let mut number: Option<u64> = None;
    for c in name.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(digit)));
            continue;
        }
        if let Some(number) = number.take() {
            parts.push((std::mem::take(&mut letters), number));
        }
        letters.push(c);
    }
    parts.push((letters, number.unwrap_or(0)));
    let length = if name.starts_with("sd") || name.starts_with("vd") {
        name.trim_end_matches(|c: char| c.is_ascii_digit()).len()
    } else {
        0
    };
    (length, parts)
}
