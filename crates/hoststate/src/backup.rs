//! Making a backup of a host.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::devices::{Devices, know_devices};
use crate::facts::{Package, read_host, read_nics, read_packages, read_product};
use crate::form::{
    BackupWriter, BankFact, Entry, FileMaker, FormError, Index, Kind, LeftOut, Made, Product, Purpose,
    SCHEMA, SectionWriter,
};
use crate::path::RelPath;
use crate::root::{Root, RootError, Section, Tree, capture_file, read_tree};

/// Most paths that are listed as left out; the number of further ones is told.
const LEFT_OUT_LIMIT: usize = 2000;

/// Names of documents.
pub(crate) mod document {
    /// Network cards, in section network.
    pub(crate) const NICS: &str = "nics";
    /// Names of devices, in section storage.
    pub(crate) const DEVICES: &str = "devices";
    /// Definitions as a running libvirt has them, in section libvirt.
    pub(crate) const LIVE: &str = "live-definitions";
    /// Installed packages, in section packages.
    pub(crate) const PACKAGES: &str = "packages";
}

/// A definition as a running libvirt gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveDefinition {
    /// Of what: `domain`, `network`, `pool`, `nwfilter`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its XML.
    pub xml: String,
}

/// What the caller knows and a root does not tell.
pub struct BackupRequest<'a> {
    /// A tree like `/sys`, for cards and identity of the machine.
    pub sys: &'a Path,
    /// Devices of the machine.
    pub devices: &'a dyn Devices,
    /// When, and by what program.
    pub made: Made,
    /// Release of the kernel that runs, if it is this root's.
    pub kernel: Option<String>,
    /// Architecture.
    pub arch: Option<String>,
    /// Boot banks; empty on hosts without.
    pub banks: Vec<BankFact>,
    /// Definitions of a running libvirt.
    pub live: Vec<LiveDefinition>,
    /// Packages, if the caller knows them better than dpkg's database.
    pub packages: Vec<Package>,
}

impl std::fmt::Debug for BackupRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupRequest")
            .field("sys", &self.sys)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

/// Why a backup was not made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Something below the root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The file.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A backup without the version that made it is of no use: a restore could not refuse another one.
    #[error("which product and version {} holds cannot be told: neither etc/os-release nor etc/xensource-inventory does", root.display())]
    NoProduct {
        /// The root.
        root: std::path::PathBuf,
    },
    /// A document could not be written.
    #[error("writing a document of section {section}")]
    Document {
        /// The section.
        section: Section,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

/// Makes a backup as the file `path`, which has this name only when it is whole and durable.
pub fn back_up(root: &Root, request: &BackupRequest<'_>, path: &Path) -> Result<Index, BackupError> {
    let (maker, file) = FileMaker::begin(path)?;
    match write_backup(root, request, Purpose::Backup, None, file, path) {
        Ok((file, index)) => {
            maker.name(&file)?;
            Ok(index)
        }
        Err(error) => {
            maker.discard();
            Err(error)
        }
    }
}

/// Writes a backup into an open, empty file. `product` stands in for one that the root does not tell.
pub(crate) fn write_backup(
    root: &Root,
    request: &BackupRequest<'_>,
    purpose: Purpose,
    product: Option<Product>,
    file: File,
    path: &Path,
) -> Result<(File, Index), BackupError> {
    let no_product = || BackupError::NoProduct { root: root.path().to_owned() };
    let product = read_product(root).or(product).ok_or_else(no_product)?;
    let tree = read_tree(root)?;
    let mut writer = BackupWriter::new(file, path)?;
    for section in Section::ALL {
        let mut out = writer.section(section.word())?;
        for (name, document) in documents(root, request, section, &tree)? {
            let json =
                serde_json::to_vec(&document).map_err(|source| BackupError::Document { section, source })?;
            out.document(name, &json)?;
        }
        write_section(root, section, &tree, &mut out)?;
        writer = out.finish()?;
    }
    let mut left_out = tree.left_out;
    let more = left_out.len().saturating_sub(LEFT_OUT_LIMIT);
    left_out.truncate(LEFT_OUT_LIMIT);
    let index = Index {
        schema: SCHEMA.to_owned(),
        purpose,
        product,
        host: read_host(root, request.sys, request.kernel.clone(), request.arch.clone()),
        banks: request.banks.clone(),
        made: request.made.clone(),
        sections: Vec::new(),
        left_out,
        left_out_more: more as u64,
    };
    Ok(writer.finish(index)?)
}

fn documents(
    root: &Root,
    request: &BackupRequest<'_>,
    section: Section,
    tree: &Tree,
) -> Result<Vec<(&'static str, serde_json::Value)>, BackupError> {
    let json = |source| BackupError::Document { section, source };
    Ok(match section {
        Section::Network => {
            vec![(document::NICS, serde_json::to_value(read_nics(request.sys)).map_err(json)?)]
        }
        Section::Storage => {
            let known = know_devices(root, tree, request.devices)?;
            vec![(document::DEVICES, serde_json::to_value(known).map_err(json)?)]
        }
        Section::Libvirt if !request.live.is_empty() => {
            vec![(document::LIVE, serde_json::to_value(&request.live).map_err(json)?)]
        }
        Section::Packages => {
            let packages =
                if request.packages.is_empty() { read_packages(root)? } else { request.packages.clone() };
            vec![(document::PACKAGES, serde_json::to_value(packages).map_err(json)?)]
        }
        Section::Libvirt
        | Section::Identity
        | Section::Users
        | Section::Schedule
        | Section::Configuration => Vec::new(),
    })
}

fn write_section(
    root: &Root,
    section: Section,
    tree: &Tree,
    out: &mut SectionWriter,
) -> Result<(), BackupError> {
    let mut above: BTreeSet<RelPath> = BTreeSet::new();
    for found in tree.found.iter().filter(|found| found.section == section) {
        let path = &found.entry.path;
        for folder in path.ancestors() {
            if above.insert(folder.clone())
                && let Some(entry) = tree.on_the_way.get(&folder)
            {
                out.entry(entry)?;
            }
        }
        if found.entry.kind.is_folder() {
            above.insert(path.clone());
        }
        write_entry(root, &found.entry, out)?;
    }
    Ok(())
}

/// Writes one entry, with its content if it is a file. Gives the digest of that.
pub(crate) fn write_entry(
    root: &Root,
    entry: &Entry,
    out: &mut SectionWriter,
) -> Result<Option<Sha256Hex>, RootError> {
    if let Kind::File { .. } = entry.kind {
        return capture_file(root, entry, out).map(|(_, digest)| Some(digest));
    }
    out.entry(entry)?;
    Ok(None)
}

/// What was left out, in words.
pub fn left_out_words(left: &LeftOut) -> String {
    format!("{}: {}", left.path, left.why)
}
