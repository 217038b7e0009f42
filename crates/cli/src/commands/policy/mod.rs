//! `lifeboat policy …`
//!
//! Owns: showing and checking policies. Does not: change the policy of a roll (that is `lifeboat roll`).

mod show;

use serde::Serialize;

use crate::args::PolicyCmd;
use crate::error::CliError;
use crate::files::write_new;
use crate::policy::{EXAMPLE, Problem, problems_of};
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &PolicyCmd) -> Result<(), CliError> {
    match cmd {
        PolicyCmd::Show(args) => show::show(ctx, args),
        PolicyCmd::Check { file } => check(ctx, file),
        PolicyCmd::Example => ctx.out.text(EXAMPLE),
        PolicyCmd::Init { file } => init(ctx, file),
    }
}

#[derive(Serialize)]
struct Checked<'p> {
    file: String,
    valid: bool,
    problems: &'p [Problem],
}

fn check(ctx: &Ctx, file: &std::path::Path) -> Result<(), CliError> {
    let (problems, error) = problems_of(file)?;
    let checked = Checked { file: file.display().to_string(), valid: error.is_none(), problems: &problems };
    match error {
        None => ctx.out.object("policy-check", &checked, &checked.file, || {
            format!("{} is a policy; see its values: lifeboat policy show {}\n", checked.file, checked.file)
        }),
        // People read the mistakes on standard error.
        Some(error) if !ctx.out.format.is_json() => Err(error),
        Some(error) => {
            ctx.out.object("policy-check", &checked, &checked.file, String::new)?;
            Err(error.told())
        }
    }
}

fn init(ctx: &Ctx, file: &std::path::Path) -> Result<(), CliError> {
    if ctx.dry_run {
        ctx.out.say(&format!("would write {}", file.display()));
        return Ok(());
    }
    write_new(file, EXAMPLE.as_bytes(), 0o644)?;
    ctx.out.say(&format!(
        "wrote {}; after changing it: lifeboat policy check {}",
        file.display(),
        file.display()
    ));
    Ok(())
}
