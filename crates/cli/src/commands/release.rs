//! `lifeboat release …`

use std::error::Error as _;
use std::path::Path;

use lifeboat_bundle::{
    Bundle, BundleError, Rules, SecretKey, TrustStore, Verified, inspect, open, verify_all,
};

use super::release_build;
use crate::args::{ReleaseCmd, VerifyArgs};
use crate::error::{CliError, Kind};
use crate::files::{FileAt, read_text, write_new};
use crate::output::{Cell, Paint, ProgressLine, Table};
use crate::run::Ctx;
use crate::size::show_size;

pub(crate) fn run(ctx: &Ctx, cmd: &ReleaseCmd) -> Result<(), CliError> {
    match cmd {
        ReleaseCmd::Keygen { out } => keygen(ctx, out),
        ReleaseCmd::Build(args) => release_build::build(ctx, args),
        ReleaseCmd::Show { file, trust } => show(ctx, file, trust),
        ReleaseCmd::Verify(args) => verify(ctx, args),
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
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|cause| {
        CliError::new(Kind::Failed, "asking the kernel for random bytes").because(cause.to_string())
    })?;
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
        BundleError::Read { .. } | BundleError::StreamBroken | BundleError::UnsupportedFormat { .. } => {
            Kind::Failed
        }
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

/// A time for people: RFC 3339, UTC.
fn show_time(unix: u64) -> String {
    let seconds = i64::try_from(unix).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{unix} s after 1970"), |time| time.to_string())
}

fn show(ctx: &Ctx, path: &Path, trust: &[std::path::PathBuf]) -> Result<(), CliError> {
    let store = if trust.is_empty() { None } else { Some(load_trust(trust)?) };
    let file = FileAt::open(path, "the release")?.into_reader();
    let info = inspect(file, store.as_ref()).map_err(|cause| bundle_error(path, cause))?;
    ctx.out.object("release", &info, &info.release.digest.to_string(), || {
        let release = &info.release;
        let expires = info.expires.map_or_else(|| "never".to_owned(), show_time);
        let mut text = format!(
            "release   {} {}  serial {}\ndigest    {}\narch      {}\ncreated   {}\nexpires   {expires}\noptions   {}\n\n",
            release.name,
            release.version,
            release.serial,
            release.digest,
            info.arch,
            show_time(info.created),
            if info.cmdline.is_empty() { "-" } else { &info.cmdline },
        );
        let mut slots = Table::new().column("SLOT").number("SIZE").number("STORED").column("SHA-256");
        for slot in &info.slots {
            let (size, stored) = (show_size(slot.totals.len), show_size(slot.totals.stored_len));
            slots.row([slot.name.clone(), size, stored, slot.sha256.short()]);
        }
        text.push_str(&ctx.out.render(&slots));
        text.push('\n');
        let mut signatures = Table::new().column("SIGNED BY").column("SIGNATURE").flexible("COMMENT");
        for signature in &info.signatures {
            let state = match signature.state {
                lifeboat_bundle::SignatureState::Good => Cell::painted("good, trusted key", Paint::Good),
                lifeboat_bundle::SignatureState::UnknownKey => {
                    Cell::painted(if store.is_some() { "key not trusted" } else { "not checked (no --trust)" }, Paint::Warn)
                }
                lifeboat_bundle::SignatureState::Bad => Cell::painted("WRONG: altered after signing", Paint::Bad),
            };
            let comment = signature.comment.clone().unwrap_or_else(|| "-".to_owned());
            signatures.row([Cell::from(signature.key_id.to_string()), state, Cell::from(comment)]);
        }
        text.push_str(&ctx.out.render(&signatures));
        if info.signatures.is_empty() {
            text.push_str("nobody signed it: it will be refused\n");
        }
        text
    })
}

/// Reads a bundle to its end and checks all of it.
pub(crate) fn verify_to_end(path: &Path, bundle: &Verified<Bundle<FileAt>>) -> Result<(), CliError> {
    let mut line = ProgressLine::bytes("verifying", bundle.manifest().decoded_len());
    verify_all(bundle, |progress| line.set(progress.done)).map_err(|cause| bundle_error(path, cause))
}

fn verify(ctx: &Ctx, args: &VerifyArgs) -> Result<(), CliError> {
    let trust = load_trust(&args.trust)?;
    let rules = Rules { min_serial: Some(args.min_serial), ..Rules::at(now()) };
    let bundle = open_bundle(&args.file, &trust, &rules)?;
    verify_to_end(&args.file, &bundle)?;
    let info = bundle.describe();
    ctx.out.object("release", &info, &info.release.digest.to_string(), || {
        let size = show_size(bundle.manifest().decoded_len());
        format!(
            "{}: {} serial {}: signature good, {size} verified\n",
            args.file.display(),
            info.release,
            info.release.serial
        )
    })
}
