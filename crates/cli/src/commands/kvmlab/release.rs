//! `lifeboat kvmlab release`

use std::path::PathBuf;

use lifeboat_kvmlab::{KvmLab, LabError, ReleaseSpec};
use serde::Serialize;

use super::errors::kvmlab_error;
use super::open;
use crate::args::KvmLabName;
use crate::error::CliError;
use crate::output::{Cell, Table};
use crate::run::Ctx;

/// What was asked for.
pub(super) struct Wanted<'a> {
    /// Which release.
    pub(super) version: Option<&'a str>,
    /// The host to install it on.
    pub(super) install: Option<&'a str>,
    /// Its number, if it is to be built.
    pub(super) serial: Option<u64>,
}

/// A release of a lab.
#[derive(Serialize)]
struct Line {
    release: String,
    version: String,
    bundle: PathBuf,
}

pub(super) fn run(
    ctx: &Ctx,
    lab: &KvmLabName,
    wanted: &Wanted<'_>,
    layers: &[PathBuf],
) -> Result<(), CliError> {
    let there = open(ctx, lab)?;
    let failed = |cause| kvmlab_error(lab, cause);
    match (wanted.version, wanted.install, wanted.serial) {
        (Some(version), Some(host), _) => {
            if ctx.dry_run {
                ctx.out.say(&format!("would install release {version} on {host}"));
                return Ok(());
            }
            let bank = there.install_release(host, version).map_err(failed)?;
            ctx.out.text(&format!(
                "release {version} is in bank {bank} of {host}; its trial: lifeboat kvmlab power {host} reboot\n"
            ))
        }
        (Some(version), None, Some(serial)) => {
            let spec = ReleaseSpec { layers: layers.to_vec(), ..ReleaseSpec::good(version, serial) };
            let (made, bundle) = there.build_release(&spec).map_err(failed)?;
            ctx.out.text(&format!("release {made} built and signed: {}\n", bundle.display()))
        }
        (version, None, None) => {
            let lines = lines(&there, version).map_err(failed)?;
            ctx.out.list(
                "kvmlab-release",
                &lines,
                |line| line.version.clone(),
                || {
                    let mut table = Table::new().column("RELEASE").flexible("BUNDLE");
                    for line in &lines {
                        let bundle = line.bundle.display().to_string();
                        table.row([Cell::from(line.release.clone()), Cell::from(bundle)]);
                    }
                    ctx.out.render(&table)
                },
            )
        }
        // The parser asks for a version first.
        (None, _, _) => Err(CliError::usage("which release is missing")),
    }
}

fn lines(there: &KvmLab, version: Option<&str>) -> Result<Vec<Line>, LabError> {
    let lines = there.releases()?.into_iter().map(|(release, bundle)| Line {
        release: release.to_string(),
        version: release.version.to_string(),
        bundle,
    });
    Ok(lines.filter(|line| version.is_none_or(|version| version == line.version)).collect())
}
