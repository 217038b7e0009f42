//! The kernel of the lab's hosts: Debian's, taken out of its package.
//!
//! Owns: the cache folder, with `vmlinuz`, the needed modules in load order, and the kernel's version. Promises:
//! a cache is complete or is not there (it is made beside and renamed); nothing is installed on this machine.
//! Does not: check the package's signature itself; apt-get does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::modules::{EARLY, WATCHDOG, load_order};
use super::{LabError, tool};

/// Folder of a filled cache. Another list of modules takes another name, so that an old cache is not taken for a new one.
const READY: &str = "ready-2";

/// A kernel that is ready to be put into releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabKernel {
    /// Its version as `uname -r` shows it.
    pub version: String,
    /// The image.
    pub vmlinuz: PathBuf,
    /// Module files that are needed before the root is mounted, in the order in which they load.
    pub early: Vec<PathBuf>,
    /// The watchdog's module.
    pub watchdog: PathBuf,
}

impl LabKernel {
    /// The kernel in `cache`, fetched first if it is not there.
    pub fn ensure(cache: &Path) -> Result<Self, LabError> {
        let ready = cache.join(READY);
        if !ready.join("version").is_file() {
            // Whoever comes second waits for the first one, and finds its cache.
            fs::create_dir_all(cache).map_err(LabError::file("create", cache))?;
            let path = cache.join("lock");
            let lock = fs::File::create(&path).map_err(LabError::file("create", &path))?;
            lock.lock().map_err(LabError::file("lock", &path))?;
            if !ready.join("version").is_file() {
                fill(cache, &ready)?;
            }
        }
        Self::load(&ready)
    }

    fn load(ready: &Path) -> Result<Self, LabError> {
        let read = |name: &str| {
            let path = ready.join(name);
            fs::read_to_string(&path).map_err(LabError::file("read", path))
        };
        let early: Vec<PathBuf> =
            read("order")?.lines().map(|file| ready.join("modules").join(file)).collect();
        let kernel = Self {
            version: read("version")?.trim().to_owned(),
            vmlinuz: ready.join("vmlinuz"),
            early,
            watchdog: ready.join("modules").join(format!("{WATCHDOG}.ko")),
        };
        let lost =
            kernel.early.iter().chain([&kernel.vmlinuz, &kernel.watchdog]).find(|path| !path.is_file());
        match lost {
            Some(path) => {
                Err(LabError::Damaged { path: ready.to_owned(), why: format!("{} is gone", path.display()) })
            }
            None => Ok(kernel),
        }
    }
}

/// Makes `ready` from a package in `cache`, or from one that apt-get brings.
fn fill(cache: &Path, ready: &Path) -> Result<(), LabError> {
    let work = cache.join("work");
    remove(&work)?;
    fs::create_dir_all(&work).map_err(LabError::file("create", &work))?;
    let package = match package_in(cache)? {
        Some(package) => package,
        None => download(cache, &work)?,
    };
    let tree = work.join("tree");
    let dpkg = tool::find("dpkg-deb", "dpkg")?;
    tool::run(Command::new(dpkg).arg("-x").arg(&package).arg(&tree), "unpack the kernel package")?;
    let version = version_in(&tree)?;
    let depmod = tool::find("depmod", "kmod")?;
    tool::run(Command::new(depmod).arg("-b").arg(&tree).arg(&version), "list what kernel modules need")?;

    let out = work.join("ready");
    let modules = out.join("modules");
    fs::create_dir_all(&modules).map_err(LabError::file("create", &modules))?;
    copy(&tree.join(format!("boot/vmlinuz-{version}")), &out.join("vmlinuz"))?;
    let from = tree.join("lib/modules").join(&version);
    let table = from.join("modules.dep");
    let table = fs::read_to_string(&table).map_err(LabError::file("read", table))?;
    let no_module = |module| LabError::NoModule { version: version.clone(), module };
    let early = load_order(&table, &EARLY).map_err(no_module)?;
    let all = load_order(&table, &[&EARLY[..], &[WATCHDOG]].concat()).map_err(no_module)?;
    let file_of = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    for path in &all {
        copy(&from.join(path), &modules.join(file_of(path)))?;
    }
    let order: Vec<String> = early.iter().map(|path| file_of(path)).collect();
    write(&out.join("order"), &(order.join("\n") + "\n"))?;
    write(&out.join("version"), &(version + "\n"))?;
    remove(ready)?;
    fs::rename(&out, ready).map_err(LabError::file("rename", &out))?;
    remove(&work)
}

/// A kernel package that somebody laid into the cache folder.
fn package_in(folder: &Path) -> Result<Option<PathBuf>, LabError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(LabError::file("read", folder))? {
        let path = entry.map_err(LabError::file("read", folder))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("linux-image-") && path.extension().is_some_and(|end| end == "deb") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found.pop())
}

/// Asks apt-get for the package that Debian's `linux-image-amd64` stands for.
fn download(cache: &Path, work: &Path) -> Result<PathBuf, LabError> {
    let no_kernel = |why: String| LabError::NoKernel { cache: cache.to_owned(), why };
    let apt_cache = tool::find("apt-cache", "apt")?;
    let depends = tool::run(
        Command::new(apt_cache).args(["depends", "linux-image-amd64"]),
        "name the current kernel package",
    )
    .map_err(|error| no_kernel(error.to_string()))?;
    let name = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-") && !name.contains('<'))
        .ok_or_else(|| no_kernel("apt knows no package that linux-image-amd64 depends on".to_owned()))?;
    let apt_get = tool::find("apt-get", "apt")?;
    // The helper user of apt may not write into our folder; the download is checked by apt all the same.
    let mut command = Command::new(apt_get);
    command.current_dir(work).args(["-q", "-o", "APT::Sandbox::User=root", "download", name]);
    tool::run(&mut command, "download the kernel package").map_err(|error| no_kernel(error.to_string()))?;
    package_in(work)?.ok_or_else(|| no_kernel(format!("apt-get brought no file for {name}")))
}

fn version_in(tree: &Path) -> Result<String, LabError> {
    let boot = tree.join("boot");
    for entry in fs::read_dir(&boot).map_err(LabError::file("read", &boot))? {
        let name = entry.map_err(LabError::file("read", &boot))?.file_name();
        if let Some(version) = name.to_string_lossy().strip_prefix("vmlinuz-") {
            return Ok(version.to_owned());
        }
    }
    Err(LabError::Damaged { path: boot, why: "the package holds no vmlinuz".to_owned() })
}

fn copy(from: &Path, to: &Path) -> Result<(), LabError> {
    fs::copy(from, to).map(|_| ()).map_err(LabError::file("copy", from))
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::file("write", path))
}

/// Removes a folder that may not be there.
fn remove(folder: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(LabError::File { doing: "remove", path: folder.to_owned(), source }),
    }
}
