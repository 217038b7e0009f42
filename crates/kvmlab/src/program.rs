//! The program that carries a lab, and how it is found.
//!
//! Owns: the two hidden words `fabric` and `host`, and the search. Promises: a lab goes on with the very program that
//! it was made with, also when that is built anew. Does not: parse the command line of people.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{LabError, LabFolder, fabric, host};

/// A program that calls [`carry`] with the words after `args`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierProgram {
    /// The file.
    pub path: PathBuf,
    /// Words before ours.
    pub args: Vec<String>,
}

/// Environment variable that names the program, for tests in other crates.
const VARIABLE: &str = "LIFEBOAT_KVMLAB";

impl CarrierProgram {
    /// The crate's own program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new() }
    }

    /// For tests and benchmarks of other crates: `LIFEBOAT_KVMLAB`, or what cargo builds beside the running program.
    pub fn find() -> Result<Self, LabError> {
        if let Some(path) = std::env::var_os(VARIABLE) {
            return Ok(Self::at(path));
        }
        let failed = |why: String| LabError::NoProgram { why };
        let exe = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let folder = exe.parent().filter(|folder| folder.ends_with("deps")).and_then(Path::parent);
        let folder = folder.or_else(|| exe.parent()).unwrap_or(Path::new("/"));
        let path = folder.join("lifeboat-kvmlab");
        // cargo tells tests where it is. What is fresh is not built again.
        if let (Some(cargo), Some(target)) = (std::env::var_os("CARGO"), folder.parent()) {
            let mut command = Command::new(cargo);
            command.args(["build", "--quiet", "--package", "lifeboat-kvmlab", "--bin", "lifeboat-kvmlab"]);
            command.arg("--target-dir").arg(target);
            if folder.ends_with("release") {
                command.arg("--release");
            }
            crate::tool::run(&mut command, "build the program that carries the lab")?;
        }
        if path.is_file() {
            return Ok(Self::at(path));
        }
        Err(failed(format!(
            "{} is not there; build it: cargo build -p lifeboat-kvmlab, or name it in {VARIABLE}",
            path.display()
        )))
    }

    /// Keeps the program in the folder of a lab.
    pub(crate) fn keep(&self, folder: &LabFolder) -> Result<(), LabError> {
        let to = folder.program();
        if fs::hard_link(&self.path, &to).is_err() {
            fs::copy(&self.path, &to).map_err(LabError::file("copy", &self.path))?;
        }
        Ok(())
    }
}

/// What the program does when a lab calls it: `fabric FOLDER` or `host FOLDER NAME`. Returns only when it cannot go on.
pub fn carry(words: &[OsString]) -> ExitCode {
    let result = match words {
        [verb, folder] if verb == "fabric" => fabric::run(Path::new(folder)),
        [verb, folder, name] if verb == "host" => host::boot(Path::new(folder), &name.to_string_lossy()),
        _ => {
            eprintln!(
                "usage: lifeboat-kvmlab fabric FOLDER | host FOLDER NAME (a lab calls this; people do not)"
            );
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("lifeboat-kvmlab: {}", lifeboat_model::chain(&error));
    }
    ExitCode::FAILURE
}
