//! One payload while it streams by: its sums both ways, and what its archive holds.
//!
//! Promises: bounded memory; what is unpacked is bounded by the limits and by the budget of the whole task; every sum
//! that the descriptor has is compared. Does not: keep bytes.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;
use lifeboat_model::{Finding, Sha256Hex};
use serde::Serialize;
use sha1::Digest as _;

use crate::descriptor::{Checksum, PayloadSpec};
use crate::finding::Code;
use crate::limits::{Budget, Limits};
use crate::stream::Summing;
use crate::tar::{EntryKind, Form, Lister, Listing, leaves_root};

/// The stream behind gzip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unpacked {
    /// Bytes.
    pub size: u64,
    /// SHA-1 (FIPS 180-4), hexadecimal.
    pub sha1: String,
    /// SHA-256, hexadecimal.
    pub sha256: Sha256Hex,
    /// What the archive in it holds.
    pub listing: Listing,
}

/// What a payload really is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// What the descriptor says.
    pub spec: PayloadSpec,
    /// Bytes in the archive.
    pub size: u64,
    /// SHA-256 of these bytes.
    pub sha256: Sha256Hex,
    /// If it is gzip and can be unpacked.
    pub unpacked: Option<Unpacked>,
    /// How many sums of the descriptor were compared and are right.
    pub sums_right: usize,
}

/// Reads a payload of `size` bytes to its end.
pub(crate) fn measure(
    source: &mut impl Read,
    spec: &PayloadSpec,
    id: &str,
    limits: &Limits,
    budget: &mut Budget,
) -> io::Result<(Payload, Vec<Finding>)> {
    let subject = format!("{id}, payload {}", spec.name);
    let mut findings = Vec::new();
    let mut summing = BufReader::with_capacity(64 << 10, Summing::new(source));
    let zipped = summing.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let mut unpacked = None;
    if zipped {
        match unpack(summing, limits, budget)? {
            (rest, Ok(done)) => {
                summing = rest;
                unpacked = Some(done);
            }
            (rest, Err(why)) => {
                summing = rest;
                findings.push(Code::PayloadUndecodable.at(&subject, why));
            }
        }
    }
    let mut inner = summing.into_inner();
    inner.drain()?;
    let (sha256, size) = inner.finish();
    let mut payload = Payload { spec: spec.clone(), size, sha256, unpacked, sums_right: 0 };
    compare(&mut payload, &subject, &mut findings);
    if let Some(unpacked) = &payload.unpacked {
        look(&unpacked.listing, &subject, &mut findings);
    }
    Ok((payload, findings))
}

type Unpacking<R> = (BufReader<Summing<R>>, Result<Unpacked, String>);

/// Every member of the gzip stream. An error of the source itself is given up; one of the stream is told.
fn unpack<R: Read>(
    mut source: BufReader<Summing<R>>,
    limits: &Limits,
    budget: &mut Budget,
) -> io::Result<Unpacking<R>> {
    let mut sha1 = sha1::Sha1::default();
    let mut sha256 = sha2::Sha256::default();
    let mut lister = Lister::new(limits.tar_entries);
    let mut size: u64 = 0;
    let mut buf = vec![0; 128 << 10];
    loop {
        let mut decoder = GzDecoder::new(source);
        loop {
            let count = match decoder.read(&mut buf) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    let rest = decoder.into_inner();
                    if let Some(broken) = rest.get_ref().broken() {
                        return Err(broken);
                    }
                    let at = rest.get_ref().len();
                    return Ok((rest, Err(format!("gzip is damaged before byte {at}: {error}"))));
                }
            };
            size += count as u64;
            if size > limits.unpacked_payload {
                let why =
                    format!("it unpacks to more than {} bytes; no more are read", limits.unpacked_payload);
                return Ok((decoder.into_inner(), Err(why)));
            }
            if !budget.take(count as u64) {
                let why = format!("everything together unpacks to more than {} bytes", limits.unpacked_total);
                return Ok((decoder.into_inner(), Err(why)));
            }
            let part = buf.get(..count).unwrap_or_default();
            sha1.update(part);
            sha256.update(part);
            lister.feed(part);
        }
        source = decoder.into_inner();
        // A member of the stream may follow, as `gunzip` takes it; what is no gzip is not part of it.
        if !source.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            break;
        }
    }
    let sha1 = hex(&sha1.finalize());
    let sha256 = Sha256Hex(sha256.finalize().into());
    Ok((source, Ok(Unpacked { size, sha1, sha256, listing: lister.finish() })))
}

