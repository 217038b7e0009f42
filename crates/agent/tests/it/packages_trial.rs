//! A release of packages on its way: installed, tried, blessed or taken back.

use lifeboat_agent::{BootAnswer, Reply};
use lifeboat_bundle::PackageFormat;
use lifeboat_model::agent::{AgentCommand, AgentOutcome, HostKind};
use lifeboat_model::{Bank, BankState};

use crate::lab::{Lab, Made, has, made};

const FIRST: [Made; 2] = [made("alpha", "1"), made("beta", "1")];
const SECOND: [Made; 3] = [made("alpha", "2"), made("beta", "2"), made("gamma", "2")];
const THIRD: [Made; 4] = [made("alpha", "3"), made("beta", "3"), made("gamma", "3"), made("delta", "3")];

fn serves(answer: &BootAnswer) -> &[String] {
    match answer {
        BootAnswer::Serve { notes } => notes,
        BootAnswer::Leave { reason } => panic!("it is left: {reason}"),
    }
}

fn a_roll_and_a_fall_back(format: PackageFormat) {
    if !has(format) {
        return;
    }
    let lab = Lab::new(format, &FIRST);
    let (second, third) = (lab.release(2, &SECOND), lab.release(3, &THIRD));
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer).is_empty());
    let fresh = agent.status();
    assert_eq!((fresh.kind, fresh.active, fresh.digest), (HostKind::Packages, Bank::A, None));
    assert_eq!(
        fresh.banks.iter().map(|bank| bank.state).collect::<Vec<_>>(),
        [BankState::Good, BankState::Empty]
    );

    let told = agent.install(&lab, &second);
    assert!(told.contains("3 packages changed"), "{told}");
    assert_eq!(lab.versions(), ["alpha 2", "beta 2", "gamma 2"]);
    let installed = agent.status();
    assert_eq!((installed.active, installed.on_trial, installed.digest), (Bank::A, false, None));
    assert_eq!(installed.bank(Bank::B).unwrap().state, BankState::Upgraded);
    assert_eq!(installed.bank(Bank::B).unwrap().release, Some(second.clone()));
    assert!(
        agent
            .done("once more", &AgentCommand::Install { release: second.clone(), retry: false })
            .contains("already")
    );

    agent.try_out(&lab);
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer)[0].contains("passed its health checks"), "{answer:?}");
    let blessed = agent.status();
    assert_eq!((blessed.active, blessed.digest, blessed.floor), (Bank::B, Some(second.digest), 2));
    assert_eq!(blessed.bank(Bank::B).unwrap().state, BankState::Good);
    assert_eq!(blessed.bank(Bank::A).unwrap().state, BankState::Empty);
    // The order is asked for once more after the boot.
    let order = AgentCommand::RebootInto { bank: Bank::B, boot_id_before: "boot-1".to_owned() };
    assert!(agent.done("reboot boot-1", &order).contains("booted"));

    // The next one does not pass.
    agent.install(&lab, &third);
    lab.health("echo guests cannot reach their disks; exit 1");
    agent.try_out(&lab);
    let (agent, answer) = lab.start();
    let BootAnswer::Leave { reason } = answer else { panic!("a failed check must be left: {answer:?}") };
    assert!(reason.contains("guests cannot reach their disks"), "{reason}");
    assert_eq!(lab.versions(), ["alpha 2", "beta 2", "gamma 2"], "the exact versions before it");
    assert_eq!((lab.content("alpha").as_str(), lab.content("delta").as_str()), ("2", ""));
    let leaving = agent.status();
    assert_eq!((leaving.active, leaving.bank(Bank::A).unwrap().state), (Bank::A, BankState::Failed));

    lab.reboot();
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer).is_empty(), "the old generation is not tried again");
    let back = agent.status();
    assert_eq!((back.active, back.digest), (Bank::B, Some(second.digest)));
    assert_eq!(back.failed, [third.digest]);
    let failed = back.bank(Bank::A).unwrap();
    assert_eq!((failed.state, &failed.release), (BankState::Failed, &Some(third.clone())));
    assert!(failed.note.as_ref().unwrap().contains("guests cannot reach their disks"), "{failed:?}");
    assert_eq!(back.held, None);

    // I-31: not again without an order to retry; with one, and mended, it passes and is forgiven.
    let install = |retry| AgentCommand::Install { release: third.clone(), retry };
    let (reason, retriable) = agent.refused("again", &install(false));
    assert!(reason.contains("failed on this host before") && !retriable, "{reason}");
    lab.health("exit 0");
    agent.done("retry", &install(true));
    agent.try_out(&lab);
    let (agent, _) = lab.start();
    let passed = agent.status();
    assert_eq!((passed.active, passed.digest, passed.failed.len()), (Bank::A, Some(third.digest), 0));
    assert_eq!(lab.versions(), ["alpha 3", "beta 3", "delta 3", "gamma 3"]);
}

#[test]
fn a_release_of_deb_packages_is_blessed_after_its_checks_and_the_next_one_falls_back_and_is_remembered() {
    a_roll_and_a_fall_back(PackageFormat::Deb);
}

