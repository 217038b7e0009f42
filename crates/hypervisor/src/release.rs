//! What a bundle says about its release.
//!
//! Owns: from a bundle and trusted keys to the facts that checks judge. Promises: a signature that is not good is no
//! signature. Does not: verify the bundle's content.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use lifeboat_bundle::{SignatureState, TrustStore, inspect};
use lifeboat_model::{ReleaseFacts, ReleaseRef, Timestamp};

/// The facts of `release`, whose bundle lies at `path`. A bundle that cannot be read has nobody's signature.
pub(crate) fn bundle_facts(release: ReleaseRef, path: &Path, trust: &TrustStore) -> ReleaseFacts {
    let serial = Some(release.serial);
    let mut facts =
        ReleaseFacts { release, signed_by: None, serial, expires: None, machines: BTreeSet::new() };
    let read = File::open(path).map_err(drop).and_then(|file| inspect(file, Some(trust)).map_err(drop));
    if let Ok(info) = read {
        let good = info.signatures.into_iter().find(|signature| signature.state == SignatureState::Good);
        facts.signed_by = good.map(|signature| {
            let comment = signature.comment.filter(|comment| !comment.is_empty());
            comment.unwrap_or_else(|| signature.key_id.to_string())
        });
        facts.expires = info.expires.map(|unix| Timestamp(unix.saturating_mul(1000)));
        facts.machines.insert(info.arch);
    }
    facts
}
