//! `descriptor.xml`: what a VIB says about itself.
//!
//! Owns: [`Descriptor`] and reading it, also the copies in a bundle's index and on a host. Promises: bounded work;
//! unknown elements are kept as notes, oddities are told and never guessed away. Does not: believe any of it.

use serde::Serialize;
use thiserror::Error;

use crate::level::Level;
use crate::limits::Limits;
use crate::relation::{Constraint, Relation, Relations};
use crate::version::VibVersion;
use crate::vibid::VibId;
use crate::xml::{self, Element, XmlError};

/// What is wrong with a descriptor.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// Not a document that can be read.
    #[error("reading the descriptor")]
    Xml(#[from] XmlError),
    /// A VIB of ESX 4.
    #[error(
        "this is a VIB of format {version:?}, as ESX 4 has them: a package of another system in a VIB; only format 2 \
         (ESXi 5 and later) can be read"
    )]
    OldFormat {
        /// What it says.
        version: String,
    },
    /// Something without which a VIB has no identity.
    #[error("the descriptor has no <{element}>")]
    Missing {
        /// Name of the element.
        element: &'static str,
    },
    /// A name that cannot be one.
    #[error("<{element}> is {value:?}, which is no plain word")]
    NotAWord {
        /// Name of the element.
        element: &'static str,
        /// Its text, cut at 80 characters.
        value: String,
    },
}

/// Where a VIB is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VibType {
    /// Into a boot bank.
    Bootbank,
    /// Onto the locker (tools for guests).
    Locker,
    /// Something else, by its word.
    Other(String),
}

impl VibType {
    /// Its word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Bootbank => "bootbank",
            Self::Locker => "locker",
            Self::Other(word) => word,
        }
    }

    fn new(word: &str) -> Self {
        match word {
            "bootbank" => Self::Bootbank,
            "locker" => Self::Locker,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a payload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// gzip of a visor tar.
    Vgz,
    /// gzip of a tar.
    Tgz,
    /// A module of the boot loader or kernel.
    Boot,
    /// Text.
    Text,
    /// Something else, by its word.
    Other(String),
}

impl PayloadKind {
    /// Its word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Vgz => "vgz",
            Self::Tgz => "tgz",
            Self::Boot => "boot",
            Self::Text => "text",
            Self::Other(word) => word,
        }
    }

    fn new(word: &str) -> Self {
        match word {
            "vgz" => Self::Vgz,
            "tgz" => Self::Tgz,
            "boot" => Self::Boot,
            "text" => Self::Text,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// One sum of a payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Checksum {
    /// `sha-1`, `sha-256` or a word that is not known here.
    pub algorithm: String,
    /// `gunzip`: of the unpacked stream; empty: of the bytes as they are.
    pub process: String,
    /// Hexadecimal digits, lower case.
    pub digits: String,
}

/// What the descriptor says about one payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayloadSpec {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: PayloadKind,
    /// Bytes as packed.
    pub size: Option<u64>,
    /// Its sums.
    pub checksums: Vec<Checksum>,
}

/// Hardware that a VIB is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// Vendor; compared without regard to case.
    pub vendor: String,
    /// Model; empty for all.
    pub model: String,
}

/// Where the index of a bundle says that the VIB lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// Path in the bundle.
    pub path: String,
    /// Bytes of the `.vib`.
    pub size: Option<u64>,
    /// Sums of the `.vib`.
    pub checksums: Vec<Checksum>,
}

