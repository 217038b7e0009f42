//! The state volume of a new host: an ext4 file system with the agent's configuration, made by mke2fs in its place.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_bank::layout::Partition;

use crate::error::{CliError, Kind, file_error};
use crate::random::random;

/// Finds mke2fs, also where Debian keeps it and only root looks.
pub(super) fn find_mke2fs() -> Result<PathBuf, CliError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join("mke2fs")).find(|path| path.is_file()).ok_or_else(|| {
        CliError::new(Kind::NotFound, "mke2fs was not found; it makes the state volume")
            .remedy("install it: apt-get install e2fsprogs")
    })
}

/// Makes the file system inside `disk`, at the place of `state`. The disk must not be open for writing elsewhere.
pub(super) fn make(
    mke2fs: &Path,
    disk: &Path,
    state: Partition,
    agent_json: Option<&str>,
) -> Result<(), CliError> {
    let folder = Scratch::new()?;
    let saved = folder.0.join("saved");
    fs::create_dir(&saved).map_err(|source| file_error("making", &saved, source))?;
    if let Some(text) = agent_json {
        let path = folder.0.join("agent.json");
        fs::write(&path, text).map_err(|source| file_error("writing", &path, source))?;
        // It holds the host's secret.
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).map_err(|source| file_error("protecting", &path, source))?;
    }
    let mut command = Command::new(mke2fs);
    command
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-b", "4096", "-L", "lifeboat-state"])
        .arg("-E")
        .arg(format!("root_owner=0:0,nodiscard,offset={}", state.offset()))
        .arg("-d")
        .arg(&folder.0)
        .arg(disk)
        .arg(format!("{}k", state.bytes() / 1024));
    let failed = || CliError::new(Kind::Failed, format!("making the state volume of {}", disk.display()));
    let output = command.output().map_err(|source| failed().because(source))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(failed()
        .because(format!("mke2fs: {}", text.trim().lines().last().unwrap_or("no reason was given")))
        .remedy("mend that and run this again with --force"))
}

/// A private folder that vanishes.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let mut name = OsString::from("lifeboat-state.");
        let random = random::<8>()?;
        name.push(format!("{:016x}", u64::from_le_bytes(random)));
        let path = std::env::temp_dir().join(name);
        let made = std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&path);
        made.map_err(|source| file_error("making", &path, source))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is a small folder among temporary ones.
        let _ = fs::remove_dir_all(&self.0);
    }
}
