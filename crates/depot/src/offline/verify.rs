//! A VIB of a bundle, read whole and held against the index.
//!
//! Promises: sums and sizes of the index are compared, and so is every word of the two descriptors that an update is
//! decided by.

use lifeboat_model::io::ReadAt;

use super::index::IndexedVib;
use crate::descriptor::Descriptor;
use crate::finding::Code;
use crate::limits::{Budget, Limits};
use crate::vib::{Vib, VibError, read_from};
use crate::zip::{Archive, ZipError};

/// Reads one VIB. `None` if it is not in the bundle.
///
/// # Errors
/// See [`VibError`].
pub fn verify_vib<R: ReadAt>(
    archive: &Archive<R>,
    indexed: &IndexedVib,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Option<Vib>, VibError> {
    let Some(entry) = indexed.member.as_deref().and_then(|name| archive.find(name)) else { return Ok(None) };
    let unreadable = |error: ZipError| VibError::Member {
        name: entry.name.clone(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    };
    if !budget.take(entry.size) {
        let what = format!("everything together unpacks to more than {} bytes", limits.unpacked_total);
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        return Err(VibError::Member { name: entry.name.clone(), source });
    }
    let mut vib = read_from(archive.reader(entry).map_err(unreadable)?, limits, budget)?;
    let id = indexed.descriptor.id.as_str();
    let mut differences = differences(&indexed.descriptor, &vib.descriptor);
    if let Some(packed) = &indexed.descriptor.packed {
        if let Some(size) = packed.size.filter(|size| *size != vib.size) {
            differences.push(format!("it has {} bytes; the index says {size}", vib.size));
        }
        let sha256 = vib.sha256.to_string();
        for sum in packed.checksums.iter().filter(|sum| sum.algorithm == "sha-256") {
            if sum.digits != sha256 {
                differences.push(format!("its sha-256 is {sha256}; the index says {}", sum.digits));
            }
        }
    }
    vib.findings.extend(differences.into_iter().map(|what| Code::IndexDisagrees.at(id, what)));
    Ok(Some(vib))
}

/// What two descriptors that ought to be one say differently.
fn differences(index: &Descriptor, vib: &Descriptor) -> Vec<String> {
    let mut found = Vec::new();
    if index.id != vib.id {
        found.push(format!("the VIB calls itself {}", vib.id));
    }
    for (what, differs) in [
        ("relations", index.relations != vib.relations),
        ("payloads or their sums", index.payloads != vib.payloads),
        ("acceptance level", index.level != vib.level),
        ("hardware platforms", index.platforms != vib.platforms),
        (
            "needs of maintenance mode or reboot",
            (index.maintenance, index.live_install, index.live_remove)
                != (vib.maintenance, vib.live_install, vib.live_remove),
        ),
        ("file list", index.files != vib.files),
    ] {
        if differs {
            found.push(format!("index and VIB have different {what}"));
        }
    }
    found
}
