//! A lab as a whole: up, status, down.
//!
//! Owns: the lab's folder. Promises: what was begun by an `up` that failed is taken away again; `down` ends every
//! machine of this lab, and only those, and removes the folder. Does not: judge what an agent reports.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifeboat_model::ReleaseRef;

use super::bundles::{list_bundles, make_bundle, make_key};
use super::disk::make_disk;
use super::settings::{LabHost, LabSettings};
use super::{AgentEvent, LabError, LabParts, LabRelease, Listener, Machine};

/// Longest wait for the first boot of all machines on a computer that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a new lab shall be.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Folder of the lab; it must not be there yet.
    pub folder: PathBuf,
    /// Folder that keeps the kernel across labs.
    pub kernel_cache: PathBuf,
    /// The static agent.
    pub agent: PathBuf,
    /// How many hosts: 1 to 16.
    pub hosts: u32,
    /// Memory of each machine; 384 MiB are enough.
    pub memory_mib: u32,
}

/// A lab that is there.
#[derive(Debug, Clone)]
pub struct Lab {
    folder: PathBuf,
    settings: LabSettings,
}

/// One machine for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStatus {
    /// Name of the host.
    pub name: String,
    /// Process id, if it runs.
    pub pid: Option<u32>,
    /// Memory that it takes on this computer, in KiB.
    pub resident_kib: Option<u64>,
    /// Where its serial console is kept.
    pub console: PathBuf,
}

impl Lab {
    /// Makes a lab, starts its machines, and waits until their agents have reported. `tell` gets a line for people
    /// at each step; a machine that does not report is told, and is no error: its console is the way to look at it.
    pub fn up(options: &LabOptions, tell: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        // Everything that `down` removes must be ours.
        if ["lab.json", "hosts", "releases", "keys"].iter().any(|part| options.folder.join(part).exists()) {
            return Err(LabError::AlreadyUp { folder: options.folder.clone() });
        }
        if !(1..=16).contains(&options.hosts) {
            let why = format!("{} hosts were asked for; 1 to 16 are possible", options.hosts);
            return Err(LabError::Machine { host: "lab".to_owned(), why });
        }
        let parts = LabParts::find(&options.kernel_cache, &options.agent)?;
        tell(&format!("kernel {} from Debian's package", parts.kernel.version));
        let made = Self::make(options, &parts, tell);
        if made.is_err() {
            // The first error is the one to tell; what is left is told by the next `up`.
            let _ = Self::down(&options.folder);
        }
        let lab = made?;
        lab.wait_for_agents(tell)?;
        Ok(lab)
    }

    /// Waits until every agent has said hello, or the patience is at its end.
    fn wait_for_agents(&self, tell: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let listener = self.listen()?;
        let begin = Instant::now();
        let mut missing: BTreeSet<&str> = self.settings.hosts.iter().map(|host| host.name.as_str()).collect();
        while !missing.is_empty() && begin.elapsed() < PATIENCE {
            if let Some(AgentEvent::Status(status)) = listener.next(Duration::from_millis(500))
                && missing.remove(status.host.as_str())
            {
                let secs = begin.elapsed().as_secs();
                tell(&format!(
                    "{} reports after {secs} s: bank {} runs release {}",
                    status.host, status.active, status.version
                ));
            }
        }
        for host in missing {
            let console = self.settings.machine(&self.folder, host).console();
            tell(&format!(
                "{host} has not reported within {} s; look at {}",
                PATIENCE.as_secs(),
                console.display()
            ));
        }
        Ok(())
    }

    fn make(options: &LabOptions, parts: &LabParts, tell: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        let folder = &absolute(&options.folder)?;
        // Keys and tokens of hosts lie in it.
        let private = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        private.map_err(LabError::file("create", folder))?;
        // Machines that live in other folders hold their ports open, so this one is free and stays ours.
        let port = Listener::open(0, std::collections::BTreeMap::new())?.port();
        let hosts = (1..=options.hosts)
            .map(|number| {
                Ok(LabHost { name: format!("host-{number}"), token: random_hex()?, maintenance: false })
            })
            .collect::<Result<Vec<_>, LabError>>()?;
        let id = random_hex()?.chars().take(8).collect();
        let settings = LabSettings::new(id, port, options.memory_mib, hosts);
        settings.write(folder)?;
        let (key, trusted) = make_key(folder)?;
        for release in LabRelease::all() {
            let (made, _) = make_bundle(folder, &release, parts, &key, &trusted)?;
            tell(&format!("release {made} built and signed"));
        }
        let lab = Self { folder: folder.clone(), settings };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for host in &lab.settings.hosts {
            let machine = lab.settings.machine(folder, &host.name);
            fs::create_dir_all(machine.folder()).map_err(LabError::file("create", machine.folder()))?;
            let bundle = super::bundles::bundle_path(folder, "1");
            make_disk(
                &machine,
                &host.name,
                &bundle,
                &trusted,
                now,
                &agent_json(&host.name, &host.token, port),
            )?;
            machine.reset_variables()?;
            machine.start()?;
            tell(&format!("{} has release 1 in bank A and is powered on", host.name));
        }
        Ok(lab)
    }

