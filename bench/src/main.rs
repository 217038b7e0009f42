//! `lifeboat-bench plan|journal|decide|roll|checks|bank|evacuate|images|all [-o json]`: how fast the parts are, beside peers.
//!
//! Owns: which benchmark runs. Promises: figures are measured here and now, with the load of the machine beside them.
//! Does not: judge them; a benchmark is never a test.

mod bank;
mod bank_install;
mod checks;
mod decide;
mod evacuate;
mod fake;
mod images;
mod journal;
mod plan;
mod pools;
mod report;
mod roll;

use std::process::ExitCode;

use report::Report;

const USAGE: &str = "\
usage: lifeboat-bench plan [--quick] [--seeds N] [--hosts N] [--load PERCENT] [--mix azure|enterprise]
                           [--rule none|RULE] [--peer-seeds N] [--peer-limit SECONDS] [--write DOCS | --chart DOCS]
                           [-o json]
       lifeboat-bench journal [--appends N] [--dir FOLDER] [-o json]
       lifeboat-bench decide [--hosts N] [--gib N] [--in-flight N] [--full-every N] [-o json]
       lifeboat-bench roll [--hosts 100|1000|10000] [--limit SECONDS] [--dir FOLDER] [-o json]
       lifeboat-bench checks [--hosts 100|1000|10000] [-o json]
       lifeboat-bench bank [--dir FOLDER] [--rounds N] [-o json]
       lifeboat-bench evacuate [--rounds N] [-o json]
       lifeboat-bench images [--inputs DIR] [--rounds N] [--disk DIR] [--only NAME] [--write DOCS]
       lifeboat-bench all [--dir FOLDER] [-o json]";

/// Why a benchmark came to no figure.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lifeboat-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Failure> {
    let Some((what, rest)) = args.split_first() else { return Err(USAGE.into()) };
    let options = Options::parse(rest);
    match what.as_str() {
        "plan" => plan::run(rest),
        // A process of its own, so that the memory it needed is its own.
        "bank-install" => bank_install::child(rest),
        "roll-one" => roll::child(rest),
        "images" => images::run(rest),
        "images-run" => images::run_child(rest),
        "images-check" => images::check_child(rest),
        "checks" | "decide" | "roll" | "journal" | "bank" | "evacuate" | "all" => {
            let options = options?;
            let mut report = Report::new();
            let all = what == "all";
            if all && !options.json {
                let pool =
                    ["--quick", "--hosts", "1000", "--load", "70", "--rule", "none", "--peer-seeds", "0"];
                let pool = pool.map(str::to_owned);
                plan::run(&pool)?;
                println!();
            }
            if all || what == "decide" {
                decide::run(&options, &mut report)?;
            }
            // Not among all: it needs root.
            if what == "evacuate" {
                evacuate::run(options.rounds, &mut report)?;
            }
            if all || what == "checks" {
                checks::run(&options, &mut report)?;
            }
            if all || what == "roll" {
                roll::run(&options, &mut report)?;
            }
            if all || what == "journal" {
                journal::run(&options, &mut report)?;
            }
            if all || what == "bank" {
                bank::run(&options, &mut report)?;
            }
            report.print(options.json);
            Ok(())
        }
        _ => Err(format!("there is no benchmark {what}\n{USAGE}").into()),
    }
}

/// What may be said on the command line.
#[derive(Debug)]
struct Options {
    json: bool,
    /// Folder for files, on the disk that is to be measured.
    dir: std::path::PathBuf,
    hosts: usize,
    /// As `hosts`, if it was said.
    only_hosts: Option<usize>,
    /// A roll is left after so long.
    limit: std::time::Duration,
    /// Memory of a host.
    gib: u64,
    in_flight: u32,
    /// All hosts in flight are looked at after so many rounds; 1 is what the executor does.
    full_every: u64,
    appends: usize,
    rounds: usize,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            json: false,
            dir: std::env::temp_dir(),
            hosts: 10_000,
            only_hosts: None,
            limit: std::time::Duration::from_secs(1800),
            gib: 128,
            in_flight: 300,
            full_every: 64,
            appends: 1000,
            rounds: 3,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("{name}: {value} is not a number"));
            match name.as_str() {
                "-o" if value == "json" => options.json = true,
                "--dir" => options.dir = value.into(),
                "--hosts" => {
                    options.hosts = number()?.max(2);
                    options.only_hosts = Some(options.hosts);
                }
                "--limit" => options.limit = std::time::Duration::from_secs(number()?.max(1) as u64),
                "--gib" => options.gib = number()?.max(1) as u64,
                "--in-flight" => options.in_flight = u32::try_from(number()?)?.max(1),
                "--full-every" => options.full_every = number()?.max(1) as u64,
                "--appends" => options.appends = number()?.max(10),
                "--rounds" => options.rounds = number()?.max(1),
                _ => return Err(format!("{name} {value} has no meaning here\n{USAGE}").into()),
            }
        }
        Ok(options)
    }
}
