//! `lifeboat release init-repo|list|refresh`, and the way to the other verbs of repositories.

use lifeboat_bundle::SecretKey;
use lifeboat_repo::{Owner, ReleaseEntry, RoleKeysOf, Roles};

use super::remote::{load_keys, open_owner, open_place, open_view, outcome_text, repo_error, uploads};
use super::show::show_time;
use super::{now, prune, pull, push, rotate, sign};
use crate::args::{InitRepoArgs, OwnerArgs, PlaceArgs, RepoCmd};
use crate::error::{CliError, Kind};
use crate::files::write_new;
use crate::output::Table;
use crate::run::Ctx;

pub(super) fn run(ctx: &Ctx, cmd: &RepoCmd) -> Result<(), CliError> {
    match cmd {
        RepoCmd::InitRepo(args) => init(ctx, args),
        RepoCmd::Push(args) => push::push(ctx, args),
        RepoCmd::List(args) => list(ctx, args),
        RepoCmd::Pull(args) => pull::pull(ctx, args),
        RepoCmd::Prune(args) => prune::prune(ctx, args),
        RepoCmd::Sign(args) => sign::sign(ctx, args),
        RepoCmd::Rotate(args) => rotate::rotate(ctx, args),
        RepoCmd::Refresh(args) => refresh(ctx, args),
    }
}

#[derive(serde::Serialize)]
struct Made<'a> {
    url: &'a str,
    root: &'a std::path::Path,
    digest: lifeboat_model::Sha256Hex,
}

fn init(ctx: &Ctx, args: &InitRepoArgs) -> Result<(), CliError> {
    let root_keys = load_keys(&args.root_keys)?;
    let targets_keys = load_keys(&args.targets_keys)?;
    let online_keys = load_keys(&args.online_keys)?;
    let of = |keys: &[SecretKey], threshold: u64| RoleKeysOf {
        keys: keys.iter().map(SecretKey::public).collect(),
        threshold,
    };
    let targets = if targets_keys.is_empty() { &root_keys } else { &targets_keys };
    let online = if online_keys.is_empty() { targets } else { &online_keys };
    let roles = Roles {
        root: of(&root_keys, args.threshold),
        targets: of(targets, args.targets_threshold),
        snapshot: of(online, 1),
        timestamp: of(online, 1),
    };
    if args.out.symlink_metadata().is_ok() {
        return Err(CliError::new(Kind::Conflict, format!("{} is there already", args.out.display()))
            .remedy("choose another name; a root is never overwritten"));
    }
    let place = open_place(&args.url, args.net.ca.as_deref())?;
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would make a repository in {} and write {}",
            place.place(),
            args.out.display()
        ));
        return Ok(());
    }
    let keys: Vec<SecretKey> = root_keys.into_iter().chain(targets_keys).chain(online_keys).collect();
    let owner = Owner::init(&place, &roles, &keys, now(), &mut uploads(ctx))
        .map_err(|cause| repo_error(&args.url, cause))?;
    let root = owner.view().root_file().map_err(|cause| repo_error(&args.url, cause))?;
    write_new(&args.out, &root, 0o644)?;
    let digest = lifeboat_model::Sha256Hex::of(&root);
    let made = Made { url: &args.url, root: &args.out, digest };
    ctx.out.object("repository", &made, &place.place(), || {
        format!(
            "repository {}\n  root    {}   give it, on a trusted way, to all who are to read it\n  next    lifeboat release push BUNDLE {} --root {} --trust MAKER.pub --key KEY\n",
            place.place(),
            args.out.display(),
            args.url,
            args.out.display()
        )
    })
}

fn list(ctx: &Ctx, args: &PlaceArgs) -> Result<(), CliError> {
    let view = open_view(ctx, &args.url, &args.repo)?;
    let releases = view.releases();
    let name = |entry: &ReleaseEntry| format!("{}@{}", entry.name, entry.version);
    ctx.out.list("repository-release", &releases, name, || {
        let mut table = Table::new()
            .column("NAME")
            .column("VERSION")
            .number("SERIAL")
            .column("PUBLISHED")
            .column("DIGEST");
        for entry in &releases {
            table.row([
                entry.name.clone(),
                entry.version.clone(),
                entry.serial.to_string(),
                show_time(entry.published),
                entry.digest.short(),
            ]);
        }
        let mut text =
            if releases.is_empty() { "no release yet\n".to_owned() } else { ctx.out.render(&table) };
        let (role, expires) = view.expiries().into_iter().min_by_key(|(_, at)| *at).unwrap_or(("root", 0));
        let expires = show_time(u64::try_from(expires).unwrap_or(0));
        text.push_str(&format!(
            "\nthe {role} is good until {expires}; renewed by `lifeboat release refresh`\n"
        ));
        text
    })
}

fn refresh(ctx: &Ctx, args: &OwnerArgs) -> Result<(), CliError> {
    let keys = load_keys(&args.keys)?;
    let owner = open_owner(ctx, args, &keys)?;
    if ctx.dry_run {
        ctx.out.say(&format!("would renew {}", args.url));
        return Ok(());
    }
    let outcome = owner.refresh(&mut uploads(ctx)).map_err(|cause| repo_error(&args.url, cause))?;
    ctx.out.object("repository-change", &outcome, &args.url, || outcome_text(&args.url, &outcome))
}
