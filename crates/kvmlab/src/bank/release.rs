//! Releases for hosts that boot from banks.
//!
//! Owns: what is in them, the lab's key, their bundles. Promises: signed bundles in the form that every host takes; a
//! release differs from a good one in exactly the fault it names. Does not: hold a kernel: namespaces share the
//! machine's, so kernel and initial RAM file system are words.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_bank::uki::minimal_stub;
use lifeboat_bundle::{BundleBuilder, ReleaseDraft, SecretKey, TrustStore, inspect, slot};
use lifeboat_model::{ReleaseRef, chain};

use crate::folder::make_folder;
use crate::{LabError, LabFolder, tool};

/// Product line of the lab's releases.
const LINE: &str = "kvm-lab-host";

/// Compression: the agent is most of a release, and time counts more than bytes here.
const LEVEL: i32 = 1;

/// A release with this file in its root panics when it boots.
pub(crate) const PANIC_FILE: &str = "etc/lifeboat/lab-panic";

/// A release with this file in its root never starts the agent.
pub(crate) const HANG_FILE: &str = "etc/lifeboat/lab-hang";

/// A check of every release: libvirt answers.
const CHECK_LIBVIRT: &str = "#!/bin/sh
tries=0
until virsh -c qemu:///system version > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ \"$tries\" -lt 60 ] || { echo \"libvirt does not answer\"; exit 1; }
    sleep 0.2
done
";

/// The check of a release that is made to be sick.
const CHECK_SICK: &str = "#!/bin/sh\necho \"this release was made to fail its health check\"\nexit 1\n";

/// What a host keeps over upgrades: a folder of its own, and libvirt's definitions.
const KEPT: &str = r#"{"schema":1,"version":1,"keep":["/etc/host","/etc/libvirt/qemu"]}"#;

/// What is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseFault {
    /// Nothing.
    None,
    /// It ends before its first process runs.
    Panics,
    /// It never starts the agent.
    Hangs,
    /// A health check says no.
    Sick,
}

/// A release that the lab can build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSpec {
    /// Version for people.
    pub version: String,
    /// Number that decides what is newer.
    pub serial: u64,
    /// What is wrong with it.
    pub fault: ReleaseFault,
    /// Folders whose content goes into its root, for example unpacked packages; later ones cover earlier ones.
    pub layers: Vec<PathBuf>,
}

impl ReleaseSpec {
    /// A good release.
    pub fn good(version: &str, serial: u64) -> Self {
        Self { version: version.to_owned(), serial, fault: ReleaseFault::None, layers: Vec::new() }
    }

    /// The releases that every lab has: what hosts begin with, what they are upgraded to, and three bad ones.
    pub(crate) fn all() -> Vec<Self> {
        let bad = |version: &str, fault| Self { fault, ..Self::good(version, 3) };
        vec![
            Self::good("1", 1),
            Self::good("2", 2),
            bad("3-panics", ReleaseFault::Panics),
            bad("3-hangs", ReleaseFault::Hangs),
            bad("3-sick", ReleaseFault::Sick),
        ]
    }
}

/// Where the bundle of a version lies.
pub(crate) fn bundle_path(folder: &LabFolder, version: &str) -> PathBuf {
    folder.releases().join(format!("{version}.lfb"))
}

/// The keys that the hosts trust; made with the lab's own secret key if it is not there yet.
pub(crate) fn read_trust(folder: &LabFolder) -> Result<(SecretKey, TrustStore), LabError> {
    let failed = |why: String| LabError::Release { release: "key".to_owned(), why };
    let (keys, secret) = (folder.keys(), folder.keys().join("release.secret"));
    make_folder(&keys)?;
    if !secret.exists() {
        let path = Path::new("/dev/urandom");
        let mut random = [0_u8; 32];
        let mut source = File::open(path).map_err(LabError::file("open", path))?;
        source.read_exact(&mut random).map_err(LabError::file("read", path))?;
        let key = SecretKey::from_random(random, "kvm lab").map_err(|error| failed(error.to_string()))?;
        let trust = TrustStore::new(vec![key.public()]).map_err(|error| failed(error.to_string()))?;
        let public = keys.join("trusted-keys");
        fs::write(&public, trust.to_text()).map_err(LabError::file("write", public))?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&secret);
        let written = file.and_then(|mut file| writeln!(file, "{}", key.to_text()));
        written.map_err(LabError::file("write", &secret))?;
    }
    let text = fs::read_to_string(&secret).map_err(LabError::file("read", &secret))?;
    let key = SecretKey::parse(&text).map_err(|error| failed(error.to_string()))?;
    let trust = TrustStore::new(vec![key.public()]).map_err(|error| failed(error.to_string()))?;
    Ok((key, trust))
}

