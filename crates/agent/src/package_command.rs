//! `lifeboat-agent packages`: guarded updates of a host that stays package-based.
//!
//! Owns: the words of the command line and what a person reads. Promises: with `-o json` one document on the standard
//! output, progress on the other. Does not: decide anything; `lifeboat-packages` does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lifeboat_model::Finding;
use lifeboat_packages::{
    DatabaseWatch, Ending, Guard, OnStuck, Outcome, Policy, Progress, Request, Roots, TransactionPlan,
    WayBack, exec_locked,
};
use serde::Serialize;

/// Usage, for people.
const USAGE: &str = "usage: lifeboat-agent packages VERB [OPTIONS] [PACKAGE FILES OR FOLDERS]

  check      what stands in the way of an update
  holders    who has the package database open or locked, and what it waits in
  plan       what an update to these packages would do; changes nothing
  apply      carry it out (--plan FILE: a plan of `plan -o json`, reviewed)
  status     the state of the packages: clean, in-transaction, incomplete, needs-reboot
  finish     go on with what did not end, also with what others left
  rollback   go back to the versions before
  watch      tell holders without progress; hold an incomplete host (--once: look once)

  -o json                     one JSON document
  --plan FILE                 carry out this plan
  --old-packages DIR          packages of the installed versions, for the way back
  --downgrade                 versions may go down
  --lock-wait SECONDS         how long the database's lock is waited for (600)
  --stuck-after SECONDS       how long nothing may move before it is told (300)
  --on-stuck wait|fail|kill-ours
  --leave UNIT                a unit that is not stopped
  --root DIR                  another root than /
";

type Fallible = Result<(), Box<dyn std::error::Error>>;

/// What was asked.
#[derive(Debug)]
struct Asked {
    json: bool,
    once: bool,
    plan: Option<PathBuf>,
    roots: Roots,
    policy: Policy,
    request: Request,
}

