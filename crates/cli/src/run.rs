//! From the arguments of the process to its exit code.
//!
//! Owns: the order of parsing, running and reporting. Promises: exactly one place prints an error, and a panic
//! ends with the exit code of a bug. Does not: know what any command does.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::commands;
use crate::error::{CliError, Kind};
use crate::output::{Format, Out};
use crate::state::StateDir;

/// What every command is given.
pub(crate) struct Ctx {
    /// Where results go, and in which form.
    pub(crate) out: Out,
    /// The directory of journal, pools, plans.
    pub(crate) state: StateDir,
    /// Do not ask.
    pub(crate) yes: bool,
    /// Say what would be done, and change nothing.
    pub(crate) dry_run: bool,
    /// How much to tell: 0, 1, 2…
    pub(crate) verbose: u8,
}

pub(crate) fn main() -> ExitCode {
    let given: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&given) {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error, &given),
    };
    let out = Out::new(cli.global.output, cli.global.color);
    let Ok(result) = catch_unwind(AssertUnwindSafe(|| run(&cli, out.clone()))) else {
        let bug = CliError::new(Kind::Bug, "the program hit a bug in itself; nothing more was done")
            .remedy("report the lines above; a roll can be taken up with: lifeboat roll resume");
        return out.error(&bug);
    };
    match result {
        Ok(()) => ExitCode::from(Kind::Done.code()),
        Err(error) => out.error(&error),
    }
}

fn run(cli: &Cli, out: Out) -> Result<(), CliError> {
    let state = StateDir::locate(cli.global.state_dir.as_deref())?;
    let ctx =
        Ctx { out, state, yes: cli.global.yes, dry_run: cli.global.dry_run, verbose: cli.global.verbose };
    commands::run(&ctx, cli)
}

/// Prints help as help, and a wrong command line as an error of kind usage.
fn report_usage(error: &clap::Error, given: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that is gone has seen enough.
            drop(error.print());
            ExitCode::from(Kind::Done.code())
        }
        _ => {
            drop(error.print());
            if let Some(format) = format_of(given) {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                let what = first.strip_prefix("error: ").unwrap_or("a command is missing").to_owned();
                let out = Out::new(format, crate::output::ColourChoice::Never);
                out.error_json(&CliError::new(Kind::Usage, what).remedy("see: lifeboat --help"));
            }
            ExitCode::from(Kind::Usage.code())
        }
    }
}

/// The form that was asked for, if it is one for programs, read from arguments that could not be parsed.
fn format_of(given: &[OsString]) -> Option<Format> {
    let mut words = given.iter().filter_map(|word| word.to_str());
    let mut found = std::env::var("LIFEBOAT_OUTPUT").ok();
    while let Some(word) = words.next() {
        if word == "-o" || word == "--output" {
            found = words.next().map(str::to_owned);
        } else if let Some(value) = word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o")) {
            found = Some(value.to_owned());
        }
    }
    match found.as_deref() {
        Some("json") => Some(Format::Json),
        Some("jsonl") => Some(Format::Jsonl),
        Some(_) | None => None,
    }
}
