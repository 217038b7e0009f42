//! What programs order, and who obeys whom.

use std::fs;
use std::process::Command;
use std::time::Duration;

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::{AgentCommand, AgentMessage, AgentOutcome, ControllerMessage};
use lifeboat_wire::{Heard, HubEventKind, HubRequest, Ordered};

use crate::support::{Daemon, Raw, fenced, order, outcome_of, wait_for};

fn reason(outcome: &AgentOutcome) -> String {
    match outcome {
        AgentOutcome::Failed { reason, .. } => reason.clone(),
        AgentOutcome::Done { detail } => unreachable!("it was done: {detail}"),
    }
}

#[test]
fn an_order_waits_for_its_host_and_the_same_key_is_answered_with_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.enrolled("one");
    let mut hub = daemon.hub();
    let save = || order("one", "k", AgentCommand::SaveState);
    assert_eq!(hub.order(save()).unwrap(), Ordered::Accepted { connected: false });
    assert_eq!(hub.order(save()).unwrap(), Ordered::Open {});
    let other = order("one", "k", AgentCommand::Reboot { boot_id_before: "1".to_owned() });
    assert!(
        matches!(hub.order(other).unwrap(), Ordered::Refused { reason } if reason.contains("another command"))
    );
    assert!(matches!(
        hub.order(order("two", "k", AgentCommand::SaveState)).unwrap(),
        Ordered::Refused { reason } if reason.contains("lifeboatd host add two")
    ));
    daemon.kill();
    daemon.start();
    assert_eq!(hub.orders(None).unwrap(), [save()], "it was kept");
    hub.watch().unwrap();
    agent.start();
    let outcome = outcome_of(&mut hub, "k");
    assert_eq!(hub.order(save()).unwrap(), Ordered::Ended { outcome });
    agent.kill();
    assert_eq!(hub.orders(None).unwrap(), []);
}

#[test]
fn an_order_that_no_host_was_given_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.enrolled("one");
    let mut hub = daemon.hub();
    hub.order(order("one", "k", AgentCommand::Reboot { boot_id_before: "1".to_owned() })).unwrap();
    assert!(hub.withdraw("one", "k").unwrap());
    assert!(!hub.withdraw("one", "k").unwrap());
    agent.start();
    hub.watch().unwrap();
    hub.order(order("one", "next", AgentCommand::SaveState)).unwrap();
    outcome_of(&mut hub, "next");
    assert!(!hub.withdraw("one", "next").unwrap(), "it is done");
    assert!(agent.reboots().is_empty());
    let many: Vec<_> =
        (0..70).map(|at| order("one", &format!("many {at}"), AgentCommand::SaveState)).collect();
    agent.kill();
    let words = hub.order_all(many).unwrap();
    let refused = words.iter().filter(|word| matches!(word, Ordered::Refused { .. })).count();
    assert_eq!(refused, 6, "64 may wait");
}

#[test]
fn a_controller_that_was_replaced_is_not_obeyed_by_the_service_and_not_by_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a");
    let mut daemon = Daemon::new(&root, "");
    let mut agent = daemon.enrolled("one");
    let mut hub = daemon.hub();
    // A copy of the controller as it is now, before anybody takes over.
    let copy = folder.path().join("b");
    fs::create_dir(&copy).unwrap();
    let copied = Command::new("cp").arg("-a").arg(root.join("controller")).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::copy(root.join("lifeboatd.toml"), copy.join("lifeboatd.toml")).unwrap();

    hub.watch().unwrap();
    hub.order(fenced("one", "by 3", 3)).unwrap();
    // The host is away, and number 5 takes over.
    assert!(matches!(hub.order(fenced("one", "by 5", 5)).unwrap(), Ordered::Accepted { .. }));
    assert!(reason(&outcome_of(&mut hub, "by 3")).contains("took over before it was given"));
    assert!(
        matches!(hub.order(fenced("one", "by 4", 4)).unwrap(), Ordered::Refused { reason } if reason.contains("number 5"))
    );
    agent.start();
    outcome_of(&mut hub, "by 5");

    // The copy does not know of number 5: its host does.
    let address = daemon.address.clone();
    daemon.kill();
    let mut old = Daemon::of(&copy);
    old.kill();
    old.address = address;
    old.start();
    let mut hub = old.hub();
    hub.watch().unwrap();
    hub.order(fenced("one", "late 4", 4)).unwrap();
    assert!(reason(&outcome_of(&mut hub, "late 4")).contains("number 5 took over"));
    hub.order(order("one", "no number", AgentCommand::SaveState)).unwrap();
    assert!(reason(&outcome_of(&mut hub, "no number")).contains("has no number"));
    hub.order(order("one", "looks", AgentCommand::LogTail { lines: 5 })).unwrap();
    assert!(matches!(outcome_of(&mut hub, "looks"), AgentOutcome::Done { .. }), "whoever looks may look");
    agent.kill();
    agent.start();
    hub.order(fenced("one", "later 4", 4)).unwrap();
    assert!(reason(&outcome_of(&mut hub, "later 4")).contains("number 5 took over"), "after a restart");
}

