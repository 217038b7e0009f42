//! `lifeboat release push`: a bundle goes into a repository.

use lifeboat_bundle::Rules;
use lifeboat_repo::{Outcome, RepoError};

use super::remote::{load_keys, open_owner, outcome_text, repo_error, uploads};
use super::{load_trust, now, open_bundle, verify_to_end};
use crate::args::PushArgs;
use crate::error::CliError;
use crate::run::Ctx;
use crate::size::show_size;

pub(super) fn push(ctx: &Ctx, args: &PushArgs) -> Result<(), CliError> {
    let url = &args.owner.url;
    let failed = |cause| repo_error(url, cause);
    let trust = load_trust(&args.trust)?;
    let bundle = open_bundle(&args.bundle, &trust, &Rules::at(now()))?;
    let what = args.bundle.display().to_string();
    let parts = bundle.parts().ok_or_else(|| failed(RepoError::NoChunks { what: what.clone() }))?;
    if !bundle.is_full() {
        return Err(failed(RepoError::NotFull { what }));
    }
    // Whatever is uploaded has been checked: a pack's name is its digest.
    verify_to_end(&args.bundle, &bundle)?;
    let keys = load_keys(&args.owner.keys)?;
    let owner = open_owner(ctx, &args.owner, &keys)?;
    if ctx.dry_run {
        let manifest = bundle.manifest();
        ctx.out.say(&format!(
            "would upload {} {} (up to {}) to {url}",
            manifest.name,
            manifest.version.0,
            show_size(manifest.stored_len())
        ));
        return Ok(());
    }
    let pushed = owner.push(parts, &bundle, &mut uploads(ctx)).map_err(failed)?;
    let name = format!("{}@{}", pushed.release.name, pushed.release.version);
    ctx.out.object("push", &pushed, &name, || {
        let mut text = format!("{name}: {}", outcome_text(url, &pushed.outcome));
        if pushed.outcome != Outcome::Unchanged {
            text.push_str(&format!(
                "  uploaded {}, {} was there\n",
                show_size(pushed.uploaded),
                show_size(pushed.kept)
            ));
        }
        text
    })
}
