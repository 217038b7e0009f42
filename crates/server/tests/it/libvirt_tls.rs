//! The certificates for libvirt, before libvirt itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::Daemon;

#[test]
fn libvirt_serves_and_dials_with_the_certificates_that_were_issued_for_it() {
    for program in ["libvirtd", "virsh", "unshare"] {
        if Command::new(program).arg("--version").output().is_err() {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{program} is required");
            println!("skipped: {program} is not installed");
            return;
        }
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: namespaces of one's own need root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    daemon.token("kvm-1", 60);
    let pki = folder.path().join("pki");
    let mut issue = daemon.command();
    issue.args(["ca", "issue-libvirt", "kvm-1", "--name", "localhost,127.0.0.1", "--to"]).arg(&pki);
    let issued = issue.output().unwrap();
    assert!(issued.status.success(), "{issued:?}");
    assert_eq!(fs::metadata(pki.join("serverkey.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    let ca = folder.path().join("controller/ca/revoked.crl");
    let settings = format!(
        "listen_tls = 1\nlisten_tcp = 0\nlisten_addr = \"127.0.0.1\"\nauth_tls = \"none\"\nauth_unix_rw = \"none\"\n\
         unix_sock_group = \"root\"\nca_file = \"{0}/cacert.pem\"\ncert_file = \"{0}/servercert.pem\"\nkey_file = \
         \"{0}/serverkey.pem\"\ncrl_file = \"{1}\"\n",
        pki.display(),
        ca.display()
    );
    fs::write(folder.path().join("libvirtd.conf"), settings).unwrap();
    // Everything that it writes goes into file systems of its own, and its traffic stays inside.
    let script = format!(
        "set -e\nfor place in /run /var/lib/libvirt /var/cache/libvirt /var/log /etc/libvirt; do mount -t tmpfs none \
         $place; done\nmkdir -p /run/libvirt\nip link set lo up\nlibvirtd -f {0}/libvirtd.conf --listen &\nfor i in $(seq \
         120); do\n  sleep 0.5\n  if timeout 20 virsh -c 'qemu+tls://localhost/system?pkipath={0}/pki' version; then exit \
         0; fi\ndone\nexit 1\n",
        folder.path().display()
    );
    let mut inside = Command::new("timeout");
    inside.args([
        "150",
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
    ]);
    let output = inside.args(["sh", "-c", &script]).output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && told.contains("Running hypervisor"), "{told}");
}