/// A descriptor. Texts are as found, without blanks around them.
#[expect(clippy::struct_excessive_bools, reason = "the form has seven yes-or-no elements, each of its own")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// `Vendor_type_name_version`.
    pub id: VibId,
    /// Where it is put.
    pub kind: VibType,
    /// Name: what VIBs are matched by.
    pub name: String,
    /// Version and release.
    pub version: VibVersion,
    /// Vendor; may change between releases.
    pub vendor: String,
    /// One line.
    pub summary: String,
    /// Some lines.
    pub description: String,
    /// As found.
    pub release_date: String,
    /// Only in the copy on a host.
    pub install_date: Option<String>,
    /// Words about others.
    pub relations: Relations,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether the host must be in maintenance mode when the VIB is removed or replaced.
    pub maintenance: bool,
    /// Whether it must be when the VIB is new to the host.
    pub maintenance_on_install: bool,
    /// Hardware; empty for all.
    pub platforms: Vec<Platform>,
    /// Files without directories.
    pub files: Vec<String>,
    /// The level that it claims.
    pub level: Option<Level>,
    /// Whether it can be installed without a reboot.
    pub live_install: bool,
    /// Whether it can be removed without a reboot.
    pub live_remove: bool,
    /// Whether the hardware agent is started again.
    pub cimom_restart: bool,
    /// Whether it works on a host without a disk.
    pub stateless_ready: bool,
    /// Whether its files may lie over those of others.
    pub overlay: bool,
    /// Payloads, in their order.
    pub payloads: Vec<PayloadSpec>,
    /// Only in the copy in a bundle's index.
    pub packed: Option<Packed>,
    /// Elements and attributes that are not known here.
    pub unknown: Vec<String>,
    /// What is not in the form, in words.
    pub odd: Vec<String>,
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DescriptorError> {
        let root = match xml::parse(bytes, "vib", limits) {
            Ok(root) => root,
            Err(XmlError::Other { found, .. }) if found.to_ascii_lowercase().contains("vib") => {
                return Err(DescriptorError::OldFormat { version: format!("<{found}>") });
            }
            Err(error) => return Err(error.into()),
        };
        Self::from_element(&root)
    }

    pub(crate) fn from_element(root: &Element) -> Result<Self, DescriptorError> {
        let old = root.child("vibVersion").map(|element| element.text.clone());
        let format = root.attribute("version").map(str::to_owned);
        if let Some(version) = old.or(format.filter(|format| format.starts_with("1."))) {
            return Err(DescriptorError::OldFormat { version });
        }
        let mut odd = Vec::new();
        let name = word(root, "name")?;
        let version = word(root, "version")?;
        let vendor = word(root, "vendor")?;
        let kind = if root.child("type").is_some() {
            VibType::new(&word(root, "type")?)
        } else {
            odd.push("there is no <type>; bootbank is assumed".to_owned());
            VibType::Bootbank
        };
        let level = match root.text_of("acceptance-level") {
            "" => {
                odd.push("there is no <acceptance-level>".to_owned());
                None
            }
            text => text.parse().map_err(|wrong| odd.push(wrong)).ok(),
        };
        let requires = root.child("system-requires");
        let maintenance = requires.and_then(|requires| requires.child("maintenance-mode"));
        let needed = maintenance.is_some_and(|element| truth(&element.text, "maintenance-mode", &mut odd));
        let on_install = maintenance.and_then(|element| element.attribute("on-install"));
        let on_install =
            on_install.map_or(needed, |text| truth(text, "maintenance-mode on-install", &mut odd));
        let mut flag = |element: &str| {
            let text = root.text_of(element);
            !text.is_empty() && truth(text, element, &mut odd)
        };
        let (live_install, live_remove) = (flag("live-install-allowed"), flag("live-remove-allowed"));
        let (cimom_restart, stateless_ready) = (flag("cimom-restart"), flag("stateless-ready"));
        let overlay = flag("overlay");
        let relations = relations(root, &mut odd);
        Ok(Self {
            id: VibId::of(&vendor, kind.word(), &name, &version),
            kind,
            version: VibVersion::new(&version),
            name,
            vendor,
            summary: root.text_of("summary").to_owned(),
            description: root.text_of("description").to_owned(),
            release_date: root.text_of("release-date").to_owned(),
            install_date: root.child("installdate").map(|element| element.text.clone()),
            relations,
            tags: texts(root, "software-tags", "tag"),
            maintenance: needed,
            maintenance_on_install: on_install,
            platforms: platforms(requires),
            files: texts(root, "file-list", "file"),
            level,
            live_install,
            live_remove,
            cimom_restart,
            stateless_ready,
            overlay,
            payloads: payloads(root, &mut odd),
            packed: packed(root),
            unknown: unknown(root),
            odd,
        })
    }
}

/// A text that becomes part of an id: no blanks, no controls, no path.
fn word(root: &Element, element: &'static str) -> Result<String, DescriptorError> {
    let text = root.text_of(element);
    if text.is_empty() {
        return Err(DescriptorError::Missing { element });
    }
    let plain = text.len() <= 255
        && !text.contains("..")
        && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\')
        && (element == "vendor" || !text.contains(char::is_whitespace));
    if plain {
        Ok(text.to_owned())
    } else {
        Err(DescriptorError::NotAWord { element, value: text.chars().take(80).collect() })
    }
}

fn truth(text: &str, element: &str, odd: &mut Vec<String>) -> bool {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => true,
        "false" | "0" | "no" | "" => false,
        other => {
            odd.push(format!("{element} is {other:?}, neither true nor false; false is assumed"));
            false
        }
    }
}

fn texts(root: &Element, list: &str, item: &str) -> Vec<String> {
    let list = root.child(list).into_iter();
    list.flat_map(|list| list.all(item))
        .filter(|item| !item.text.is_empty())
        .map(|item| item.text.clone())
        .collect()
}

