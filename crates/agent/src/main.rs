//! `lifeboat-agent`: the program on Linux hosts.

use lifeboat_model::chain;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_agent::{
    AgentConfig, BootAnswer, CheckResult, Commands, Host, Journal, JournalEntry, KernelLine, Paths, Rescue,
    act_on_boot, bring_up, damage_words, find_partition, find_root, map_root, mapped_root, read_through,
    rescue, run_checks, serve,
};
use lifeboat_device::Watchdog;

/// Usage, for people.
const USAGE: &str =
    "usage: lifeboat-agent run | map-root | bring-up-state | find-root | find-partition NAME | version

  run             judge this boot, report to the controller, carry out its commands
  map-root        print the device to be mounted as root: checked by its hash tree if the kernel line has one
  bring-up-state  bind what this host keeps over the root: its own state, migrated if need be
  find-root       print the partition of the root that the kernel line names
  find-partition  print the device of the partition with this name
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["run"] => run_or_rescue(),
        ["map-root"] => print_mapped_root(),
        ["bring-up-state"] => bring_up_state(),
        ["find-root"] => print_root(),
        ["find-partition", name] => print_partition(name),
        ["version"] => {
            println!("lifeboat-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lifeboat-agent: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Fallible = Result<(), Box<dyn std::error::Error>>;

fn print_root() -> Fallible {
    let root = KernelLine::parse_root(&std::fs::read_to_string("/proc/cmdline")?)?;
    let found = find_root(Path::new("/sys"), Path::new("/dev"), root)?;
    println!("{}", found.partition.display());
    Ok(())
}

fn print_mapped_root() -> Fallible {
    println!("{}", map_root(&Paths::default())?.display());
    Ok(())
}

/// What came of [`bring_up_state`], for the agent: a line that begins with `ok` or `failed`.
const STATE_RESULT: &str = "/run/lifeboat-agent.state";

fn bring_up_state() -> Fallible {
    let result = try_bring_up_state();
    let told = match &result {
        Ok(None) => "ok the release keeps no state".to_owned(),
        Ok(Some(notes)) => format!("ok {}", notes.join("; ")),
        Err(error) => format!("failed {}", chain(error.as_ref())),
    };
    std::fs::write(STATE_RESULT, format!("{told}\n"))?;
    eprintln!("lifeboat-agent: saved state: {told}");
    result.map(|_| ())
}

fn try_bring_up_state() -> Result<Option<Vec<String>>, Box<dyn std::error::Error>> {
    let paths = Paths::default();
    let line = KernelLine::parse(&std::fs::read_to_string(paths.proc.join("cmdline"))?)?;
    let digest = line.digest.ok_or("the kernel line does not say which release this is")?;
    let Some(brought) = bring_up(&paths.state, &paths.etc, Path::new("/"), line.bank, digest)? else {
        return Ok(None);
    };
    for (over, place) in &brought.binds {
        rustix::mount::mount_bind(place, over)?;
    }
    Ok(Some(brought.notes))
}

fn print_partition(name: &str) -> Fallible {
    let found = find_partition(Path::new("/sys"), Path::new("/dev"), name)?;
    println!("{}", found.partition.display());
    Ok(())
}

/// Longest row of starts in one boot that a bank on trial may need.
const MOST_STARTS: u32 = 3;

/// As [`run`]; an agent that cannot do its work takes a bank on trial back, and leaves every other host in peace.
fn run_or_rescue() -> Fallible {
    let paths = Paths::default();
    if Path::new(LEAVE).exists() {
        return reboot();
    }
    let Err(error) = run(paths.clone()) else { return Ok(()) };
    if Path::new(LEAVE).exists() {
        return reboot();
    }
    let reason = format!("the agent cannot do its work: {}", chain(error.as_ref()));
    eprintln!("lifeboat-agent: {reason}");
    match rescue(&paths, &reason) {
        Rescue::Leave => reboot(),
        Rescue::Stay => {
            // The driver was loaded with its timer running.
            if let Ok(watchdog) = Watchdog::arm(&paths.dev.join("watchdog"), 120) {
                // There is nobody left to be told but the one who reads this error.
                let _ = watchdog.disarm();
            }
            Err(error)
        }
    }
}

/// How often the agent was started in this boot, this start included. A file that cannot be kept counts nothing.
fn count_start() -> u32 {
    let path = Path::new("/run/lifeboat-agent.starts");
    let before =
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u32);
    let now = before.saturating_add(1);
    let _ = std::fs::write(path, now.to_string());
    now
}

/// There for the rest of this boot once a bank on trial failed its health checks: whatever happens to the agent
/// afterwards, the bank is left.
const LEAVE: &str = "/run/lifeboat-agent.leave";

fn must_leave() {
    // If even this cannot be written, the ordinary way is still there.
    let _ = std::fs::write(LEAVE, "a health check failed\n");
}

fn run(paths: Paths) -> Fallible {
    let starts = count_start();
    let config = AgentConfig::read(&paths.state.join("agent.json"))?;
    let host = Arc::new(Host::open(paths, config)?);
    // The driver was loaded with its timer running; from here on it is ours to feed or to stop.
    let mut watchdog = match Watchdog::arm(&host.watchdog(), host.config.watchdog_secs) {
        Ok(watchdog) => Some(watchdog),
        Err(error) => {
            host.note(format!("no watchdog guards this host: {error}"));
            None
        }
    };
    let mut journal = Journal::open(&host.paths.state.join("agent.journal"))?;
    if let Some(cut) = journal.cut() {
        host.note(cut.to_owned());
    }
    let mut control = host.boot_control()?;
    let mut check = || {
        let results = check_health(&host, &mut watchdog, starts);
        if results.iter().any(|result| result.failure.is_some()) {
            must_leave();
        }
        results
    };
    match std::fs::read_to_string(STATE_RESULT).unwrap_or_default().trim().split_once(' ') {
        Some(("failed", why)) => host.note(format!("the saved state was not brought up: {why}")),
        Some((_, "" | "the release keeps no state")) | None => {}
        Some((_, notes)) => host.note(notes.to_owned()),
    }
    let answer = act_on_boot(&mut *host.disk(), &host.layout, host.line.bank, &mut control, &mut check)?;
    drop(control);
    let verdict = match answer {
        BootAnswer::Serve { notes } => {
            let verdict = notes.join("; ");
            for note in notes {
                host.note(note);
            }
            verdict
        }
        BootAnswer::Leave { reason } => {
            host.log.line(&format!("this bank is left: {reason}"));
            // A journal that is full must not keep the host in a bank that failed.
            if let Err(error) =
                journal.append(&JournalEntry::Boot { boot_id: host.boot_id.clone(), verdict: reason })
            {
                host.log.line(&format!("the journal cannot be written: {error}"));
            }
            // The watchdog stays armed: it covers the way back too.
            return reboot();
        }
    };
    if let Err(error) = journal.append(&JournalEntry::Boot { boot_id: host.boot_id.clone(), verdict }) {
        // Without an agent nobody could make room.
        host.note(format!("the agent's journal cannot be written: {error}"));
    }
    if let Some(watchdog) = watchdog
        && let Err(error) = watchdog.disarm()
    {
        host.note(format!("the watchdog cannot be stopped: {error}"));
    }
    watch_root(&host);
    let commands = Commands::new(Arc::clone(&host), journal);
    host.log.line(&format!("bank {} runs release {}", host.line.bank, host.line.version));
    serve(host, commands);
    reboot()
}

/// Built-in checks, then those that the release and the host bring.
fn check_health(host: &Host, watchdog: &mut Option<Watchdog>, starts: u32) -> Vec<CheckResult> {
    let mounts = std::fs::read_to_string(host.paths.proc.join("mounts")).unwrap_or_default();
    let mounted = |at: &str, wanted: &dyn Fn(&str) -> bool| {
        mounts.lines().any(|line| {
            let mut words = line.split(' ').skip(1);
            words.next() == Some(at) && words.nth(1).is_some_and(wanted)
        })
    };
    let begin = Instant::now();
    let built_in = |name: &str, good: bool, failure: &str| CheckResult {
        name: name.to_owned(),
        failure: (!good).then(|| failure.to_owned()),
        took: begin.elapsed(),
    };
    // A release that keeps no state has no step that brings it up.
    let state_result = std::fs::read_to_string(STATE_RESULT).unwrap_or_default();
    let state_failure = state_result.strip_prefix("failed ").map(|why| why.trim().to_owned());
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    let state = host.paths.state.to_string_lossy().into_owned();
    let mut results = vec![
        built_in("root-read-only", mounted("/", &read_only), "the root is not mounted read-only"),
        built_in("state-mounted", mounted(&state, &|_| true), "the state partition is not mounted"),
        // Each start feeds the watchdog: an agent that dies again and again would hold a trial open for ever.
        built_in("saved-state", state_failure.is_none(), state_failure.as_deref().unwrap_or_default()),
        built_in("agent-starts", starts <= MOST_STARTS, "the agent was started again and again in this boot"),
    ];
    let limit = Duration::from_secs(host.config.check_secs);
    if host.line.verity.is_some() {
        results.push(check_tree(host, watchdog));
    }
    let mut fed = Instant::now();
    let mut alive = || {
        if let Some(watchdog) = watchdog.as_mut()
            && fed.elapsed() > Duration::from_secs(5)
        {
            // A watchdog that cannot be fed resets the host, which then falls back: that is what it is for.
            let _ = watchdog.keep_alive();
            fed = Instant::now();
        }
    };
    results.extend(run_checks(&host.paths.etc.join("health.d"), limit, &mut alive));
    results
}

/// Reads the root whole through its hash tree: a bank on trial restarts at a damaged block, and never comes to the end
/// of this.
fn check_tree(host: &Host, watchdog: &mut Option<Watchdog>) -> CheckResult {
    let begin = Instant::now();
    let mut fed = begin;
    let mut alive = |_| {
        if let Some(watchdog) = watchdog.as_mut()
            && fed.elapsed() > Duration::from_secs(5)
        {
            // As above.
            let _ = watchdog.keep_alive();
            fed = Instant::now();
        }
    };
    let failure = match mapped_root(&host.paths) {
        None => Some("the kernel line has a hash tree, and the root is not mapped through it".to_owned()),
        Some(device) => match read_through(&device, &mut alive) {
            Ok(bad) if bad.is_empty() => None,
            Ok(bad) => Some(damage_words(host.line.bank, &bad)),
            Err(error) => Some(format!("the root {} cannot be read: {error}", device.display())),
        },
    };
    CheckResult { name: "root-verity".to_owned(), failure, took: begin.elapsed() }
}

/// Reads the root of a bank in use once, at leisure, and notes what cannot be read.
fn watch_root(host: &Arc<Host>) {
    if host.line.verity.is_none() {
        return;
    }
    let Some(device) = mapped_root(&host.paths) else {
        host.note("the kernel line has a hash tree, and the root is not mapped through it".to_owned());
        return;
    };
    let host = Arc::clone(host);
    std::thread::spawn(move || {
        // At most 64 MiB a second: guests come first.
        let mut leisure = |_| std::thread::sleep(Duration::from_millis(15));
        match read_through(&device, &mut leisure) {
            Ok(bad) if bad.is_empty() => host.log.line("the root was read whole and fits its hash tree"),
            Ok(bad) => host.note(damage_words(host.line.bank, &bad)),
            Err(error) => host.note(format!("the root {} cannot be read: {error}", device.display())),
        }
    });
}

fn reboot() -> Fallible {
    rustix::fs::sync();
    rustix::system::reboot(rustix::system::RebootCommand::Restart)?;
    Ok(())
}
