//! File systems of a lab host: the read-only root of a release, and the state partition.
//!
//! Owns: what lies in them. Promises: the same release gives the same root, byte for byte (fixed times, owners
//! and UUID); nothing here needs root or a loop device. Does not: place them on a disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_model::Sha256Hex;

use super::{Fault, LabError, LabKernel, LabRelease, tool};

/// Where the agent finds its configuration and keeps its journal and bundles.
pub const STATE_FOLDER: &str = "/var/lib/lifeboat";

/// Programs of busybox that the scripts call by name.
const APPLETS: [&str; 13] =
    ["sh", "mount", "umount", "ip", "insmod", "sleep", "cat", "grep", "ls", "dmesg", "free", "true", "sync"];

/// First process of the root.
const INIT: &str = r#"#!/bin/sh
say() { echo "lifeboat-init: $*" > /dev/console; }
exec < /dev/console > /dev/console 2>&1
mount -t tmpfs -o mode=755,size=16m tmpfs /run
mount -t efivarfs efivarfs /sys/firmware/efi/efivars || say "no firmware variables"
@FAULT@
state=$(lifeboat-agent find-partition lifeboat-state) &&
    mount -t ext4 -o noatime "$state" /var/lib/lifeboat || say "no state partition"
lifeboat-agent bring-up-state || say "no saved state"
for kept in /etc/host/boots /etc/host/log; do
    [ -e "$kept" ] || continue
    echo "@VERSION@" >> "$kept"
    sync
    say "kept in $kept:" $(cat "$kept")
done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
# Starting the timer while loading is the one way that leaves no moment without it.
insmod /lib/modules/ipmi_watchdog.ko timeout=120 action=reset start_now=1 || say "no watchdog"
while :; do
    lifeboat-agent run
    sleep 2
done
"#;

/// From the state of release 1 to that of the later ones.
const MIGRATION: &str = r#"{"schema":1,"steps":[{"rename":{"from":"etc/host/boots","to":"etc/host/log"}}]}"#;

/// User space that never comes to its end; the watchdog of the old bank has to catch it.
const HANG: &str = r#"say "this release was made to hang"
while :; do sleep 3600; done"#;

/// A check of every lab release: the network card is there and comes up. The link needs a moment after boot.
const CHECK_NETWORK: &str = r#"#!/bin/sh
[ -e /sys/class/net/eth0 ] || { echo "there is no network card eth0"; exit 1; }
tries=0
until [ "$(cat /sys/class/net/eth0/operstate)" = up ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "the network card eth0 does not come up"; exit 1; }
    sleep 0.5
done
"#;

/// The check of the release that is made to be sick.
const CHECK_SICK: &str = "#!/bin/sh\necho \"this release was made to fail its health check\"\nexit 1\n";

