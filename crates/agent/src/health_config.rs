//! Health checks that need no program of their own: units, network, storage, the guests' daemon.
//!
//! Owns: the file `/etc/lifeboat/health.toml` and the checks that it names. Promises: a key that is not known is an
//! error, so that a check that was misspelled is not silently none; each check says what it looked at. Does not:
//! decide what a failure leads to.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use thiserror::Error;

use crate::health::{CheckResult, run_limited};

/// The file `health.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// How long checks that fail are tried again after a boot, in seconds; 120 if not said.
    pub patience_secs: Option<u64>,
    /// Units of systemd that have to be active.
    pub units: Vec<String>,
    /// Network interfaces that need a carrier and an address.
    pub interfaces: Vec<String>,
    /// An address that has to answer `ping`.
    pub gateway: Option<String>,
    /// Folders of guests' disks and the like.
    pub storage: Vec<StorageCheck>,
    /// Socket of libvirt's daemon, which has to answer a call.
    pub libvirt: Option<PathBuf>,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageCheck {
    /// The folder.
    pub path: PathBuf,
    /// Whether something has to be mounted there.
    #[serde(default)]
    pub mounted: bool,
    /// Whether it has to take a file.
    #[serde(default)]
    pub writable: bool,
}

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum HealthConfigError {
    /// It cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} is not a file of health checks; see docs/ops/agents.md", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl HealthConfig {
    /// Reads the file at `path`; one that is not there asks for nothing.
    pub fn read(path: &Path) -> Result<Self, HealthConfigError> {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(HealthConfigError::Read { path: path.to_owned(), source }),
            Ok(text) => toml::from_str(&text).map_err(|source| HealthConfigError::Parse {
                path: path.to_owned(),
                source: Box::new(source),
            }),
        }
    }

    /// How long checks that fail are tried again.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_secs.unwrap_or(120))
    }

    /// Runs every check once; `alive` is called while one runs.
    pub fn run(&self, places: &Places<'_>, limit: Duration, alive: &mut dyn FnMut()) -> Vec<CheckResult> {
        let mut results = Vec::new();
        let mut add = |name: String, alive: &mut dyn FnMut(), check: &mut Check<'_>| {
            let begin = Instant::now();
            let failure = check(alive).err();
            results.push(CheckResult { name, failure, took: begin.elapsed() });
        };
        for unit in &self.units {
            add(format!("unit {unit}"), alive, &mut |alive| unit_active(unit, limit, alive));
        }
        for interface in &self.interfaces {
            add(format!("interface {interface}"), alive, &mut |_| interface_up(places, interface));
        }
        if let Some(gateway) = &self.gateway {
            add(format!("gateway {gateway}"), alive, &mut |alive| {
                let mut ping = Command::new("ping");
                ping.args(["-c", "1", "-W", "3", "--", gateway]);
                run_limited(&mut ping, limit, alive)
            });
        }
        for storage in &self.storage {
            let name = format!("storage {}", storage.path.display());
            add(name, alive, &mut |_| storage_fine(places, storage));
        }
        if let Some(socket) = &self.libvirt {
            add("libvirt".to_owned(), alive, &mut |_| libvirt_answers(socket, limit));
        }
        results
    }
}

type Check<'a> = dyn FnMut(&mut dyn FnMut()) -> Result<(), String> + 'a;

/// Where the kernel tells.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// `/proc`
    pub proc: &'a Path,
    /// `/sys`
    pub sys: &'a Path,
}

fn unit_active(unit: &str, limit: Duration, alive: &mut dyn FnMut()) -> Result<(), String> {
    let mut ask = Command::new("systemctl");
    ask.args(["is-active", "--", unit]);
    run_limited(&mut ask, limit, alive).map_err(|why| format!("it is not active ({why})"))
}

fn interface_up(places: &Places<'_>, interface: &str) -> Result<(), String> {
    let folder = places.sys.join("class/net").join(interface);
    if !folder.exists() {
        return Err("there is no such interface".to_owned());
    }
    let carrier = fs::read_to_string(folder.join("carrier")).unwrap_or_default();
    if carrier.trim() != "1" {
        return Err("it has no carrier, or is down".to_owned());
    }
    let routes = fs::read_to_string(places.proc.join("net/route")).unwrap_or_default();
    let routed = routes.lines().any(|line| line.split_whitespace().next() == Some(interface));
    // Address, index, length of the prefix, scope (20 is link-local), flags, name.
    let six = fs::read_to_string(places.proc.join("net/if_inet6")).unwrap_or_default();
    let addressed = six.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(5) == Some(&interface) && words.get(3) != Some(&"20")
    });
    if routed || addressed { Ok(()) } else { Err("it has a carrier, but no address with a route".to_owned()) }
}

fn storage_fine(places: &Places<'_>, storage: &StorageCheck) -> Result<(), String> {
    if !storage.path.is_dir() {
        return Err("there is no such folder".to_owned());
    }
    if storage.mounted {
        let mounts = fs::read_to_string(places.proc.join("mounts")).unwrap_or_default();
        let wanted = storage.path.to_string_lossy().replace(' ', "\\040");
        if !mounts.lines().any(|line| line.split(' ').nth(1) == Some(wanted.as_str())) {
            return Err("nothing is mounted there".to_owned());
        }
    }
    if storage.writable {
        let probe = storage.path.join(format!(".lifeboat-probe.{}", std::process::id()));
        let written = fs::write(&probe, b"probe").and_then(|()| fs::File::open(&probe)?.sync_all());
        drop(fs::remove_file(&probe));
        written.map_err(|error| format!("it takes no file: {error}"))?;
    }
    Ok(())
}

