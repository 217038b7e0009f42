//! A lab comes and goes.
//!
//! Owns: `up`, `open`, `down`. Promises: what an `up` began that failed is taken away again; `down` ends only the
//! processes of this lab and removes only what it made. Does not: touch a folder that holds no lab.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use super::{KvmLab, LabOptions};
use crate::folder::{make_folder, random_uuid, write_whole};
use crate::settings::{HostKind, HostSettings, LabSettings};
use crate::{LabError, LabFolder, bank, fabric, secrets, tool};

/// Everything that a lab makes in its folder; `lab.json` goes last, so that a `down` that was cut off can be repeated.
const PARTS: [&str; 13] = [
    "hosts",
    "shared",
    "releases",
    "keys",
    "tls",
    "ssh",
    "hosts.txt",
    "fabric.ready",
    "fabric.log",
    "program",
    "agent",
    "fabric.json",
    "lab.json",
];

/// Longest wait for libvirt on all hosts of a new lab.
const PATIENCE: Duration = Duration::from_secs(120);

impl KvmLab {
    /// Makes a lab, switches its hosts on, and waits until libvirt answers on each. `tell` gets a line for people at
    /// each step.
    pub fn up(options: &LabOptions, tell: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        tool::check_peers()?;
        let folder = LabFolder::new(&options.folder)?;
        check_folder(&folder)?;
        if !(1..=64).contains(&options.hosts) {
            let what = format!("a lab of {} hosts", options.hosts);
            return Err(LabError::Refused { what, why: "1 to 64 hosts fit into it".to_owned() });
        }
        let lab = Self { settings: settings_of(options)?, folder };
        let made = lab.make(options, tell).and_then(|()| lab.await_hosts(PATIENCE, tell));
        if made.is_err() {
            // The first error is the one to tell; what is left is told by the next `up`.
            let _ = Self::down(options.folder());
        }
        made.map(|()| lab)
    }

    fn make(&self, options: &LabOptions, tell: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let folder = &self.folder;
        let private = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.path());
        private.map_err(LabError::file("create", folder.path()))?;
        self.settings.write(folder)?;
        for part in ["disks", "files", "serial", "iso"] {
            make_folder(&folder.shared().join(part))?;
        }
        options.program.keep(folder)?;
        if let Some(agent) = &options.agent {
            fs::copy(agent, folder.agent()).map_err(LabError::file("copy", agent))?;
        }
        for host in &self.settings.hosts {
            let own = folder.host(&host.name);
            for path in [own.path().to_owned(), own.images(), own.log(), own.variables()] {
                make_folder(&path)?;
            }
            if options.kind == HostKind::Packages && options.agent.is_some() {
                make_folder(&own.state())?;
                write_whole(&own.state().join("agent.json"), bank::agent_json(host).as_bytes())?;
            }
            write_whole(&own.switch(), b"on")?;
        }
        if options.tls {
            secrets::make_certificates(folder, &self.settings)?;
            tell("certificates for libvirt made");
        }
        if options.ssh {
            secrets::make_ssh_keys(folder, &self.settings)?;
        }
        if options.kind == HostKind::Banks {
            bank::make_hosts(folder, &self.settings, options.agent.as_deref(), tell)?;
        }
        fabric::start(folder, &self.settings)?;
        tell(&format!("{} hosts are powered on", self.settings.hosts.len()));
        Ok(())
    }

    fn await_hosts(&self, patience: Duration, tell: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        for host in &self.settings.hosts {
            self.await_libvirt(&host.name, patience)?;
            tell(&format!("{} answers: qemu+tcp://{}/system in the fabric", host.name, host.name));
        }
        Ok(())
    }

    /// The lab in `folder`.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let folder = LabFolder::new(folder)?;
        match LabSettings::read(&folder)? {
            Some(settings) => Ok(Self { folder, settings }),
            None => Err(LabError::NotUp { folder: folder.path().to_owned() }),
        }
    }

    /// Ends the lab in `folder` and removes what it made. Whether it ran.
    pub fn down(folder: &Path) -> Result<bool, LabError> {
        let lab = Self::open(folder)?;
        let ran = fabric::end(&lab.folder)?;
        bank::release_disks(&lab.folder, &lab.settings)?;
        for part in PARTS {
            remove(&lab.folder.path().join(part))?;
        }
        // Fails, and may, if something else lies in the folder.
        let _ = fs::remove_dir(lab.folder.path());
        Ok(ran)
    }

    /// Its folder.
    pub fn folder(&self) -> &LabFolder {
        &self.folder
    }

    /// What it is.
    pub fn settings(&self) -> &LabSettings {
        &self.settings
    }
}

fn settings_of(options: &LabOptions) -> Result<LabSettings, LabError> {
    let host = |number: u8| {
        Ok(HostSettings {
            name: format!("h{number}"),
            number,
            kind: options.kind,
            memory_mib: options.memory_mib,
            uuid: random_uuid()?,
        })
    };
    let hosts = (1..=options.hosts).map(host).collect::<Result<Vec<_>, LabError>>()?;
    let id = random_uuid()?.chars().take(8).collect();
    let mut settings = LabSettings::new(id, options.program.args.clone(), hosts);
    (settings.tls, settings.ssh, settings.watchdog_secs) = (options.tls, options.ssh, options.watchdog_secs);
    Ok(settings)
}

/// Everything that `down` removes must be ours, and hosts must be able to see the folder.
fn check_folder(folder: &LabFolder) -> Result<(), LabError> {
    if PARTS.iter().any(|part| folder.path().join(part).exists()) {
        return Err(LabError::AlreadyUp { folder: folder.path().to_owned() });
    }
    let bad = |why: &str| Err(LabError::BadFolder { folder: folder.path().to_owned(), why: why.to_owned() });
    if ["/run", "/var/run", "/proc", "/sys", "/dev"].iter().any(|hidden| folder.path().starts_with(hidden)) {
        return bad("the lab has its own of that folder; take one on a disk");
    }
    let text = folder.path().to_string_lossy();
    // 108 bytes are all that a socket's name may have.
    if text.len() > 70 {
        return bad("its path is too long for the sockets in it; take one with at most 70 characters");
    }
    if text.contains([':', ',', '\\', ' ', '\n', '"', '\'']) {
        return bad("its path holds a character that mount options cannot hold; take another one");
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), LabError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LabError::file("remove", path)(error)),
        _ => Ok(()),
    }
}
