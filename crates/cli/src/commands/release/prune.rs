//! `lifeboat release prune`: old releases leave a repository.

use lifeboat_repo::{Outcome, prune_preview};

use super::remote::{load_keys, open_owner, outcome_text, repo_error, uploads};
use crate::args::PruneArgs;
use crate::commands::ask::ask;
use crate::error::CliError;
use crate::run::Ctx;

pub(super) fn prune(ctx: &Ctx, args: &PruneArgs) -> Result<(), CliError> {
    let url = &args.owner.url;
    let keys = load_keys(&args.owner.keys)?;
    let owner = open_owner(ctx, &args.owner, &keys)?;
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let old = prune_preview(owner.view(), keep);
    let names: Vec<String> = old.iter().map(|entry| format!("{}@{}", entry.name, entry.version)).collect();
    if ctx.dry_run {
        let what = if names.is_empty() { "no release".to_owned() } else { names.join(", ") };
        ctx.out.say(&format!("would remove {what} from {url}"));
        return Ok(());
    }
    if !names.is_empty() {
        ask(ctx, &format!("{} will be removed from {url}", names.join(", ")))?;
    }
    let grace = u64::from(args.grace) * 3600;
    let pruned = owner.prune(keep, grace, &mut uploads(ctx)).map_err(|cause| repo_error(url, cause))?;
    ctx.out.object("prune", &pruned, url, || {
        let mut text = match &pruned.outcome {
            Outcome::Unchanged => "no release is too old\n".to_owned(),
            outcome @ (Outcome::Published { .. } | Outcome::Staged { .. }) => {
                format!("removed {}: {}", names.join(", "), outcome_text(url, outcome))
            }
        };
        text.push_str(&format!("  {} files deleted", pruned.deleted));
        if pruned.waiting > 0 {
            text.push_str(&format!(
                ", {} wait {} h for readers; run it again then",
                pruned.waiting, args.grace
            ));
        }
        text.push('\n');
        text
    })
}