/// Makes the root image of `release` at `image`; `work` is a folder that may be filled.
pub(crate) fn build_root(
    release: &LabRelease,
    kernel: &LabKernel,
    busybox: &Path,
    agent: &Path,
    trusted_keys: &[u8],
    work: &Path,
    image: &Path,
) -> Result<(), LabError> {
    let tree = Tree { folder: work.join("root") };
    for folder in ["proc", "sys", "dev", "run", "tmp", "var/lib/lifeboat", "etc/lifeboat/health.d"] {
        tree.directory(folder)?;
    }
    tree.copy(busybox, "bin/busybox", 0o755)?;
    for applet in APPLETS {
        tree.link("busybox", &format!("bin/{applet}"))?;
    }
    tree.copy(agent, "bin/lifeboat-agent", 0o755)?;
    tree.copy(&kernel.watchdog, "lib/modules/ipmi_watchdog.ko", 0o644)?;
    let fault = match release.fault {
        Fault::Hangs => HANG,
        Fault::None | Fault::Panics | Fault::Sick => "",
    };
    tree.write(
        "sbin/init",
        0o755,
        INIT.replace("@FAULT@", fault).replace("@VERSION@", &release.version).as_bytes(),
    )?;
    // What a lab host keeps: a line for each boot. From release 2 on it has another name, so that there is something
    // to migrate.
    let (state_version, kept) = if release.serial < 2 { (1, "boots") } else { (2, "log") };
    tree.write(&format!("etc/host/{kept}"), 0o644, b"")?;
    let declared = format!("{{\"schema\":1,\"version\":{state_version},\"keep\":[\"/etc/host\"]}}\n");
    tree.write("etc/lifeboat/state.json", 0o644, declared.as_bytes())?;
    if state_version == 2 {
        tree.write("etc/lifeboat/migrations/1-2.json", 0o644, MIGRATION.as_bytes())?;
    }
    tree.write("usr/share/lifeboat/ballast", 0o644, &ballast())?;
    tree.write("etc/lifeboat/trusted-keys", 0o644, trusted_keys)?;
    tree.write("etc/lifeboat/release.json", 0o644, release.describe(&kernel.version).as_bytes())?;
    tree.write("etc/lifeboat/health.d/10-network", 0o755, CHECK_NETWORK.as_bytes())?;
    if release.fault == Fault::Sick {
        tree.write("etc/lifeboat/health.d/50-sick", 0o755, CHECK_SICK.as_bytes())?;
    }
    let mkfs = tool::find("mkfs.erofs", "erofs-utils")?;
    let mut command = Command::new(mkfs);
    command.args(["-T0", "--all-root", "--quiet", "-U"]).arg(uuid_of(release)).arg(image).arg(&tree.folder);
    tool::run(&mut command, "make the root file system")?;
    Ok(())
}

/// A file that nothing reads while a host runs: where a test may damage a root. Each of its 16 blocks of 4096 bytes
/// begins with its name and number.
fn ballast() -> Vec<u8> {
    let block = |number: u32| {
        format!("lifeboat ballast {number:02} ").bytes().cycle().take(4096).collect::<Vec<u8>>()
    };
    (0..16).flat_map(block).collect()
}

/// Makes an ext4 file system of `size` bytes in the file `image`, holding the files of `folder`.
pub(crate) fn build_state(folder: &Path, image: &Path, size: u64) -> Result<(), LabError> {
    let file = fs::File::create(image).map_err(LabError::file("create", image))?;
    file.set_len(size).map_err(LabError::file("size", image))?;
    drop(file);
    let mke2fs = tool::find("mke2fs", "e2fsprogs")?;
    let mut command = Command::new(mke2fs);
    command.args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", "lifeboat-state", "-E", "root_owner=0:0", "-d"]);
    tool::run(command.arg(folder).arg(image), "make the state file system")?;
    Ok(())
}

/// A UUID that the release's name and version decide, so that two builds agree.
fn uuid_of(release: &LabRelease) -> String {
    let hex = Sha256Hex::of(format!("lifeboat lab root {} {}", release.version, release.serial).as_bytes())
        .to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// A folder that becomes a file system.
struct Tree {
    folder: PathBuf,
}

impl Tree {
    fn directory(&self, path: &str) -> Result<(), LabError> {
        let path = self.folder.join(path);
        fs::create_dir_all(&path).map_err(LabError::file("create", path))
    }

    fn place(&self, path: &str) -> Result<PathBuf, LabError> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent)?;
        }
        Ok(self.folder.join(path))
    }

    fn write(&self, path: &str, mode: u32, data: &[u8]) -> Result<(), LabError> {
        let path = self.place(path)?;
        fs::write(&path, data).map_err(LabError::file("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(LabError::file("set the mode of", path))
    }

    fn copy(&self, from: &Path, path: &str, mode: u32) -> Result<(), LabError> {
        let data = fs::read(from).map_err(LabError::file("read", from))?;
        self.write(path, mode, &data)
    }

    fn link(&self, target: &str, path: &str) -> Result<(), LabError> {
        let path = self.place(path)?;
        symlink(target, &path).map_err(LabError::file("link", path))
    }
}
