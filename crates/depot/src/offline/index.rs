//! The index of a bundle: everything but the VIBs themselves.
//!
//! Promises: bounded time and memory; a name that leaves the folder is a finding and is never used; VIBs that are
//! named and not there are findings. Does not: read VIBs (that is `verify`).

use std::collections::BTreeSet;

use lifeboat_model::Finding;
use lifeboat_model::io::ReadAt;
use serde::Serialize;
use thiserror::Error;

use crate::descriptor::{Descriptor, DescriptorError};
use crate::finding::Code;
use crate::limits::Limits;
use crate::profile::{Profile, ProfileError};
use crate::tar::leaves_root;
use crate::vib::about;
use crate::vibid::VibId;
use crate::xml::{self, Element, XmlError};
use crate::zip::{Archive, ZipError};

/// Why a bundle cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The outer archive.
    #[error("reading the offline bundle")]
    Zip(#[source] ZipError),
    /// No index.
    #[error("the archive holds no index.xml, so it is no offline bundle{hint}")]
    NoIndex {
        /// What it may be instead.
        hint: &'static str,
    },
    /// A document of the index.
    #[error("reading {path} of the bundle")]
    Document {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: XmlError,
    },
    /// A metadata archive.
    #[error("reading the metadata archive {path} of the bundle")]
    Metadata {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: ZipError,
    },
    /// A descriptor.
    #[error("reading {path} of the bundle's metadata")]
    Descriptor {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: DescriptorError,
    },
    /// A profile.
    #[error("reading {path} of the bundle's metadata")]
    Profile {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: ProfileError,
    },
    /// Too much of it.
    #[error("the metadata of the bundle has more than {limit} {unit}")]
    TooMuch {
        /// The bound.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
}

/// A vendor of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vendor {
    /// Its name.
    pub name: String,
    /// Its code; three characters for newer lifecycle managers.
    pub code: String,
}

/// A metadata archive that a vendor's index names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// `embeddedEsx`, `esxio`.
    pub product: String,
    /// Versions that it is for, for example `5.*`.
    pub version: String,
    /// Path of the archive in the bundle.
    pub path: String,
}

/// A bulletin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bulletin {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub vendor: String,
    /// One line.
    pub summary: String,
    /// As found, for example `critical`.
    pub severity: String,
    /// As found.
    pub release_date: String,
    /// VIBs that belong to it.
    pub vibs: Vec<VibId>,
}

/// A VIB of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexedVib {
    /// Its descriptor, as the index has it.
    pub descriptor: Descriptor,
    /// Name of the member that holds the VIB; none if it is not there.
    pub member: Option<String>,
}

/// The index of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// Vendors.
    pub vendors: Vec<Vendor>,
    /// Metadata archives.
    pub metadata: Vec<Metadata>,
    /// VIBs, by path of their descriptors.
    pub vibs: Vec<IndexedVib>,
    /// Bulletins.
    pub bulletins: Vec<Bulletin>,
    /// Profiles.
    pub profiles: Vec<Profile>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Opens the archive of a bundle.
///
/// # Errors
/// [`BundleError::Zip`].
pub fn open<R: ReadAt>(source: R, limits: &Limits) -> Result<Archive<R>, BundleError> {
    Archive::open(source, limits).map_err(BundleError::Zip)
}

/// Reads the index. `name` is what findings call the bundle.
///
/// # Errors
/// See [`BundleError`].
pub fn read<R: ReadAt>(archive: &Archive<R>, name: &str, limits: &Limits) -> Result<Bundle, BundleError> {
    let mut reader = Reader {
        archive,
        limits,
        left: limits.metadata_bytes,
        used: BTreeSet::new(),
        bundle: Bundle {
            vendors: Vec::new(),
            metadata: Vec::new(),
            vibs: Vec::new(),
            bulletins: Vec::new(),
            profiles: Vec::new(),
            findings: Vec::new(),
        },
    };
    for entry in archive.entries() {
        if let Some(why) = leaves_root(&entry.name) {
            reader
                .bundle
                .findings
                .push(Code::ZipTraversal.at(name, format!("member {:?}: {why}", entry.name)));
        }
    }
    reader.index()?;
    let Reader { used, mut bundle, .. } = reader;
    for entry in archive.entries().iter().filter(|entry| !entry.is_folder()) {
        if !used.contains(&entry.name) && bundle.findings.len() < 1000 {
            bundle.findings.push(Code::NotInIndex.at(name, format!("member {:?}", entry.name)));
        }
    }
    thin(&mut bundle, name);
    Ok(bundle)
}