/// Holds size and sums against the descriptor.
fn compare(payload: &mut Payload, subject: &str, findings: &mut Vec<Finding>) {
    if let Some(size) = payload.spec.size.filter(|size| *size != payload.size) {
        let what = format!("it has {} bytes; the descriptor says {size}", payload.size);
        findings.push(Code::PayloadAltered.at(subject, what));
    }
    if payload.spec.checksums.is_empty() {
        findings.push(Code::PayloadUnproven.at(subject, "the descriptor has no sum of it"));
    }
    let mut known = 0;
    for sum in &payload.spec.checksums {
        let of = if sum.process.is_empty() { "its bytes" } else { "its unpacked bytes" };
        match measured(payload, sum) {
            Measured::Sum(digits) => {
                known += 1;
                if digits == sum.digits {
                    payload.sums_right += 1;
                } else {
                    let what = format!(
                        "the {} of {of} is {digits}; the descriptor says {}",
                        sum.algorithm,
                        sum.digits.chars().take(128).collect::<String>()
                    );
                    findings.push(Code::PayloadAltered.at(subject, what));
                }
            }
            Measured::NotUnpacked => {
                known += 1;
                let what =
                    format!("the {} of {of} cannot be compared: it is not gzip that ends", sum.algorithm);
                findings.push(Code::PayloadUndecodable.at(subject, what));
            }
            Measured::Unknown => {
                let what = format!("a sum {:?} after {:?} is not known here", sum.algorithm, sum.process);
                findings.push(Code::DescriptorOdd.at(subject, what));
            }
        }
    }
    if known == 0 && !payload.spec.checksums.is_empty() {
        findings.push(Code::PayloadUnproven.at(subject, "none of its sums is of a kind known here"));
    }
}

enum Measured {
    Sum(String),
    NotUnpacked,
    Unknown,
}

fn measured(payload: &Payload, sum: &Checksum) -> Measured {
    let unpacked = payload.unpacked.as_ref();
    let sum = match (sum.algorithm.as_str(), sum.process.as_str()) {
        ("sha-256", "") => Some(payload.sha256.to_string()),
        ("sha-1", "gunzip") => unpacked.map(|unpacked| unpacked.sha1.clone()),
        ("sha-256", "gunzip") => unpacked.map(|unpacked| unpacked.sha256.to_string()),
        _ => return Measured::Unknown,
    };
    sum.map_or(Measured::NotUnpacked, Measured::Sum)
}

/// Looks at what the archive in the payload holds.
fn look(listing: &Listing, subject: &str, findings: &mut Vec<Finding>) {
    const MOST: usize = 16;
    for damage in listing.damage.iter().take(MOST) {
        findings.push(Code::PayloadArchive.at(subject, damage.clone()));
    }
    let (mut climbing, mut leading) = (0, 0);
    for entry in &listing.entries {
        if let Some(why) = leaves_root(&entry.path) {
            climbing += 1;
            if climbing <= MOST {
                findings.push(Code::PayloadTraversal.at(subject, format!("{:?}: {why}", entry.path)));
            }
        }
        match &entry.kind {
            EntryKind::Symlink { target } | EntryKind::Link { target } => {
                if let Some(why) = leaves_root(target) {
                    leading += 1;
                    if leading <= MOST {
                        let what = format!("{:?} leads to {target:?}: {why}", entry.path);
                        findings.push(Code::PayloadSymlink.at(subject, what));
                    }
                }
            }
            EntryKind::File | EntryKind::Directory | EntryKind::Special { .. } => {}
        }
    }
    for (count, code) in [(climbing, Code::PayloadTraversal), (leading, Code::PayloadSymlink)] {
        if count > MOST {
            findings.push(code.at(subject, format!("{} more of this kind", count - MOST)));
        }
    }
    match listing.form {
        Form::Visor | Form::Tar | Form::None => {}
        Form::Xz => findings.push(Code::DescriptorOdd.weighing(
            lifeboat_model::Severity::Note,
            subject,
            "it is compressed a second time (xz); what is in it is not listed",
        )),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