fn relations(root: &Element, odd: &mut Vec<String>) -> Relations {
    let Some(all) = root.child("relationships") else { return Relations::default() };
    let mut list = |name: &str| -> Vec<Constraint> {
        let constraints = all.child(name).into_iter().flat_map(|list| list.all("constraint"));
        constraints.filter_map(|element| constraint(name, element, odd)).collect()
    };
    Relations {
        depends: list("depends"),
        conflicts: list("conflicts"),
        replaces: list("replaces"),
        provides: list("provides"),
        compatible_with: list("compatibleWith"),
    }
}

fn constraint(list: &str, element: &Element, odd: &mut Vec<String>) -> Option<Constraint> {
    let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else {
        odd.push(format!("a constraint in <{list}> has no name"));
        return None;
    };
    let sign = element.attribute("relation").filter(|text| !text.is_empty());
    let version = element.attribute("version").filter(|text| !text.is_empty());
    let bound = match (sign, version) {
        (None, None) => None,
        (Some(sign), Some(version)) => {
            let relation = Relation::parse(sign);
            if relation.is_none() {
                odd.push(format!(
                    "{list} {name}: the relation {sign:?} is not known; any version is assumed"
                ));
            }
            relation.map(|relation| (relation, VibVersion::new(version)))
        }
        (None, Some(version)) if list == "provides" => Some((Relation::Equal, VibVersion::new(version))),
        (Some(_), None) | (None, Some(_)) => {
            odd.push(format!(
                "{list} {name}: relation and version are not both there; any version is assumed"
            ));
            None
        }
    };
    Some(Constraint { name: name.to_owned(), bound })
}

fn platforms(requires: Option<&Element>) -> Vec<Platform> {
    let platforms = requires.into_iter().flat_map(|requires| requires.all("hardwarePlatform"));
    platforms
        .map(|element| Platform {
            vendor: element.attribute("vendor").unwrap_or_default().to_owned(),
            model: element.attribute("model").unwrap_or_default().to_owned(),
        })
        .collect()
}

pub(crate) fn checksums(parent: &Element) -> Vec<Checksum> {
    let read = |element: &Element| Checksum {
        algorithm: element.attribute("checksum-type").unwrap_or_default().to_ascii_lowercase(),
        process: element.attribute("verify-process").unwrap_or_default().to_owned(),
        digits: element.text.to_ascii_lowercase(),
    };
    parent.all("checksum").map(read).collect()
}

fn payloads(root: &Element, odd: &mut Vec<String>) -> Vec<PayloadSpec> {
    let mut payloads = Vec::new();
    for element in root.child("payloads").into_iter().flat_map(|list| list.all("payload")) {
        let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else {
            odd.push("a payload has no name".to_owned());
            continue;
        };
        let size = element.attribute("size").map(|text| text.trim().parse::<u64>());
        let size = size.and_then(|size| {
            size.map_err(|_| odd.push(format!("the size of payload {name} is no number"))).ok()
        });
        payloads.push(PayloadSpec {
            name: name.to_owned(),
            kind: PayloadKind::new(element.attribute("type").unwrap_or_default()),
            size,
            checksums: checksums(element),
        });
    }
    payloads
}

fn packed(root: &Element) -> Option<Packed> {
    let path = root.text_of("relative-path");
    (!path.is_empty()).then(|| Packed {
        path: path.to_owned(),
        size: root.text_of("packed-size").parse().ok(),
        checksums: checksums(root),
    })
}

/// Names of everything that this module does not look at.
fn unknown(root: &Element) -> Vec<String> {
    const KNOWN: [&str; 26] = [
        "type",
        "name",
        "version",
        "vendor",
        "summary",
        "description",
        "release-date",
        "urls",
        "relationships",
        "software-tags",
        "system-requires",
        "file-list",
        "acceptance-level",
        "live-install-allowed",
        "live-remove-allowed",
        "cimom-restart",
        "stateless-ready",
        "overlay",
        "payloads",
        "installdate",
        "relative-path",
        "packed-size",
        "checksum",
        "vibVersion",
        "signature",
        "hwplatform",
    ];
    const REQUIRES: [&str; 4] = ["maintenance-mode", "hardwarePlatform", "repeatable", "swPlatform"];
    const RELATIONS: [&str; 5] = ["depends", "conflicts", "replaces", "provides", "compatibleWith"];
    let mut unknown = Vec::new();
    let mut look = |prefix: &str, parent: &Element, known: &[&str]| {
        for child in parent.children.iter().filter(|child| !known.contains(&child.name.as_str())) {
            let name = format!("{prefix}{}", child.name);
            if unknown.len() < 64 && !unknown.contains(&name) {
                unknown.push(name);
            }
        }
    };
    look("", root, &KNOWN);
    for (list, known) in [
        ("system-requires", REQUIRES.as_slice()),
        ("relationships", RELATIONS.as_slice()),
        ("payloads", &["payload"]),
        ("file-list", &["file"]),
    ] {
        if let Some(parent) = root.child(list) {
            look(&format!("{list}/"), parent, known);
        }
    }
    unknown
}