    /// The lab in `folder`.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        match LabSettings::read(folder)? {
            Some(settings) => Ok(Self { folder: absolute(folder)?, settings }),
            None => Err(LabError::NotUp { folder: folder.to_owned() }),
        }
    }

    /// Ends the machines of the lab in `folder` and removes everything. The names of the machines that ran. A
    /// folder that is no lab is left alone.
    pub fn down(folder: &Path) -> Result<Vec<String>, LabError> {
        let Some(settings) = LabSettings::read(folder)? else {
            return Err(LabError::NotUp { folder: folder.to_owned() });
        };
        let mut ended = Vec::new();
        for host in &settings.hosts {
            let machine = settings.machine(folder, &host.name);
            if machine.pid().is_some() {
                machine.cut_power()?;
                ended.push(host.name.clone());
            }
        }
        for part in ["hosts", "releases", "keys"] {
            let path = folder.join(part);
            match fs::remove_dir_all(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(LabError::File { doing: "remove", path, source }),
            }
        }
        // Last, so that a `down` that was cut off can be given again.
        let path = folder.join("lab.json");
        fs::remove_file(&path).map_err(LabError::file("remove", path))?;
        // Fails, and may, if something else lies in the folder.
        let _ = fs::remove_dir(folder);
        Ok(ended)
    }

    /// Its machines for people.
    pub fn status(&self) -> Vec<MachineStatus> {
        let one = |host: &LabHost| {
            let machine = self.settings.machine(&self.folder, &host.name);
            MachineStatus {
                name: host.name.clone(),
                pid: machine.pid(),
                resident_kib: machine.resident_kib(),
                console: machine.console(),
            }
        };
        self.settings.hosts.iter().map(one).collect()
    }

    /// The machine of a host.
    pub fn machine(&self, host: &str) -> Result<Machine, LabError> {
        let known = self.settings.hosts.iter().any(|known| known.name == host);
        if known {
            return Ok(self.settings.machine(&self.folder, host));
        }
        let names: Vec<&str> = self.settings.hosts.iter().map(|host| host.name.as_str()).collect();
        Err(LabError::UnknownHost { host: host.to_owned(), known: names.join(", ") })
    }

    /// Its releases and their bundles, oldest first.
    pub fn releases(&self) -> Result<Vec<(ReleaseRef, PathBuf)>, LabError> {
        list_bundles(&self.folder)
    }

    /// The keys that its hosts trust, as text.
    pub fn trusted_keys(&self) -> PathBuf {
        self.folder.join("keys/trusted-keys")
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it remembers.
    pub fn settings(&self) -> &LabSettings {
        &self.settings
    }

    /// Marks a host as one that takes no new guests, or not.
    pub fn set_maintenance(&mut self, host: &str, maintenance: bool) -> Result<(), LabError> {
        if let Some(known) = self.settings.hosts.iter_mut().find(|known| known.name == host) {
            known.maintenance = maintenance;
        }
        self.settings.write(&self.folder)
    }

    /// Opens the port that the agents dial, offering every release of the lab.
    pub fn listen(&self) -> Result<Listener, LabError> {
        let listener = Listener::open(self.settings.port, self.settings.tokens())?;
        for (release, path) in self.releases()? {
            listener.offer(release.digest, path);
        }
        Ok(listener)
    }
}

/// The agent's configuration. 10.0.2.2 is this computer as QEMU's own network shows it to its machine.
fn agent_json(host: &str, token: &str, port: u16) -> String {
    let value = serde_json::json!({
        "schema": 1, "host": host, "controller": format!("10.0.2.2:{port}"), "token": token,
    });
    format!("{value}\n")
}

/// Machines live in folders of their own, so a path of the caller has to hold from there too.
fn absolute(folder: &Path) -> Result<PathBuf, LabError> {
    std::path::absolute(folder).map_err(LabError::file("look at", folder))
}

fn random_hex() -> Result<String, LabError> {
    let mut bytes = [0_u8; 16];
    let failed =
        |error: getrandom::Error| LabError::Machine { host: "lab".to_owned(), why: error.to_string() };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
