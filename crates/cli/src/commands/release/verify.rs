//! `lifeboat release verify`

use std::path::Path;

use lifeboat_bundle::{Bundle, Rules, Verified, verify_all};

use super::{bundle_error, load_trust, now, open_bundle, packages};
use crate::args::VerifyArgs;
use crate::error::CliError;
use crate::files::FileAt;
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;

/// Reads a bundle to its end and checks all of it.
pub(crate) fn verify_to_end(path: &Path, bundle: &Verified<Bundle<FileAt>>) -> Result<(), CliError> {
    let mut line = ProgressLine::bytes("verifying", bundle.manifest().decoded_len());
    verify_all(bundle, |progress| line.set(progress.done)).map_err(|cause| bundle_error(path, cause))
}

pub(super) fn verify(ctx: &Ctx, args: &VerifyArgs) -> Result<(), CliError> {
    let trust = load_trust(&args.trust)?;
    let rules = Rules { min_serial: Some(args.min_serial), ..Rules::at(now()) };
    let bundle = open_bundle(&args.file, &trust, &rules)?;
    verify_to_end(&args.file, &bundle)?;
    let mut info = bundle.describe();
    info.packages = packages::verify(&args.file, &bundle)?;
    ctx.out.object("release", &info, &info.release.digest.to_string(), || {
        let size = show_size(bundle.manifest().decoded_len());
        let count = info.packages.as_ref().map(|index| format!(", {} packages", index.packages.len()));
        format!(
            "{}: {} serial {}: signature good, {size} verified{}\n",
            args.file.display(),
            info.release,
            info.release.serial,
            count.unwrap_or_default()
        )
    })
}