/// Builds, packs and signs a release.
pub(crate) fn make_bundle(
    folder: &LabFolder,
    spec: &ReleaseSpec,
    agent: Option<&Path>,
) -> Result<(ReleaseRef, PathBuf), LabError> {
    crate::guest::check_name(&spec.version.replace('.', "-"))?;
    let failed = |why: String| LabError::Release { release: spec.version.clone(), why };
    let (key, trust) = read_trust(folder)?;
    let releases = folder.releases();
    let work = releases.join(format!("{}.work", spec.version));
    let tree = work.join("tree");
    make_folder(&tree)?;
    fill(&tree, spec, agent, &trust)?;
    let image = work.join("root");
    let mut command = Command::new(tool::find("mkfs.erofs", "erofs-utils")?);
    command.args(["-T0", "--all-root", "--quiet"]).arg(&image).arg(&tree);
    tool::run(&mut command, "make the root of a release")?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let draft = ReleaseDraft {
        name: LINE.to_owned(),
        version: spec.version.clone(),
        serial: spec.serial,
        created: now,
        expires: None,
        arch: "x86_64".to_owned(),
        cmdline: "quiet".to_owned(),
    };
    let scratch = work.join("scratch");
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(true).open(&scratch);
    let scratch = opened.map_err(LabError::file("create", scratch))?;
    let mut builder = BundleBuilder::new(draft, scratch).map_err(|error| failed(chain(&error)))?.level(LEVEL);
    let osrel = format!(
        "NAME=\"Lifeboat KVM lab host\"\nID=lifeboat-kvm-lab\nIMAGE_ID={LINE}\nIMAGE_VERSION={}\nVERSION_ID={}\n",
        spec.serial, spec.version
    );
    let word = b"the machine's kernel runs in its place\n".to_vec();
    let parts = [
        (slot::STUB, minimal_stub()),
        (slot::KERNEL, word.clone()),
        (slot::INITRD, word),
        (slot::OSREL, osrel.into_bytes()),
    ];
    for (name, bytes) in parts {
        let added = builder.add_slot(name, bytes.as_slice(), bytes.len() as u64);
        added.map_err(|error| failed(chain(&error)))?;
    }
    let file = File::open(&image).map_err(LabError::file("open", &image))?;
    let len = file.metadata().map_err(LabError::file("look at", &image))?.len();
    builder.add_slot(slot::ROOT, file, len).map_err(|error| failed(chain(&error)))?;
    let path = bundle_path(folder, &spec.version);
    let mut out = File::create(&path).map_err(LabError::file("create", &path))?;
    let made = builder.finish(&[&key], &mut out).map_err(|error| failed(chain(&error)))?;
    fs::remove_dir_all(&work).map_err(LabError::file("remove", work))?;
    Ok((made, path))
}

/// Fills the tree of a root.
fn fill(tree: &Path, spec: &ReleaseSpec, agent: Option<&Path>, trust: &TrustStore) -> Result<(), LabError> {
    for layer in &spec.layers {
        let mut command = Command::new(tool::find("cp", "coreutils")?);
        command.args(["--archive", "--no-target-directory"]).arg(layer).arg(tree);
        tool::run(&mut command, "copy a layer of a release")?;
    }
    let write = |path: &str, data: &[u8], mode: u32| {
        let path = tree.join(path);
        path.parent().map_or(Ok(()), make_folder)?;
        fs::write(&path, data).map_err(LabError::file("write", &path))?;
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&path, mode).map_err(LabError::file("set the mode of", path))
    };
    let described = serde_json::json!({
        "schema": 1, "name": LINE, "version": spec.version, "serial": spec.serial, "kernel": "shared",
    });
    write("etc/lifeboat/release.json", format!("{described}\n").as_bytes(), 0o644)?;
    write("etc/lifeboat/trusted-keys", trust.to_text().as_bytes(), 0o644)?;
    write("etc/lifeboat/state.json", KEPT.as_bytes(), 0o644)?;
    write("etc/lifeboat-release", format!("{}\n", spec.version).as_bytes(), 0o644)?;
    write("etc/host/made-with", format!("{}\n", spec.version).as_bytes(), 0o644)?;
    write("etc/lifeboat/health.d/10-libvirt", CHECK_LIBVIRT.as_bytes(), 0o755)?;
    match spec.fault {
        ReleaseFault::None => {}
        ReleaseFault::Panics => write(PANIC_FILE, b"", 0o644)?,
        ReleaseFault::Hangs => write(HANG_FILE, b"", 0o644)?,
        ReleaseFault::Sick => write("etc/lifeboat/health.d/50-sick", CHECK_SICK.as_bytes(), 0o755)?,
    }
    if let Some(agent) = agent {
        let data = fs::read(agent).map_err(LabError::file("read", agent))?;
        write("usr/bin/lifeboat-agent", &data, 0o755)?;
    }
    Ok(())
}

/// The bundles of a lab, oldest first.
pub(crate) fn list_bundles(folder: &LabFolder) -> Result<Vec<(ReleaseRef, PathBuf)>, LabError> {
    let releases = folder.releases();
    let mut found = Vec::new();
    for entry in fs::read_dir(&releases).map_err(LabError::file("read", &releases))? {
        let path = entry.map_err(LabError::file("read", &releases))?.path();
        if path.extension().is_some_and(|end| end == "lfb") {
            let file = File::open(&path).map_err(LabError::file("open", &path))?;
            let info = inspect(file, None).map_err(|error| crate::folder::damaged(&path, &chain(&error)))?;
            found.push((info.release, path));
        }
    }
    found.sort_by(|(one, _), (two, _)| (one.serial, &one.version).cmp(&(two.serial, &two.version)));
    Ok(found)
}
