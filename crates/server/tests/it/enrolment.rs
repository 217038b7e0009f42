//! How hosts come in, stay in, and are put out.

use std::fs;
use std::thread;
use std::time::Duration;

use lifeboat_model::agent::AgentCommand;
use lifeboat_wire::{
    EnrolToken, Heard, HostStanding, HubAnswer, HubEventKind, HubRequest, explain_tls, first_contact_config,
};

use crate::support::{Agent, Daemon, Raw, order, outcome_of, wait_for};

#[test]
fn a_host_enrols_with_its_token_connects_and_carries_out_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.enrolled("kvm-1");
    assert_eq!(daemon.host("kvm-1").standing, HostStanding::Enrolled);
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    hub.order(order("kvm-1", "one", AgentCommand::SaveState)).unwrap();
    agent.start();
    let outcome = outcome_of(&mut hub, "one");
    assert!(format!("{outcome:?}").contains("stable storage"), "{outcome:?}");
    let host = daemon.host("kvm-1");
    let status = host.status.unwrap();
    assert_eq!((status.host.as_str(), status.kind), ("kvm-1", lifeboat_model::agent::HostKind::Packages));
    assert_eq!(host.open_orders, 0);
    assert_eq!(status.certificate_until, Some(agent.identity().read.not_after));
}

#[test]
fn a_token_is_good_once_for_its_host_within_its_time_and_at_its_controller() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(&folder.path().join("a"), "");
    let other = Daemon::new(&folder.path().join("b"), "");
    let agent = |name: &str| Agent::new(&folder.path().join(name));
    let token = daemon.token("kvm-1", 600);

    let (good, told) = agent("x1").enroll(&other.address, &token, &[]);
    assert!(!good && told.contains("is not the controller that made this token"), "{told}");
    let (good, told) = agent("x2").enroll(&daemon.address, &token, &["--name", "kvm-2"]);
    assert!(!good && told.contains("is of host kvm-1"), "{told}");
    let rest = token.rsplit_once('.').unwrap().1;
    let wrong = format!("lifeboat1.{}.{rest}", "0".repeat(48));
    let (good, told) = agent("x3").enroll(&daemon.address, &wrong, &[]);
    assert!(!good && told.contains("not known here"), "{told}");
    let (good, told) = agent("x4").enroll(&daemon.address, &token[..token.len() - 3], &[]);
    assert!(!good && told.contains("copy the whole text"), "{told}");

    let first = agent("first");
    let (good, told) = first.enroll(&daemon.address, &token, &[]);
    assert!(good, "{told}");
    let (good, told) = agent("second").enroll(&daemon.address, &token, &[]);
    assert!(!good && told.contains("was used already"), "{told}");
    let late = daemon.token("kvm-3", 1);
    thread::sleep(Duration::from_millis(2100));
    let (good, told) = agent("late").enroll(&daemon.address, &late, &[]);
    assert!(!good && told.contains("ended 20"), "{told}");
    let (_, newer) = (daemon.token("kvm-4", 600), daemon.token("kvm-4", 600));
    let (good, told) = agent("newer").enroll(&daemon.address, &newer, &[]);
    assert!(good, "{told}");
}

#[test]
fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key_also_across_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let token = daemon.token("kvm-1", 600);
    let agent = Agent::new(&folder.path().join("one"));
    let key = lifeboat_wire::HostKey::pending(&agent.pki()).unwrap();
    let pending = fs::read(agent.pki().join("pending.key")).unwrap();
    // The host never hears the answer.
    let parsed: EnrolToken = token.parse().unwrap();
    let mut raw = Raw::with(&daemon.address, first_contact_config(parsed.fingerprint).unwrap()).unwrap();
    raw.say(&lifeboat_model::agent::AgentMessage::Enroll {
        protocol: 1,
        token: parsed.secret().to_owned(),
        host: None,
        csr: key.request().unwrap(),
    });
    assert!(raw.hear().unwrap().is_some());
    daemon.kill();
    daemon.start();
    let thief = Agent::new(&folder.path().join("thief"));
    assert!(!thief.enroll(&daemon.address, &token, &[]).0, "another key");
    assert_eq!(fs::read(agent.pki().join("pending.key")).unwrap(), pending);
    let (good, told) = agent.enroll(&daemon.address, &token, &[]);
    assert!(good, "{told}");
    assert_eq!(agent.identity().host.as_str(), "kvm-1");
}

#[test]
fn a_revoked_host_is_cut_off_at_once_and_comes_back_only_with_a_new_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.connected("kvm-1");
    let stolen = agent.identity();
    let answer =
        daemon.hub().request(&HubRequest::Revoke { host: "kvm-1".to_owned(), serial: None }).unwrap();
    assert!(matches!(answer, HubAnswer::Revoked { closed: true, serials } if serials.len() == 1));
    agent.wait_log("was revoked");
    wait_for("the connection to end", || daemon.host("kvm-1").connected_since.is_none().then_some(()));
    agent.wait_log("lifeboatd host add kvm-1");
    daemon.kill();
    daemon.start();
    let refused = |identity| {
        let mut raw =
            Raw::connect(&daemon.address, identity).map_err(|error| explain_tls(&error).unwrap())?;
        raw.hear().map_err(|error| explain_tls(&error).unwrap_or_else(|| error.to_string()))
    };
    assert!(refused(&stolen).unwrap_err().contains("revoked"), "also after a restart");
    let (good, told) = agent.enroll(&daemon.address, &daemon.token("kvm-1", 600), &[]);
    assert!(good, "{told}");
    // The agent that runs takes its new identity by itself.
    daemon.wait_connected("kvm-1");
    assert!(refused(&stolen).unwrap_err().contains("revoked"), "the old certificate stays refused");
    daemon.hub().request(&HubRequest::RemoveHost { host: "kvm-1".to_owned() }).unwrap();
    assert!(daemon.hub().hosts().unwrap().is_empty());
    agent.kill();
    agent.start();
    agent.wait_log("the controller refuses this host's certificate");
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_the_host_stays_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "agent_certificate_secs = 12\n");
    let agent = daemon.connected("kvm-1");
    let first = agent.identity().read;
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    let serial = wait_for("a renewal", || match hub.next_event(Duration::from_millis(200)).unwrap() {
        Some(Heard::Event(event)) => match event.what {
            HubEventKind::Certificate { serial, enrolled: false, .. } => Some(serial),
            _ => None,
        },
        _ => None,
    });
    assert_ne!(serial, first.serial);
    wait_for("the new certificate on the host", || (agent.identity().read.serial == serial).then_some(()));
    wait_for("the end of the first one", || (now() > first.not_after + 1).then_some(()));
    // The connection that it opened ended with it; the next one carries on.
    hub.order(order("kvm-1", "after", AgentCommand::SaveState)).unwrap();
    outcome_of(&mut hub, "after");
}

#[test]
fn a_host_that_was_away_until_its_certificate_ended_is_told_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "agent_certificate_secs = 2\n");
    let mut agent = daemon.enrolled("kvm-1");
    let until = agent.identity().read.not_after;
    wait_for("its certificate to end", || (now() > until + 1).then_some(()));
    assert_eq!(daemon.host("kvm-1").standing, HostStanding::Expired);
    agent.start();
    agent.wait_log("cannot be renewed any more: on the controller give `lifeboatd host add kvm-1`");
    daemon.kill();
    fs::write(folder.path().join("lifeboatd.toml"), "").unwrap();
    daemon.start();
    let (good, told) = agent.enroll(&daemon.address, &daemon.token("kvm-1", 600), &[]);
    assert!(good, "{told}");
    daemon.wait_connected("kvm-1");
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
