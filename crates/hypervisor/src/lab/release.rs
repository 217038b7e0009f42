//! The lab's releases: good ones, and one for each way in which an upgrade goes wrong.
//!
//! Owns: what they consist of, as a folder that `lifeboat release build` takes. Promises: every release differs
//! from the good one in exactly the fault it names. Does not: sign or pack (that is `lifeboat-bundle`).

use std::fs;
use std::path::{Path, PathBuf};

use super::elf::check_static;
use super::{LabError, LabKernel, initrd, root, tool};

/// Kernel options of every lab host: a console that is kept in a file, a quick end of a panic, and no luck with
/// the timer on a loaded computer.
pub(crate) const CMDLINE: &str = "console=ttyS0 loglevel=3 panic=1 no_timer_check mitigations=off";

/// Product line of the lab's releases.
pub const LAB_LINE: &str = "lab-host";

/// What is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Its kernel panics before the root is mounted.
    Panics,
    /// Its first process never starts the agent.
    Hangs,
    /// It boots, and a health check says no.
    Sick,
}

/// A release that the lab can build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabRelease {
    /// Version for people, for example `2`.
    pub version: String,
    /// Number that decides what is newer.
    pub serial: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl LabRelease {
    /// The five releases of the lab: what every host starts with, what it is upgraded to, and three bad ones that
    /// are newer than both.
    pub fn all() -> [Self; 5] {
        let release = |version: &str, serial, fault| Self { version: version.to_owned(), serial, fault };
        [
            release("1", 1, Fault::None),
            release("2", 2, Fault::None),
            release("3-panics", 3, Fault::Panics),
            release("3-hangs", 3, Fault::Hangs),
            release("3-sick", 3, Fault::Sick),
        ]
    }

    /// The file `/etc/lifeboat/release.json` of the root.
    pub(crate) fn describe(&self, kernel: &str) -> String {
        let value = serde_json::json!({
            "schema": 1, "name": LAB_LINE, "version": self.version, "serial": self.serial, "kernel": kernel,
        });
        format!("{value}\n")
    }
}

/// Programs and files that go into a lab release.
#[derive(Debug, Clone)]
pub struct LabParts {
    /// The kernel.
    pub kernel: LabKernel,
    /// The static agent.
    pub agent: PathBuf,
    /// The static busybox.
    pub busybox: PathBuf,
    /// The stub that turns kernel and initial RAM file system into one UEFI program.
    pub stub: PathBuf,
}

impl LabParts {
    /// Finds everything on this computer; `cache` holds the kernel, `agent` is the static agent.
    pub fn find(cache: &Path, agent: &Path) -> Result<Self, LabError> {
        if !agent.is_file() {
            return Err(LabError::NoAgent { path: agent.to_owned(), remedy: BUILD_AGENT });
        }
        let program = fs::read(agent).map_err(LabError::file("read", agent))?;
        check_static(&program).map_err(|why| LabError::UnusableAgent {
            path: agent.to_owned(),
            why,
            remedy: BUILD_AGENT,
        })?;
        // The package `busybox` brings one under the same name that needs libraries.
        let busybox = tool::find("busybox", "busybox-static")?;
        let program = fs::read(&busybox).map_err(LabError::file("read", &busybox))?;
        if check_static(&program).is_err() {
            return Err(LabError::MissingTool {
                program: "a static busybox".to_owned(),
                package: "busybox-static",
            });
        }
        Ok(Self {
            busybox,
            stub: tool::find_file("/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-boot-efi")?,
            agent: agent.to_owned(),
            kernel: LabKernel::ensure(cache)?,
        })
    }
}

/// How the static agent is built.
pub const BUILD_AGENT: &str = "RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile agent \
                               -p lifeboat-agent --target x86_64-unknown-linux-gnu";

/// Makes the folder `out` with `kernel`, `initrd`, `root`, `stub`, `cmdline` and `osrel` of `release`.
/// `trusted_keys` goes into the root: the keys whose releases the next upgrade will accept.
pub fn build_lab_release(
    release: &LabRelease,
    parts: &LabParts,
    trusted_keys: &[u8],
    out: &Path,
) -> Result<(), LabError> {
    fs::create_dir_all(out).map_err(LabError::file("create", out))?;
    let work = out.with_extension("work");
    fs::create_dir_all(&work).map_err(LabError::file("create", &work))?;
    let copy = |from: &Path, name: &str| fs::copy(from, out.join(name)).map_err(LabError::file("copy", from));
    let write = |name: &str, data: &[u8]| {
        let path = out.join(name);
        fs::write(&path, data).map_err(LabError::file("write", path))
    };
    copy(&parts.kernel.vmlinuz, "kernel")?;
    copy(&parts.stub, "stub")?;
    write("initrd", &initrd::build(&parts.kernel, &parts.busybox, &parts.agent, release.fault)?)?;
    write("cmdline", format!("{CMDLINE}\n").as_bytes())?;
    let osrel = format!(
        "NAME=\"Lifeboat lab host\"\nID=lifeboat-lab\nIMAGE_ID={LAB_LINE}\nIMAGE_VERSION={}\nVERSION_ID={}\n",
        release.serial, release.version
    );
    write("osrel", osrel.as_bytes())?;
    let image = out.join("root");
    root::build_root(release, &parts.kernel, &parts.busybox, &parts.agent, trusted_keys, &work, &image)?;
    fs::remove_dir_all(&work).map_err(LabError::file("remove", work))
}
