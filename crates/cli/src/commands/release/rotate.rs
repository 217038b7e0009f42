//! `lifeboat release rotate`: other keys for a repository.

use lifeboat_bundle::PublicKey;
use lifeboat_repo::RoleKeysOf;

use super::load_trust;
use super::remote::{load_keys, open_owner, outcome_text, repo_error, uploads};
use crate::args::RotateArgs;
use crate::error::CliError;
use crate::run::Ctx;

pub(super) fn rotate(ctx: &Ctx, args: &RotateArgs) -> Result<(), CliError> {
    let url = &args.owner.url;
    let keys = load_keys(&args.owner.keys)?;
    let owner = open_owner(ctx, &args.owner, &keys)?;
    let mut roles = owner.view().roles().map_err(|cause| repo_error(url, cause))?;
    change(&mut roles.root, &args.root_keys, args.threshold)?;
    change(&mut roles.targets, &args.targets_keys, args.targets_threshold)?;
    change(&mut roles.snapshot, &args.online_keys, None)?;
    change(&mut roles.timestamp, &args.online_keys, None)?;
    if ctx.dry_run {
        let of = |role: &RoleKeysOf| {
            let ids: Vec<String> = role.keys.iter().map(|key| key.id().to_string()).collect();
            format!("{} of {}", role.threshold, ids.join(", "))
        };
        ctx.out.say(&format!(
            "would make root {}:\n  root       {}\n  targets    {}\n  snapshot   {}\n  timestamp  {}",
            owner.view().floor().root + 1,
            of(&roles.root),
            of(&roles.targets),
            of(&roles.snapshot),
            of(&roles.timestamp)
        ));
        return Ok(());
    }
    let outcome = owner.rotate(&roles, &mut uploads(ctx)).map_err(|cause| repo_error(url, cause))?;
    ctx.out.object("repository-change", &outcome, url, || outcome_text(url, &outcome))
}

fn change(
    role: &mut RoleKeysOf,
    paths: &[std::path::PathBuf],
    threshold: Option<u64>,
) -> Result<(), CliError> {
    if !paths.is_empty() {
        let keys: Vec<PublicKey> = load_trust(paths)?.keys().to_vec();
        role.keys = keys;
    }
    role.threshold = threshold.unwrap_or(role.threshold);
    Ok(())
}
