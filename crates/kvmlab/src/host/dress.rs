//! Configuration files of a host.
//!
//! Owns: names, identities, libvirt's and QEMU's settings, init's table. Promises: written once into fresh writable
//! parts, except for init's table, which is the lab's. Does not: undo what is changed in a host later.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::bank::HANG_FILE;
use crate::folder::make_folder;
use crate::settings::{HostKind, HostSettings, LabSettings};
use crate::{LabError, LabFolder};

/// Settings of QEMU: no users, no security driver, no cgroups, and names that the fabric knows.
const QEMU: &str = r#"user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
migration_address = "0.0.0.0"
keepalive_interval = 5
"#;

/// Settings of libvirtd that all hosts share.
const LIBVIRTD: &str = r#"listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"#;

/// Where the agent of a host lies.
const AGENT: &str = "usr/bin/lifeboat-agent";

/// Certificates in `tls/`, and where libvirt and QEMU look for them. A host is also a client of the others, to which it
/// sends guests.
const TLS_FILES: [(&str, &str); 10] = [
    ("ca.pem", "etc/pki/CA/cacert.pem"),
    ("server.pem", "etc/pki/libvirt/servercert.pem"),
    ("server.key", "etc/pki/libvirt/private/serverkey.pem"),
    ("client.pem", "etc/pki/libvirt/clientcert.pem"),
    ("client.key", "etc/pki/libvirt/private/clientkey.pem"),
    ("ca.pem", "etc/pki/qemu/ca-cert.pem"),
    ("server.pem", "etc/pki/qemu/server-cert.pem"),
    ("server.key", "etc/pki/qemu/server-key.pem"),
    ("client.pem", "etc/pki/qemu/client-cert.pem"),
    ("client.key", "etc/pki/qemu/client-key.pem"),
];

/// Writes everything into the root at `root`.
pub(super) fn dress(
    root: &Path,
    lab: &LabSettings,
    host: &HostSettings,
    folder: &LabFolder,
) -> Result<(), LabError> {
    let write = |path: &str, text: &str| write_in(root, path, text.as_bytes(), 0o644);
    write("etc/hostname", &format!("{}\n", host.name))?;
    write("etc/hosts", &lab.hosts_file())?;
    write("etc/machine-id", &format!("{}\n", host.machine_id()))?;
    let libvirtd = format!("{LIBVIRTD}listen_tls = {}\nhost_uuid = \"{}\"\n", u8::from(lab.tls), host.uuid);
    write("etc/libvirt/libvirtd.conf", &libvirtd)?;
    write("etc/libvirt/qemu.conf", &format!("{QEMU}migration_host = \"{}\"\n", host.name))?;
    write("etc/apt/apt.conf.d/99-lab", "APT::Get::Assume-Yes \"true\";\n")?;
    // Guests and networks that the machine itself has are not the host's.
    clear(root, "etc/libvirt/qemu")?;
    for name in ["etc/libvirt/qemu/networks/autostart", "etc/libvirt/qemu/autostart"] {
        make_folder(&root.join(name))?;
    }
    if folder.agent().exists() && host.kind == HostKind::Packages {
        let data = fs::read(folder.agent()).map_err(LabError::file("read", folder.agent()))?;
        write_in(root, AGENT, &data, 0o755)?;
    }
    if lab.tls {
        for (from, to) in &TLS_FILES {
            let own = folder.tls().join(&host.name).join(from);
            let from = if own.exists() { own } else { folder.tls().join(from) };
            let data = fs::read(&from).map_err(LabError::file("read", &from))?;
            write_in(root, to, &data, 0o600)?;
        }
    }
    if lab.ssh {
        dress_ssh(root, host, folder)?;
    }
    Ok(())
}

fn dress_ssh(root: &Path, host: &HostSettings, folder: &LabFolder) -> Result<(), LabError> {
    let config = "Port 22\nHostKey /etc/ssh/lab_host_key\nPermitRootLogin prohibit-password\n\
                  AuthorizedKeysFile /root/.ssh/authorized_keys\nPasswordAuthentication no\nUsePAM no\n\
                  PidFile none\nStrictModes no\nAcceptEnv LANG\n";
    write_in(root, "etc/ssh/lab_sshd_config", config.as_bytes(), 0o600)?;
    for (from, to, mode) in [
        (folder.ssh().join(format!("{}.key", host.name)), "etc/ssh/lab_host_key", 0o600),
        (folder.ssh().join("id.pub"), "root/.ssh/authorized_keys", 0o600),
        (folder.ssh().join("id"), "root/.ssh/id_ed25519", 0o600),
        (folder.ssh().join("known_hosts"), "root/.ssh/known_hosts", 0o644),
    ] {
        let data = fs::read(&from).map_err(LabError::file("read", &from))?;
        write_in(root, to, &data, mode)?;
    }
    Ok(())
}

/// Writes init's table; each boot, since the agent may come with a release.
pub(super) fn write_init(root: &Path, lab: &LabSettings) -> Result<(), LabError> {
    let mut table = "::respawn:/usr/sbin/libvirtd --listen\n".to_owned();
    if lab.ssh {
        table.push_str("::respawn:/usr/sbin/sshd -D -e -f /etc/ssh/lab_sshd_config\n");
        make_folder(&root.join("run/sshd"))?;
    }
    if root.join(AGENT).exists() && !root.join(HANG_FILE).exists() {
        let script =
            "#!/bin/sh\nexec /usr/bin/lifeboat-agent run >> /var/log/libvirt/lifeboat-agent.log 2>&1\n";
        write_in(root, "run/lab-agent", script.as_bytes(), 0o755)?;
        table.push_str("::respawn:/run/lab-agent\n");
    }
    table.push_str("::ctrlaltdel:/bin/busybox reboot\n::shutdown:/bin/true\n");
    write_in(root, "etc/inittab", table.as_bytes(), 0o644)
}

fn write_in(root: &Path, path: &str, data: &[u8], mode: u32) -> Result<(), LabError> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    fs::write(&path, data).map_err(LabError::file("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        .map_err(LabError::file("set the mode of", path))
}

fn clear(root: &Path, path: &str) -> Result<(), LabError> {
    let path = root.join(path);
    match fs::remove_dir_all(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LabError::file("empty", path)(error)),
    }
}
