//! The install that `bench bank` measures, in a process of its own.
//!
//! Owns: making the disk image, one install, its figures as one line of JSON. Promises: the peak memory told is that
//! of this install. Does not: check signatures or unpack a bundle; the parts are plain files.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use lifeboat_bank::install::{Image, InstallRequest, bootstrap, install};
use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout, read_layout};
use lifeboat_bank::uki::minimal_stub;
use lifeboat_device::{BlockFile, Force};
use lifeboat_model::{Bank, ReleaseRef, ReleaseVersion, Sha256Hex};
use serde_json::json;

use crate::Failure;
use crate::report::peak_rss_mib;

const MIB: u64 = 1 << 20;

fn release(serial: u64) -> ReleaseRef {
    ReleaseRef {
        name: "bench-host".to_owned(),
        version: ReleaseVersion(serial.to_string()),
        serial,
        digest: Sha256Hex::of(&serial.to_le_bytes()),
    }
}

/// A disk image with a small good release in bank A, and banks that have room for `root` bytes.
pub(crate) fn make_disk(path: &Path, root: u64) -> Result<(), Failure> {
    let geometry = Geometry { boot: 64 * MIB, root: root.next_multiple_of(MIB) + MIB, state: MIB };
    let mut disk = BlockFile::create_image(path, geometry.disk_bytes())?;
    let mut bytes = [0_u8; 96];
    std::io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    let layout = create_layout(&mut disk, &geometry, &LayoutGuids::from_random(&bytes))?;
    let (stub, small) = (minimal_stub(), [1_u8; 4096]);
    let image = Image {
        release: release(1),
        cmdline_extra: "",
        stub: &stub,
        kernel: &small,
        initrd: &small,
        osrel: "ID=bench\n",
        root_len: small.len() as u64,
        root_sha256: Sha256Hex::of(&small),
        verity: None,
    };
    bootstrap(&mut disk, &layout, Bank::A, &image, &mut small.as_slice(), &mut |_, _, _| {})?;
    Ok(())
}

/// `bank-install DISK KERNEL INITRD ROOT SHA256`: installs into bank B and tells how it went.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [disk, kernel, initrd, root, digest] = args else {
        return Err("bank-install needs a disk, a kernel, an initrd, a root image and its digest".into());
    };
    let (stub, kernel, initrd) = (minimal_stub(), std::fs::read(kernel)?, std::fs::read(initrd)?);
    let mut root = File::open(root)?;
    let image = Image {
        release: release(2),
        cmdline_extra: "",
        stub: &stub,
        kernel: &kernel,
        initrd: &initrd,
        osrel: "ID=bench\n",
        root_len: root.metadata()?.len(),
        root_sha256: digest.parse()?,
        verity: None,
    };
    let mut disk = BlockFile::open_write(Path::new(disk), Force::No)?;
    let layout = read_layout(&disk)?;
    let request = InstallRequest { active: Bank::A, target: Bank::B, image, retry: false };
    let began = Instant::now();
    let installed = install(&mut disk, &layout, &request, &mut root, &mut |_, _, _| {})?;
    let seconds = began.elapsed().as_secs_f64();
    let told = json!({"seconds": seconds, "written": installed.written, "rss_mib": peak_rss_mib()});
    println!("{told}");
    Ok(())
}
