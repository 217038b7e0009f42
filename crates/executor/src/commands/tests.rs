#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use lifeboat_model::{
    Event, Figures, Gate, Hook, PLAN_SCHEMA, Plan, PlanStep, PoolName, ReleaseRef, ReleaseVersion, Sha256Hex,
    Timestamp,
};

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn host() -> HostId {
    HostId::new("h01").unwrap()
}

/// A journal whose policy has one hook and one gate that run this script with `/bin/sh`.
fn journal(script: &Path, timeout: Millis, warn_after: Option<Millis>) -> Journal {
    let command = vec!["/bin/sh".to_owned(), script.display().to_string(), "an argument".to_owned()];
    with_command(command, timeout, warn_after)
}

fn with_command(command: Vec<String>, timeout: Millis, warn_after: Option<Millis>) -> Journal {
    let hook = Hook {
        name: "tell".to_owned(),
        stage: HookStage::PreMaintenance,
        command: command.clone(),
        hosts: Vec::new(),
        timeout,
        warn_after,
    };
    let (after, delay) = (lifeboat_model::After::FirstWave, Millis(0));
    let gate = Gate { name: "ask".to_owned(), command, after, timeout, attempts: 3, delay };
    let policy = Policy { hooks: vec![hook], gates: vec![gate], ..Policy::default() };
    let target = ReleaseRef {
        name: "box".to_owned(),
        version: ReleaseVersion("2.0".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"two"),
    };
    let step = PlanStep { host: host(), wave: 1, moves: Vec::new(), stops: Vec::new() };
    let plan = Plan {
        schema: PLAN_SCHEMA,
        pool: PoolName::new("p").unwrap(),
        target: target.clone(),
        policy,
        coordinator: None,
        suspends: Vec::new(),
        steps: vec![step],
        unchanged: Vec::new(),
        blocked: Vec::new(),
        excluded: Vec::new(),
        placement: Vec::new(),
        figures: Figures::default(),
        notes: Vec::new(),
    };
    let hash = plan.hash().unwrap();
    let mut journal = Journal::new(Arc::new(plan), hash);
    let what = EventKind::RollStarted { pool: PoolName::new("p").unwrap(), plan: hash, target };
    journal.apply(&Event { schema: 1, seq: 1, fence: 1, at: Timestamp(0), what }).unwrap();
    journal
}

fn hook() -> Effect {
    Effect::RunHook { hook: "tell".to_owned(), stage: HookStage::PreMaintenance, host: host() }
}

fn gate() -> Effect {
    Effect::RunGate { gate: "ask".to_owned(), wave: 1 }
}

fn script(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("script");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn end(commands: &mut Commands) -> Outcome {
    let news = commands.wait(LONG);
    assert_eq!(news.outcomes.len(), 1, "{news:?}");
    news.outcomes.into_iter().next().unwrap().1
}

fn run(text: &str, effect: &Effect) -> Outcome {
    let (_dir, path) = script(text);
    let mut commands = Commands::default();
    commands.start("r1", &journal(&path, Millis::from_secs(60), None), 1, effect);
    end(&mut commands)
}

fn failed(outcome: &Outcome) -> (&str, bool) {
    let Outcome::Failed { reason, retriable } = outcome else { panic!("{outcome:?}") };
    (reason, *retriable)
}

#[test]
fn exit_codes_have_their_meaning() {
    let detail = |text: &str| Some(text.to_owned());
    assert_eq!(run("echo one; echo two >&2; exit 0", &hook()), Outcome::Done { detail: detail("two") });
    assert_eq!(run("exit 0", &hook()), Outcome::Done { detail: None });
    assert_eq!(run("echo busy; exit 70", &hook()), Outcome::NothingToDo { detail: detail("busy") });
    let outcome = run("echo no >&2; exit 1", &hook());
    assert_eq!(failed(&outcome), ("it ended with exit code 1; its last line was: no", true));
    // Only a hook can say that there is nothing to do.
    let outcome = run("exit 70", &gate());
    assert_eq!(failed(&outcome), ("it ended with exit code 70", true));
    assert_eq!(run("exit 0", &gate()), Outcome::Done { detail: None });
}

#[test]
fn a_signal_is_named() {
    let outcome = run("kill -9 $$", &hook());
    assert_eq!(failed(&outcome), ("it was ended by signal 9", true));
}

#[test]
fn a_command_that_never_ends_is_ended_with_all_its_children() {
    // One child ignores the polite signal, as the script does: the group is killed.
    let (dir, path) = script(
        "trap '' TERM\n(trap '' TERM; echo $$ > $(dirname \"$0\")/child; while :; do sleep 1; done) &\n\
         while :; do sleep 1; done",
    );
    let mut commands = Commands::default();
    commands.start("r1", &journal(&path, Millis(300), None), 1, &hook());
    let outcome = end(&mut commands);
    let (reason, retriable) = failed(&outcome);
    assert!(reason.contains("did not end within 0.3s") && retriable, "{reason}");
    let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(dir.path().to_str()?).then_some(())
    });
    assert_eq!(children.count(), 0);
}

