//! The root image of a staged bundle on its way into the other bank.
//!
//! Owns: which engine writes it: a stream of blocks (format 1), or chunks on several threads (format 2), and what the
//! running bank gives. Promises: what the running bank gives is hashed before it is used; its bytes are only read.
//! Does not: decide whether to install.

use lifeboat_bank::install::{
    InstallError, InstallRequest, Installed, Step, install, install_from, read_root_index,
};
use lifeboat_bank::record::BankRecord;
use lifeboat_bundle::{Assembly, Bundle, BundleError, ChunkIndex, ImageSeed, Seed, Verified, slot};
use lifeboat_device::BlockFile;
use thiserror::Error;

use crate::Host;

/// Why it was not installed.
#[derive(Debug, Error)]
pub(crate) enum RootImageError {
    /// The bundle cannot give it.
    #[error("taking the root image from the bundle")]
    Bundle(#[from] BundleError),
    /// Installing was refused or failed.
    #[error("installing")]
    Install(#[from] InstallError),
}

/// Installs the bundle as `request` says.
pub(crate) fn install_root(
    host: &Host,
    record: &BankRecord,
    bundle: &Verified<Bundle<BlockFile>>,
    request: &InstallRequest<'_>,
    told: &mut dyn FnMut(Step, u64, u64),
) -> Result<Installed, RootImageError> {
    let Some(release) = bundle.chunked() else {
        let mut root = bundle.slot(slot::ROOT)?;
        return Ok(install(&mut *host.disk(), &host.layout, request, &mut root, told)?);
    };
    let running = running_bank(host, record, bundle)?;
    let seeds = running.iter().map(|seed| seed as &dyn Seed).collect();
    let mut root = Assembly::new(release, slot::ROOT, bundle, seeds)?;
    let installed = install_from(&mut *host.disk(), &host.layout, request, &mut root, told)?;
    for (seed, bad) in root.report().plan.seeds.iter().zip(&root.report().bad) {
        if bad.chunks > 0 {
            let (name, chunks, bytes) = (&seed.name, bad.chunks, bad.bytes);
            host.note(format!(
                "{chunks} chunks ({bytes} bytes) of {name} are not as they were installed; they were taken from the bundle"
            ));
        }
    }
    Ok(installed)
}

/// The image that runs, by the index that was kept when it was installed. Without one it is cut anew, but only for a
/// bundle that cannot do without.
fn running_bank<'h>(
    host: &'h Host,
    record: &BankRecord,
    bundle: &Verified<Bundle<BlockFile>>,
) -> Result<Option<ImageSeed<&'h BlockFile>>, BundleError> {
    let bank = host.line.bank;
    let len = record.bank(bank).root_len;
    let volume = host.layout.volumes(bank).root;
    if len == 0 || len > volume.bytes() {
        return Ok(None);
    }
    let (name, base) = (format!("bank {bank}"), volume.offset());
    let index = read_root_index(host.reader(), &host.layout, bank)
        .and_then(|bytes| ChunkIndex::parse(&bytes, None).ok())
        .filter(|index| index.slot_len == len);
    match (index, bundle.chunked(), bundle.base()) {
        (Some(index), _, _) => Ok(Some(ImageSeed::new(name, host.reader(), base, &index))),
        (None, Some(release), Some(_)) => {
            let chunker = release.index(slot::ROOT)?.chunker;
            let scanned = ImageSeed::scan(name, host.reader(), base, len, &chunker);
            Ok(Some(scanned.map_err(|source| BundleError::Read { at: base, len, source })?))
        }
        (None, _, _) => Ok(None),
    }
}