#[test]
fn a_release_of_rpm_packages_is_blessed_after_its_checks_and_the_next_one_falls_back_and_is_remembered() {
    a_roll_and_a_fall_back(PackageFormat::Rpm);
}

#[test]
fn a_trial_that_never_ended_is_lost_at_the_next_boot() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &SECOND);
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    agent.try_out(&lab);
    // The agent of the trial sees the boot and dies within its checks; then the power is cut.
    let host = lab.host();
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        host.act_on_boot(&mut || panic!("the power is cut"))
    }));
    assert!(checked.is_err());
    lab.reboot();
    let (_, answer) = lab.start();
    let BootAnswer::Leave { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.contains("did not come to the end of its trial"), "{reason}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
    lab.reboot();
    let (agent, _) = lab.start();
    assert_eq!((agent.status().active, agent.status().failed), (Bank::A, vec![second.digest]));
}

#[test]
fn an_agent_that_dies_again_and_again_does_not_hold_a_trial_open() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &SECOND);
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    agent.try_out(&lab);
    for _ in 0..lifeboat_agent::MOST_STARTS {
        let host = lab.host();
        let dies = || host.act_on_boot(&mut || panic!("it dies"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(dies)).is_err());
        assert!(lab.host().status().on_trial);
    }
    let (_, answer) = lab.start();
    assert!(
        matches!(&answer, BootAnswer::Leave { reason } if reason.contains("again and again")),
        "{answer:?}"
    );
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
}

#[test]
fn a_boot_that_nobody_ordered_is_a_trial_too_and_an_order_that_never_began_is_called_off() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &SECOND);
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    let copy = lab.copy();
    copy.reboot();
    copy.health("exit 1");
    let (_, answer) = copy.start();
    assert!(matches!(answer, BootAnswer::Leave { .. }), "{answer:?}");
    assert_eq!(copy.versions(), ["alpha 1", "beta 1"]);

    let order = AgentCommand::RebootInto { bank: Bank::B, boot_id_before: lab.boot() };
    assert_eq!(agent.order("reboot", &order), Reply::Reboot);
    // The agent is started again in the same boot.
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer)[0].contains("never began"), "{answer:?}");
    assert_eq!(agent.status().bank(Bank::B).unwrap().state, BankState::Upgraded);
    assert_eq!(agent.order("reboot", &order), Reply::Reboot);
}

#[test]
fn another_release_or_a_reboot_as_it_is_takes_an_untried_one_back_first() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let (second, third) = (lab.release(2, &SECOND), lab.release(3, &THIRD));
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    let copy = lab.copy();
    let (mut other, _) = copy.start();
    let (plain, stay) = (lab.copy(), AgentCommand::Reboot { boot_id_before: lab.boot() });
    assert_eq!(plain.start().0.order("stay", &stay), Reply::Reboot);
    assert_eq!(plain.versions(), ["alpha 1", "beta 1"]);
    let stay = AgentCommand::RebootInto { bank: Bank::A, boot_id_before: copy.boot() };
    assert_eq!(other.order("stay", &stay), Reply::Reboot);
    assert_eq!(copy.versions(), ["alpha 1", "beta 1"], "the reboot brings what runs, not what waits");
    assert_eq!(other.status().bank(Bank::B).unwrap().state, BankState::Empty);

    agent.install(&lab, &third);
    assert_eq!(lab.versions(), ["alpha 3", "beta 3", "delta 3", "gamma 3"]);
    lab.health("exit 1");
    agent.try_out(&lab);
    let (_, answer) = lab.start();
    assert!(matches!(answer, BootAnswer::Leave { .. }), "{answer:?}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"], "back to what was proven, not to what was never tried");
    assert_eq!(lab.host().record().unwrap().failed.len(), 1, "only what was tried is blamed");
}

#[test]
fn packages_that_changed_behind_the_release_fail_its_trial() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &SECOND);
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    agent.try_out(&lab);
    let other = lab.make(made("beta", "9"));
    let root = format!("--root={}", lab.root().display());
    let ran = std::process::Command::new("dpkg").arg(root).arg("-i").arg(other).output().unwrap();
    assert!(ran.status.success());
    let (_, answer) = lab.start();
    let BootAnswer::Leave { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.contains("beta is 9, not 2"), "{reason}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
}

#[test]
fn a_script_that_fails_half_way_is_taken_back_at_once_and_the_host_goes_on() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let broken = Made { script: "exit 3", ..made("beta", "2") };
    let second = lab.release(2, &[made("alpha", "2"), broken]);
    let (mut agent, _) = lab.start();
    lab.download(&second);
    let install = AgentCommand::Install { release: second.clone(), retry: false };
    let (reason, retriable) = agent.refused("install", &install);
    assert!(reason.contains("installed again") && !retriable, "{reason}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
    let status = agent.status();
    assert_eq!((status.held, status.failed, status.active), (None, vec![second.digest], Bank::A));
    assert_eq!(status.banks[1].state, BankState::Failed);
    let order = AgentCommand::RebootInto { bank: Bank::B, boot_id_before: lab.boot() };
    let (reason, _) = agent.refused("reboot", &order);
    assert!(reason.contains("generation 1 (B) is failed"), "{reason}");
}

