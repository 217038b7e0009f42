//! Commands in the fabric and in hosts.
//!
//! Owns: entering namespaces. Promises: a command for a host never runs outside of it, also while the host boots.
//! Does not: interpret what a command does.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use super::KvmLab;
use crate::fabric::{FabricIds, Phase};
use crate::{LabError, tool};

impl KvmLab {
    /// `program` in the fabric, where the hosts' names resolve and their addresses answer.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        let ids = FabricIds::running(&self.folder)?
            .ok_or_else(|| LabError::NotRunning { folder: self.folder.path().to_owned() })?;
        let mut command = Command::new(tool::needed("nsenter")?);
        command.args(["--target", &ids.inner.pid.to_string(), "--mount", "--net", "--pid", "--ipc", "--"]);
        command.arg(program);
        Ok(command)
    }

    /// `program` on a host.
    pub fn command_in(&self, host: &str, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        let state = self.power(host)?;
        let (Phase::Running, Some(pid)) = (state.phase, state.pid) else {
            let why = format!("it is {:?}; switch it on", state.phase);
            return Err(LabError::HostOff { host: host.to_owned(), why });
        };
        let mut command = self.command(tool::needed("nsenter")?)?;
        command.args([
            "--target",
            &pid.to_string(),
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--cgroup",
        ]);
        command.args(["--root", "--wd", "--"]).arg(program);
        Ok(command)
    }

    /// Runs a command on a host; what it printed, if it succeeded.
    pub fn run_in(&self, host: &str, words: &[&str]) -> Result<String, LabError> {
        let (program, args) = split(words)?;
        tool::run(self.command_in(host, program)?.args(args), &format!("run {} on {host}", words.join(" ")))
    }

    /// Runs a command in the fabric; what it printed, if it succeeded.
    pub fn run(&self, words: &[&str]) -> Result<String, LabError> {
        let (program, args) = split(words)?;
        tool::run(self.command(program)?.args(args), &format!("run {} in the fabric", words.join(" ")))
    }

    /// `virsh`, connected to the libvirt of a host through its socket; works from outside of the fabric.
    pub fn virsh_command(&self, host: &str) -> Result<Command, LabError> {
        let mut command = Command::new(tool::needed("virsh")?);
        command.arg("-c").arg(self.uri(host)?).arg("-q");
        Ok(command)
    }

    /// Runs `virsh` against a host; what it printed, if it succeeded.
    pub fn virsh(&self, host: &str, words: &[&str]) -> Result<String, LabError> {
        let purpose = format!("{} on {host}", words.join(" "));
        tool::run(self.virsh_command(host)?.args(words), &purpose)
    }

    /// libvirt's URI of a host from outside of the fabric.
    pub fn uri(&self, host: &str) -> Result<String, LabError> {
        Ok(format!("qemu+unix:///system?socket={}", self.socket(host)?.display()))
    }

    /// The socket of libvirt on a host, as the machine sees it. It has the same path after each boot of the host.
    pub fn socket(&self, host: &str) -> Result<PathBuf, LabError> {
        Ok(self.folder.host(&self.settings.host(host)?.name).socket())
    }
}

fn split<'a>(words: &'a [&'a str]) -> Result<(&'a str, &'a [&'a str]), LabError> {
    let nothing = || LabError::Refused {
        what: "running nothing".to_owned(),
        why: "a command has a program".to_owned(),
    };
    words.split_first().map(|(program, args)| (*program, args)).ok_or_else(nothing)
}
