//! A host in a folder: a root with a package database, an agent, and a boot that a file names.

use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_agent::{
    AgentConfig, BootAnswer, CheckResult, Commands, Fences, Journal, Machine, PackageHost, Paths, Reply,
    System, run_checks,
};
use lifeboat_bundle::{
    BundleBuilder, PackageEntry, PackageFormat, PackageIndex, PackagesArchive, RebootRule, ReleaseDraft,
    SecretKey, slot,
};
use lifeboat_model::agent::{AgentCommand, AgentOutcome, AgentStatus};
use lifeboat_model::{ReleaseRef, Sha256Hex};
use lifeboat_packages::{Guard, Policy, Roots};

/// A package to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Script after its installation.
    pub(crate) script: &'static str,
}

pub(crate) const fn made(name: &'static str, version: &'static str) -> Made {
    Made { name, version, script: "true" }
}

/// Whether all programs are installed; says which is not, and fails where peers are required.
pub(crate) fn has(format: PackageFormat) -> bool {
    let programs: &[&str] = match format {
        PackageFormat::Deb => &["busybox", "dpkg", "dpkg-deb"],
        PackageFormat::Rpm => &["busybox", "rpm", "rpmbuild"],
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &&&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = programs.iter().find(|program| !there(program));
    let root = rustix::process::geteuid().is_root();
    let reason = match missing {
        Some(program) => format!("{program} is not installed"),
        None if !root => "scripts of packages need root (chroot)".to_owned(),
        None => return true,
    };
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
    println!("skipped: {reason}");
    false
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A host.
pub(crate) struct Lab {
    /// Removed with the host; none for one that another process made.
    _scratch: Option<tempfile::TempDir>,
    folder: PathBuf,
    format: PackageFormat,
}

impl Lab {
    /// A host with these packages, none of which came by a release.
    pub(crate) fn new(format: PackageFormat, packages: &[Made]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("host");
        let lab = Self { _scratch: Some(scratch), folder, format };
        for name in ["bin", "etc/lifeboat/health.d", "tmp", "boot", "run", "usr/share", "var/lib/lifeboat"] {
            fs::create_dir_all(lab.root().join(name)).unwrap();
        }
        fs::copy("/bin/busybox", lab.root().join("bin/busybox")).unwrap();
        for name in ["sh", "cat", "rm", "true"] {
            symlink("busybox", lab.root().join("bin").join(name)).unwrap();
        }
        match format {
            PackageFormat::Deb => {
                for name in ["info", "updates", "triggers"] {
                    fs::create_dir_all(lab.root().join("var/lib/dpkg").join(name)).unwrap();
                }
                for name in ["status", "available"] {
                    File::create(lab.root().join("var/lib/dpkg").join(name)).unwrap();
                }
            }
            PackageFormat::Rpm => {
                run(Command::new("rpm").arg("--root").arg(lab.root()).arg("--initdb"));
            }
        }
        let files: Vec<PathBuf> = packages.iter().map(|package| lab.make(*package)).collect();
        let root = lab.root();
        match format {
            PackageFormat::Deb => {
                run(Command::new("dpkg").arg(format!("--root={}", root.display())).arg("-i").args(files))
            }
            PackageFormat::Rpm => {
                // rpm's packages cannot be made again from what is installed: a person brings the first ones.
                let old = lab.state().join("packages-old");
                fs::create_dir_all(&old).unwrap();
                for file in &files {
                    fs::copy(file, old.join(file.file_name().unwrap())).unwrap();
                }
                run(Command::new("rpm").arg("--root").arg(root).args(["-U", "--nosignature"]).args(files))
            }
        };
        let public = key().public().to_text();
        fs::write(lab.root().join("etc/lifeboat/trusted-keys"), format!("{public}\n")).unwrap();
        lab.set_boot(1);
        lab
    }

    /// A host that another process made.
    pub(crate) fn at(folder: &Path, format: PackageFormat) -> Self {
        Self { _scratch: None, folder: folder.to_owned(), format }
    }

    /// The same host once more, as it is now.
    pub(crate) fn copy(&self) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("host");
        run(Command::new("cp").args(["-a", "--"]).arg(&self.folder).arg(&folder));
        Self { _scratch: Some(scratch), folder, format: self.format }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root().join("var/lib/lifeboat")
    }

    pub(crate) fn boot(&self) -> String {
        fs::read_to_string(self.folder.join("boot")).unwrap()
    }

    fn set_boot(&self, number: u32) {
        fs::write(self.folder.join("boot"), format!("boot-{number}")).unwrap();
    }

    /// Another boot begins.
    pub(crate) fn reboot(&self) {
        let boot = self.boot();
        let number: u32 = boot.trim_start_matches("boot-").parse().unwrap();
        self.set_boot(number + 1);
    }

    /// What a host runs after its boot: exits with this line.
    pub(crate) fn health(&self, line: &str) {
        let path = self.root().join("etc/lifeboat/health.d/10-check");
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn config(&self) -> AgentConfig {
        let text = serde_json::json!({
            "schema": 1,
            "host": "one",
            "controller": "127.0.0.1:1",
            "banks": false,
            "boot_id_file": self.folder.join("boot"),
            "package_root": self.root(),
        });
        serde_json::from_value(text).unwrap()
    }

    /// The agent's view of the host.
    pub(crate) fn host(&self) -> PackageHost {
        self.host_with(self.config())
    }

    pub(crate) fn host_allowing_no_way_back(&self) -> PackageHost {
        self.host_with(AgentConfig { allow_no_way_back: true, ..self.config() })
    }

    fn host_with(&self, config: AgentConfig) -> PackageHost {
        let paths = Paths { etc: self.root().join("etc/lifeboat"), state: self.state(), ..Paths::default() };
        let machine = Arc::new(Machine::open(paths, config).unwrap());
        let policy = Policy { lock_wait: Duration::from_secs(20), ..Policy::default() };
        PackageHost::new(machine).with_guard(move |roots| Ok(Guard::open(roots)?.with_policy(policy.clone())))
    }

    /// The agent starts: it judges the boot.
    pub(crate) fn start(&self) -> (Agent, BootAnswer) {
        self.start_as(self.host())
    }

    pub(crate) fn start_as(&self, host: PackageHost) -> (Agent, BootAnswer) {
        let host = Arc::new(host);
        let folder = self.root().join("etc/lifeboat/health.d");
        let mut check = || -> Vec<CheckResult> { run_checks(&folder, Duration::from_secs(20), &mut || ()) };
        let answer = host.act_on_boot(&mut check).unwrap();
        let journal = Journal::open(&self.state().join("agent.journal")).unwrap();
        let fences = Fences::open(&self.state().join("fences.json"));
        let commands = Commands::new(System::Packages(Arc::clone(&host)), journal, fences);
        (Agent { host, commands }, answer)
    }

    /// Makes a package file.
    pub(crate) fn make(&self, package: Made) -> PathBuf {
        let Made { name, version, script } = package;
        let out = self.folder.join("made");
        fs::create_dir_all(&out).unwrap();
        let tree = tempfile::tempdir().unwrap();
        match self.format {
            PackageFormat::Deb => {
                let control = tree.path().join("DEBIAN");
                fs::create_dir_all(&control).unwrap();
                fs::create_dir_all(tree.path().join("usr/share").join(name)).unwrap();
                fs::write(tree.path().join("usr/share").join(name).join("version"), version).unwrap();
                fs::write(
                    control.join("control"),
                    format!(
                        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\n\
                         Description: x\n"
                    ),
                )
                .unwrap();
                let postinst = control.join("postinst");
                fs::write(&postinst, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
                fs::set_permissions(&postinst, fs::Permissions::from_mode(0o755)).unwrap();
                let file = out.join(format!("{name}_{version}_all.deb"));
                run(Command::new("dpkg-deb")
                    .args(["-Zgzip", "--root-owner-group", "-b"])
                    .arg(tree.path())
                    .arg(&file));
                file
            }
            PackageFormat::Rpm => {
                // The shell of the root belongs to no package.
                let shell = if name == "alpha" { "Provides: /bin/sh\n" } else { "" };
                let spec = format!(
                    "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n\
                     AutoReqProv: no\n{shell}%description\nx\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\n\
                     printf {version} > %{{buildroot}}/usr/share/{name}/version\n%pre\n{script}\n\
                     %files\n/usr/share/{name}/version\n"
                );
                fs::write(tree.path().join("x.spec"), spec).unwrap();
                let top = format!("_topdir {}", tree.path().display());
                let rpms = format!("_rpmdir {}", out.display());
                run(Command::new("rpmbuild")
                    .args(["-bb", "--define", &top, "--define", &rpms])
                    .args(["--define", "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"])
                    .args(["--define", "_build_id_links none"])
                    .arg(tree.path().join("x.spec")));
                out.join(format!("{name}-{version}-1.noarch.rpm"))
            }
        }
    }

    /// A signed release of these packages, brought to the host as a download would.
    pub(crate) fn release(&self, serial: u64, packages: &[Made]) -> ReleaseRef {
        self.release_of(serial, packages, &[])
    }

    pub(crate) fn release_of(&self, serial: u64, packages: &[Made], remove: &[&str]) -> ReleaseRef {
        let files: Vec<PathBuf> = packages.iter().map(|package| self.make(*package)).collect();
        let entries = files.iter().zip(packages).map(|(path, package)| {
            let bytes = fs::read(path).unwrap();
            let (version, arch) = match self.format {
                PackageFormat::Deb => (package.version.to_owned(), "all"),
                PackageFormat::Rpm => (format!("{}-1", package.version), "noarch"),
            };
            PackageEntry {
                file: path.file_name().unwrap().to_str().unwrap().to_owned(),
                name: package.name.to_owned(),
                version,
                arch: arch.to_owned(),
                size: bytes.len() as u64,
                sha256: Sha256Hex::of(&bytes),
            }
        });
        let remove = remove.iter().map(|&name| name.to_owned()).collect();
        let index = PackageIndex::new(self.format, RebootRule::Always, entries.collect(), remove).unwrap();
        let made = self.folder.join("made");
        let archive = PackagesArchive::new(index, |entry| File::open(made.join(&entry.file))).unwrap();
        let mut builder = BundleBuilder::new(draft(serial), Cursor::new(Vec::new())).unwrap();
        let len = archive.total();
        builder.add_slot(slot::PACKAGES, archive, len).unwrap();
        self.bring(builder)
    }

    /// A release of images, which is for hosts with banks.
    pub(crate) fn release_of_banks(&self, serial: u64) -> ReleaseRef {
        let mut builder = BundleBuilder::new(draft(serial), Cursor::new(Vec::new())).unwrap();
        builder.add_slot(slot::ROOT, [7; 5000].as_slice(), 5000).unwrap();
        self.bring(builder)
    }

    fn bring(&self, builder: BundleBuilder<Cursor<Vec<u8>>>) -> ReleaseRef {
        let mut bundle = Vec::new();
        let release = builder.finish(&[&key()], &mut bundle).unwrap();
        let folder = self.folder.join("bundles");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(release.digest.to_string()), bundle).unwrap();
        release
    }

    /// Lays the bundle where a download leaves it.
    pub(crate) fn download(&self, release: &ReleaseRef) {
        let folder = self.state().join("bundles");
        fs::create_dir_all(&folder).unwrap();
        let digest = release.digest.to_string();
        fs::copy(self.folder.join("bundles").join(&digest), folder.join(format!("{digest}.lfb"))).unwrap();
    }

    /// `name version` of every whole package, sorted; others with their state.
    pub(crate) fn versions(&self) -> Vec<String> {
        let guard = Guard::open(Roots::at(&self.root())).unwrap();
        let told = |package: lifeboat_packages::Installed| {
            let version = package.version.trim_end_matches("-1").to_owned();
            let state = if package.whole { String::new() } else { format!(" ({})", package.state) };
            format!("{} {version}{state}", package.name)
        };
        let mut all: Vec<String> = guard.installed().unwrap().into_iter().map(told).collect();
        all.sort();
        all
    }

    /// What a package brought, as the host sees it.
    pub(crate) fn content(&self, name: &str) -> String {
        fs::read_to_string(self.root().join("usr/share").join(name).join("version")).unwrap_or_default()
    }
}

fn key() -> SecretKey {
    SecretKey::from_random([7; 32], "test").unwrap()
}

fn draft(serial: u64) -> ReleaseDraft {
    ReleaseDraft {
        name: "kvm-host".to_owned(),
        version: serial.to_string(),
        serial,
        created: 1_800_000_000,
        expires: None,
        arch: std::env::consts::ARCH.to_owned(),
        cmdline: String::new(),
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    pub(crate) host: Arc<PackageHost>,
    commands: Commands,
}

impl Agent {
    pub(crate) fn order(&mut self, key: &str, command: &AgentCommand) -> Reply {
        self.commands.run(key, command, None, &mut |_, _, _| ())
    }

    pub(crate) fn status(&self) -> AgentStatus {
        self.host.status()
    }

    /// An order that has to be done; its words.
    pub(crate) fn done(&mut self, key: &str, command: &AgentCommand) -> String {
        match self.order(key, command) {
            Reply::Outcome(AgentOutcome::Done { detail }) => detail,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// An order that has to be refused; why, and whether it may be given again.
    pub(crate) fn refused(&mut self, key: &str, command: &AgentCommand) -> (String, bool) {
        match self.order(key, command) {
            Reply::Outcome(AgentOutcome::Failed { reason, retriable }) => (reason, retriable),
            other => panic!("{command:?}: {other:?}"),
        }
    }

    pub(crate) fn install(&mut self, lab: &Lab, release: &ReleaseRef) -> String {
        lab.download(release);
        let key = format!("stage {}", release.serial);
        self.done(&key, &AgentCommand::Stage { release: release.clone() });
        let key = format!("install {}", release.serial);
        self.done(&key, &AgentCommand::Install { release: release.clone(), retry: false })
    }

    /// Orders the reboot into the generation that was installed.
    pub(crate) fn try_out(&mut self, lab: &Lab) {
        let bank = self.status().active.other();
        let order = AgentCommand::RebootInto { bank, boot_id_before: lab.boot() };
        assert_eq!(self.order(&format!("reboot {}", lab.boot()), &order), Reply::Reboot);
        lab.reboot();
    }
}
