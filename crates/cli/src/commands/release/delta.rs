//! `lifeboat release delta`: what hosts lack that run another release, cut out of a whole bundle.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use lifeboat_bundle::{
    Bundle, BundleError, DeltaBase, PackId, PackSource as _, TrustStore, Verified, write_bundle,
};
use lifeboat_model::ReleaseRef;
use serde::Serialize;

use super::diff::opened;
use super::{bundle_error, load_trust};
use crate::args::DeltaArgs;
use crate::error::{CliError, Kind};
use crate::files::{FileAt, replace};
use crate::run::Ctx;
use crate::size::show_size;

/// A difference that was written.
#[derive(Debug, Serialize)]
struct Made<'a> {
    file: &'a Path,
    bytes: u64,
    release: &'a ReleaseRef,
    base: &'a ReleaseRef,
}

pub(super) fn delta(ctx: &Ctx, args: &DeltaArgs) -> Result<(), CliError> {
    let trust: TrustStore = load_trust(&args.trust)?;
    let (base, whole) = (opened(&args.base, &trust)?, opened(&args.bundle, &trust)?);
    if base.release().name != whole.release().name {
        let text = format!("{} is not of the line of {}", args.base.display(), args.bundle.display());
        return Err(CliError::usage(text).remedy("give two releases of one line"));
    }
    let base = base
        .chunked()
        .ok_or(BundleError::NotChunked)
        .and_then(DeltaBase::new)
        .map_err(|cause| bundle_error(&args.base, cause))?;
    if ctx.dry_run {
        ctx.out.say(&format!("would write {}", args.out.display()));
        return Ok(());
    }
    replace(&args.out, 0o644, |file| write(file, args, &base, &whole))?;
    let bytes = args.out.metadata().map_or(0, |metadata| metadata.len());
    let made = Made { file: &args.out, bytes, release: whole.release(), base: base.release() };
    ctx.out.object("release-delta", &made, &made.release.digest.to_string(), || {
        format!(
            "{}: {}, {}, only for hosts that run {}\n",
            args.out.display(),
            made.release,
            show_size(bytes),
            made.base
        )
    })
}

fn write(
    file: &mut File,
    args: &DeltaArgs,
    base: &DeltaBase,
    whole: &Verified<Bundle<FileAt>>,
) -> Result<(), CliError> {
    let fail = |cause| bundle_error(&args.bundle, cause);
    let (Some(release), Some(parts)) = (whole.chunked(), whole.parts()) else {
        return Err(fail(BundleError::NotChunked));
    };
    let mut read = |pack: &PackId, offset: u64, buf: &mut [u8]| whole.read_at(pack, offset, buf);
    let mut out = BufWriter::new(file);
    write_bundle(parts, Some(base.release()), &base.runs(release), &mut read, &mut out).map_err(fail)?;
    out.flush().map_err(|cause| {
        CliError::new(Kind::Failed, format!("writing {}", args.out.display())).because(cause)
    })
}
