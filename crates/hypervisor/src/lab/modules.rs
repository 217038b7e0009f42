//! Which kernel modules a lab host loads, and in which order.
//!
//! Owns: reading `modules.dep` as depmod(8) writes it. Promises: a module comes after everything it needs; each
//! comes once. Does not: load anything, or read module files.

use std::collections::{BTreeMap, BTreeSet};

/// What a lab host needs before its root is mounted: disk, root (checked by its
/// hash tree) and state file systems, firmware variables, the
/// management controller, network. `crc32c_generic` is asked for by name at run time, so no table lists it.
pub(crate) const EARLY: [&str; 10] = [
    "crc32c_generic",
    "virtio_pci",
    "virtio_blk",
    "erofs",
    "dm_verity",
    "ext4",
    "ipmi_msghandler",
    "ipmi_si",
    "virtio_net",
    "efivarfs",
];

/// The watchdog. It is loaded last, by the root, in one step with taking it over: loading it stops a timer that
/// the old bank armed unless it is told to start its own at once.
pub(crate) const WATCHDOG: &str = "ipmi_watchdog";

/// Name of a module by its file: `kernel/fs/erofs/erofs.ko` → `erofs`; dashes and underscores are the same.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// Paths, relative to the folder of `modules.dep`, of `wanted` and all they need, in an order that loads.
///
/// # Errors
/// The name of the first wanted module that the table does not know.
pub(crate) fn load_order(modules_dep: &str, wanted: &[&str]) -> Result<Vec<String>, String> {
    let table: BTreeMap<String, (&str, Vec<&str>)> = modules_dep
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needs)| (name_of(path), (path, needs.split_whitespace().collect())))
        .collect();
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in wanted {
        let (path, needs) = table.get(&name.replace('-', "_")).ok_or_else(|| (*name).to_owned())?;
        // depmod lists the whole closure, nearest first: its reverse loads.
        for path in needs.iter().rev().chain([path]) {
            if seen.insert(*path) {
                order.push((*path).to_owned());
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_is_loaded_before_it() {
        let table = "kernel/crypto/crc32c_generic.ko:\n\
                     kernel/a/virtio_pci.ko: kernel/a/virtio.ko kernel/a/virtio_ring.ko\n\
                     kernel/a/virtio-blk.ko: kernel/a/virtio.ko kernel/a/virtio_ring.ko\n";
        let order = load_order(table, &["virtio_pci", "virtio_blk"]);
        let expected = ["virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio-blk.ko"];
        assert_eq!(order, Ok(expected.iter().map(|file| format!("kernel/a/{file}")).collect()));
        assert_eq!(load_order(table, &["zfs"]), Err("zfs".to_owned()));
    }
}
