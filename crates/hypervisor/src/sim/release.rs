//! Releases for simulated hosts: small, deterministic, and in every other respect like real ones.

use std::io::Cursor;

use lifeboat_bundle::{BuildError, BundleBuilder, ReleaseDraft, SecretKey, slot};
use lifeboat_model::ReleaseRef;

use super::kernel::SimKernel;
use super::prng::Prng;

/// Product line of simulated releases.
pub const SIM_LINE: &str = "sim-host";
/// Kind of machine that simulated hosts are, as `uname -m` says it.
pub(super) const SIM_ARCH: &str = "x86_64";
/// Bytes of the root image of a simulated release.
pub const SIM_ROOT_BYTES: usize = 256 * 1024;

/// The slots of a simulated release: a boot stub, a kernel that says what its boots do, and a root image of
/// [`SIM_ROOT_BYTES`] that no other version has. The same arguments give the same bytes.
#[must_use]
pub fn build_sim_release(version: &str, serial: u64, kernel: &SimKernel) -> Vec<(&'static str, Vec<u8>)> {
    let mut prng = Prng::named(serial, version);
    let root: Vec<u8> =
        std::iter::repeat_with(|| prng.next().to_le_bytes()).flatten().take(SIM_ROOT_BYTES).collect();
    let osrel = format!("ID={SIM_LINE}\nNAME=\"Lifeboat simulated host\"\nVERSION_ID={version}\n");
    vec![
        (slot::STUB, lifeboat_bank::uki::minimal_stub()),
        (slot::KERNEL, kernel.to_string().into_bytes()),
        (slot::INITRD, format!("initrd of {SIM_LINE} {version}\n").into_bytes()),
        (slot::OSREL, osrel.into_bytes()),
        (slot::ROOT, root),
    ]
}

/// The bundle of a simulated release, signed by `key`. `created` is in unix seconds.
///
/// # Errors
/// [`BuildError`] if the version is no version.
pub fn build_sim_bundle(
    version: &str,
    serial: u64,
    kernel: &SimKernel,
    created: u64,
    key: &SecretKey,
) -> Result<(ReleaseRef, Vec<u8>), BuildError> {
    let draft = ReleaseDraft {
        name: SIM_LINE.to_owned(),
        version: version.to_owned(),
        serial,
        created,
        expires: None,
        arch: SIM_ARCH.to_owned(),
        cmdline: "console=ttyS0".to_owned(),
    };
    let mut builder = BundleBuilder::new(draft, Cursor::new(Vec::new()))?;
    for (name, bytes) in build_sim_release(version, serial, kernel) {
        builder.add_slot(name, bytes.as_slice(), bytes.len() as u64)?;
    }
    let mut out = Vec::new();
    let release = builder.finish(&[key], &mut out)?;
    Ok((release, out))
}
