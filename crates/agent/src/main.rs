//! `lifeboat-agent`: the program on Linux hosts.

mod package_command;

use lifeboat_model::chain;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_agent::{
    AgentConfig, BootAnswer, CheckResult, Commands, Ended, Fences, Host, Journal, JournalEntry, KernelLine,
    Machine, PackageHost, Paths, Rescue, System, act_on_boot, bring_up, check_machine, damage_words, enroll,
    find_partition, find_root, health_patience, map_root, mapped_root, read_through, rescue, serve,
};
use lifeboat_device::Watchdog;

/// Usage, for people.
const USAGE: &str =
    "usage: lifeboat-agent run [--state DIR] [--etc DIR] | enroll --server HOST:PORT --token TOKEN [--name HOST]
                      [--state DIR] | packages VERB ... | map-root | bring-up-state | find-root | find-partition NAME | version

  run             judge this boot, report to the controller, carry out its commands
  enroll          get this host's first certificate, or a new one after the old one ended
  packages        guarded updates of a host that stays package-based: check, plan, apply, finish, rollback, ...
  map-root        print the device to be mounted as root: checked by its hash tree if the kernel line has one
  bring-up-state  bind what this host keeps over the root: its own state, migrated if need be
  find-root       print the partition of the root that the kernel line names
  find-partition  print the device of the partition with this name
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["run", rest @ ..] => match read_options(rest, &["--state", "--etc"]) {
            Some(options) => run_or_rescue(&paths_of(&options)),
            None => return usage(),
        },
        ["enroll", rest @ ..] => match read_options(rest, &["--state", "--server", "--token", "--name"]) {
            Some(options) => enroll_host(&options),
            None => return usage(),
        },
        ["packages", rest @ ..] => package_command::run(rest),
        ["map-root"] => print_mapped_root(),
        ["bring-up-state"] => bring_up_state(),
        ["find-root"] => print_root(),
        ["find-partition", name] => print_partition(name),
        ["version"] => {
            println!("lifeboat-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        _ => return usage(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lifeboat-agent: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

/// Options with their values, if all are known and none is without value.
fn read_options<'a>(args: &[&'a str], known: &[&str]) -> Option<Vec<(&'a str, &'a str)>> {
    args.chunks(2)
        .map(|pair| match pair {
            [name, value] if known.contains(name) => Some((*name, *value)),
            _ => None,
        })
        .collect()
}

fn option<'a>(options: &[(&'a str, &'a str)], wanted: &str) -> Option<&'a str> {
    options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
}

fn paths_of(options: &[(&str, &str)]) -> Paths {
    let default = Paths::default();
    Paths {
        state: option(options, "--state").map_or(default.state, Into::into),
        etc: option(options, "--etc").map_or(default.etc, Into::into),
        ..default
    }
}