struct Reader<'a, R> {
    archive: &'a Archive<R>,
    limits: &'a Limits,
    left: u64,
    used: BTreeSet<String>,
    bundle: Bundle,
}

impl<R: ReadAt> Reader<'_, R> {
    fn index(&mut self) -> Result<(), BundleError> {
        if self.archive.find("index.xml").is_none() {
            let nested = self.archive.entries().iter().any(|entry| entry.name.ends_with("/index.xml"));
            let iso = self.archive.entries().iter().any(|entry| ends_with(&entry.name, "zip"));
            let hint = match (nested, iso) {
                (true, _) => "; one lies in a folder of it: unpack it, and pack the folder's content",
                (false, true) => "; it holds another zip archive: unpack it, and give that one",
                (false, false) => "",
            };
            return Err(BundleError::NoIndex { hint });
        }
        let index = self.document("index.xml", "vendorList")?;
        for vendor in index.all("vendor") {
            self.bundle.vendors.push(Vendor {
                name: vendor.text_of("name").to_owned(),
                code: vendor.text_of("code").to_owned(),
            });
            let folder = vendor.text_of("relativePath").trim_matches('/');
            let file = match vendor.text_of("indexfile") {
                "" => "vendor-index.xml",
                file => file,
            };
            let path = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
            if !self.used.contains(&path) {
                self.vendor(&path)?;
            }
        }
        Ok(())
    }

    fn vendor(&mut self, path: &str) -> Result<(), BundleError> {
        let list = self.document(path, "metaList")?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for metadata in list.all("metadata") {
            let url = metadata.text_of("url");
            let inner = if folder.is_empty() { url.to_owned() } else { format!("{folder}/{url}") };
            self.bundle.metadata.push(Metadata {
                product: metadata.text_of("productId").to_owned(),
                version: metadata.text_of("version").to_owned(),
                path: inner.clone(),
            });
            if self.used.insert(inner.clone()) {
                self.metadata(&inner)?;
            }
        }
        Ok(())
    }

    fn metadata(&mut self, path: &str) -> Result<(), BundleError> {
        let wrong = |source| BundleError::Metadata { path: path.to_owned(), source };
        let bytes = self.archive.bytes(path, self.limits.metadata_bytes).map_err(wrong)?;
        let inner = Archive::open(bytes, self.limits).map_err(wrong)?;
        for entry in inner.entries() {
            let Some((folder, file)) = entry.name.rsplit_once('/') else { continue };
            if !ends_with(file, "xml") || !["vibs", "bulletins", "profiles"].contains(&folder) {
                continue;
            }
            self.left = self
                .left
                .checked_sub(entry.size)
                .ok_or(BundleError::TooMuch { limit: self.limits.metadata_bytes, unit: "bytes" })?;
            let bytes = inner.bytes(&entry.name, self.limits.xml_bytes).map_err(wrong)?;
            let name = entry.name.clone();
            match folder {
                "vibs" => self.vib(name, &bytes)?,
                "bulletins" => {
                    let root = xml::parse(&bytes, "bulletin", self.limits)
                        .map_err(|source| BundleError::Document { path: name, source })?;
                    self.bundle.bulletins.push(bulletin(&root));
                }
                _ => {
                    let profile = Profile::parse(&bytes, self.limits)
                        .map_err(|source| BundleError::Profile { path: name, source })?;
                    self.bundle.profiles.push(profile);
                }
            }
        }
        if let Some(entry) = inner.find("vmware.xml") {
            self.left = self.left.saturating_sub(entry.size);
            self.responses(&inner, path)?;
        }
        Ok(())
    }

    fn vib(&mut self, path: String, bytes: &[u8]) -> Result<(), BundleError> {
        if self.bundle.vibs.len() >= self.limits.vibs {
            return Err(BundleError::TooMuch { limit: self.limits.vibs as u64, unit: "VIBs" });
        }
        let descriptor = Descriptor::parse(bytes, self.limits)
            .map_err(|source| BundleError::Descriptor { path, source })?;
        let id = descriptor.id.as_str();
        let mut member = None;
        match &descriptor.packed {
            None => {
                self.bundle.findings.push(Code::VibMissing.at(id, "the index does not say where it lies"));
            }
            Some(packed) => {
                if let Some(why) = leaves_root(&packed.path) {
                    let what = format!("it would lie at {:?}: {why}", packed.path);
                    self.bundle.findings.push(Code::ZipTraversal.at(id, what));
                } else if let Some(entry) = self.archive.find(&packed.path) {
                    self.used.insert(entry.name.clone());
                    member = Some(entry.name.clone());
                    if let Some(size) = packed.size.filter(|size| *size != entry.size) {
                        let what = format!("{} has {} bytes; the index says {size}", entry.name, entry.size);
                        self.bundle.findings.push(Code::IndexDisagrees.at(id, what));
                    }
                } else {
                    self.bundle
                        .findings
                        .push(Code::VibMissing.at(id, format!("there is no {:?}", packed.path)));
                }
            }
        }
        self.bundle.findings.extend(about(&descriptor));
        self.bundle.vibs.push(IndexedVib { descriptor, member });
        Ok(())
    }

    /// Holds the one document that older tools read against the descriptors.
    fn responses(&mut self, inner: &Archive<Vec<u8>>, path: &str) -> Result<(), BundleError> {
        let bytes = inner
            .bytes("vmware.xml", self.limits.xml_bytes)
            .map_err(|source| BundleError::Metadata { path: path.to_owned(), source })?;
        let wrong = |source| BundleError::Document { path: "vmware.xml".to_owned(), source };
        let root = xml::parse(&bytes, "metadataResponse", self.limits).map_err(wrong)?;
        let by_id: std::collections::BTreeMap<&str, &IndexedVib> =
            self.bundle.vibs.iter().map(|vib| (vib.descriptor.id.as_str(), vib)).collect();
        for vib in
            root.all("bulletin").filter_map(|one| one.child("vibList")).flat_map(|list| list.all("vib"))
        {
            let id = vib.text_of("vibID");
            let file = vib.child("vibFile");
            let path = file.map_or("", |file| file.text_of("relativePath"));
            match by_id.get(id).map(|indexed| indexed.descriptor.packed.as_ref()) {
                None => {
                    let what = "vmware.xml names it, and there is no descriptor of it";
                    self.bundle.findings.push(Code::IndexDisagrees.at(id, what));
                }
                Some(Some(packed)) if !path.is_empty() && packed.path != path => {
                    let what =
                        format!("vmware.xml says it lies at {path:?}, its descriptor {:?}", packed.path);
                    self.bundle.findings.push(Code::IndexDisagrees.at(id, what));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn document(&mut self, path: &str, root: &'static str) -> Result<Element, BundleError> {
        self.used.insert(path.to_owned());
        let bytes = self.archive.bytes(path, self.limits.xml_bytes).map_err(BundleError::Zip)?;
        xml::parse(&bytes, root, self.limits)
            .map_err(|source| BundleError::Document { path: path.to_owned(), source })
    }
}

fn ends_with(name: &str, extension: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case(extension))
}

fn bulletin(root: &Element) -> Bulletin {
    let vibs = root.child("vibList").into_iter().flat_map(|list| &list.children);
    let id = |element: &Element| match element.name.as_str() {
        "vibID" => Some(VibId::new(&element.text)),
        "vib" => Some(VibId::new(element.text_of("vibID"))),
        _ => None,
    };
    Bulletin {
        id: root.text_of("id").to_owned(),
        vendor: root.text_of("vendor").to_owned(),
        summary: root.text_of("summary").to_owned(),
        severity: root.text_of("severity").to_owned(),
        release_date: root.text_of("releaseDate").to_owned(),
        vibs: vibs.filter_map(id).collect(),
    }
}

/// What newer lifecycle managers want of a bundle.
fn thin(bundle: &mut Bundle, name: &str) {
    for vendor in &bundle.vendors {
        if vendor.code.len() != 3 || !vendor.code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let what = format!(
                "the code of vendor {:?} is {:?}, not three letters or digits",
                vendor.name, vendor.code
            );
            bundle.findings.push(Code::BundleThin.at(name, what));
        }
    }
    for metadata in &bundle.metadata {
        if !["embeddedEsx", "esxio"].contains(&metadata.product.as_str()) {
            let what = format!("product {:?} is neither embeddedEsx nor esxio", metadata.product);
            bundle.findings.push(Code::BundleThin.at(name, what));
        }
    }
}
