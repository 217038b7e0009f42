//! `lifeboat release sign`: one more signature.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use lifeboat_bundle::{
    PackId, PackSource, ReleaseParts, Rules, SecretKey, add_signatures, full_runs, write_bundle,
};
use lifeboat_repo::{Owner, RepoError};

use super::remote::{load_keys, open_place, outcome_text, repo_error, trusted, uploads};
use super::{bundle_error, load_trust, now, open_bundle};
use crate::args::SignArgs;
use crate::commands::ask::ask;
use crate::error::{CliError, Kind};
use crate::files::replace;
use crate::run::Ctx;

pub(super) fn sign(ctx: &Ctx, args: &SignArgs) -> Result<(), CliError> {
    let keys = load_keys(&args.keys)?;
    let path = Path::new(&args.what);
    if path.is_file() { sign_bundle(ctx, path, args, &keys) } else { sign_repository(ctx, args, &keys) }
}

#[derive(serde::Serialize)]
struct Signed<'a> {
    file: &'a Path,
    keys: Vec<String>,
}

fn sign_bundle(ctx: &Ctx, path: &Path, args: &SignArgs, keys: &[SecretKey]) -> Result<(), CliError> {
    if args.trust.is_empty() {
        return Err(CliError::usage("signing a bundle needs a maker who has signed it already")
            .remedy("give --trust MAKER.pub, so that you sign what that maker made"));
    }
    let failed = |cause| bundle_error(path, cause);
    let bundle = open_bundle(path, &load_trust(&args.trust)?, &Rules::at(now()))?;
    let Some(parts) = bundle.parts().filter(|_| bundle.is_full()) else {
        return Err(CliError::new(
            Kind::Failed,
            format!("{} is not a full bundle of format 2", path.display()),
        )
        .remedy("sign the full bundle before deltas are made of it"));
    };
    super::verify_to_end(path, &bundle)?;
    let all: Vec<&SecretKey> = keys.iter().collect();
    let signatures = add_signatures(&parts.manifest, &parts.signatures, &all).map_err(failed)?;
    let signed = ReleaseParts { signatures, ..parts.clone() };
    let ids: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
    if ctx.dry_run {
        ctx.out.say(&format!("would add the signature of {} to {}", ids.join(", "), path.display()));
        return Ok(());
    }
    replace(path, 0o644, |file| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let mut read = |pack: &PackId, at: u64, buf: &mut [u8]| PackSource::read_at(&bundle, pack, at, buf);
        write_bundle(&signed, None, &full_runs(bundle.manifest()), &mut read, &mut writer).map_err(failed)?;
        writer.flush().map_err(|source| {
            CliError::new(Kind::Failed, format!("writing {}", path.display())).because(source)
        })
    })?;
    let told = Signed { file: path, keys: ids };
    ctx.out.object("signed", &told, &path.display().to_string(), || {
        format!("{}: signed by {}\n", path.display(), told.keys.join(", "))
    })
}

fn sign_repository(ctx: &Ctx, args: &SignArgs, keys: &[SecretKey]) -> Result<(), CliError> {
    let url = &args.what;
    let failed = |cause: RepoError| repo_error(url, cause);
    let Some(root) = &args.root else {
        return Err(CliError::usage("signing in a repository needs its trusted root")
            .remedy("give --root FILE, or set LIFEBOAT_ROOT"));
    };
    let place = open_place(url, args.net.ca.as_deref())?;
    let trusted = trusted(ctx, &*place, root)?;
    let owner = Owner::open(&place, &trusted, keys, now()).map_err(failed)?;
    let new_root = owner.staged_root().map_err(failed)?;
    let staged = owner.staged().map_err(failed)?;
    let mut what = String::new();
    if let Some(new_root) = &new_root {
        what.push_str(&format!(
            "root {} with {} keys instead of root {}\n",
            new_root.signed.version,
            new_root.signed.keys.len(),
            owner.view().floor().root
        ));
    }
    if let Some(change) = &staged {
        for (word, entries) in [("add", &change.added), ("remove", &change.removed)] {
            for entry in entries {
                what.push_str(&format!(
                    "{word} {}@{} (serial {}, digest {})\n",
                    entry.name, entry.version, entry.serial, entry.digest
                ));
            }
        }
    }
    if new_root.is_none() && staged.is_none() {
        return Err(failed(RepoError::NothingStaged { place: place.place() }));
    }
    if ctx.dry_run {
        ctx.out.say(&format!("would sign:\n{what}"));
        return Ok(());
    }
    ask(ctx, &format!("This is signed:\n{what}"))?;
    let mut step = uploads(ctx);
    let outcome = if new_root.is_some() {
        owner.sign_staged_root(&mut step).map_err(failed)?
    } else {
        owner.sign_staged(&mut step).map_err(failed)?
    };
    ctx.out.object("repository-change", &outcome, url, || outcome_text(url, &outcome))
}
