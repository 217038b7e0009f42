//! The loop of the fabric's PID 1: power loops of all hosts, the NBD server, orphans.
//!
//! Owns: starting, cutting and restarting hosts as their switches say. Promises: one thread, which is the only one that
//! waits for children, so that an orphan is never taken for a host; the switch is a level, not an event. Does not: end.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_model::Bank;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::power::{HostEnd, Next, Phase, PowerState, Switch, after, read_end};
use crate::bank::{Firmware, PoweredDisk};
use crate::folder::{HostFolder, make_folder, random_uuid, read_small, write_json, write_whole};
use crate::host::BootOrder;
use crate::process::child_of;
use crate::settings::{FABRIC_ADDRESS, HostKind, HostSettings, LabSettings, NBD_PORT};
use crate::{LabError, LabFolder, tool};

/// How often the switches are looked at.
const BEAT: Duration = Duration::from_millis(20);

pub(super) struct Supervisor {
    folder: LabFolder,
    settings: LabSettings,
    hosts: Vec<HostLoop>,
    nbd: Server,
    /// The last error that was told.
    complaint: String,
}

struct HostLoop {
    settings: HostSettings,
    folder: HostFolder,
    state: PowerState,
    /// Its process and when it began, or when the next boot is due.
    run: Run,
    disk: Option<PoweredDisk>,
    /// Written when something changed.
    told: Option<PowerState>,
}

enum Run {
    Off,
    Due(Instant),
    On {
        process: i32,
        began: Instant,
        boot_id: String,
        trial: Option<(Instant, Bank)>,
        killed: Option<HostEnd>,
    },
}

/// A server that is started again when it ends.
struct Server {
    process: Option<i32>,
    due: Instant,
}

impl Supervisor {
    pub(super) fn new(folder: LabFolder, settings: LabSettings) -> Result<Self, LabError> {
        make_folder(&folder.shared().join("disks"))?;
        let hosts = settings
            .hosts
            .iter()
            .map(|host| HostLoop {
                settings: host.clone(),
                folder: folder.host(&host.name),
                state: PowerState::new(),
                run: Run::Off,
                disk: None,
                told: None,
            })
            .collect();
        let nbd = Server { process: None, due: Instant::now() };
        Ok(Self { folder, settings, hosts, nbd, complaint: String::new() })
    }

    pub(super) fn run(mut self) -> Result<(), LabError> {
        let mut ready = false;
        loop {
            while let Some((pid, status)) = reap() {
                let ended = self.ended(pid, status);
                self.complain(ended);
            }
            let kept = self.keep_nbd();
            self.complain(kept);
            for index in 0..self.hosts.len() {
                let looked = self.look_at(index);
                self.complain(looked);
            }
            if !ready {
                write_whole(&self.folder.ready(), b"ready\n")?;
                ready = true;
            }
            std::thread::sleep(BEAT);
        }
    }

    /// Tells an error once. A disk that is full, say, must not take a whole lab down: the next beat tries again.
    fn complain(&mut self, result: Result<(), LabError>) {
        let Err(error) = result else { return };
        let text = lifeboat_model::chain(&error);
        if self.complaint != text {
            eprintln!("fabric: {text}");
            self.complaint = text;
        }
    }

    fn keep_nbd(&mut self) -> Result<(), LabError> {
        if self.nbd.process.is_some() || Instant::now() < self.nbd.due {
            return Ok(());
        }
        let mut command = Command::new(tool::needed("nbdkit")?);
        command
            .args(["--foreground", "--newstyle", "--ipaddr", FABRIC_ADDRESS, "--port", &NBD_PORT.to_string()])
            .args(["file", &format!("dir={}", self.folder.shared().join("disks").display())])
            .stdin(Stdio::null());
        self.nbd.process = Some(spawn(&mut command)?);
        self.nbd.due = Instant::now() + Duration::from_secs(1);
        Ok(())
    }

