//! `lifeboat release …`

mod build;
mod delta;
mod diff;
mod packages;
mod prune;
mod pull;
mod push;
pub(crate) mod remote;
mod repo;
mod rotate;
mod show;
mod sign;
mod verify;

use std::error::Error as _;
use std::path::Path;

use lifeboat_bundle::{Bundle, BundleError, Rules, SecretKey, TrustStore, Verified, open};

pub(crate) use self::verify::verify_to_end;
use crate::args::ReleaseCmd;
use crate::error::{CliError, Kind};
use crate::files::{FileAt, read_text, write_new};
use crate::random::random;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &ReleaseCmd) -> Result<(), CliError> {
    match cmd {
        ReleaseCmd::Keygen { out } => keygen(ctx, out),
        ReleaseCmd::Build(args) => build::build(ctx, args),
        ReleaseCmd::Show { file, trust } => show::show(ctx, file, trust),
        ReleaseCmd::Verify(args) => verify::verify(ctx, args),
        ReleaseCmd::Delta(args) => delta::delta(ctx, args),
        ReleaseCmd::Diff(args) => diff::diff(ctx, args),
        ReleaseCmd::Repo(cmd) => repo::run(ctx, cmd),
    }
}

/// A new key pair.
#[derive(serde::Serialize)]
struct Made {
    key_id: String,
    secret: std::path::PathBuf,
    public: std::path::PathBuf,
}

fn keygen(ctx: &Ctx, out: &Path) -> Result<(), CliError> {
    let random = random::<32>()?;
    let comment = out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let key = SecretKey::from_random(random, &comment).map_err(|cause| {
        CliError::new(Kind::Usage, "making the key").because(cause).remedy("choose a plain file name")
    })?;
    let mut public_path = out.as_os_str().to_owned();
    public_path.push(".pub");
    let public_path = std::path::PathBuf::from(public_path);
    for path in [out, public_path.as_path()] {
        if path.symlink_metadata().is_ok() {
            return Err(CliError::new(Kind::Conflict, format!("{} is there already", path.display()))
                .remedy("choose another name; a key is never overwritten"));
        }
    }
    if ctx.dry_run {
        ctx.out.say(&format!("would write {} and {}", out.display(), public_path.display()));
        return Ok(());
    }
    write_new(out, format!("{}\n", key.to_text()).as_bytes(), 0o600)?;
    write_new(&public_path, format!("{}\n", key.public().to_text()).as_bytes(), 0o644)?;
    let made = Made { key_id: key.id().to_string(), secret: out.to_owned(), public: public_path };
    ctx.out.object("key", &made, &made.key_id, || {
        format!(
            "key {}\n  secret  {}   keep it; whoever has it can sign releases\n  public  {}   give it to those who are to trust this key\n",
            made.key_id,
            made.secret.display(),
            made.public.display()
        )
    })
}

/// The keys in all files, as one trust.
pub(crate) fn load_trust(paths: &[impl AsRef<Path>]) -> Result<TrustStore, CliError> {
    let mut keys = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let text = read_text(path, "the trusted key", 1 << 20)?;
        let store = TrustStore::parse(&text).map_err(|cause| {
            CliError::new(Kind::Failed, format!("{} is not a file of public keys", path.display()))
                .because(cause)
                .remedy("give the .pub file that `lifeboat release keygen` made")
        })?;
        keys.extend_from_slice(store.keys());
    }
    TrustStore::new(keys)
        .map_err(|cause| CliError::usage("no key is trusted").because(cause).remedy("give --trust KEY"))
}

/// What a bundle's failure means for the exit code: wrong bytes are 10, a failing disk is 1.
pub(crate) fn bundle_error(path: &Path, cause: BundleError) -> CliError {
    let kind = match &cause {
        BundleError::Read { .. }
        | BundleError::ReadIndex { .. }
        | BundleError::ReadPack { .. }
        | BundleError::Write { .. }
        | BundleError::NeedsPositions
        | BundleError::StreamBroken
        | BundleError::UnsupportedFormat { .. } => Kind::Failed,
        BundleError::NotCarried { .. } | BundleError::NotChunked => Kind::NotFound,
        BundleError::NotABundle
        | BundleError::Cut { .. }
        | BundleError::TrailingBytes { .. }
        | BundleError::HeadAltered { .. }
        | BundleError::BlockAltered { .. }
        | BundleError::BlockUndecodable { .. }
        | BundleError::SlotAltered { .. }
        | BundleError::Unsigned
        | BundleError::UnknownKey { .. }
        | BundleError::BadSignature { .. }
        | BundleError::TooFewSignatures { .. }
        | BundleError::MalformedSignatures { .. }
        | BundleError::Expired { .. }
        | BundleError::TooOld { .. }
        | BundleError::WrongLine { .. }
        | BundleError::WrongArch { .. }
        | BundleError::AbsurdLength { .. }
        | BundleError::ReservedNotZero
        | BundleError::LengthsDisagree { .. }
        | BundleError::Manifest(_)
        | BundleError::FormsDisagree
        | BundleError::Contents { .. }
        | BundleError::NotAPack { .. }
        | BundleError::IndexAltered { .. }
        | BundleError::Index { .. }
        | BundleError::ChunkAltered { .. }
        | BundleError::ChunkWrong { .. }
        | BundleError::MissingSlot { .. }
        | BundleError::SlotTooLong { .. } => Kind::Verification,
    };
    // The text of the cause says what is wrong; "what; what to do" is split into cause and remedy.
    let text = cause.to_string();
    let error = CliError::new(kind, format!("release {} is refused", path.display()));
    match text.rsplit_once("; ") {
        Some((what, remedy)) if cause.source().is_none() => error.because(what).remedy(remedy),
        Some(_) | None => error.because(cause).remedy("check the file, or fetch it again"),
    }
}

/// Unix seconds of this machine's clock.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// Opens a bundle whose signature and rules are good. Its blocks are verified as they are read.
pub(crate) fn open_bundle(
    path: &Path,
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Verified<Bundle<FileAt>>, CliError> {
    let file = FileAt::open(path, "the release")?;
    open(file, trust, rules).map_err(|cause| bundle_error(path, cause))
}
