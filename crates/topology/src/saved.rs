//! A saved file or folder, whatever is in it.
//!
//! Owns: telling a folder with `sys/` from node devices, probes and outputs, and adding what outputs know to what the
//! kernel knows. Promises: several files of one host become one topology. Does not: mix hosts; who names the files says
//! that they belong together.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::linux::{TopologyError, read_linux};
use crate::model::{PathState, SourceKind, Topology};
use crate::nodedev::{NodedevError, read_nodedev};
use crate::probe::{ProbeError, probe_tree};
use crate::text::{TextError, read_text};
use crate::tree::{RealTree, Tree as _, TreeError};

/// Longest file.
const LONGEST: usize = 64 << 20;

/// Why a file gave no topology.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It could not be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A tree that is none of a host.
    #[error("reading {} as the files of a Linux host", path.display())]
    Linux {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TopologyError,
    },
    /// Node devices that are none.
    #[error("reading {} as node devices", path.display())]
    Nodedev {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: NodedevError,
    },
    /// A probe that is none.
    #[error("reading {} as a probe of a machine", path.display())]
    Probe {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ProbeError,
    },
    /// A text of which nothing was understood.
    #[error("reading {} as outputs of programs", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TextError,
    },
}

/// Reads a saved file, or a folder that holds the root of a dump.
pub fn read_saved(path: &Path) -> Result<Topology, SavedError> {
    let owned = || path.to_owned();
    if path.is_dir() {
        return read_linux(&RealTree::new(path))
            .map_err(|source| SavedError::Linux { path: owned(), source });
    }
    let read = |source| SavedError::Read { path: owned(), source };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(read(TreeError::Io(io::ErrorKind::InvalidFilename.into())));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let name = match std::fs::canonicalize(path) {
        // A link that a person names is followed.
        Ok(real) if real.file_name() != path.file_name() || path.is_symlink() => return read_saved(&real),
        Ok(_) => name,
        Err(error) => return Err(read(error.into())),
    };
    let bytes = RealTree::new(folder).read_file(name, LONGEST).map_err(read)?;
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        Some('<') => read_nodedev(&text).map_err(|source| SavedError::Nodedev { path: owned(), source }),
        Some('{') => {
            let tree = probe_tree(&bytes).map_err(|source| SavedError::Probe { path: owned(), source })?;
            let found = read_linux(&tree).map_err(|source| SavedError::Linux { path: owned(), source })?;
            Ok(Topology { source: probe_source(), ..found })
        }
        _ => read_text(&text).map_err(|source| SavedError::Text { path: owned(), source }),
    }
}

fn probe_source() -> crate::model::Source {
    crate::model::Source { kind: SourceKind::Probe, forms: vec!["probert".to_owned()] }
}

impl Topology {
    /// Adds what another source of the same host knows: policies of maps, states that a path checker saw, and LUNs, paths
    /// and adapters that are not known yet. A state that is worse wins: the kernel calls a path running that a checker
    /// found faulty.
    pub fn add(&mut self, other: Self) {
        for form in other.source.forms {
            if !self.source.forms.contains(&form) {
                self.source.forms.push(form);
            }
        }
        let mut renamed = Vec::new();
        for lun in other.luns {
            let same = |known: &&mut crate::model::Lun| {
                let id = |id| known.ids.iter().any(|mine| mine == id);
                known.identity == lun.identity || lun.ids.iter().filter(|id| id.kind().is_durable()).any(id)
            };
            match self.luns.iter_mut().find(same) {
                Some(known) => {
                    renamed.push((lun.identity, known.identity.clone()));
                    lun.ids.iter().for_each(|id| known.ids.add(id.clone()));
                    known.bytes = known.bytes.or(lun.bytes);
                    known.vendor = known.vendor.take().or(lun.vendor);
                    known.model = known.model.take().or(lun.model);
                    match (&mut known.map, lun.map) {
                        (Some(map), Some(more)) => {
                            map.policy = map.policy.take().or(more.policy);
                            map.handler = map.handler.take().or(more.handler);
                            map.features = map.features.take().or(more.features);
                        }
                        (map @ None, more) => *map = more,
                        (Some(_), None) => {}
                    }
                }
                None => self.luns.push(lun),
            }
        }
        for mut path in other.paths {
            if let Some((_, known)) = renamed.iter().find(|(theirs, _)| *theirs == path.lun) {
                path.lun = known.clone();
            }
            let same = |known: &&mut crate::model::Path| {
                known.lun == path.lun
                    && ((known.hctl.is_some() && known.hctl == path.hctl)
                        || (known.name.is_some() && known.name == path.name))
            };
            match self.paths.iter_mut().find(same) {
                Some(known) => {
                    if path.state == PathState::Down || known.state == PathState::Unknown {
                        known.state = path.state;
                    }
                    if !path.words.is_empty() && !known.words.contains(&path.words) {
                        let gap = if known.words.is_empty() { "" } else { "; " };
                        known.words = format!("{}{gap}{}", known.words, path.words);
                    }
                }
                None => self.paths.push(path),
            }
        }
        for adapter in other.adapters {
            if !self.adapters.iter().any(|known| known.id == adapter.id) {
                self.adapters.push(adapter);
            }
        }
        for target in other.targets {
            if !self.targets.iter().any(|known| known.id == target.id) {
                self.targets.push(target);
            }
        }
        for device in other.devices {
            if !self.devices.iter().any(|known| known.kernel == device.kernel) {
                self.devices.push(device);
            }
        }
        self.remarks.extend(other.remarks);
        self.sort();
    }
}
