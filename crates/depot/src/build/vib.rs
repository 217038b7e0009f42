//! Writers of descriptors and VIBs.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::Digest as _;

use crate::payload::hex;
use crate::relation::{Constraint, Relations};

/// What a new VIB says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VibSpec {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Vendor.
    pub vendor: String,
    /// `bootbank` or `locker`.
    pub kind: String,
    /// Level, as descriptors write it.
    pub level: String,
    /// Words about others.
    pub relations: Relations,
    /// Whether it can be installed and removed without a reboot.
    pub live: bool,
    /// Whether it asks for maintenance mode.
    pub maintenance: bool,
    /// Vendors of hardware.
    pub hardware: Vec<String>,
    /// Files.
    pub files: Vec<String>,
}

impl VibSpec {
    /// A VIB of this name and version, by `ACME`, for boot banks, of the lowest level, live.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            vendor: "ACME".to_owned(),
            kind: "bootbank".to_owned(),
            level: "community".to_owned(),
            relations: Relations::default(),
            live: true,
            maintenance: false,
            hardware: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// A payload to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayload {
    /// Name.
    pub name: String,
    /// `vgz`, `tgz`, `boot`, …
    pub kind: String,
    /// Its bytes, packed.
    pub bytes: Vec<u8>,
    /// The same, unpacked, if it is gzip.
    pub unpacked: Option<Vec<u8>>,
}

impl NewPayload {
    /// gzip of a stream.
    #[must_use]
    pub fn vgz(name: &str, unpacked: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            kind: "vgz".to_owned(),
            bytes: gzip(&unpacked),
            unpacked: Some(unpacked),
        }
    }

    /// Bytes as they are.
    #[must_use]
    pub fn plain(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), kind: "boot".to_owned(), bytes, unpacked: None }
    }
}

/// A VIB that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVib {
    /// Its id.
    pub id: String,
    /// Its descriptor.
    pub descriptor: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// gzip (RFC 1952), without a time.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    // Writing into memory does not fail.
    drop(encoder.write_all(bytes));
    encoder.finish().unwrap_or_default()
}

/// An archive of these members.
#[must_use]
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = crate::ar::MAGIC.to_vec();
    for (name, bytes) in members {
        let name: String = name.chars().take(16).collect();
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len());
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A whole VIB.
#[must_use]
pub fn vib(spec: &VibSpec, payloads: &[NewPayload], signature: &[u8]) -> NewVib {
    let descriptor = descriptor_xml(spec, payloads, "");
    let bytes = vib_from(&descriptor, signature, payloads);
    NewVib { id: format!("{}_{}_{}_{}", spec.vendor, spec.kind, spec.name, spec.version), descriptor, bytes }
}

/// A VIB with this descriptor, whatever it says.
#[must_use]
pub fn vib_from(descriptor: &str, signature: &[u8], payloads: &[NewPayload]) -> Vec<u8> {
    let mut members = vec![("descriptor.xml", descriptor.as_bytes()), ("sig.pkcs7", signature)];
    members.extend(payloads.iter().map(|payload| (payload.name.as_str(), payload.bytes.as_slice())));
    ar(&members)
}

/// A descriptor; `more` is put in front of the payloads.
#[must_use]
pub fn descriptor_xml(spec: &VibSpec, payloads: &[NewPayload], more: &str) -> String {
    let mut xml = String::new();
    let tag = |name: &str, text: &str| {
        if text.is_empty() { format!("<{name}/>") } else { format!("<{name}>{text}</{name}>") }
    };
    xml.push_str("<vib version=\"5.0\">");
    for (name, text) in [
        ("type", &spec.kind),
        ("name", &spec.name),
        ("version", &spec.version),
        ("vendor", &spec.vendor),
        ("summary", &spec.name),
    ] {
        xml.push_str(&tag(name, &escape(text)));
    }
    xml.push_str("<description/><release-date>2020-01-01T00:00:00+00:00</release-date><urls/>");
    let relations = &spec.relations;
    let lists: String = [
        ("depends", &relations.depends),
        ("conflicts", &relations.conflicts),
        ("replaces", &relations.replaces),
        ("provides", &relations.provides),
        ("compatibleWith", &relations.compatible_with),
    ]
    .map(|(name, list)| tag(name, &list.iter().map(constraint_xml).collect::<String>()))
    .concat();
    xml.push_str(&tag("relationships", &lists));
    let mut hardware = String::new();
    for vendor in &spec.hardware {
        let _ = write!(hardware, "<hardwarePlatform vendor=\"{}\" model=\"\"/>", escape(vendor));
    }
    let mode = tag("maintenance-mode", if spec.maintenance { "true" } else { "false" });
    xml.push_str("<software-tags/>");
    xml.push_str(&tag("system-requires", &format!("{mode}{hardware}")));
    let mut files = String::new();
    for file in &spec.files {
        let _ = write!(files, "<file>{}</file>", escape(file));
    }
    xml.push_str(&tag("file-list", &files));
    xml.push_str(&tag("acceptance-level", &spec.level));
    let live = if spec.live { "true" } else { "false" };
    for (name, text) in [
        ("live-install-allowed", live),
        ("live-remove-allowed", live),
        ("cimom-restart", "false"),
        ("stateless-ready", "true"),
        ("overlay", "false"),
    ] {
        xml.push_str(&tag(name, text));
    }
    xml.push_str(more);
    xml.push_str(&tag("payloads", &payloads.iter().map(payload_xml).collect::<String>()));
    xml.push_str("</vib>");
    xml
}

fn constraint_xml(one: &Constraint) -> String {
    let mut text = format!("<constraint name=\"{}\"", escape(&one.name));
    if let Some((relation, version)) = &one.bound {
        // Writing into a text does not fail.
        let _ = write!(
            text,
            " relation=\"{}\" version=\"{}\"",
            escape(relation.sign()),
            escape(version.as_str())
        );
    }
    text.push_str("/>");
    text
}

fn payload_xml(payload: &NewPayload) -> String {
    let sha256 = |bytes: &[u8]| hex(&sha2::Sha256::digest(bytes));
    let mut text = format!(
        "<payload name=\"{}\" type=\"{}\" size=\"{}\"><checksum checksum-type=\"sha-256\">{}</checksum>",
        escape(&payload.name),
        escape(&payload.kind),
        payload.bytes.len(),
        sha256(&payload.bytes)
    );
    if let Some(unpacked) = &payload.unpacked {
        let sha1 = hex(&sha1::Sha1::digest(unpacked));
        for (kind, digits) in [("sha-1", sha1), ("sha-256", sha256(unpacked))] {
            let _ = write!(
                text,
                "<checksum checksum-type=\"{kind}\" verify-process=\"gunzip\">{digits}</checksum>"
            );
        }
    }
    text.push_str("</payload>");
    text
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
