//! The initial RAM file system of a lab host: load modules, find the root, hand over.
//!
//! Owns: the archive and its script. Promises: the root is found by the GUID on the kernel line and by nothing
//! else, and is mounted through its hash tree if the line has one; whatever fails here ends the first process, so that the kernel panics and the firmware takes the other
//! bank. Does not: load the watchdog, since loading it without feeding it would stop the timer that the old bank
//! armed.

use std::fs;
use std::path::Path;

use super::{Cpio, Fault, LabError, LabKernel};

/// First process of the kernel.
const SCRIPT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
say() { echo "lifeboat-initrd: $*" > /dev/console; }
fail() { say "$*"; $b sleep 1; exit 1; }
$b mount -t proc proc /proc || fail "cannot mount /proc"
$b mount -t sysfs sysfs /sys || fail "cannot mount /sys"
$b mount -t devtmpfs dev /dev || fail "cannot mount /dev"
while read -r module; do
    $b insmod "/modules/$module" || fail "cannot load $module"
done < /modules/order
@FAULT@
tries=0
until /bin/lifeboat-agent find-root > /dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || fail "no partition has the GUID of the kernel line"
    $b sleep 0.5
done
root=$(/bin/lifeboat-agent map-root) || fail "the root cannot be mapped"
$b mount -t erofs -o ro "$root" /root || fail "cannot mount the root $root"
for dir in proc sys dev; do $b mount -o move "/$dir" "/root/$dir" || fail "cannot move /$dir"; done
say "root is $root"
exec $b switch_root /root /sbin/init
"#;

/// The kernel dies as it does of a bad driver.
const PANIC: &str = r#"say "this release was made to panic"
echo c > /proc/sysrq-trigger"#;

/// The archive for a release with `fault`.
pub(crate) fn build(
    kernel: &LabKernel,
    busybox: &Path,
    agent: &Path,
    fault: Fault,
) -> Result<Vec<u8>, LabError> {
    let read = |path: &Path| fs::read(path).map_err(LabError::file("read", path));
    let mut archive = Cpio::new();
    for folder in ["dev", "proc", "sys", "root"] {
        archive.directory(folder);
    }
    archive.character("dev/console", 5, 1);
    archive.file("bin/busybox", 0o755, read(busybox)?);
    archive.file("bin/lifeboat-agent", 0o755, read(agent)?);
    let mut order = String::new();
    for module in &kernel.early {
        let name = module.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        archive.file(&format!("modules/{name}"), 0o644, read(module)?);
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.into_bytes());
    let fault = match fault {
        Fault::Panics => PANIC,
        Fault::None | Fault::Hangs | Fault::Sick => "",
    };
    archive.file("init", 0o755, SCRIPT.replace("@FAULT@", fault).into_bytes());
    Ok(archive.encode())
}