    fn ended(&mut self, pid: i32, status: WaitStatus) -> Result<(), LabError> {
        if self.nbd.process == Some(pid) {
            eprintln!("fabric: the NBD server ended ({status:?}) and is started again");
            self.nbd.process = None;
            return Ok(());
        }
        for host in &mut self.hosts {
            if let Run::On { process, began, killed, .. } = &host.run
                && *process == pid
            {
                // unshare(1) cannot end itself as its child did when that was killed; but then it was the power loop.
                let end =
                    killed.unwrap_or_else(|| read_end(status.terminating_signal(), status.exit_status()));
                let up = began.elapsed();
                return host.after_end(end, up);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, index: usize) -> Result<(), LabError> {
        let Self { folder, settings, hosts, .. } = self;
        let Some(host) = hosts.get_mut(index) else { return Ok(()) };
        let switch = host.switch();
        match &mut host.run {
            Run::Off => {
                host.state.phase = Phase::Off;
                if matches!(switch, Switch::On | Switch::Reset) {
                    host.set_switch("on")?;
                    host.power_on(folder, settings)?;
                } else if switch == Switch::Cut {
                    host.set_switch("off")?;
                }
            }
            Run::Due(at) => {
                if matches!(switch, Switch::Off | Switch::Cut) {
                    host.off()?;
                } else if Instant::now() >= *at {
                    host.set_switch("on")?;
                    host.power_on(folder, settings)?;
                }
            }
            Run::On { process, boot_id, trial, killed, .. } => {
                if host.state.phase == Phase::Booting
                    && fs::read_to_string(host.folder.booted())
                        .is_ok_and(|text| text.trim() == boot_id.as_str())
                {
                    host.state.phase = Phase::Running;
                    host.state.pid = child_of(*process);
                }
                if matches!(switch, Switch::Cut | Switch::Reset) {
                    *killed = Some(HostEnd::Cut);
                    kill_host(*process);
                } else if let Some((deadline, bank)) = *trial
                    && Instant::now() >= deadline
                {
                    *trial = None;
                    if host.disk.as_ref().is_some_and(|disk| disk.on_trial(bank)) {
                        *killed = Some(HostEnd::Watchdog);
                        kill_host(*process);
                    }
                }
            }
        }
        host.tell()
    }
}

impl HostLoop {
    fn switch(&self) -> Switch {
        let text = read_small(&self.folder.switch()).ok().flatten().unwrap_or_default();
        Switch::parse(&text).unwrap_or(Switch::Off)
    }

    fn set_switch(&self, word: &str) -> Result<(), LabError> {
        write_whole(&self.folder.switch(), word.as_bytes())
    }

    fn tell(&mut self) -> Result<(), LabError> {
        if self.told.as_ref() != Some(&self.state) {
            write_json(&self.folder.power(), &self.state)?;
            self.told = Some(self.state.clone());
        }
        Ok(())
    }

    fn off(&mut self) -> Result<(), LabError> {
        self.run = Run::Off;
        self.state.device = None;
        if let Some(disk) = self.disk.take() {
            disk.detach();
        }
        // Only when everything is let go of: who waits for it may use the disk then.
        self.state.phase = Phase::Off;
        self.set_switch("off")
    }

    fn after_end(&mut self, end: HostEnd, up: Duration) -> Result<(), LabError> {
        self.state.ended(end);
        match after(end, self.switch(), up) {
            Next::StayOff => self.off()?,
            Next::BootIn(pause) => {
                self.state.phase = Phase::Waiting;
                self.run = Run::Due(Instant::now() + pause);
            }
        }
        self.tell()
    }

    /// A host whose power cannot be switched on is told as one that did not boot; the lab goes on.
    fn power_on(&mut self, folder: &LabFolder, settings: &LabSettings) -> Result<(), LabError> {
        match self.try_power_on(folder, settings) {
            Ok(()) => self.tell(),
            Err(error) => {
                let why = lifeboat_model::chain(&error);
                eprintln!("fabric: {} does not boot: {why}", self.settings.name);
                self.state.why = Some(why);
                self.after_end(HostEnd::NoBoot, Duration::ZERO)
            }
        }
    }

    fn try_power_on(&mut self, folder: &LabFolder, settings: &LabSettings) -> Result<(), LabError> {
        let boot_id = random_uuid()?;
        self.state.boots += 1;
        self.state.boot_id = Some(boot_id.clone());
        let mut order = BootOrder { boot_id: boot_id.clone(), bank: None };
        let mut trial = None;
        if self.settings.kind == HostKind::Banks {
            if self.disk.is_none() {
                self.disk = Some(PoweredDisk::attach(&self.settings.name, &self.folder.disk())?);
            }
            if let Some(disk) = &self.disk {
                self.state.device = Some(disk.device().display().to_string());
                let booted = Firmware::new(disk, &self.folder).power_on()?;
                self.state.bank = Some(booted.bank);
                self.state.release = Some(booted.release.clone());
                self.state.why = Some(booted.why.clone());
                if disk.on_trial(booted.bank) {
                    trial = Some((Instant::now() + Duration::from_secs(settings.watchdog_secs), booted.bank));
                }
                order.bank = Some(booted.order);
            }
        }
        write_json(&self.folder.order(), &order)?;
        let console = self.folder.console();
        let mut options = fs::OpenOptions::new();
        let out =
            options.create(true).append(true).open(&console).map_err(LabError::file("open", &console))?;
        let err = out.try_clone().map_err(LabError::file("open", &console))?;
        let mut command = Command::new(tool::needed("unshare")?);
        command
            .args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL"])
            .arg(tool::needed("nsenter")?)
            .arg(format!("--net=/run/netns/{}", self.settings.name))
            .arg(folder.program())
            .args(&settings.program_args)
            .arg("host")
            .arg(folder.path())
            .arg(&self.settings.name)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let process = spawn(&mut command)?;
        self.state.phase = Phase::Booting;
        self.run = Run::On { process, began: Instant::now(), boot_id, trial, killed: None };
        Ok(())
    }
}

/// Starts a child that `reap` waits for.
fn spawn(command: &mut Command) -> Result<i32, LabError> {
    let program = std::path::PathBuf::from(command.get_program());
    let child = command.spawn().map_err(LabError::file("start", program))?;
    Ok(i32::try_from(child.id()).unwrap_or(0))
}

/// The next child that has ended, one of ours or an orphan.
fn reap() -> Option<(i32, WaitStatus)> {
    let (pid, status) = wait(WaitOptions::NOHANG).ok()??;
    Some((pid.as_raw_nonzero().get(), status))
}

/// Ends PID 1 of a host; the kernel then ends everything in it before its parent hears of it.
fn kill_host(process: i32) {
    let Some(pid) = child_of(process).and_then(Pid::from_raw) else { return };
    // It may end by itself in this moment.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}
