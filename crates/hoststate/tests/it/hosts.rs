//! Roots of hosts, with everything that a file system can hold.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_hoststate::devices::{Device, DeviceError, Devices};
use lifeboat_hoststate::form::Made;
use lifeboat_hoststate::{BackupRequest, Root};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// A root, a tree like `/sys`, and a place for files.
pub(crate) struct Host {
    dir: TempDir,
    pub(crate) devices: Known,
}

/// Devices of a machine, told by a test.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    /// Every name and its identity.
    pub(crate) names: BTreeMap<String, String>,
    /// Identities that are there twice.
    pub(crate) twice: Vec<String>,
}

impl Known {
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let names = pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
        Self { names, twice: Vec::new() }
    }

    fn device(&self, identity: &str) -> Result<Device, DeviceError> {
        if self.twice.contains(&identity.to_owned()) {
            return Err(DeviceError::Ambiguous {
                candidates: vec!["/dev/sdx".to_owned(), "/dev/sdy".to_owned()],
            });
        }
        if !self.names.values().any(|id| id == identity) {
            return Err(DeviceError::Unknown);
        }
        Ok(Device {
            identity: identity.to_owned(),
            durable: !identity.starts_with("place:"),
            node: "/dev/node".to_owned(),
            why: "the same disk".to_owned(),
        })
    }
}

impl Devices for Known {
    fn resolve(&self, name: &str) -> Result<Device, DeviceError> {
        self.device(self.names.get(name).ok_or(DeviceError::Unknown)?)
    }

    fn find(&self, identity: &str) -> Result<Device, DeviceError> {
        self.device(identity)
    }

    fn names_of(&self, identity: &str) -> Vec<String> {
        self.names.iter().filter(|(_, id)| *id == identity).map(|(name, _)| name.clone()).collect()
    }

    fn candidates(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }
}

/// Whether files can be given away here.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "these tests need root");
        println!("skipped: files of several owners need root");
    }
    root
}

/// Whether a program is installed.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !there {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{program} is required");
        println!("skipped: {program} is not installed");
    }
    there
}

pub(crate) fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) const MADE: i64 = 1_790_000_000;

pub(crate) fn made() -> Made {
    Made { at: MADE, time: "2026-09-21T14:13:20Z".to_owned(), by: "lifeboat 0.1.0".to_owned() }
}

impl Host {
    /// A folder without anything in it.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root", "sys/class/net", "sys/class/dmi/id"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Self { dir, devices: Known::default() }
    }

    /// A small host: Debian 12 with a guest, a bridge and a table of file systems.
    pub(crate) fn small() -> Self {
        let host = Self::empty();
        host.write(
            "etc/os-release",
            "ID=debian\nNAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\n",
        );
        host.write("etc/hostname", "kvm-1\n");
        host.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        host.write("etc/motd", "welcome\n");
        host.write("etc/fstab", "/dev/disk/by-id/cciss-36-part1 / ext4 defaults 0 1\n");
        host.write("etc/network/interfaces", "auto eth0\niface eth0 inet manual\nauto br0\n");
        host.write("etc/libvirt/qemu/web.xml", "<domain type='kvm'>\n  <name>web</name>\n</domain>\n");
        host.write("etc/shadow", "root:secret:1::::::\n");
        fs::set_permissions(host.root_path("etc/shadow"), fs::Permissions::from_mode(0o600)).unwrap();
        host.write("etc/cron.d/job", "* * * * * root true\n");
        host.write("var/lib/libvirt/qemu/nvram/web.fd", "variables");
        host.write("var/lib/libvirt/qemu/save/web.save", "memory of a guest");
        host.write(
            "var/lib/dpkg/status",
            "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n",
        );
        host.card("eth0", "52:54:00:00:00:01", "0000:00:03.0");
        fs::write(host.place("sys/class/dmi/id/product_uuid"), "4C4C4544-0042-3510-8048-B4C04F473432\n")
            .unwrap();
        host
    }

    /// Adds what file systems can hold beyond files and folders. Needs root.
    pub(crate) fn add_oddities(&self) {
        let odd = self.root_path("etc/odd");
        fs::create_dir_all(odd.join("deep/er")).unwrap();
        fs::set_permissions(odd.join("deep"), fs::Permissions::from_mode(0o3775)).unwrap();
        std::os::unix::fs::chown(odd.join("deep"), Some(12), Some(34)).unwrap();
        fs::write(odd.join("setuid"), "x").unwrap();
        std::os::unix::fs::chown(odd.join("setuid"), Some(1), Some(2)).unwrap();
        fs::set_permissions(odd.join("setuid"), fs::Permissions::from_mode(0o6755)).unwrap();
        fs::write(odd.join("deep/one"), "three names").unwrap();
        fs::hard_link(odd.join("deep/one"), odd.join("another")).unwrap();
        fs::hard_link(odd.join("deep/one"), odd.join("deep/er/third")).unwrap();
        symlink("/nowhere/at all", odd.join("dangling")).unwrap();
        symlink("deep/one", odd.join("link")).unwrap();
        std::os::unix::fs::lchown(odd.join("link"), Some(5), Some(6)).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, odd.join("pipe"), FileType::Fifo, mode, 0).unwrap();
        mknodat(CWD, odd.join("null"), FileType::CharacterDevice, mode, rustix::fs::makedev(1, 3)).unwrap();
        drop(std::os::unix::net::UnixListener::bind(odd.join("socket")).unwrap());
        let sparse = fs::File::create(odd.join("sparse")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 5 << 20).unwrap();
        sparse.set_len(9 << 20).unwrap();
        fs::write(odd.join("big"), vec![7_u8; 6 << 20]).unwrap();
        fs::write(odd.join("empty"), "").unwrap();
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"not \xff text\n");
        fs::write(odd.join(name), "odd").unwrap();
        let set = |path: &str, name: &str, value: &[u8]| {
            rustix::fs::lsetxattr(odd.join(path), name, value, rustix::fs::XattrFlags::empty()).unwrap();
        };
        set("setuid", "user.note", b"kept");
        set("deep", "user.folder", b"\0\x01");
        set("link", "trusted.link", b"of the link itself");
        // cap_net_raw+ep, as setcap(8) writes it.
        set("big", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        set("empty", "security.selinux", b"system_u:object_r:etc_t:s0\0");
        if has("setfacl") {
            run("setfacl", &["-m", "u:77:rw,g:78:r", &odd.join("empty").display().to_string()]);
            run("setfacl", &["-d", "-m", "u:79:rwx", &odd.join("deep").display().to_string()]);
        }
        let old = ["-h", "-d", "2001-02-03 04:05:06.789", "setuid", "link", "deep", "big"];
        let done = Command::new("touch").args(old).current_dir(&odd).status().unwrap();
        assert!(done.success());
    }

    pub(crate) fn card(&self, name: &str, mac: &str, pci: &str) {
        let device = self.place("sys/devices/pci0000:00").join(pci);
        fs::create_dir_all(&device).unwrap();
        let folder = self.place("sys/class/net").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("address"), format!("{mac}\n")).unwrap();
        fs::write(folder.join("addr_assign_type"), "0\n").unwrap();
        symlink(&device, folder.join("device")).unwrap();
    }

    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn root_path(&self, path: &str) -> PathBuf {
        self.place("root").join(path)
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(&self.place("root")).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root_path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root_path(path)).unwrap()
    }

    pub(crate) fn request<'a>(&'a self, sys: &'a Path) -> BackupRequest<'a> {
        BackupRequest {
            sys,
            devices: &self.devices,
            made: made(),
            kernel: Some("6.1.0".to_owned()),
            arch: Some("x86_64".to_owned()),
            banks: Vec::new(),
            live: Vec::new(),
            packages: Vec::new(),
        }
    }

    /// Makes a backup of it.
    pub(crate) fn back_up(&self) -> PathBuf {
        let path = self.place("backup.lfhs");
        let sys = self.place("sys");
        lifeboat_hoststate::back_up(&self.root(), &self.request(&sys), &path).unwrap();
        path
    }
}