/// Asks the daemon which logins it wants (`REMOTE_PROC_AUTH_LIST`): the first call of every client, which it answers
/// before it looks at anything else.
fn libvirt_answers(socket: &Path, limit: Duration) -> Result<(), String> {
    const PROGRAM: u32 = 0x2000_8086;
    const AUTH_LIST: u32 = 66;
    let told = |error: io::Error| format!("{} does not answer: {error}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(told)?;
    stream.set_read_timeout(Some(limit)).map_err(told)?;
    stream.set_write_timeout(Some(limit)).map_err(told)?;
    // Length, program, version, procedure, type (call), serial, status.
    let call: Vec<u8> = [28, PROGRAM, 1, AUTH_LIST, 0, 1, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    stream.write_all(&call).map_err(told)?;
    let mut answer = [0_u8; 28];
    stream.read_exact(&mut answer).map_err(told)?;
    let word = |at: usize| {
        let four = answer.get(at * 4..at * 4 + 4).and_then(|four| four.try_into().ok());
        four.map_or(0, u32::from_be_bytes)
    };
    if (word(1), word(3), word(4), word(6)) == (PROGRAM, AUTH_LIST, 1, 0) {
        Ok(())
    } else {
        Err(format!("{} answers, but not as libvirt does", socket.display()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn failures(config: &HealthConfig, root: &Path) -> Vec<(String, String)> {
        let (proc, sys) = (root.join("proc"), root.join("sys"));
        let places = Places { proc: &proc, sys: &sys };
        let results = config.run(&places, Duration::from_secs(5), &mut || ());
        results.into_iter().filter_map(|result| Some((result.name, result.failure?))).collect()
    }

    #[test]
    fn a_key_that_is_not_known_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.toml");
        assert_eq!(HealthConfig::read(&path).unwrap(), HealthConfig::default());
        fs::write(&path, "units = [\"a.service\"]\nintefaces = [\"br0\"]\n").unwrap();
        let error = lifeboat_model::chain(&HealthConfig::read(&path).unwrap_err());
        assert!(error.contains("intefaces") && error.contains("health.toml"), "{error}");
        let text =
            "patience_secs = 5\nunits = [\"a.service\"]\n[[storage]]\npath = \"/x\"\nwritable = true\n";
        fs::write(&path, text).unwrap();
        let read = HealthConfig::read(&path).unwrap();
        assert!(read.storage[0].writable && !read.storage[0].mounted && read.patience().as_secs() == 5);
    }

    #[test]
    fn network_and_storage_are_looked_at_where_the_kernel_tells() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let net = root.join("sys/class/net");
        for (interface, carrier) in [("up0", "1\n"), ("down0", "0\n"), ("bare0", "1\n"), ("six0", "1\n")] {
            fs::create_dir_all(net.join(interface)).unwrap();
            fs::write(net.join(interface).join("carrier"), carrier).unwrap();
        }
        fs::create_dir_all(root.join("proc/net")).unwrap();
        fs::write(root.join("proc/net/route"), "Iface\tDestination\nup0\t00000000\n").unwrap();
        let six = "fe80 02 40 20 80    bare0\nfd00 03 40 00 80     six0\n";
        fs::write(root.join("proc/net/if_inet6"), six).unwrap();
        let data = root.join("da ta");
        fs::create_dir(&data).unwrap();
        let mounts = format!("/dev/x {} ext4 rw 0 0\n", data.display()).replace("da ta", "da\\040ta");
        fs::write(root.join("proc/mounts"), mounts).unwrap();
        let storage = |path: &Path| StorageCheck { path: path.to_owned(), mounted: true, writable: true };
        let config = HealthConfig {
            interfaces: ["up0", "six0", "down0", "bare0", "none0"].map(str::to_owned).to_vec(),
            storage: vec![storage(&data), storage(&root.join("proc")), storage(&root.join("gone"))],
            ..HealthConfig::default()
        };
        let told = failures(&config, root);
        let of = |name: &str| told.iter().find(|(of, _)| of.ends_with(name)).map(|(_, why)| why.as_str());
        assert_eq!((of("up0"), of("six0"), of("da ta")), (None, None, None), "{told:?}");
        assert!(of("down0").unwrap().contains("carrier"));
        assert!(of("bare0").unwrap().contains("no address"));
        assert!(of("none0").unwrap().contains("no such interface"));
        assert!(of("proc").unwrap().contains("nothing is mounted"));
        assert!(of("gone").unwrap().contains("no such folder"));
        assert!(!data.read_dir().unwrap().any(|_| true), "the probe is gone");
    }

    #[test]
    fn a_daemon_has_to_answer_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let config = HealthConfig { libvirt: Some(socket.clone()), ..HealthConfig::default() };
        assert!(failures(&config, folder.path())[0].1.contains("does not answer"));
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = thread::spawn(move || {
            for status in [0_u32, 1] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut call = [0_u8; 28];
                stream.read_exact(&mut call).unwrap();
                call[19] = 1;
                call[24..].copy_from_slice(&status.to_be_bytes());
                stream.write_all(&call).unwrap();
            }
        });
        assert_eq!(failures(&config, folder.path()), []);
        assert!(failures(&config, folder.path())[0].1.contains("not as libvirt"));
        answering.join().unwrap();
    }
}
