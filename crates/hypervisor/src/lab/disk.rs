//! The disk of a lab host: partitioned and filled by Lifeboat's own code.
//!
//! Owns: sizes, the first install, the state partition. Promises: what boots is what the bundle holds, by the same
//! code that installs on a host. Does not: mount anything.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use lifeboat_bank::install::{Image, bootstrap, bootstrap_from};
use lifeboat_bank::layout::{Geometry, Layout, LayoutGuids, create_layout};
use lifeboat_bank::verity::Verity;
use lifeboat_bundle::{Assembly, Rules, TrustStore, open, slot};
use lifeboat_device::{BlockFile, Force};
use lifeboat_model::Bank;
use lifeboat_model::io::WriteAt;

use super::bundles::chain;
use super::{LabError, Machine, root};

const MIB: u64 = 1 << 20;

/// Room for a kernel image of the lab, its root, and two bundles.
const GEOMETRY: Geometry = Geometry { boot: 48 * MIB, root: 32 * MIB, state: 96 * MIB };

/// Largest part of a release that is taken into memory.
const PART_LIMIT: u64 = 128 * MIB;

/// Makes the disk of `machine` with the release of `bundle` in bank A, proved good by definition, and with
/// `agent_json` on the state partition.
pub(crate) fn make_disk(
    machine: &Machine,
    host: &str,
    bundle: &Path,
    trusted_keys: &str,
    now: u64,
    agent_json: &str,
) -> Result<(), LabError> {
    let path = machine.disk();
    let failed = |why: String| LabError::Disk { host: host.to_owned(), bank: Bank::A, why };
    let file = File::create_new(&path).map_err(LabError::file("create", &path))?;
    file.set_len(GEOMETRY.disk_bytes()).map_err(LabError::file("size", &path))?;
    drop(file);
    let mut disk = BlockFile::open_write(&path, Force::No).map_err(|error| failed(chain(&error)))?;
    let mut random = [0_u8; 96];
    getrandom::fill(&mut random).map_err(|error| failed(error.to_string()))?;
    let guids = LayoutGuids::from_random(&random);
    let layout = create_layout(&mut disk, &GEOMETRY, &guids).map_err(|error| failed(chain(&error)))?;
    first_install(&mut disk, &layout, bundle, trusted_keys, now).map_err(failed)?;

    let folder = machine.folder().join("state");
    fs::create_dir_all(&folder).map_err(LabError::file("create", &folder))?;
    let config = folder.join("agent.json");
    fs::write(&config, agent_json).map_err(LabError::file("write", config))?;
    let image = machine.folder().join("state.img");
    root::build_state(&folder, &image, layout.state.bytes())?;
    copy_into(&mut disk, &image, layout.state.offset())?;
    disk.flush().map_err(LabError::file("flush", &path))?;
    fs::remove_file(&image).map_err(LabError::file("remove", image))?;
    fs::remove_dir_all(&folder).map_err(LabError::file("remove", folder))
}

fn first_install(
    disk: &mut BlockFile,
    layout: &Layout,
    bundle: &Path,
    trusted_keys: &str,
    now: u64,
) -> Result<(), String> {
    let trust = TrustStore::parse(trusted_keys).map_err(|error| chain(&error))?;
    let file = BlockFile::open_read(bundle).map_err(|error| chain(&error))?;
    let bundle = open(file, &trust, &Rules::at(now)).map_err(|error| chain(&error))?;
    let part = |name: &str| bundle.slot_bytes(name, PART_LIMIT).map_err(|error| chain(&error));
    let (stub, kernel, initrd) = (part(slot::STUB)?, part(slot::KERNEL)?, part(slot::INITRD)?);
    let osrel = String::from_utf8(part(slot::OSREL)?).map_err(|error| error.to_string())?;
    let described = bundle.manifest().slot(slot::ROOT).ok_or("the release has no root image")?;
    let image = Image {
        release: bundle.release().clone(),
        cmdline_extra: &bundle.manifest().cmdline,
        stub: &stub,
        kernel: &kernel,
        initrd: &initrd,
        osrel: &osrel,
        root_len: described.len,
        root_sha256: described.sha256,
        verity: described.verity.as_ref().map(|tree| Verity {
            data_blocks: tree.data_blocks,
            hash_offset: tree.hash_offset,
            salt: tree.salt,
            root: tree.root,
        }),
    };
    let mut tell = |_, _, _| ();
    let installed = if let Some(release) = bundle.chunked() {
        // Keeps the index of the image beside it, so that the bank is a seed for the next release.
        let mut root =
            Assembly::new(release, slot::ROOT, &bundle, Vec::new()).map_err(|error| chain(&error))?;
        bootstrap_from(disk, layout, Bank::A, &image, &mut root, &mut tell)
    } else {
        let mut root = bundle.slot(slot::ROOT).map_err(|error| chain(&error))?;
        bootstrap(disk, layout, Bank::A, &image, &mut root, &mut tell)
    };
    installed.map(drop).map_err(|error| chain(&error))
}

/// Copies a file into the disk. Pieces of zeros are left out: the disk is new, and its holes read as zeros.
fn copy_into(disk: &mut BlockFile, image: &Path, mut at: u64) -> Result<(), LabError> {
    let mut file = File::open(image).map_err(LabError::file("open", image))?;
    let mut piece = vec![0_u8; 1 << 20];
    loop {
        let got = file.read(&mut piece).map_err(LabError::file("read", image))?;
        let Some(bytes) = piece.get(..got).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        if bytes.iter().any(|byte| *byte != 0) {
            disk.write_at(at, bytes).map_err(LabError::file("copy", image))?;
        }
        at += got as u64;
    }
}
