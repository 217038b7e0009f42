//! Asking before something is lost.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::error::{CliError, Kind};
use crate::run::Ctx;

/// Asks on a terminal; with `--yes` it is agreed; without both it is refused.
pub(crate) fn ask(ctx: &Ctx, question: &str) -> Result<(), CliError> {
    if ctx.yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::usage(format!("this needs a yes: {question}"))
            .remedy("run it on a terminal, or add --yes"));
    }
    let fail = |source| CliError::new(Kind::Failed, "asking on the terminal").because(source);
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}\nGo on? [y/N] ").and_then(|()| stderr.flush()).map_err(fail)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(fail)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::new(Kind::Interrupted, "nothing was changed: you did not say yes")),
    }
}
