//! The promises of the checks as a whole: healthy is silent, unknown is said, every code has a page and a test.

use std::collections::BTreeSet;
use std::path::Path;

use lifeboat_model::{Fact, HostFacts, Severity, Survey};
use lifeboat_plan::check::{Looked, catalogue, catalogue_markdown, explain};

use crate::checks_scene::{Case, NOW, Scene, target};
use crate::{checks_guests, checks_hosts, checks_pool};

/// Every case of every table.
fn all_cases() -> Vec<Case> {
    let tables = [
        checks_pool::of_the_pool(),
        checks_pool::of_features(),
        checks_pool::of_the_release(),
        checks_pool::of_the_policy(),
        checks_pool::of_the_plan(),
        checks_pool::of_capacity(),
        checks_guests::that_cannot_be_moved(),
        checks_guests::that_are_interpreted(),
        checks_guests::without_target(),
        checks_hosts::of_banks(),
        checks_hosts::of_surroundings(),
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn a_healthy_pool_of_which_everything_is_known_has_no_findings() {
    for checked in Scene::healthy().run() {
        assert_eq!(checked.looked, Looked::Yes, "{}", checked.check);
        assert_eq!(checked.findings, Vec::new(), "{}", checked.check);
    }
}

#[test]
fn every_code_of_the_catalogue_is_made_by_a_case_of_the_tables() {
    let made: BTreeSet<&str> =
        all_cases().iter().flat_map(|case| &case.expect).map(|expect| expect.code).collect();
    let pages: BTreeSet<&str> = catalogue().iter().map(|page| page.code).collect();
    assert_eq!(made, pages);
}

#[test]
fn every_page_is_whole_and_every_code_is_unique_and_can_be_explained() {
    let mut codes = BTreeSet::new();
    for page in catalogue() {
        assert!(codes.insert(page.code), "{} stands twice", page.code);
        assert_eq!(explain(page.code), Some(page));
        let kebab = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        assert!(page.code.chars().all(kebab), "{}", page.code);
        for text in [page.title, page.looks_at, page.means, page.remedy] {
            assert!(!text.is_empty(), "{}", page.code);
        }
        assert!(page.means.ends_with('.') && page.remedy.ends_with('.'), "{}", page.code);
        assert!(!page.title.ends_with('.') && !page.looks_at.ends_with('.'), "{}", page.code);
        assert!(page.undo.is_empty() || page.undo.ends_with('.'), "{}", page.code);
        for incident in page.incidents {
            let number = incident.strip_prefix("I-").and_then(|number| number.parse::<u32>().ok());
            assert!(number.is_some_and(|number| (1..=35).contains(&number)), "{}", page.code);
        }
    }
    assert_eq!(explain("no-such-code"), None);
}

#[test]
fn every_finding_has_the_severity_of_its_page_and_says_what_to_do() {
    for case in all_cases() {
        let mut scene = Scene::healthy();
        (case.change)(&mut scene);
        for found in scene.findings() {
            let page = explain(&found.code).unwrap();
            assert_eq!(found.severity, page.severity, "{}", case.name);
            assert_eq!(found.undo.is_some(), !page.undo.is_empty(), "{}", case.name);
            for text in [&found.subject, &found.evidence, &found.remedy] {
                assert!(!text.is_empty(), "{}: {found:?}", case.name);
                assert!(!text.contains("  "), "{}: {text}", case.name);
            }
            let says = page.remedy.contains("A program can do it");
            assert!(says || found.fix.is_none(), "{}: the page of {} is silent", case.name, found.code);
        }
    }
}

#[test]
fn every_fact_that_is_not_known_is_said_and_never_counted_as_good() {
    type Forget = fn(&mut Scene);
    type ForgetFact = fn(&mut HostFacts);
    let cases: [(&str, Forget, &str); 16] = [
        ("pool-settled", |scene| scene.survey.pool.tasks = Fact::Unknown, "what goes on"),
        ("rolls", |scene| scene.survey.pool.tasks = Fact::Unknown, "what goes on"),
        ("backup", |scene| scene.survey.pool.tasks = Fact::Unknown, "what goes on"),
        ("release", |scene| scene.survey.release = None, "no release was named"),
        ("release", |scene| scene.release(|release| release.serial = None), "serial number"),
        ("coordinator", |scene| scene.host("h3", |host| host.running = None), "the release of h3"),
        ("guest-movable", |scene| scene.survey.guests_known = false, "devices, local disks or media"),
        ("local-guests", |scene| scene.survey.guests_known = false, "local disks"),
        ("fault-tolerance", |scene| scene.survey.guests_known = false, "lock step"),
        ("auto-power-on", |scene| scene.survey.guests_known = false, "start with their host"),
        ("cpu-features", |scene| scene.survey.release = None, "no release was named"),
        ("space", |scene| scene.survey.release = None, "no release was named"),
        ("banks", |scene| scene.host("h3", |host| host.active = None), "the active bank of h3"),
        (
            "ha-admission-control",
            |scene| {
                scene.feature(lifeboat_model::FeatureKind::HaAdmissionControl, "on");
                scene.survey.pool.admission = Fact::Unknown;
            },
            "keeps free",
        ),
        (
            "coordinator",
            |scene| {
                scene.host("h1", |host| host.running = None);
                scene.host("h2", |host| host.running = None);
            },
            "the release of h1, h2",
        ),
        ("clock", |scene| scene.survey.hosts.clear(), "the clock of h1, h2, h3, h4"),
    ];
    for (check, forget, why) in cases {
        assert_unknown(check, why, forget);
    }
    let facts: [(&str, ForgetFact); 10] = [
        ("pending-reboot", |facts| facts.pending_reboot = Fact::Unknown),
        ("release", |facts| facts.machine = Fact::Unknown),
        ("cpu-features", |facts| facts.offers_after = Fact::Unknown),
        ("space", |facts| facts.spaces = Fact::Unknown),
        ("banks", |facts| facts.banks = Fact::Unknown),
        ("bank-writable", |facts| facts.banks = Fact::Unknown),
        ("clock", |facts| facts.clock_offset_ms = Fact::Unknown),
        ("storage", |facts| facts.storages = Fact::Unknown),
        ("networks", |facts| facts.networks = Fact::Unknown),
        ("networks", |facts| *facts = HostFacts::default()),
    ];
    for (check, forget) in facts {
        assert_unknown(check, "of h3 not known", |scene| scene.facts("h3", forget));
    }
}

fn assert_unknown(check: &str, why: &str, forget: impl Fn(&mut Scene)) {
    let mut scene = Scene::healthy();
    forget(&mut scene);
    let all = scene.run();
    let checked = all.iter().find(|checked| checked.check == check).unwrap();
    let Looked::Unknown { why: told } = &checked.looked else {
        unreachable!("{check} counts what is not known as good")
    };
    assert!(told.contains(why), "{check}: {told}");
    let heavy: Vec<_> = all.iter().flat_map(|checked| &checked.findings).collect();
    let known = |code: &str| code == "ha-admission-control-on";
    assert!(heavy.iter().all(|found| known(&found.code)), "{check}: {heavy:#?}");
}

#[test]
fn a_driver_that_knows_nothing_beyond_the_world_is_taken_at_its_word() {
    let mut scene = Scene::healthy();
    scene.survey = Survey::of_world(scene.survey.world, NOW);
    let unknown: Vec<&str> = scene
        .run()
        .into_iter()
        .filter(|checked| checked.looked != Looked::Yes)
        .map(|checked| checked.check)
        .collect();
    assert_eq!(
        unknown,
        [
            "pool-settled",
            "rolls",
            "backup",
            "pending-reboot",
            "release",
            "fault-tolerance",
            "auto-power-on",
            "guest-movable",
            "cpu-features",
            "local-guests",
            "space",
            "banks",
            "bank-writable",
            "clock",
            "storage",
            "networks",
        ]
    );
    assert_eq!(scene.findings(), Vec::new());
}

#[test]
fn what_a_roll_suspends_by_itself_never_blocks_it() {
    for case in checks_pool::of_features() {
        let mut scene = Scene::healthy();
        (case.change)(&mut scene);
        for found in scene.findings().iter().filter(|found| found.code.ends_with("-on")) {
            assert!(found.severity < Severity::Blocker, "{}", found.code);
            assert!(found.remedy.contains("restores exactly"), "{}", found.remedy);
        }
    }
}

#[test]
fn hosts_that_run_the_release_are_not_asked_for_what_an_upgrade_needs() {
    let mut scene = Scene::healthy();
    scene.hosts(|host| host.running = Some(target().digest));
    scene.survey.hosts.clear();
    let unknown: Vec<&str> = scene
        .run()
        .iter()
        .filter(|checked| checked.looked != Looked::Yes)
        .map(|checked| checked.check)
        .collect();
    assert_eq!(unknown, ["clock", "storage", "networks"], "what matters for guests is still looked at");
}

fn document() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops/checks.md")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test compares with a file; the crate itself opens none")]
fn the_catalogue_in_the_documents_is_that_of_the_code() {
    let written = std::fs::read_to_string(document()).unwrap_or_default();
    assert!(
        written == catalogue_markdown(),
        "docs/ops/checks.md differs from the code; write it anew with:\n  \
         cargo test -p lifeboat-plan --test it -- --ignored write_the_catalogue"
    );
}

#[test]
#[ignore = "it writes docs/ops/checks.md"]
#[expect(clippy::disallowed_methods, reason = "a person has asked for the file")]
fn write_the_catalogue() {
    std::fs::write(document(), catalogue_markdown()).unwrap();
}