fn enroll_host(options: &[(&str, &str)]) -> Fallible {
    let need = |name: &str| option(options, name).ok_or_else(|| format!("{name} is missing\n\n{USAGE}"));
    let (server, token) = (need("--server")?, need("--token")?);
    let server = if server.contains(':') { server.to_owned() } else { format!("{server}:7443") };
    let paths = paths_of(options);
    let identity = enroll(&paths, &server, &token.parse()?, option(options, "--name"))?;
    println!(
        "host {} of pool {} is enrolled; start its agent: systemctl enable --now lifeboat-agent",
        identity.host, identity.pool
    );
    Ok(())
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
fn run_or_rescue(paths: &Paths) -> Fallible {
    let config = AgentConfig::read(&paths.state.join("agent.json"));
    if !config.as_ref().map_or_else(|_| booted_from_bank(paths), |config| has_banks(paths, config)) {
        return run_without_banks(paths, config?);
    }
    if Path::new(LEAVE).exists() {
        return reboot();
    }
    let Err(error) = run(paths, config) else { return Ok(()) };
    if Path::new(LEAVE).exists() {
        return reboot();
    }
    let reason = format!("the agent cannot do its work: {}", chain(error.as_ref()));
    eprintln!("lifeboat-agent: {reason}");
    match rescue(paths, &reason) {
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

fn has_banks(paths: &Paths, config: &AgentConfig) -> bool {
    config.banks.unwrap_or_else(|| booted_from_bank(paths))
}

/// Whether the kernel line has the word of a bank; a line that cannot be read is taken for one, so that a bank on trial
/// is left rather than kept.
fn booted_from_bank(paths: &Paths) -> bool {
    let line = std::fs::read_to_string(paths.proc.join("cmdline"));
    line.map_or(true, |line| line.split_whitespace().any(|word| word.starts_with("lifeboat.bank=")))
}

/// A host whose one root takes packages: its boot is judged if a release is on trial, and otherwise looked at.
fn run_without_banks(paths: &Paths, config: AgentConfig) -> Fallible {
    let machine = Arc::new(Machine::open(paths.clone(), config)?);
    let mut journal = Journal::open(&paths.state.join("agent.journal"))?;
    if let Some(cut) = journal.cut() {
        machine.note(cut.to_owned());
    }
    let host = Arc::new(PackageHost::new(Arc::clone(&machine)));
    let mut check = || check_machine(&machine, health_patience(&machine), &mut || ());
    let (verdict, leave) = match host.act_on_boot(&mut check) {
        Ok(BootAnswer::Serve { notes }) => {
            for note in &notes {
                machine.note(note.clone());
            }
            (format!("a host without banks; {}", notes.join("; ")), false)
        }
        Ok(BootAnswer::Leave { reason }) => {
            machine.log.line(&format!("this boot is left: {reason}"));
            (reason, true)
        }
        // Without an agent nobody could look at it.
        Err(error) => {
            machine.note(format!("the boot cannot be judged: {}", chain(&error)));
            (chain(&error), false)
        }
    };
    if let Err(error) = journal.append(&JournalEntry::Boot { boot_id: machine.boot_id.clone(), verdict }) {
        machine.note(format!("the agent's journal cannot be written: {error}"));
    }
    if leave {
        return reboot_by_program(&machine.config.reboot_command);
    }
    let checked = Arc::clone(&machine);
    // The controller need not wait for services that are still starting.
    std::thread::spawn(move || {
        let patience = health_patience(&checked);
        check_machine(&checked, patience, &mut || ());
    });
    let commands = Commands::new(System::Packages(Arc::clone(&host)), journal, open_fences(&machine));
    machine.log.line(&format!(
        "host {} has no banks; its agent is {}",
        machine.name(),
        env!("CARGO_PKG_VERSION")
    ));
    match serve(System::Packages(host), commands) {
        Ended::Reboot => reboot_by_program(&machine.config.reboot_command),
        Ended::Upgraded(program) => go_on_as(&program),
    }
}

fn open_fences(machine: &Machine) -> Fences {
    let fences = Fences::open(&machine.paths.state.join("fences.json"));
    if let Some(damage) = fences.damage() {
        machine.note(damage);
    }
    fences
}

/// Becomes the program that took this one's place: the same process, so that nothing is restarted.
fn go_on_as(program: &Path) -> Fallible {
    eprintln!("lifeboat-agent: goes on as {}, which took its place", program.display());
    Err(std::process::Command::new(program).args(std::env::args_os().skip(1)).exec().into())
}

/// Longest time that a machine may take to end this process after it was told to reboot.
const GOING_DOWN: Duration = Duration::from_secs(600);

/// Reboots in the way that the machine wants, so that services and guests end in order.
fn reboot_by_program(command: &[String]) -> Fallible {
    let systemd = ["systemctl".to_owned(), "reboot".to_owned()];
    let command = match command {
        [] if Path::new("/run/systemd/system").exists() => &systemd[..],
        [] => return reboot(),
        given => given,
    };
    let (program, args) = command.split_first().ok_or("no program to reboot with")?;
    rustix::fs::sync();
    let status = std::process::Command::new(program).args(args).status()?;
    if !status.success() {
        return Err(format!("{} did not reboot this host: {status}", command.join(" ")).into());
    }
    std::thread::sleep(GOING_DOWN);
    Err(format!("this host still runs {} s after {}", GOING_DOWN.as_secs(), command.join(" ")).into())
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

fn run(paths: &Paths, config: Result<AgentConfig, lifeboat_agent::ConfigError>) -> Fallible {
    let starts = count_start();
    let host = Arc::new(Host::open(Machine::open(paths.clone(), config?)?)?);
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
    let commands = Commands::new(System::Banks(Arc::clone(&host)), journal, open_fences(&host));
    host.log.line(&format!("bank {} runs release {}", host.line.bank, host.line.version));
    match serve(System::Banks(host), commands) {
        Ended::Reboot => reboot(),
        Ended::Upgraded(program) => go_on_as(&program),
    }
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
    results.extend(check_machine(host, health_patience(host), &mut alive));
    host.keep_health(&results);
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