/// Everything below a folder that a person could tell apart: kind, owner, mode, time, content, attributes, which names are one
/// file. What a restore keeps for itself is left out.
pub(crate) fn picture(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut picture = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    look(folder, folder, &mut picture, &mut inodes);
    picture
}

fn look(
    root: &Path,
    folder: &Path,
    picture: &mut BTreeMap<PathBuf, String>,
    inodes: &mut BTreeMap<u64, PathBuf>,
) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let inside = path.strip_prefix(root).unwrap().to_owned();
        if inside == Path::new("var/lib/lifeboat") {
            continue;
        }
        let metadata = path.symlink_metadata().unwrap();
        let kind = metadata.file_type();
        let mut text = format!("{:o} {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
        // The folder of restores is made in this one.
        if inside != Path::new("var/lib") && inside != Path::new("var") {
            text.push_str(&format!(" {}.{:09}", metadata.mtime(), metadata.mtime_nsec()));
        }
        if kind.is_file() {
            let first = inodes.entry(metadata.ino()).or_insert_with(|| inside.clone());
            let content = lifeboat_model::Sha256Hex::of(&fs::read(&path).unwrap());
            text.push_str(&format!(" {} is {}", content.short(), first.display()));
        } else if kind.is_symlink() {
            text.push_str(&format!(" -> {}", fs::read_link(&path).unwrap().display()));
        } else if !kind.is_dir() {
            text.push_str(&format!(" {:x}", metadata.rdev()));
        }
        let mut names = vec![0; 4096];
        let n = rustix::fs::llistxattr(&path, &mut *names).unwrap();
        let mut names: Vec<&[u8]> =
            names[..n].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        for name in names {
            let mut value = vec![0; 4096];
            let n = rustix::fs::lgetxattr(&path, name, &mut *value).unwrap();
            text.push_str(&format!(" {}={:?}", String::from_utf8_lossy(name), &value[..n]));
        }
        picture.insert(inside, text);
        if kind.is_dir() {
            look(root, &path, picture, inodes);
        }
    }
}

/// What differs between two pictures, for a message.
pub(crate) fn unlike(a: &BTreeMap<PathBuf, String>, b: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let paths: std::collections::BTreeSet<&PathBuf> = a.keys().chain(b.keys()).collect();
    paths
        .into_iter()
        .filter(|path| a.get(*path) != b.get(*path))
        .map(|path| format!("{}: {:?} / {:?}", path.display(), a.get(path), b.get(path)))
        .collect()
}
