//! A VIB file: archive, descriptor, signature, payloads.
//!
//! Owns: [`Vib`] and reading it in one pass. Promises: memory does not grow with the payloads; every sum is verified;
//! what is wrong but leaves the rest readable is a finding, not an error. Does not: verify the signature (that is
//! `signature`, with the bytes kept here).

use std::io::Read;

use lifeboat_model::{Finding, Sha256Hex};
use thiserror::Error;

use crate::ar::{ArError, Archive, Member};
use crate::descriptor::{Descriptor, DescriptorError, PayloadSpec, VibType};
use crate::finding::Code;
use crate::limits::{Budget, Limits};
use crate::payload::{Payload, measure};
use crate::stream::{Summing, read_limited};
use crate::tar::{Entry, EntryKind, Form};

/// Why a VIB cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VibError {
    /// The archive.
    #[error("reading the archive of the VIB")]
    Archive(#[from] ArError),
    /// The first member is something else.
    #[error("the first member of the archive is {found:?}, not descriptor.xml")]
    NoDescriptor {
        /// Its name.
        found: String,
    },
    /// Too long.
    #[error("{name} has {size} bytes; more than {limit} are not read")]
    TooLong {
        /// Name of the member.
        name: &'static str,
        /// What it has.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// The descriptor.
    #[error("the descriptor of the VIB is refused")]
    Descriptor(#[from] DescriptorError),
    /// Reading a member's bytes.
    #[error("reading {name} out of the VIB")]
    Member {
        /// Name of the member.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Everything that one pass over a VIB tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vib {
    /// What it says about itself.
    pub descriptor: Descriptor,
    /// Its exact bytes, which the signature covers.
    pub descriptor_bytes: Vec<u8>,
    /// `sig.pkcs7`; empty for an unsigned VIB.
    pub signature: Vec<u8>,
    /// What its payloads really are, in the order of the descriptor.
    pub payloads: Vec<Payload>,
    /// SHA-256 of the whole file.
    pub sha256: Sha256Hex,
    /// Bytes of the whole file.
    pub size: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Vib {
    /// The identity of what would be installed: id, and name, size and sum of every payload.
    #[must_use]
    pub fn content(&self) -> Vec<(String, u64, Sha256Hex)> {
        self.payloads
            .iter()
            .map(|payload| (payload.spec.name.clone(), payload.size, payload.sha256))
            .collect()
    }
}

/// Reads a VIB from memory; for tests and fuzzing.
///
/// # Errors
/// See [`VibError`].
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vib, VibError> {
    read_from(bytes, limits, &mut Budget::of(limits))
}

/// Reads a VIB to its end.
///
/// # Errors
/// See [`VibError`].
pub fn read_from(source: impl Read, limits: &Limits, budget: &mut Budget) -> Result<Vib, VibError> {
    let mut archive = Archive::new(Summing::new(source), limits.ar_members)?;
    let (descriptor, descriptor_bytes) = front(&mut archive, limits)?;
    let id = descriptor.id.to_string();
    let mut findings = about(&descriptor);
    let mut signature = None;
    let mut waiting: Vec<Option<&PayloadSpec>> = descriptor.payloads.iter().map(Some).collect();
    let mut payloads: Vec<(usize, Payload)> = Vec::new();
    while let Some(member) = archive.next()? {
        if member.name == "sig.pkcs7" && signature.is_none() {
            if !payloads.is_empty() {
                findings.push(Code::DescriptorOdd.at(&id, "sig.pkcs7 stands behind payloads"));
            }
            signature = Some(member_bytes(&mut archive, &member, "sig.pkcs7", limits.signature_bytes)?);
            continue;
        }
        let Some(index) = place_of(&member, &waiting) else {
            let what =
                format!("member {:?} ({} bytes) is no payload of the descriptor", member.name, member.size);
            findings.push(Code::PayloadsDisagree.at(&id, what));
            continue;
        };
        let Some(spec) = waiting.get_mut(index).and_then(Option::take) else { continue };
        if payloads.last().is_some_and(|(before, _)| *before > index) {
            findings.push(Code::DescriptorOdd.at(&id, format!("payload {} stands out of order", spec.name)));
        }
        let measured = measure(&mut archive, spec, &id, limits, budget);
        let (payload, more) =
            measured.map_err(|source| VibError::Member { name: spec.name.clone(), source })?;
        findings.extend(more);
        payloads.push((index, payload));
    }
    for spec in waiting.iter().flatten() {
        findings.push(Code::PayloadsDisagree.at(&id, format!("payload {} is not in the archive", spec.name)));
    }
    if signature.is_none() {
        findings.push(Code::DescriptorOdd.at(&id, "there is no sig.pkcs7, not even an empty one"));
    }
    payloads.sort_by_key(|(index, _)| *index);
    let payloads: Vec<Payload> = payloads.into_iter().map(|(_, payload)| payload).collect();
    findings.extend(file_list(&descriptor, &payloads));
    let (sha256, size) = archive.into_inner().finish();
    let signature = signature.unwrap_or_default();
    Ok(Vib { descriptor, descriptor_bytes, signature, payloads, sha256, size, findings })
}

/// Reads the descriptor alone; for what needs no proof of the payloads.
///
/// # Errors
/// See [`VibError`].
pub fn read_descriptor(source: impl Read, limits: &Limits) -> Result<Descriptor, VibError> {
    let mut archive = Archive::new(source, limits.ar_members)?;
    Ok(front(&mut archive, limits)?.0)
}

fn front<R: Read>(archive: &mut Archive<R>, limits: &Limits) -> Result<(Descriptor, Vec<u8>), VibError> {
    let first = archive.next()?.ok_or_else(|| VibError::NoDescriptor { found: String::new() })?;
    if first.name != "descriptor.xml" {
        return Err(VibError::NoDescriptor { found: first.name });
    }
    let bytes = member_bytes(archive, &first, "descriptor.xml", limits.xml_bytes)?;
    Ok((Descriptor::parse(&bytes, limits)?, bytes))
}

fn member_bytes<R: Read>(
    archive: &mut Archive<R>,
    member: &Member,
    name: &'static str,
    limit: u64,
) -> Result<Vec<u8>, VibError> {
    let too_long = VibError::TooLong { name, size: member.size, limit };
    if member.size > limit {
        return Err(too_long);
    }
    let bytes = read_limited(archive, limit);
    bytes.map_err(|source| VibError::Member { name: name.to_owned(), source })?.ok_or(too_long)
}

/// The payload that a member is: by its whole name, else by the 16 characters that the archive holds, the first one
/// that is still waited for.
fn place_of(member: &Member, waiting: &[Option<&PayloadSpec>]) -> Option<usize> {
    let find = |fits: &dyn Fn(&str) -> bool| {
        waiting.iter().position(|spec| spec.is_some_and(|spec| fits(&spec.name)))
    };
    find(&|name| name == member.name).or_else(|| {
        find(&|name| name.len() > 15 && member.name.len() >= 15 && name.starts_with(&member.name))
    })
}

/// What the descriptor itself gives reason to say.
pub(crate) fn about(descriptor: &Descriptor) -> Vec<Finding> {
    let id = descriptor.id.as_str();
    let mut findings: Vec<Finding> =
        descriptor.odd.iter().take(32).map(|odd| Code::DescriptorOdd.at(id, odd.clone())).collect();
    if !descriptor.unknown.is_empty() {
        findings.push(Code::UnknownElement.at(id, descriptor.unknown.join(", ")));
    }
    findings
}

fn listed(payload: &Payload) -> Option<&Vec<Entry>> {
    let listing = &payload.unpacked.as_ref()?.listing;
    let whole = matches!(listing.form, Form::Visor | Form::Tar) && listing.damage.is_empty();
    whole.then_some(&listing.entries)
}

/// Holds the file list against the files that the payloads hold, where all of them could be listed.
fn file_list(descriptor: &Descriptor, payloads: &[Payload]) -> Vec<Finding> {
    let Some(entries) = payloads.iter().map(listed).collect::<Option<Vec<_>>>() else { return Vec::new() };
    if descriptor.kind != VibType::Bootbank || payloads.is_empty() {
        return Vec::new();
    }
    let said: std::collections::BTreeSet<&str> =
        descriptor.files.iter().map(|file| file.trim_start_matches('/')).collect();
    let real: std::collections::BTreeSet<&str> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.kind != EntryKind::Directory)
        .map(|entry| entry.path.trim_start_matches("./").trim_start_matches('/'))
        .collect();
    let mut findings = Vec::new();
    let mut tell = |what: &str, names: Vec<&&str>| {
        if let Some(first) = names.first() {
            let what = format!("{} files {what}, the first one {first:?}", names.len());
            findings.push(Code::FileListDiffers.at(descriptor.id.as_str(), what));
        }
    };
    tell("are in payloads and not in the list", real.difference(&said).collect());
    tell("are in the list and in no payload", said.difference(&real).collect());
    findings
}