#[test]
fn a_host_that_is_stuck_between_versions_is_held_until_a_person_ends_it() {
    if !has(PackageFormat::Deb) {
        return;
    }
    // Neither the new script nor the old one runs to its end.
    let old = Made { script: "test ! -e /tmp/stuck", ..made("beta", "1") };
    let lab = Lab::new(PackageFormat::Deb, &[made("alpha", "1"), old]);
    let broken = Made { script: "echo > /tmp/stuck; test -e /tmp/mended", ..made("beta", "2") };
    let second = lab.release(2, &[made("alpha", "2"), broken]);
    let (mut agent, _) = lab.start();
    lab.download(&second);
    let install = |retry| AgentCommand::Install { release: second.clone(), retry };
    let (reason, _) = agent.refused("install", &install(false));
    assert!(reason.contains("not all back") && reason.contains("held"), "{reason}");
    let status = agent.status();
    assert!(status.held.is_some(), "{status:?}");
    assert_eq!(status.bank(Bank::B).unwrap().state, BankState::Failed);
    for order in [
        AgentCommand::RebootInto { bank: Bank::A, boot_id_before: lab.boot() },
        AgentCommand::RebootInto { bank: Bank::B, boot_id_before: lab.boot() },
        AgentCommand::Reboot { boot_id_before: lab.boot() },
    ] {
        let (reason, _) = agent.refused(&format!("{order:?}"), &order);
        assert!(reason.contains("held back from rebooting"), "{reason}");
    }
    // The same after the agent was started again.
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer)[0].contains("not all back"), "{answer:?}");
    assert!(agent.status().held.is_some());
    std::fs::remove_file(lab.root().join("tmp/stuck")).unwrap();
    std::fs::write(lab.root().join("tmp/mended"), "").unwrap();
    // Mended: the order to retry takes back what is half-way, and then installs.
    agent.done("retry", &install(true));
    assert_eq!(lab.versions(), ["alpha 2", "beta 2"]);
    assert_eq!(agent.status().held, None);
    agent.try_out(&lab);
    let (agent, _) = lab.start();
    assert_eq!((agent.status().digest, agent.status().failed.len()), (Some(second.digest), 0));
}

#[test]
fn an_interrupted_install_of_another_release_is_taken_back_by_the_next_one() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let (second, third) = (lab.release(2, &SECOND), lab.release(3, &THIRD));
    let (mut agent, _) = lab.start();
    agent.install(&lab, &second);
    // As if the agent had died before it wrote down that the transaction ended.
    let record = lab.host().record().unwrap().with_begun(&second, None);
    lifeboat_agent::write_generations(&lab.state(), &record).unwrap();
    let (mut agent, answer) = lab.start();
    assert!(serves(&answer)[0].contains("was interrupted"), "{answer:?}");
    assert_eq!(agent.status().bank(Bank::B).unwrap().state, BankState::Invalid);
    let copy = lab.copy();
    let (mut same, _) = copy.start();
    same.done("goes on", &AgentCommand::Install { release: second.clone(), retry: false });
    copy.health("exit 1");
    same.try_out(&copy);
    let (_, answer) = copy.start();
    assert!(matches!(answer, BootAnswer::Leave { .. }), "{answer:?}");
    assert_eq!(copy.versions(), ["alpha 1", "beta 1"], "the way back was found again");

    agent.install(&lab, &third);
    lab.health("exit 1");
    agent.try_out(&lab);
    let (_, answer) = lab.start();
    assert!(matches!(answer, BootAnswer::Leave { .. }), "{answer:?}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
}

#[test]
fn an_outcome_is_remembered_and_a_damaged_record_refuses_everything() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &SECOND);
    let (mut agent, _) = lab.start();
    let told = agent.install(&lab, &second);
    let again = agent.order("install 2", &AgentCommand::Install { release: second.clone(), retry: false });
    assert_eq!(again, Reply::Outcome(AgentOutcome::Done { detail: told }));
    for copy in ["packages/generation.json", "generation.json"] {
        std::fs::write(lab.state().join(copy), "LFGEN1 damaged").unwrap();
    }
    assert!(lab.host().act_on_boot(&mut Vec::new).is_err());
    let status = agent.status();
    assert!(status.banks.is_empty() && status.digest.is_none(), "{status:?}");
    assert!(status.notes.iter().any(|note| note.contains("no copy of the record")), "{:?}", status.notes);
    let order = AgentCommand::RebootInto { bank: Bank::B, boot_id_before: lab.boot() };
    assert!(agent.refused("reboot", &order).0.contains("record of this host's generations"));
    assert!(
        agent.refused("other", &AgentCommand::Install { release: second, retry: true }).0.contains("record")
    );
}
