//! One machine of the lab: a QEMU process.
//!
//! Owns: its command line, its process id, its monitor socket. Promises: a process is touched only after its
//! command line has shown that it is this machine of this lab; machines outlive the program that starts them.
//! Does not: know what runs inside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{LabError, tool};

/// Firmware of the machines, and the template of its variables.
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// Translated code is kept in at most so many MiB; without a limit a machine grows to a gigabyte by each boot.
const ACCEL: &str = "tcg,tb-size=96";

/// Longest wait for a process to end or a monitor to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One machine, running or not.
#[derive(Debug, Clone)]
pub struct Machine {
    name: String,
    folder: PathBuf,
    mark: String,
    memory_mib: u32,
}

impl Machine {
    /// The machine `name` of the lab with the random identity `lab`; its files lie in `folder`.
    #[must_use]
    pub fn new(lab: &str, name: &str, folder: PathBuf, memory_mib: u32) -> Self {
        Self { mark: format!("lifeboat-lab-{lab}-{name}"), name: name.to_owned(), folder, memory_mib }
    }

    /// Its boot disk.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    /// Its firmware variables.
    #[must_use]
    pub fn variables(&self) -> PathBuf {
        self.folder.join("vars.fd")
    }

    /// What it wrote to its serial console since it was started.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts fresh firmware variables beside the disk.
    pub fn reset_variables(&self) -> Result<(), LabError> {
        let template = tool::find_file(VARIABLES, "ovmf")?;
        fs::copy(&template, self.variables()).map_err(LabError::file("copy", template))?;
        Ok(())
    }

    /// Starts it, unless it runs.
    pub fn start(&self) -> Result<(), LabError> {
        self.start_with(&[])
    }

    /// As [`Machine::start`], but the firmware waits ten seconds for a key that opens its menu.
    pub fn start_with_menu(&self) -> Result<(), LabError> {
        self.start_with(&["-boot", "menu=on,splash-time=10000"])
    }

    /// Its serial console, to read from and to type into. The name is relative, as sockets' names are short.
    pub fn connect_console(&self) -> Result<UnixStream, LabError> {
        let failed = |error: std::io::Error| LabError::Machine {
            host: self.name.clone(),
            why: format!("its console does not answer: {error}"),
        };
        let folder = File::open(&self.folder).map_err(failed)?;
        UnixStream::connect(format!("/proc/self/fd/{}/console.sock", folder.as_raw_fd())).map_err(failed)
    }

    fn start_with(&self, more: &[&str]) -> Result<(), LabError> {
        if self.pid().is_some() {
            return Ok(());
        }
        let qemu = tool::find("qemu-system-x86_64", "qemu-system-x86")?;
        let firmware = tool::find_file(FIRMWARE, "ovmf")?;
        let option = |path: &Path| path.display().to_string().replace(',', ",,");
        let memory = self.memory_mib.to_string();
        let mut command = Command::new(qemu);
        command
            .current_dir(&self.folder)
            .args(["-name", &self.mark, "-nodefaults", "-no-user-config"])
            .args(["-machine", "q35", "-accel", ACCEL, "-cpu", "max", "-m", &memory])
            .args(["-display", "none", "-vga", "none"])
            .args(["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={}", option(&firmware))])
            .args(["-drive", &format!("if=pflash,unit=1,format=raw,file={}", option(&self.variables()))])
            // No bootindex: with one, the firmware rewrites the boot order that is under test.
            .args(["-drive", &format!("if=none,id=boot,format=raw,file={}", option(&self.disk()))])
            .args(["-device", "virtio-blk-pci,drive=boot"])
            // The watchdog of a management controller goes on across a reset: it covers firmware and loader.
            .args(["-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0"])
            .args(["-netdev", "user,id=net,restrict=off", "-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-device", "virtio-rng-pci"])
            // What is written goes into the file whether anybody is connected or not; a person may connect and type.
            .args([
                "-chardev",
                &format!(
                    "socket,id=console,path=console.sock,server=on,wait=off,logappend=on,logfile={}",
                    option(&self.console())
                ),
            ])
            .args(["-serial", "chardev:console"])
            // Relative, since the path of a socket is limited to 107 bytes.
            .args(["-qmp", "unix:monitor,server=on,wait=off"])
            .args(more)
            .args(["-daemonize", "-pidfile"])
            .arg(self.pid_file());
        tool::run(&mut command, &format!("start the machine {}", self.name))?;
        Ok(())
    }

    /// Process id, if it runs. A process of another machine, lab or program is never taken for this one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        line.split(|byte| *byte == 0).any(|word| word == self.mark.as_bytes()).then_some(pid)
    }

    /// Memory that the process takes on this computer, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Takes its power away: nothing inside gets a chance to do anything. It is gone when this returns.
    pub fn cut_power(&self) -> Result<(), LabError> {
        let Some(raw) = self.pid() else { return Ok(()) };
        let failed = |why: String| LabError::Machine { host: self.name.clone(), why };
        let pid = i32::try_from(raw).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(format!("has the impossible process id {raw}")))?;
        kill_process(pid, Signal::KILL).map_err(|error| failed(format!("could not be ended: {error}")))?;
        let begin = Instant::now();
        while self.pid().is_some() {
            if begin.elapsed() > PATIENCE {
                return Err(failed(format!("process {raw} does not end although it was killed")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Presses its reset button.
    pub fn reset(&self) -> Result<(), LabError> {
        self.monitor("system_reset")
    }

    /// Gives one command to the monitor (QMP) and waits for its answer.
    fn monitor(&self, command: &str) -> Result<(), LabError> {
        let failed = |error: std::io::Error| LabError::Machine {
            host: self.name.clone(),
            why: format!("its monitor does not answer: {error}"),
        };
        // The open folder gives the socket a short path, wherever the lab lies.
        let folder = File::open(&self.folder).map_err(failed)?;
        let path = format!("/proc/self/fd/{}/monitor", folder.as_raw_fd());
        let mut stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut lines = BufReader::new(stream.try_clone().map_err(failed)?).lines();
        for command in ["qmp_capabilities", command] {
            stream.write_all(format!("{{\"execute\":\"{command}\"}}\n").as_bytes()).map_err(failed)?;
            loop {
                let line = lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()));
                let line = line.map_err(failed)?;
                if line.contains("\"error\"") {
                    return Err(failed(std::io::Error::other(line)));
                }
                if line.contains("\"return\"") {
                    break;
                }
            }
        }
        Ok(())
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("qemu.pid")
    }
}