/// Carries out `packages ARGUMENTS`.
pub(crate) fn run(arguments: &[&str]) -> Fallible {
    let Some((verb, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    if *verb == "exec-locked" {
        return become_locked(rest);
    }
    let asked = parse(rest)?;
    let mut policy = asked.policy.clone();
    if asked.roots == Roots::host() {
        let exe = std::env::current_exe()?;
        policy.trampoline = Some(vec![exe.into(), "packages".into(), "exec-locked".into()]);
    }
    let guard = Guard::open(asked.roots.clone())?.with_policy(policy);
    match *verb {
        "check" => findings(&asked, &guard.check()?),
        "holders" => holders(&asked, &guard),
        "plan" => show_plan(&asked, &guard.plan(&asked.request)?),
        "apply" => {
            let plan = match &asked.plan {
                Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
                None => guard.plan(&asked.request)?,
            };
            end(&asked, &guard.apply(&plan, &mut tell)?)
        }
        "status" => status(&asked, &guard),
        "finish" => end(&asked, &guard.finish(&mut tell)?),
        "rollback" => end(&asked, &guard.rollback(&mut tell)?),
        "watch" => watch(&asked, &guard),
        _ => Err(USAGE.into()),
    }
}

/// Takes the lock of a file and becomes the command behind `--`.
fn become_locked(arguments: &[&str]) -> Fallible {
    match arguments {
        [path, "--", command @ ..] => {
            let command: Vec<OsString> = command.iter().map(Into::into).collect();
            Err(exec_locked(&PathBuf::from(path), &command).into())
        }
        _ => Err("usage: lifeboat-agent packages exec-locked FILE -- COMMAND ...".into()),
    }
}

fn parse(arguments: &[&str]) -> Result<Asked, Box<dyn std::error::Error>> {
    let mut asked = Asked {
        json: false,
        once: false,
        plan: None,
        roots: Roots::host(),
        policy: Policy::default(),
        request: Request::default(),
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
        match *word {
            "-o" | "--output" => match value()? {
                "json" => asked.json = true,
                "text" => asked.json = false,
                other => return Err(format!("-o knows json and text, not {other}").into()),
            },
            "--once" => asked.once = true,
            "--downgrade" => asked.request.downgrade = true,
            "--plan" => asked.plan = Some(value()?.into()),
            "--root" => asked.roots = Roots::at(value()?.as_ref()),
            "--old-packages" => asked.request.old_packages.push(value()?.into()),
            "--leave" => asked.policy.leave.push(value()?.to_owned()),
            "--lock-wait" => asked.policy.lock_wait = seconds(value()?)?,
            "--stuck-after" => asked.policy.stuck_after = seconds(value()?)?,
            "--on-stuck" => {
                asked.policy.on_stuck = match value()? {
                    "wait" => OnStuck::Wait,
                    "fail" => OnStuck::Fail,
                    "kill-ours" => OnStuck::KillOurs,
                    other => {
                        return Err(format!("--on-stuck knows wait, fail and kill-ours, not {other}").into());
                    }
                }
            }
            other if other.starts_with('-') => {
                return Err(format!("unknown option {other}\n\n{USAGE}").into());
            }
            path => asked.request.packages.push(path.into()),
        }
    }
    Ok(asked)
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("{text} is no number of seconds"))
}

fn print_json<T: Serialize>(value: &T) -> Fallible {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn findings(asked: &Asked, findings: &[Finding]) -> Fallible {
    if asked.json {
        return print_json(
            &serde_json::json!({ "schema": "lifeboat.package-check.v1", "findings": findings }),
        );
    }
    if findings.is_empty() {
        println!("nothing stands in the way");
    }
    for finding in findings {
        println!("{finding}");
    }
    Ok(())
}

fn holders(asked: &Asked, guard: &Guard) -> Fallible {
    let holders = guard.holders();
    if asked.json {
        return print_json(
            &serde_json::json!({ "schema": "lifeboat.package-holders.v1", "holders": holders }),
        );
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    if holders.is_empty() {
        println!("nobody has the package database open");
    }
    for holder in &holders {
        println!("{}\n    {}", holder.words(now), holder.process.command);
        if let Some(why) = holder.cannot_go_on() {
            println!("    it cannot go on: {why}");
        }
    }
    Ok(())
}

fn show_plan(asked: &Asked, plan: &TransactionPlan) -> Fallible {
    if asked.json {
        return print_json(plan);
    }
    println!("plan {}", plan.id);
    for change in &plan.changes {
        let back = match &change.back {
            WayBack::Remove => "is removed again",
            WayBack::File { .. } => "package kept",
            WayBack::Rebuilt { .. } => "package rebuilt",
            WayBack::None { .. } => "NO WAY BACK",
        };
        println!(
            "  {:<30} {:>20} -> {:<20} {back}",
            change.name,
            change.from.as_deref().unwrap_or("-"),
            change.to
        );
    }
    for room in &plan.room {
        println!("  room on {}: {} MiB needed, {} MiB free", room.mount, room.needed >> 20, room.free >> 20);
    }
    if let Some(snapshot) = &plan.snapshot {
        println!("  the root is kept in {}", snapshot.place);
    }
    for finding in &plan.findings {
        println!("  {finding}");
    }
    Ok(())
}

fn status(asked: &Asked, guard: &Guard) -> Fallible {
    let status = guard.status()?;
    if asked.json {
        return print_json(&status);
    }
    println!("{}", status.state.words());
    for finding in &status.findings {
        println!("  {finding}");
    }
    Ok(())
}

/// Progress, on the standard error.
fn tell(progress: Progress) {
    match progress {
        Progress::Note { text } => eprintln!("{text}"),
        Progress::Step { number, of, step } => {
            eprintln!("step {number} of {of}: {}", serde_json::to_string(&step).unwrap_or_default());
        }
        Progress::Stuck { stuck } => eprintln!("package-db-stuck: {stuck}"),
    }
}

fn end(asked: &Asked, outcome: &Outcome) -> Fallible {
    if asked.json {
        print_json(outcome)?;
    } else {
        let ending = match outcome.ending {
            Ending::Done => "done: every package has its new version",
            Ending::RolledBack => "rolled back: every package has its old version",
            Ending::NothingToDo => "there was nothing to do",
            Ending::Incomplete => "incomplete: the host is held back from rebooting",
        };
        println!("{ending}");
        for finding in &outcome.findings {
            println!("  {finding}");
        }
    }
    match (&outcome.ending, &outcome.reason) {
        (Ending::Incomplete, reason) => Err(format!(
            "{}; `lifeboat-agent packages finish` or `packages rollback` ends it",
            reason.as_deref().unwrap_or("the transaction did not end")
        )
        .into()),
        _ => Ok(()),
    }
}

fn watch(asked: &Asked, guard: &Guard) -> Fallible {
    let mut watch = DatabaseWatch::default();
    let mut told: Vec<Finding> = Vec::new();
    loop {
        guard.hold_if_incomplete()?;
        let mut now = guard.status()?.findings;
        now.extend(watch.look(guard, asked.policy.stuck_after));
        for finding in now.iter().filter(|finding| !told.iter().any(|old| is_same(old, finding))) {
            if asked.json {
                println!("{}", serde_json::to_string(finding)?);
            } else {
                println!("{finding}");
            }
        }
        told = now;
        if asked.once {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Evidence counts seconds: the same finding is one of the same code about the same subject.
fn is_same(left: &Finding, right: &Finding) -> bool {
    (&left.code, &left.subject) == (&right.code, &right.subject)
}
