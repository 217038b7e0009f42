//! What a person does after a restore.

use super::{Decision, Plan};
use crate::path::RelPath;

/// What reads the files that were written, and how it is made to read them again.
pub fn next_steps(plan: &Plan) -> Vec<String> {
    let written: Vec<&RelPath> = plan
        .decisions
        .iter()
        .filter(|decision| decision.action.writes())
        .map(|Decision { path, .. }| path)
        .collect();
    let any =
        |folders: &[&str]| written.iter().any(|path| folders.iter().any(|folder| path.is_within(folder)));
    let mut steps = Vec::new();
    let mut add = |folders: &[&str], step: &str| {
        if any(folders) {
            steps.push(step.to_owned());
        }
    };
    add(&["etc/systemd"], "systemctl daemon-reload");
    add(
        &[
            "etc/fstab",
            "etc/crypttab",
            "etc/mdadm",
            "etc/mdadm.conf",
            "etc/lvm",
            "etc/initramfs-tools",
            "etc/multipath.conf",
            "etc/systemd/network/",
        ],
        "make the initial RAM disk anew (Debian: update-initramfs -u; RHEL: dracut -f)",
    );
    add(
        &["etc/default/grub", "etc/kernel"],
        "make the boot loader's configuration anew (update-grub, grub2-mkconfig)",
    );
    add(
        &["etc/network", "etc/netplan", "etc/systemd/network", "etc/NetworkManager", "etc/sysconfig"],
        "take the network over at the next boot, or now with the tool that manages it (netplan try, nmcli connection reload)",
    );
    add(
        &["etc/libvirt"],
        "systemctl restart libvirtd (or virtqemud, virtnetworkd, virtstoraged): running guests stay",
    );
    add(&["etc/iscsi", "var/lib/iscsi"], "iscsiadm -m node --login");
    add(&["etc/ssh"], "systemctl reload ssh");
    add(&["etc/sysctl.conf", "etc/sysctl.d"], "sysctl --system");
    if !written.is_empty() {
        steps.push("or reboot, which does all of it".to_owned());
    }
    steps
}
