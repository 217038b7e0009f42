//! Repositories from the command line: addresses, credentials, keys, errors.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_bundle::SecretKey;
use lifeboat_model::Sha256Hex;
use lifeboat_repo::{
    Credentials, Location, NetSettings, Outcome, Owner, RepoError, Step, Transport, TransportError,
    TrustedRoot, View, connect, load,
};

use super::build::load_secret;
use super::now;
use crate::args::{OwnerArgs, RepoArgs};
use crate::error::{CliError, Kind};
use crate::files::{read_bytes, read_text};
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;
use crate::state::StateDir;

/// The place of an address, with the credentials of the environment.
pub(crate) fn open_place(url: &str, ca: Option<&Path>) -> Result<Arc<dyn Transport>, CliError> {
    let location = Location::parse(url).map_err(|cause| CliError::usage(cause.to_string()))?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut settings = NetSettings { ca: ca.map(Path::to_owned), ..NetSettings::default() };
    if let (Some(user), Some(password)) = (variable("LIFEBOAT_REPO_USER"), variable("LIFEBOAT_REPO_PASSWORD"))
    {
        settings.login = Some((user, password));
    }
    if let Location::S3(place) = &location {
        settings.s3 = s3_credentials(place.profile.as_deref(), &variable)?;
    }
    connect(&location, &settings).map_err(|cause| repo_error(url, cause.into()))
}