#[test]
fn a_boot_of_nothing_is_refused_and_a_held_host_is_not_rebooted() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let agent = daemon.connected("one");
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    let into = AgentCommand::RebootInto { bank: lifeboat_model::Bank::B, boot_id_before: "1".to_owned() };
    hub.order(order("one", "bank", into)).unwrap();
    // Nothing was installed there.
    reason(&outcome_of(&mut hub, "bank"));
    assert!(agent.reboots().is_empty());
    let holds = agent.root.join("state/reboot-holds");
    fs::create_dir(&holds).unwrap();
    fs::write(holds.join("packages"), "dpkg was interrupted").unwrap();
    let reboot = || AgentCommand::Reboot { boot_id_before: "1".to_owned() };
    hub.order(order("one", "held", reboot())).unwrap();
    assert!(reason(&outcome_of(&mut hub, "held")).contains("dpkg was interrupted"));
    assert_eq!(daemon.host("one").status.unwrap().held.as_deref(), Some("dpkg was interrupted"));
    assert!(agent.reboots().is_empty());
    fs::remove_file(holds.join("packages")).unwrap();
    fs::create_dir(agent.root.join("etc/lifeboat/health.d")).unwrap();
    fs::write(
        agent.root.join("etc/lifeboat/health.toml"),
        "units = [\"never.service\"]\npatience_secs = 0\n",
    )
    .unwrap();
    hub.order(order("one", "sick", AgentCommand::CheckHealth)).unwrap();
    assert!(reason(&outcome_of(&mut hub, "sick")).contains("unit never.service"));
    fs::remove_file(agent.root.join("etc/lifeboat/health.toml")).unwrap();
    hub.order(order("one", "well", AgentCommand::CheckHealth)).unwrap();
    assert!(matches!(outcome_of(&mut hub, "well"), AgentOutcome::Done { .. }));
}

#[test]
fn a_reboot_is_answered_by_the_next_boot() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.connected("one");
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    hub.order(order("one", "r", AgentCommand::Reboot { boot_id_before: "1".to_owned() })).unwrap();
    wait_for("the reboot", || (agent.boot_id() == "2").then_some(()));
    // As a reboot would.
    agent.kill();
    agent.start();
    assert!(matches!(outcome_of(&mut hub, "r"), AgentOutcome::Done { detail } if detail.contains("booted")));
    assert_eq!(agent.reboots(), [1]);
}

