//! The lab's own release maker: its key, and its releases as signed bundles.
//!
//! Owns: `keys/` and `releases/` of a lab. Promises: every lab has a key of its own, made when it is made. Does not:
//! build what is in a release (`release` does).

pub(crate) use lifeboat_model::chain;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_bundle::{
    BundleBuilder, DEFAULT_LEVEL, ReleaseDraft, SecretKey, TrustStore, Verity, inspect, slot,
};
use lifeboat_device::ProtectedImage;
use lifeboat_model::{ReleaseRef, Sha256Hex};

use super::release::CMDLINE;
use super::{LAB_LINE, LabError, LabParts, LabRelease, build_lab_release};

/// Slots of a lab release: name of the slot, which is also the name of the file.
const SLOTS: [&str; 5] = [slot::STUB, slot::KERNEL, slot::INITRD, slot::OSREL, slot::ROOT];

/// Makes the key of a lab in `folder/keys` and returns it with the text of its public half.
pub(crate) fn make_key(folder: &Path) -> Result<(SecretKey, String), LabError> {
    let failed = |why: String| LabError::Release { release: "key".to_owned(), why };
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| failed(error.to_string()))?;
    let key = SecretKey::from_random(random, "lifeboat lab").map_err(|error| failed(error.to_string()))?;
    let trust = TrustStore::new(vec![key.public()]).map_err(|error| failed(error.to_string()))?;
    let keys = folder.join("keys");
    fs::create_dir_all(&keys).map_err(LabError::file("create", &keys))?;
    let secret = keys.join("release.secret");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .map_err(LabError::file("create", &secret))?;
    writeln!(file, "{}", key.to_text()).map_err(LabError::file("write", secret))?;
    let public = keys.join("trusted-keys");
    fs::write(&public, trust.to_text()).map_err(LabError::file("write", public))?;
    Ok((key, trust.to_text()))
}

/// Builds, packs and signs `release`; the bundle is `folder/releases/VERSION.lfb`.
pub(crate) fn make_bundle(
    folder: &Path,
    release: &LabRelease,
    parts: &LabParts,
    key: &SecretKey,
    trusted_keys: &str,
) -> Result<(ReleaseRef, PathBuf), LabError> {
    let releases = folder.join("releases");
    let from = releases.join(&release.version);
    build_lab_release(release, parts, trusted_keys.as_bytes(), &from)?;
    let failed = |why: String| LabError::Release { release: release.version.clone(), why };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let draft = ReleaseDraft {
        name: LAB_LINE.to_owned(),
        version: release.version.clone(),
        serial: release.serial,
        created: now,
        expires: None,
        arch: "x86_64".to_owned(),
        cmdline: CMDLINE.to_owned(),
    };
    let scratch_path = releases.join(format!("{}.scratch", release.version));
    let mut options = OpenOptions::new();
    let scratch = options.read(true).write(true).create(true).truncate(true).open(&scratch_path);
    let scratch = scratch.map_err(LabError::file("create", &scratch_path))?;
    let mut builder =
        BundleBuilder::new(draft, scratch).map_err(|error| failed(chain(&error)))?.level(DEFAULT_LEVEL);
    for name in SLOTS {
        let path = from.join(name);
        let file = File::open(&path).map_err(LabError::file("open", &path))?;
        let len = file.metadata().map_err(LabError::file("look at", &path))?.len();
        if name == slot::ROOT {
            // The lab's builds are repeatable, so the salt comes from the release.
            let salt = Sha256Hex::of(format!("{LAB_LINE} {} {}", release.version, release.serial).as_bytes());
            let tree = releases.join(format!("{}.tree", release.version));
            let image = ProtectedImage::make(&path, &tree, salt, &mut |_, _| ());
            let image = image.map_err(|error| failed(chain(&error)))?;
            let (verity, len) = (image.verity(), image.total());
            builder.add_slot(name, image, len).map_err(|error| failed(chain(&error)))?;
            builder
                .with_verity(Verity {
                    algorithm: "sha256".to_owned(),
                    data_blocks: verity.data_blocks,
                    hash_offset: verity.hash_offset,
                    salt: verity.salt,
                    root: verity.root,
                })
                .map_err(|error| failed(chain(&error)))?;
            continue;
        }
        builder.add_slot(name, file, len).map_err(|error| failed(chain(&error)))?;
    }
    let path = bundle_path(folder, &release.version);
    let mut out = File::create(&path).map_err(LabError::file("create", &path))?;
    let made = builder.finish(&[key], &mut out).map_err(|error| failed(chain(&error)))?;
    out.sync_all().map_err(LabError::file("flush", &path))?;
    fs::remove_file(&scratch_path).map_err(LabError::file("remove", scratch_path))?;
    Ok((made, path))
}

/// The bundles of a lab.
pub(crate) fn list_bundles(folder: &Path) -> Result<Vec<(ReleaseRef, PathBuf)>, LabError> {
    let releases = folder.join("releases");
    let mut found = Vec::new();
    for entry in fs::read_dir(&releases).map_err(LabError::file("read", &releases))? {
        let path = entry.map_err(LabError::file("read", &releases))?.path();
        if path.extension().is_some_and(|end| end == "lfb") {
            let file = File::open(&path).map_err(LabError::file("open", &path))?;
            let info = inspect(file, None)
                .map_err(|error| LabError::Damaged { path: path.clone(), why: chain(&error) })?;
            found.push((info.release, path));
        }
    }
    found.sort_by(|(one, _), (two, _)| (one.serial, &one.version).cmp(&(two.serial, &two.version)));
    Ok(found)
}

/// Where the bundle of a version lies.
pub(crate) fn bundle_path(folder: &Path, version: &str) -> PathBuf {
    folder.join("releases").join(format!("{version}.lfb"))
}
