//! What a host without banks takes, and what it refuses before it changes anything.

use std::fs;

use lifeboat_bundle::PackageFormat;
use lifeboat_model::agent::AgentCommand;

use crate::lab::{Lab, Made, has, made};

const FIRST: [Made; 2] = [made("alpha", "1"), made("beta", "1")];

#[test]
fn releases_of_banks_of_other_managers_lines_and_older_serials_are_refused_and_nothing_is_changed() {
    if !has(PackageFormat::Deb) || !has(PackageFormat::Rpm) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let images = lab.release_of_banks(5);
    let rpms = Lab::at(lab.folder(), PackageFormat::Rpm).release(6, &[made("alpha", "2")]);
    let removing = lab.release_of(7, &[made("alpha", "2")], &["beta"]);
    let (mut agent, _) = lab.start();
    for (release, words) in
        [(&images, "a release of banks"), (&rpms, "of the kind rpm"), (&removing, "removes packages (beta)")]
    {
        lab.download(release);
        let order = AgentCommand::Stage { release: release.clone() };
        let (reason, retriable) = agent.refused(&format!("stage {}", release.serial), &order);
        assert!(reason.contains(words) && !retriable, "{reason}");
        lab.download(release);
        let order = AgentCommand::Install { release: release.clone(), retry: false };
        let (reason, _) = agent.refused(&format!("install {}", release.serial), &order);
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
    assert!(!lab.state().join("generation.json").exists(), "not even a record was begun");

    let second = lab.release(2, &[made("alpha", "2")]);
    agent.install(&lab, &second);
    agent.try_out(&lab);
    let (mut agent, _) = lab.start();
    let old = lab.release(1, &[made("alpha", "1")]);
    lab.download(&old);
    let (reason, _) = agent.refused("old", &AgentCommand::Stage { release: old });
    assert!(reason.contains("serial"), "{reason}");
}

#[test]
fn a_bundle_that_was_altered_is_refused_and_removed() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &[made("alpha", "2")]);
    let (mut agent, _) = lab.start();
    lab.download(&second);
    let path = lab.state().join("bundles").join(format!("{}.lfb", second.digest));
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (reason, retriable) = agent.refused("stage", &AgentCommand::Stage { release: second });
    assert!(reason.contains("refused") && !retriable && !path.exists(), "{reason}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
}

#[test]
fn a_release_that_is_not_closed_or_has_no_way_back_is_refused_before_it_begins() {
    if !has(PackageFormat::Deb) {
        return;
    }
    let lab = Lab::new(PackageFormat::Deb, &FIRST);
    let second = lab.release(2, &[made("alpha", "2")]);
    // What belongs to the installed version is not known: its package cannot be made again.
    fs::remove_file(lab.root().join("var/lib/dpkg/info/alpha.list")).unwrap();
    let (mut agent, _) = lab.start();
    lab.download(&second);
    let install = AgentCommand::Install { release: second.clone(), retry: false };
    let (reason, retriable) = agent.refused("install", &install);
    assert!(reason.contains("no way back for alpha 1") && !retriable, "{reason}");
    assert_eq!(lab.versions(), ["alpha 1", "beta 1"]);
    assert!(!lab.state().join("generation.json").exists());
    // A person brings the old package.
    let copy = lab.copy();
    let old = copy.state().join("packages-old");
    fs::create_dir_all(&old).unwrap();
    fs::copy(copy.make(made("alpha", "1")), old.join("alpha_1_all.deb")).unwrap();
    let (mut brought, _) = copy.start();
    brought.install(&copy, &second);
    copy.health("exit 1");
    brought.try_out(&copy);
    drop(copy.start());
    assert_eq!(
        (copy.versions().join(" "), copy.content("alpha")),
        ("alpha 1 beta 1".to_owned(), "1".to_owned())
    );
    // Or the configuration allows it; then a failed release stays, and says so.
    let (mut agent, _) = lab.start_as(lab.host_allowing_no_way_back());
    agent.install(&lab, &second);
    lab.health("exit 1");
    agent.try_out(&lab);
    let (agent, answer) = lab.start();
    let told = format!("{answer:?}");
    assert!(told.contains("no way back for alpha"), "{told}");
    let status = agent.status();
    assert_eq!((status.failed, status.digest), (vec![second.digest], Some(second.digest)));
    assert_eq!(lab.versions(), ["alpha 2", "beta 1"]);
}