#[test]
fn one_host_cannot_speak_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let (one, two) = (daemon.connected("one"), daemon.enrolled("two"));
    let status = daemon.host("one").status.unwrap();
    let hello = AgentMessage::Hello { protocol: 1, token: String::new(), status: status.clone() };
    let mut raw = Raw::connect(&daemon.address, &two.identity()).unwrap();
    raw.say(&hello);
    let refused = raw.hear().unwrap();
    assert!(
        matches!(&refused, Some(ControllerMessage::Refused { reason }) if reason.contains("the certificate is of host two")),
        "{refused:?}"
    );
    assert!(daemon.host("two").refused.unwrap().contains("calls itself one"));
    // As itself it may speak, but its outcomes count for itself only.
    let mut raw = Raw::connect(&daemon.address, &two.identity()).unwrap();
    let mut own = status.clone();
    own.host = "two".to_owned();
    raw.say(&AgentMessage::Hello { protocol: 1, token: String::new(), status: own });
    assert!(matches!(raw.hear().unwrap(), Some(ControllerMessage::Welcome { .. })));
    let mut hub = daemon.hub();
    drop(one);
    wait_for("host one to be lost", || daemon.host("one").connected_since.is_none().then_some(()));
    hub.order(order("one", "k", AgentCommand::SaveState)).unwrap();
    let done = AgentOutcome::Done { detail: "forged".to_owned() };
    raw.say(&AgentMessage::Outcome { key: "k".to_owned(), outcome: done });
    raw.say(&AgentMessage::Status { status });
    assert!(raw.hear().unwrap_or(None).is_none(), "a status of another host ends the connection");
    assert_eq!(hub.orders(Some("one")).unwrap().len(), 1, "the order of host one is open as before");
    let mut raw = Raw::connect(&daemon.address, &two.identity()).unwrap();
    let fetch = |host: &str| AgentMessage::Fetch {
        protocol: 1,
        host: host.to_owned(),
        token: String::new(),
        digest: Sha256Hex::of(b"x"),
        offset: 0,
    };
    raw.say(&fetch("one"));
    assert!(
        matches!(raw.hear().unwrap(), Some(ControllerMessage::Refused { reason }) if reason.contains("host two"))
    );
}

#[test]
fn a_bundle_is_given_from_the_byte_on_that_a_host_wants_and_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let agent = daemon.enrolled("one");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 253) as u8).collect();
    let path = folder.path().join("bundle");
    fs::write(&path, &bytes).unwrap();
    let digest = Sha256Hex::of(b"release");
    let mut hub = daemon.hub();
    assert!(hub.offer(digest, &folder.path().join("gone")).is_err());
    assert!(hub.offer(digest, std::path::Path::new("bundle")).is_err());
    assert_eq!(hub.offer(digest, &path).unwrap(), bytes.len() as u64);
    daemon.kill();
    daemon.start();
    let fetch = |offset| {
        let mut raw = Raw::connect(&daemon.address, &agent.identity()).unwrap();
        let (host, token) = ("one".to_owned(), String::new());
        raw.say(&AgentMessage::Fetch { protocol: 1, host, token, digest, offset });
        let answer = raw.hear().unwrap().unwrap();
        (answer, raw)
    };
    for offset in [0, 1, 2_999_999, 3_000_000] {
        let (answer, mut raw) = fetch(offset);
        assert_eq!(answer, ControllerMessage::Bundle { len: bytes.len() as u64 });
        let rest = raw.rest();
        assert!(rest == bytes[usize::try_from(offset).unwrap()..], "from {offset}: {} bytes", rest.len());
    }
    hub.end_offer(digest).unwrap();
    assert!(matches!(fetch(0).0, ControllerMessage::Refused { reason } if reason.contains("no bundle")));
}

#[test]
fn whoever_watches_hears_what_it_missed_or_that_it_missed_something() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let _agent = daemon.connected("one");
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    hub.order(order("one", "a", AgentCommand::SaveState)).unwrap();
    outcome_of(&mut hub, "a");
    daemon.kill();
    daemon.start();
    let gap = wait_for("the gap", || hub.next_event(Duration::from_millis(200)).unwrap());
    assert_eq!(gap, Heard::Gap, "another stream began");
    daemon.wait_connected("one");
    let revoke = HubRequest::Revoke { host: "one".to_owned(), serial: None };
    hub.request(&revoke).unwrap();
    let mut last = 0;
    wait_for("the revocation", || match hub.next_event(Duration::from_millis(200)).unwrap() {
        Some(Heard::Event(event)) => {
            assert!(last == 0 || event.seq == last + 1, "no number is left out");
            last = event.seq;
            matches!(event.what, HubEventKind::Revoked { .. }).then_some(())
        }
        _ => None,
    });
}
