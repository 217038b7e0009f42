//! `hostile run TARGET FILE…` reads files of the corpus within bounds; `hostile seeds FOLDER` writes the seeds.
//!
//! Owns: the bounds of a run: address space and processor time of this process. Promises: a reader that wants more is
//! ended by the kernel, so that the run fails. Does not: go on after a panic.

use std::path::Path;
use std::process::ExitCode;

use lifeboat_lab::seeds::seeds;
use lifeboat_lab::targets::target;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};

/// Address space of all files of a target together; threads' stacks and the program are in it.
const ADDRESS_SPACE: u64 = 1 << 30;
/// Seconds of a processor for each file, and for the start.
const SECONDS: u64 = 10;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", name, files @ ..] => run(name, files),
        ["seeds", folder] => write_seeds(Path::new(folder)),
        _ => Err("usage: hostile run TARGET FILE… | hostile seeds FOLDER".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, files: &[&str]) -> Result<(), Failure> {
    let target = target(name).ok_or_else(|| format!("there is no target {name}"))?;
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE)?;
    for file in files {
        let used = getrusage(UsageWho::RUSAGE_SELF)?;
        let used = used.user_time().tv_sec() + used.system_time().tv_sec();
        let until = u64::try_from(used)? + SECONDS;
        setrlimit(Resource::RLIMIT_CPU, until, until + 1)?;
        let bytes = std::fs::read(file)?;
        // The last line names the file at which the process ended.
        eprintln!("{name}: {file}");
        (target.run)(&bytes);
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    println!("{}", usage.max_rss());
    Ok(())
}

fn write_seeds(folder: &Path) -> Result<(), Failure> {
    for (target, name, bytes) in seeds()? {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}
