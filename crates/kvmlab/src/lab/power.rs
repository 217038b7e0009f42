//! Power and cables.
//!
//! Owns: the switches of hosts, and waiting for what they lead to. Promises: returns when it has happened. Does not:
//! ask libvirt to do anything.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::KvmLab;
use crate::fabric::{FabricIds, Phase, PowerState, set_cable};
use crate::folder::{read_json, write_whole};
use crate::{LabError, tool};

/// Longest wait for power to come or go.
const POWER_PATIENCE: Duration = Duration::from_secs(30);

impl KvmLab {
    /// What the power loop last saw of a host.
    pub fn power(&self, host: &str) -> Result<PowerState, LabError> {
        let folder = self.folder.host(&self.settings.host(host)?.name);
        let state: Option<PowerState> = read_json(&folder.power())?;
        let mut state = state.unwrap_or_else(PowerState::new);
        if FabricIds::running(&self.folder)?.is_none() {
            (state.phase, state.pid, state.device) = (Phase::Off, None, None);
        }
        Ok(state)
    }

    /// Switches a host on and waits until its first process runs.
    pub fn power_on(&self, host: &str) -> Result<(), LabError> {
        self.switch(host, "on")?;
        self.await_power(host, POWER_PATIENCE, "the start", |state| state.phase == Phase::Running).map(drop)
    }

    /// Asks a host to power itself off, as its button does, and waits until it is off. Its guests die.
    pub fn power_off(&self, host: &str) -> Result<(), LabError> {
        if self.power(host)?.phase == Phase::Running {
            self.order(host, "poweroff")?;
        } else {
            self.switch(host, "cut")?;
        }
        self.await_off(host)
    }

    /// Pulls the power cord of a host.
    pub fn cut(&self, host: &str) -> Result<(), LabError> {
        self.switch(host, "cut")?;
        self.await_off(host)
    }

    /// Pulls the power cord of a host and plugs it in again; waits until its first process runs.
    pub fn reset(&self, host: &str) -> Result<(), LabError> {
        let boots = self.power(host)?.boots;
        self.switch(host, "reset")?;
        let done = |state: &PowerState| state.boots > boots && state.phase == Phase::Running;
        self.await_power(host, POWER_PATIENCE, "the start", done).map(drop)
    }

    /// Reboots a host from within; waits until the first process of the next boot runs.
    pub fn reboot(&self, host: &str) -> Result<(), LabError> {
        let boots = self.power(host)?.boots;
        self.order(host, "reboot")?;
        let done = |state: &PowerState| state.boots > boots && state.phase == Phase::Running;
        self.await_power(host, POWER_PATIENCE, "the reboot", done).map(drop)
    }

    /// Waits until the power loop reports of `host` what `done` looks for; the state then.
    pub fn await_power(
        &self,
        host: &str,
        patience: Duration,
        what: &str,
        done: impl Fn(&PowerState) -> bool,
    ) -> Result<PowerState, LabError> {
        let begin = Instant::now();
        loop {
            let state = self.power(host)?;
            if done(&state) {
                return Ok(state);
            }
            if FabricIds::running(&self.folder)?.is_none() {
                return Err(LabError::NotRunning { folder: self.folder.path().to_owned() });
            }
            if begin.elapsed() > patience {
                let folder = self.folder.host(host);
                return Err(LabError::Deadline {
                    what: format!("{what} of {host}"),
                    secs: patience.as_secs(),
                    look: format!(
                        "it is {:?}{}, and said last: {:?}; look at {}",
                        state.phase,
                        state.why.map(|why| format!(" ({why})")).unwrap_or_default(),
                        last_line(&folder.console()),
                        folder.console().display()
                    ),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until libvirt answers on a host.
    pub fn await_libvirt(&self, host: &str, patience: Duration) -> Result<(), LabError> {
        let begin = Instant::now();
        self.await_power(host, patience, "the start", |state| state.phase == Phase::Running)?;
        let folder = self.folder.host(host);
        loop {
            // The socket comes before the drivers are ready; the daemon answers when they are.
            if UnixStream::connect(folder.socket()).is_ok() && self.virsh(host, &["version"]).is_ok() {
                return Ok(());
            }
            if begin.elapsed() > patience {
                return Err(LabError::Deadline {
                    what: format!("an answer of libvirt on {host}"),
                    secs: patience.as_secs(),
                    look: format!("look at {} and {}", folder.log().display(), folder.console().display()),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Pulls or plugs the network cable of a host.
    pub fn set_cable(&self, host: &str, plugged: bool) -> Result<(), LabError> {
        let host = &self.settings.host(host)?.name;
        let mut command = self.command(tool::needed("ip")?)?;
        tool::run(command.args(set_cable(host, plugged)), "set the cable of a host").map(drop)
    }

    /// Limits what a host can send to the others, in KiB per second; none takes the limit away.
    pub fn set_bandwidth(&self, host: &str, limit_kib: Option<u64>) -> Result<(), LabError> {
        self.settings.host(host)?;
        let tc = tool::find("tc", "iproute2")?;
        let run = |command: &mut Command| tool::run(command, "limit the bandwidth of a host");
        let mut clear = self.command_in(host, &tc)?;
        // There may be none.
        let _ = run(clear.args(["qdisc", "del", "dev", "eth0", "root"]));
        let Some(limit) = limit_kib else { return Ok(()) };
        let rate = format!("{}kbit", limit.saturating_mul(8));
        let mut command = self.command_in(host, &tc)?;
        command.args([
            "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", "64kb", "latency", "50ms",
        ]);
        run(&mut command).map(drop)
    }

    /// Gives an order from within. It may be ended by what it leads to before it can say so.
    fn order(&self, host: &str, word: &str) -> Result<(), LabError> {
        let busybox = tool::needed("busybox")?;
        let given = self.command_in(host, &busybox)?.arg(word).stdin(Stdio::null()).output();
        given.map(drop).map_err(LabError::file("start", busybox))
    }

    fn await_off(&self, host: &str) -> Result<(), LabError> {
        self.await_power(host, POWER_PATIENCE, "the end", |state| state.phase == Phase::Off).map(drop)
    }

    fn switch(&self, host: &str, word: &str) -> Result<(), LabError> {
        let folder = self.folder.host(&self.settings.host(host)?.name);
        write_whole(&folder.switch(), word.as_bytes())
    }
}

/// The last line of a log, for the error of a lab whose files are taken away with it.
fn last_line(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(400)..).unwrap_or_default();
    String::from_utf8_lossy(tail).lines().last().unwrap_or_default().to_owned()
}