/// From the environment, or from the shared credentials file, as other S3 clients find them.
fn s3_credentials(
    profile: Option<&str>,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, CliError> {
    if profile.is_none()
        && let (Some(access_key), Some(secret_key)) =
            (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        return Ok(Some(Credentials { access_key, secret_key, token: variable("AWS_SESSION_TOKEN") }));
    }
    let named = profile.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
    let path = variable("AWS_SHARED_CREDENTIALS_FILE")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials")));
    let Some(path) = path.filter(|path| path.exists()) else {
        return match named {
            Some(name) => {
                Err(CliError::new(Kind::Auth, format!("there is no credentials file for profile {name}"))
                    .remedy("write ~/.aws/credentials, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
            }
            None => Ok(None),
        };
    };
    let text = read_text(&path, "the credentials", 1 << 20)?;
    let found = Credentials::from_profile(&text, named.as_deref().unwrap_or("default"));
    match (found, named) {
        (None, Some(name)) => {
            Err(CliError::new(Kind::Auth, format!("{} has no profile {name} with both keys", path.display()))
                .remedy("write its section, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
        }
        (found, _) => Ok(found),
    }
}

/// The trusted root, and where it is remembered what was seen of this repository.
pub(crate) fn trusted(ctx: &Ctx, place: &dyn Transport, root: &Path) -> Result<TrustedRoot, CliError> {
    let bytes = read_bytes(root, "the trusted root", 1 << 20)?;
    let name = Sha256Hex::of(place.place().as_bytes()).short();
    let dir = ctx.state.root().join("repositories").join(name);
    StateDir::make_dir(&dir)?;
    Ok(TrustedRoot::new(bytes, Some(dir)))
}

/// A repository as a reader sees it.
pub(crate) fn open_view(ctx: &Ctx, url: &str, args: &RepoArgs) -> Result<View, CliError> {
    open_view_at(ctx, url, &args.root, args.net.ca.as_deref())
}

/// The same, of an address, a trusted root and perhaps an authority.
pub(crate) fn open_view_at(ctx: &Ctx, url: &str, root: &Path, ca: Option<&Path>) -> Result<View, CliError> {
    let place = open_place(url, ca)?;
    let trusted = trusted(ctx, &*place, root)?;
    load(&place, &trusted).map_err(|cause| repo_error(url, cause))
}

/// A repository as its owner sees it.
pub(super) fn open_owner<'a>(
    ctx: &Ctx,
    args: &OwnerArgs,
    keys: &'a [SecretKey],
) -> Result<Owner<'a>, CliError> {
    let place = open_place(&args.url, args.repo.net.ca.as_deref())?;
    let trusted = trusted(ctx, &*place, &args.repo.root)?;
    let owner = Owner::open(&place, &trusted, keys, now()).map_err(|cause| repo_error(&args.url, cause))?;
    Ok(owner.timestamp_days(args.timestamp_days))
}

pub(super) fn load_keys(paths: &[PathBuf]) -> Result<Vec<SecretKey>, CliError> {
    paths.iter().map(|path| load_secret(path)).collect()
}

/// A release by `NAME` or `NAME@VERSION`.
pub(crate) fn split_release(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

/// Shows uploads on one line.
pub(super) fn uploads(ctx: &Ctx) -> impl FnMut(Step<'_>) {
    let mut line = ProgressLine::bytes("uploading", 0);
    let verbose = ctx.verbose > 0;
    move |step| match step {
        Step::Put { key, len } => {
            if verbose {
                eprintln_line(&format!("put {key} ({})", show_size(len)));
            } else {
                line.step(format!("uploading {key}"), len);
                line.set(0);
            }
        }
        Step::Kept { key, len } if verbose => eprintln_line(&format!("there {key} ({})", show_size(len))),
        Step::Deleted { key } if verbose => eprintln_line(&format!("removed {key}")),
        Step::Kept { .. } | Step::Deleted { .. } => line.finish(),
    }
}

fn eprintln_line(text: &str) {
    use std::io::Write as _;
    // Nobody is there to be told that standard error is closed.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// What a change came to, for people.
pub(super) fn outcome_text(url: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Published { .. } => format!("published in {url}\n"),
        Outcome::Unchanged => format!("{url} has it already\n"),
        Outcome::Staged { role, have, need } => format!(
            "NOT published yet: the {role} has {have} of {need} signatures\n  next    lifeboat release sign {url} --root root.json --key KEY   by the owner of another key\n"
        ),
    }
}

/// Failures of repositories as those of the command line.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err, which gives the error away")]
pub(crate) fn repo_error(url: &str, cause: RepoError) -> CliError {
    let kind = match &cause {
        RepoError::Transport(error) => transport_kind(error),
        RepoError::Expired { .. }
        | RepoError::RolledBack { .. }
        | RepoError::NotSigned { .. }
        | RepoError::Altered { .. }
        | RepoError::Release { .. }
        | RepoError::Damaged { .. }
        | RepoError::OtherRepository { .. } => Kind::Verification,
        RepoError::Metadata { source, .. } => metadata_kind(&**source),
        RepoError::NoRelease { .. } | RepoError::NothingStaged { .. } => Kind::NotFound,
        RepoError::Conflict { .. }
        | RepoError::Raced { .. }
        | RepoError::Locked { .. }
        | RepoError::Exists { .. } => Kind::Conflict,
        RepoError::MoreSignatures { .. } | RepoError::StrangeKey { .. } => Kind::Auth,
        RepoError::Roles { .. } => Kind::Usage,
        RepoError::ClockWentBack { .. }
        | RepoError::NoRoot(_)
        | RepoError::Local { .. }
        | RepoError::NoChunks { .. }
        | RepoError::NotFull { .. }
        | RepoError::Key(_)
        | RepoError::Write(_) => Kind::Failed,
    };
    // What the reader of metadata says around a failed connection tells a person nothing.
    let inner =
        if let RepoError::Metadata { source, .. } = &cause { inner_transport(&**source) } else { None };
    let told: &(dyn StdError + 'static) = match inner {
        Some(transport) => transport,
        None => &cause,
    };
    let text = told.to_string();
    // "what; what to do" is split into cause and remedy.
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see: docs/ops/repositories.md"));
    let mut because = what.to_owned();
    let mut next = told.source();
    while let Some(cause) = next {
        because.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    CliError::new(kind, format!("repository {}", shown(url))).because(because).remedy(remedy)
}

/// An address without its password.
fn shown(url: &str) -> String {
    Location::parse(url).map_or_else(|_| "?".to_owned(), |location| location.to_string())
}

fn transport_kind(error: &TransportError) -> Kind {
    match error {
        TransportError::NotFound { .. } => Kind::NotFound,
        TransportError::Denied { .. } => Kind::Auth,
        TransportError::Network { .. } | TransportError::Status { .. } => Kind::Unreachable,
        TransportError::TooLong { .. } => Kind::Verification,
        TransportError::NoRanges { .. }
        | TransportError::BadAnswer { .. }
        | TransportError::ReadOnly { .. }
        | TransportError::TooLongToPut { .. }
        | TransportError::Local { .. }
        | TransportError::Setup { .. } => Kind::Failed,
    }
}

fn metadata_kind(error: &(dyn StdError + 'static)) -> Kind {
    inner_transport(error).map_or(Kind::Verification, transport_kind)
}

/// The failed transport among the causes.
fn inner_transport<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TransportError> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(transport) = cause.downcast_ref::<TransportError>() {
            return Some(transport);
        }
        next = cause.source();
    }
    None
}
