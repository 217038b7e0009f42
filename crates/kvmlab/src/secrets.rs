//! Certificates and keys of a lab.
//!
//! Owns: its own certificate authority for libvirt, and keys for ssh. Promises: RSA for libvirt, whose older versions
//! refuse other keys; nothing outlives the lab. Does not: protect anything; a lab has no way out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::folder::make_folder;
use crate::settings::{FABRIC_ADDRESS, LabSettings};
use crate::{LabError, LabFolder, tool};

/// Makes the authority, a certificate for each host and one for clients, in `tls/`.
pub(crate) fn make_certificates(folder: &LabFolder, settings: &LabSettings) -> Result<(), LabError> {
    let tls = folder.tls();
    make_folder(&tls)?;
    let certtool = tool::find("certtool", "gnutls-bin")?;
    let run = |words: &[&str]| {
        tool::run(Command::new(&certtool).args(words).current_dir(&tls), "make a certificate").map(drop)
    };
    let key =
        |path: &str| run(&["--generate-privkey", "--key-type", "rsa", "--bits", "2048", "--outfile", path]);
    let template = |name: &str, text: &str| {
        let path = tls.join(name);
        fs::write(&path, format!("expiration_days = 30\n{text}")).map_err(LabError::file("write", path))
    };
    key("ca.key")?;
    template("ca.info", "cn = lab\nca\ncert_signing_key\n")?;
    run(&[
        "--generate-self-signed",
        "--load-privkey",
        "ca.key",
        "--template",
        "ca.info",
        "--outfile",
        "ca.pem",
    ])?;
    let mut named = vec![("client".to_owned(), FABRIC_ADDRESS.to_owned())];
    named.extend(settings.hosts.iter().map(|host| (host.name.clone(), host.address())));
    for (name, address) in named {
        make_folder(&tls.join(&name))?;
        let words = "tls_www_server\ntls_www_client\nencryption_key\nsigning_key\n";
        let text =
            format!("cn = {name}\norganization = lab\ndns_name = {name}\nip_address = {address}\n{words}");
        template("one.info", &text)?;
        let (key_path, certificate) = (format!("{name}/server.key"), format!("{name}/server.pem"));
        key(&key_path)?;
        run(&[
            "--generate-certificate",
            "--load-ca-privkey",
            "ca.key",
            "--load-ca-certificate",
            "ca.pem",
            "--load-privkey",
            &key_path,
            "--template",
            "one.info",
            "--outfile",
            &certificate,
        ])?;
        for end in ["key", "pem"] {
            // One certificate serves both directions.
            let (from, to) = (
                tls.join(&name).join(format!("server.{end}")),
                tls.join(&name).join(format!("client.{end}")),
            );
            fs::copy(&from, to).map_err(LabError::file("copy", from))?;
        }
    }
    Ok(())
}

/// Makes a key for the user and one for each host, in `ssh/`.
pub(crate) fn make_ssh_keys(folder: &LabFolder, settings: &LabSettings) -> Result<(), LabError> {
    let ssh = folder.ssh();
    make_folder(&ssh)?;
    let keygen = tool::find("ssh-keygen", "openssh-client")?;
    tool::find("sshd", "openssh-server")?;
    let key = |path: &Path| {
        let mut command = Command::new(&keygen);
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"]).arg(path);
        tool::run(&mut command, "make a key").map(drop)
    };
    key(&ssh.join("id"))?;
    let mut known = String::new();
    for host in &settings.hosts {
        let path = ssh.join(format!("{}.key", host.name));
        key(&path)?;
        let public = path.with_extension("key.pub");
        let text = fs::read_to_string(&public).map_err(LabError::file("read", public))?;
        known.extend([&host.name, ",", &host.address(), " ", &text]);
    }
    let path = ssh.join("known_hosts");
    fs::write(&path, known).map_err(LabError::file("write", &path))?;
    // What libvirt calls for qemu+ssh://root@h1/system?command=… : it takes no other file of known hosts.
    let folder = ssh.display();
    let script = format!(
        "#!/bin/sh\nexec ssh -F none -o BatchMode=yes -o IdentityFile={folder}/id \\\n    \
         -o UserKnownHostsFile={folder}/known_hosts \"$@\"\n"
    );
    let path = ssh.join("ssh");
    fs::write(&path, script).map_err(LabError::file("write", &path))?;
    for (name, mode) in [("ssh", 0o700), ("id", 0o600)] {
        let path = ssh.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(LabError::file("set the mode of", path))?;
    }
    Ok(())
}
