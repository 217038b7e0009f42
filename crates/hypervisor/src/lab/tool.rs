//! Other people's programs that build the lab.
//!
//! Owns: how they are found, run, and how their failure is told. Promises: a missing program is named with the
//! package that brings it; the end of a failing program's output is kept. Does not: run a shell.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::LabError;

/// Places where Debian keeps programs, also those that a user's PATH leaves out.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// Path of `program`, or the error that names `package`.
pub(crate) fn find(program: &str, package: &'static str) -> Result<PathBuf, LabError> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| LabError::MissingTool { program: program.to_owned(), package })
}

/// `path` if it is there, or the error that names `package`.
pub(crate) fn find_file(path: &str, package: &'static str) -> Result<PathBuf, LabError> {
    let path = PathBuf::from(path);
    if path.is_file() { Ok(path) } else { Err(LabError::MissingFile { path, package }) }
}

/// Runs `command` to its end; its standard output if it succeeds.
pub(crate) fn run(command: &mut Command, purpose: &str) -> Result<String, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |status: String, output: String| LabError::Tool {
        program: program.clone(),
        purpose: purpose.to_owned(),
        status,
        output,
    };
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error: io::Error| failed("could not be started".to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    let skip = text.chars().count().saturating_sub(600);
    Err(failed(output.status.to_string(), text.chars().skip(skip).collect::<String>().trim().to_owned()))
}
