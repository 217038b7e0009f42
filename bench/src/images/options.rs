//! What may be said to `bench images`.
//!
//! Owns: reading the command line. Promises: what has no meaning is refused. Does not: look at the files.

use std::path::PathBuf;

use crate::{Failure, USAGE};

/// The command line.
#[derive(Debug)]
pub(super) struct ImagesOptions {
    /// Images and what the peers make of them are kept here, 5 GB.
    pub(super) inputs: PathBuf,
    pub(super) rounds: usize,
    /// Folder for the targets instead of memory.
    pub(super) disk: Option<PathBuf>,
    /// Only ways whose name contains this.
    pub(super) only: Option<String>,
    /// Folder where page and chart are written.
    pub(super) write: Option<PathBuf>,
}

impl ImagesOptions {
    pub(super) fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            inputs: std::env::temp_dir().join("lifeboat-bench-images"),
            rounds: 3,
            disk: None,
            only: None,
            write: None,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            match name.as_str() {
                "--inputs" => options.inputs = value.into(),
                "--rounds" => {
                    options.rounds =
                        value.parse().map_err(|_| format!("--rounds: {value} is not a number"))?;
                }
                "--disk" => options.disk = Some(value.into()),
                "--only" => options.only = Some(value.clone()),
                "--write" => options.write = Some(value.into()),
                _ => return Err(format!("{name} {value} has no meaning here\n{USAGE}").into()),
            }
        }
        options.inputs = std::path::absolute(&options.inputs)?;
        Ok(options)
    }
}
