//! Every way to a host's libvirt, and the agent on hosts with packages.

use std::process::Command;

use lifeboat_kvmlab::{GuestSpec, HostKind};

use crate::rig::{LONG, agent, rig};

#[test]
fn libvirt_is_reached_over_its_socket_tcp_tls_and_ssh_and_guests_move_over_tls() {
    let Some(rig) = rig(|options| options.hosts(2).tls().ssh()) else { return };
    let lab = &rig.lab;
    let list = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    lab.start_guest("h1", &GuestSpec::tick("g1")).unwrap();
    let tls = lab.folder().tls();
    // libvirt wants a client's files under names of its own.
    let pki = rig.folder().join("pki");
    std::fs::create_dir(&pki).unwrap();
    for (from, to) in [
        ("ca.pem", "cacert.pem"),
        ("client/client.pem", "clientcert.pem"),
        ("client/client.key", "clientkey.pem"),
    ] {
        std::fs::copy(tls.join(from), pki.join(to)).unwrap();
    }
    let ssh = lab.folder().ssh();
    let uris = [
        "qemu+tcp://h1/system".to_owned(),
        format!("qemu+tls://h1/system?pkipath={}", pki.display()),
        format!("qemu+ssh://root@h1/system?command={}", ssh.join("ssh").display()),
    ];
    for uri in &uris {
        let mut command = lab.command("virsh").unwrap();
        let names = list(command.args(["-q", "-c", uri, "list", "--name"]));
        assert_eq!(names.trim(), "g1", "{uri}");
    }
    assert_eq!(lab.guests_on("h1").unwrap().len(), 1);
    let to = "qemu+tls://h2/system";
    let words = ["migrate", "--live", "--p2p", "--persistent", "--undefinesource", "--tls", "g1", to];
    lab.virsh("h1", &words).unwrap();
    let counter = lab.guest_life("g1").unwrap().counter;
    let life = lab.await_life("g1", LONG, "another count", |life| life.counter > counter).unwrap();
    assert!(life.is_whole(), "{}", life.words());
    std::fs::remove_dir_all(pki).unwrap();
}

#[test]
fn the_agent_of_a_host_with_packages_starts_and_keeps_its_state_over_a_power_cut() {
    let Some(agent) = agent() else { return };
    let Some(rig) = rig(|options| options.hosts(1).kind(HostKind::Packages).agent(agent)) else { return };
    let lab = &rig.lab;
    let told = |lab: &lifeboat_kvmlab::KvmLab| lab.agent_log("h1").unwrap();
    lab.await_power("h1", LONG, "a word of the agent", |_| !told(lab).is_empty()).unwrap();
    let config = lab.run_in("h1", &["cat", "/var/lib/lifeboat/agent.json"]).unwrap();
    assert!(
        config.contains("10.77.0.254:7443") && config.contains(&lab.agent_token("h1").unwrap()),
        "{config}"
    );
    lab.run_in("h1", &["touch", "/var/lib/lifeboat/mark"]).unwrap();
    lab.reset("h1").unwrap();
    lab.run_in("h1", &["test", "-e", "/var/lib/lifeboat/mark"]).unwrap();
}
