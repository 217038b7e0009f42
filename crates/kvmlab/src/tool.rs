//! Other people's programs that make the lab.
//!
//! Owns: how they are found, run, and how their failure is told. Promises: a missing program is named with the
//! package that brings it; the end of a failing program's output is kept. Does not: run a shell.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::LabError;

/// Places where Debian keeps programs, also those that a user's PATH leaves out.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// What a lab cannot do without: program and package.
const NEEDED: [(&str, &str); 13] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("losetup", "mount"),
    ("addpart", "util-linux"),
    ("ip", "iproute2"),
    ("busybox", "busybox-static"),
    ("libvirtd", "libvirt-daemon"),
    ("virsh", "libvirt-clients"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("nbdkit", "nbdkit"),
    ("mke2fs", "e2fsprogs"),
];

/// Path of `program`, or the error that names `package`.
pub(crate) fn find(program: &str, package: &'static str) -> Result<PathBuf, LabError> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| LabError::MissingTool { program: program.to_owned(), package })
}

/// Path of one of the programs that every lab needs.
pub(crate) fn needed(program: &str) -> Result<PathBuf, LabError> {
    let package =
        NEEDED.iter().find(|(name, _)| *name == program).map_or("of that name", |(_, package)| package);
    find(program, package)
}

/// Checks that everything which a lab needs is installed, and that QEMU is one that keeps what guests write.
pub fn check_peers() -> Result<(), LabError> {
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    for (program, package) in NEEDED {
        find(program, package)?;
    }
    let mut qemu = Command::new(needed("qemu-system-x86_64")?);
    let text = run(qemu.arg("--version"), "tell its version")?;
    let first = text.lines().next().unwrap_or_default();
    let major = first.split_whitespace().find_map(|word| word.split('.').next()?.parse::<u32>().ok());
    if major.is_some_and(|major| major >= 9) {
        return Ok(());
    }
    let remedy =
        "install qemu-system-x86 and qemu-utils from the suite bookworm-backports, or a newer system's";
    Err(LabError::OldQemu { found: first.to_owned(), remedy })
}

/// Runs `command` to its end; its standard output if it succeeds.
pub(crate) fn run(command: &mut Command, purpose: &str) -> Result<String, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |status: String, output: String| LabError::Tool {
        program: program.clone(),
        purpose: purpose.to_owned(),
        status,
        output,
    };
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error: io::Error| failed("could not be started".to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    let skip = text.chars().count().saturating_sub(600);
    Err(failed(output.status.to_string(), text.chars().skip(skip).collect::<String>().trim().to_owned()))
}