#[test]
fn a_command_that_ends_when_it_is_told_to_has_failed_nevertheless() {
    let (_dir, path) = script("trap 'echo stopping; exit 0' TERM\nwhile :; do sleep 0.05; done");
    let mut commands = Commands::default();
    commands.start("r1", &journal(&path, Millis(300), None), 1, &gate());
    let outcome = end(&mut commands);
    assert!(failed(&outcome).0.ends_with("its last line was: stopping"), "{outcome:?}");
}

#[test]
fn a_flood_of_output_is_read_and_only_its_end_is_kept() {
    let outcome = run("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end", &hook());
    assert_eq!(outcome, Outcome::Done { detail: Some("the end".to_owned()) });
}

#[test]
fn what_a_command_leaves_in_its_group_does_not_hold_the_roll_up() {
    let began = Instant::now();
    assert_eq!(run("sleep 600 & echo ready", &hook()), Outcome::Done { detail: Some("ready".to_owned()) });
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_program_that_is_missing_or_not_executable_is_not_tried_again() {
    let (_dir, path) = script("exit 0");
    for program in ["/nowhere/at/all", path.to_str().unwrap()] {
        let mut commands = Commands::default();
        let journal = with_command(vec![program.to_owned()], Millis(1000), None);
        commands.start("r1", &journal, 1, &hook());
        let outcome = end(&mut commands);
        let (reason, retriable) = failed(&outcome);
        assert!(reason.starts_with(program) && !retriable, "{reason}");
        let problems = command_problems(journal.policy());
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["hooks.0.command", "gates.0.command"]);
    }
    let journal = with_command(vec!["/bin/sh".to_owned()], Millis(1000), None);
    assert_eq!(command_problems(journal.policy()), []);
}

#[test]
fn a_command_knows_what_it_is_about_and_nothing_else() {
    let (dir, path) = script("env | sort > $(dirname \"$0\")/env; cat >> $(dirname \"$0\")/env; echo \"$1\"");
    for (effect, expected) in [
        (hook(), "ATTEMPT=2 HOOK=tell HOST=h01 POOL=p RELEASE=2.0 ROLL=r1 STAGE=pre-maintenance WAVE=1"),
        (gate(), "ATTEMPT=2 HOOK=ask POOL=p RELEASE=2.0 ROLL=r1 STAGE=gate WAVE=1"),
    ] {
        let mut commands = Commands::default();
        commands.start("r1", &journal(&path, Millis::from_secs(60), None), 2, &effect);
        assert_eq!(end(&mut commands), Outcome::Done { detail: Some("an argument".to_owned()) });
        let text = std::fs::read_to_string(dir.path().join("env")).unwrap();
        let ours: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("LIFEBOAT_")).collect();
        assert_eq!(ours.join(" "), expected);
        // `PWD`, `_` and the like are the shell's own.
        let rest = text.lines().filter(|line| !line.starts_with("LIFEBOAT_"));
        for line in rest {
            let name = line.split('=').next().unwrap();
            assert!(["PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name), "{line}");
        }
    }
}

#[test]
fn a_command_that_runs_is_not_begun_a_second_time() {
    let (dir, path) = script("echo again >> $(dirname \"$0\")/runs; sleep 0.2");
    let journal = journal(&path, Millis::from_secs(60), None);
    let mut commands = Commands::default();
    commands.start("r1", &journal, 1, &hook());
    commands.start("r1", &journal, 1, &hook());
    assert_eq!(end(&mut commands), Outcome::Done { detail: None });
    assert!(!commands.any());
    assert_eq!(std::fs::read_to_string(dir.path().join("runs")).unwrap(), "again\n");
}

#[test]
fn a_slow_command_is_warned_about_once() {
    let (_dir, path) = script("sleep 0.5");
    let mut commands = Commands::default();
    commands.start("r1", &journal(&path, Millis::from_secs(60), Some(Millis(50))), 1, &hook());
    let news = commands.wait(LONG);
    assert!(news.outcomes.is_empty(), "{news:?}");
    let [EventKind::Warned { code, subject, .. }] = news.warnings.as_slice() else { panic!("{news:?}") };
    assert_eq!((code.as_str(), subject.as_str()), ("hook-slow", "hook tell for h01"));
    assert_eq!(end(&mut commands), Outcome::Done { detail: None });
}

#[test]
fn a_wait_ends_when_it_was_told_to() {
    let (_dir, path) = script("exec sleep 600");
    let mut commands = Commands::default();
    commands.start("r1", &journal(&path, Millis::from_secs(600), None), 1, &hook());
    assert!(commands.wait(Duration::from_millis(20)).is_empty());
    assert!(commands.any());
    // A roll that has decided otherwise ends it.
    commands.forget_all_but(|_| false);
    assert!(!commands.any());
}

#[test]
fn several_commands_end_in_their_own_time() {
    let (_dir, path) = script("test $LIFEBOAT_STAGE = gate || sleep 0.3");
    let journal = journal(&path, Millis::from_secs(60), None);
    let mut commands = Commands::default();
    commands.start("r1", &journal, 1, &hook());
    commands.start("r1", &journal, 1, &gate());
    let first = commands.wait(LONG).outcomes;
    let second = commands.wait(LONG).outcomes;
    let keys: Vec<String> = first.into_iter().chain(second).map(|(key, _)| key.0).collect();
    assert_eq!(keys, [gate().key().0, hook().key().0]);
}
