//! `lifeboat release build`: a directory becomes a signed bundle.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lifeboat_bank::verity::Verity;
use lifeboat_bundle::{
    BuildError, BundleBuilder, BundleError, DeltaBase, PackagesArchive, ReleaseDraft, Rules, SecretKey,
    TrustStore, slot,
};
use lifeboat_device::ProtectedImage;
use lifeboat_model::{ReleaseRef, Sha256Hex};

use super::packages::{self, PackageFolder};
use super::{bundle_error, load_trust, now, open_bundle};
use crate::args::BuildArgs;
use crate::error::{CliError, Kind, file_error};
use crate::files::{read_text, replace};
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;

/// Where Debian's `systemd-boot-efi` puts the stub.
const SYSTEM_STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// One part of a release: its slot, its file, its length.
struct Part {
    slot: &'static str,
    path: PathBuf,
    len: u64,
}

/// A bundle that was written.
#[derive(serde::Serialize)]
struct Built<'a> {
    file: &'a Path,
    bytes: u64,
    release: &'a ReleaseRef,
    key_id: String,
    /// The release that hosts must run to install this bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a ReleaseRef>,
}

pub(super) fn build(ctx: &Ctx, args: &BuildArgs) -> Result<(), CliError> {
    let key = load_secret(&args.key)?;
    let mut draft = ReleaseDraft {
        name: args.name.clone(),
        version: args.version.clone(),
        serial: args.serial,
        created: created(),
        expires: args.expires.as_deref().map(parse_date).transpose()?,
        arch: "x86_64".to_owned(),
        cmdline: String::new(),
    };
    let Some(dir) = &args.dir else {
        return build_packages(ctx, args, draft, &key);
    };
    let parts = find_parts(dir)?;
    draft.cmdline = cmdline(dir)?;
    let real = |path: &Path| path.canonicalize().ok();
    if let Some(part) =
        parts.iter().find(|part| real(&args.out).is_some_and(|out| real(&part.path) == Some(out)))
    {
        return Err(CliError::usage(format!("{} is the {} of this release", args.out.display(), part.slot))
            .remedy("write the bundle to another file"));
    }
    if ctx.dry_run {
        for part in &parts {
            ctx.out.say(&format!("{:<8} {:>10}  {}", part.slot, show_size(part.len), part.path.display()));
        }
        ctx.out.say(&format!("would write {}, signed by key {}", args.out.display(), key.id()));
        return Ok(());
    }
    let base = args.base.as_deref().map(|path| load_base(path, args, &key)).transpose()?;
    let release =
        replace(&args.out, 0o644, |file| write_bundle(file, args, draft, &parts, &key, base.as_ref()))?;
    tell(ctx, args, &release, &key, base.as_ref().map(DeltaBase::release))
}

/// A bundle of packages, for hosts without banks.
fn build_packages(
    ctx: &Ctx,
    args: &BuildArgs,
    mut draft: ReleaseDraft,
    key: &SecretKey,
) -> Result<(), CliError> {
    let folder = PackageFolder::read(args.packages.as_deref().unwrap_or(Path::new(".")))?;
    draft.arch.clone_from(&folder.arch);
    if ctx.dry_run {
        ctx.out.say(packages::text(ctx, &folder.index).trim_end());
        ctx.out.say(&format!("would write {}, signed by key {}", args.out.display(), key.id()));
        return Ok(());
    }
    let fail = |cause| build_error(&args.out, cause);
    let release = replace(&args.out, 0o644, |file| {
        let archive = PackagesArchive::new(folder.index.clone(), |entry| folder.open(entry));
        let archive = archive
            .map_err(|cause| CliError::new(Kind::Usage, "the packages make no release").because(cause))?;
        let mut builder =
            BundleBuilder::new(draft, scratch_file(&args.out)?).map_err(fail)?.level(args.level);
        let len = archive.total();
        let mut line = ProgressLine::bytes("compressing", len);
        let counted = Counted { file: BufReader::new(archive), done: &mut 0, line: &mut line };
        builder.add_slot(slot::PACKAGES, counted, len).map_err(fail)?;
        line.finish();
        let mut out = BufWriter::new(file);
        let release = builder.finish(&[key], &mut out).map_err(fail)?;
        out.flush().map_err(|source| file_error("writing", &args.out, source))?;
        Ok::<_, CliError>(release)
    })?;
    tell(ctx, args, &release, key, None)
}

/// Says what was written.
fn tell(
    ctx: &Ctx,
    args: &BuildArgs,
    release: &ReleaseRef,
    key: &SecretKey,
    base: Option<&ReleaseRef>,
) -> Result<(), CliError> {
    let bytes = args.out.metadata().map_or(0, |metadata| metadata.len());
    let built = Built { file: &args.out, bytes, release, key_id: key.id().to_string(), base };
    ctx.out.object("release-built", &built, &release.digest.to_string(), || {
        let only = built.base.map_or_else(String::new, |base| format!(", only for hosts that run {base}"));
        format!(
            "{}: {release} serial {}, {}{only}, signed by key {}\n",
            args.out.display(),
            release.serial,
            show_size(bytes),
            built.key_id
        )
    })
}

fn write_bundle(
    out: &mut File,
    args: &BuildArgs,
    draft: ReleaseDraft,
    parts: &[Part],
    key: &SecretKey,
    base: Option<&DeltaBase>,
) -> Result<ReleaseRef, CliError> {
    let fail = |cause| build_error(&args.out, cause);
    let mut builder = BundleBuilder::new(draft, scratch_file(&args.out)?).map_err(fail)?.level(args.level);
    let mut line = ProgressLine::bytes("compressing", parts.iter().map(|part| part.len).sum());
    let mut done = 0;
    for part in parts {
        if part.slot == slot::ROOT && !args.no_verity {
            let image = protect(args, &part.path)?;
            let (verity, len) = (image.verity(), image.total());
            let counted = Counted { file: BufReader::new(image), done: &mut done, line: &mut line };
            builder.add_slot(part.slot, counted, len).map_err(fail)?;
            let Verity { data_blocks, hash_offset, salt, root } = verity;
            let algorithm = "sha256".to_owned();
            let said = lifeboat_bundle::Verity { algorithm, data_blocks, hash_offset, salt, root };
            builder.with_verity(said).map_err(fail)?;
            continue;
        }
        let file = File::open(&part.path).map_err(|source| file_error("reading", &part.path, source))?;
        let counted = Counted { file: BufReader::new(file), done: &mut done, line: &mut line };
        builder.add_slot(part.slot, counted, part.len).map_err(fail)?;
    }
    line.finish();
    let mut out = BufWriter::new(out);
    let (release, _) = builder.finish_for(&[key], base, &mut out).map_err(fail)?;
    out.flush().map_err(|source| file_error("writing", &args.out, source))?;
    Ok(release)
}

/// The root image with its hash tree. Its salt comes from the name of the line: the same release has the same bytes, and
/// the tree of the next one differs only where its data does, so that a host fetches little of it. It is no secret.
fn protect(args: &BuildArgs, root: &Path) -> Result<ProtectedImage, CliError> {
    let words = format!("lifeboat releases of {}", args.name);
    let mut line = ProgressLine::bytes("hashing root", 0);
    let mut tell = |done: u64, total: u64| {
        line.step("hashing root".to_owned(), total);
        line.set(done);
    };
    let salt = Sha256Hex::of(words.as_bytes());
    let image = ProtectedImage::make(root, &scratch_path(&args.out, "tree"), salt, &mut tell);
    let image = image.map_err(|cause| {
        CliError::new(Kind::Failed, format!("protecting {}", root.display())).because(cause)
    })?;
    line.finish();
    Ok(image)
}

/// A reader that tells how far it is.
struct Counted<'a, R> {
    file: BufReader<R>,
    done: &'a mut u64,
    line: &'a mut ProgressLine,
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let got = self.file.read(buf)?;
        *self.done += got as u64;
        self.line.set(*self.done);
        Ok(got)
    }
}

/// A file beside the bundle that has no name: compressed chunks wait there until the manifest is complete.
fn scratch_file(out: &Path) -> Result<File, CliError> {
    let path = scratch_path(out, "blocks");
    let open = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = open.map_err(|source| file_error("making scratch space", &path, source))?;
    std::fs::remove_file(&path).map_err(|source| file_error("making scratch space", &path, source))?;
    Ok(file)
}

fn scratch_path(out: &Path, what: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(out.file_name().unwrap_or_default());
    name.push(format!(".{what}.{}", std::process::id()));
    out.with_file_name(name)
}

/// What hosts have that run the base.
fn load_base(path: &Path, args: &BuildArgs, key: &SecretKey) -> Result<DeltaBase, CliError> {
    let trust = if args.trust.is_empty() {
        TrustStore::new(vec![key.public()])
            .map_err(|cause| CliError::usage("the base cannot be trusted").because(cause))?
    } else {
        load_trust(&args.trust)?
    };
    // A base may have expired: hosts run it all the same.
    let rules = Rules { allow_expired: true, expected_name: Some(args.name.clone()), ..Rules::at(now()) };
    let base = open_bundle(path, &trust, &rules)?;
    let chunked = base.chunked().ok_or(BundleError::NotChunked);
    chunked.and_then(DeltaBase::new).map_err(|cause| bundle_error(path, cause))
}

pub(super) fn load_secret(path: &Path) -> Result<SecretKey, CliError> {
    let text = read_text(path, "the secret key", 1 << 16)?;
    SecretKey::parse(text.trim()).map_err(|cause| {
        CliError::new(Kind::Failed, format!("{} is not a secret key", path.display()))
            .because(cause)
            .remedy("make one with: lifeboat release keygen OUT")
    })
}

/// The parts in the order in which they stand in the bundle: small ones first.
fn find_parts(dir: &Path) -> Result<Vec<Part>, CliError> {
    if !dir.is_dir() {
        return Err(CliError::new(Kind::NotFound, format!("{} is not a directory", dir.display()))
            .remedy("give a directory with kernel, initrd and root"));
    }
    let mut parts = Vec::new();
    let stub = dir.join("stub");
    let system = Path::new(SYSTEM_STUB);
    if stub.exists() {
        parts.push(part(slot::STUB, stub)?);
    } else if system.exists() {
        parts.push(part(slot::STUB, system.to_owned())?);
    } else {
        return Err(CliError::new(
            Kind::NotFound,
            format!("neither {} nor {SYSTEM_STUB} is there: a release needs a UEFI stub", stub.display()),
        )
        .remedy("put the stub into the directory, or install one: apt-get install systemd-boot-efi"));
    }
    let osrel = dir.join("osrel");
    if osrel.exists() {
        parts.push(part(slot::OSREL, osrel)?);
    }
    for (slot, names) in [
        (slot::KERNEL, ["kernel", "vmlinuz"].as_slice()),
        (slot::INITRD, ["initrd", "initrd.img"].as_slice()),
        (slot::ROOT, ["root", "root.img"].as_slice()),
    ] {
        let found: Vec<PathBuf> =
            names.iter().map(|name| dir.join(name)).filter(|path| path.exists()).collect();
        match found.as_slice() {
            [one] => parts.push(part(slot, one.clone())?),
            [] => {
                return Err(CliError::new(Kind::NotFound, format!("{} has no {slot}", dir.display()))
                    .remedy(format!("put the {slot} there as {}", names.join(" or "))));
            }
            several => {
                let several: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                return Err(CliError::new(
                    Kind::NotFound,
                    format!("which is the {slot}: {}?", several.join(", ")),
                )
                .remedy("leave one of them there"));
            }
        }
    }
    Ok(parts)
}

fn part(slot: &'static str, path: PathBuf) -> Result<Part, CliError> {
    let metadata = path.metadata().map_err(|source| file_error("reading", &path, source))?;
    if !metadata.is_file() {
        return Err(CliError::new(Kind::Failed, format!("{} is not a plain file", path.display()))
            .remedy(format!("put the {slot} there as a file")));
    }
    if metadata.len() == 0 {
        return Err(CliError::new(Kind::Failed, format!("{} is empty", path.display()))
            .remedy(format!("put the {slot} there")));
    }
    Ok(Part { slot, path, len: metadata.len() })
}

/// Further kernel options, lines joined.
fn cmdline(dir: &Path) -> Result<String, CliError> {
    let path = dir.join("cmdline");
    if !path.exists() {
        return Ok(String::new());
    }
    let text = read_text(&path, "the kernel options", 1 << 16)?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Now, or `SOURCE_DATE_EPOCH` (reproducible-builds.org) for a bundle that is the same every time.
fn created() -> u64 {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    epoch.unwrap_or_else(now)
}

/// Unix seconds of a date (its end, UTC) or of a time.
fn parse_date(text: &str) -> Result<u64, CliError> {
    let wrong = || {
        CliError::usage(format!("--expires {text:?} is not a date"))
            .remedy("examples: 2027-06-30 or 2027-06-30T12:00:00Z")
    };
    let seconds = if let Ok(time) = text.parse::<jiff::Timestamp>() {
        time.as_second()
    } else {
        let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        let end = date.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        end.timestamp().as_second()
    };
    u64::try_from(seconds).map_err(|_| wrong())
}

fn build_error(out: &Path, cause: BuildError) -> CliError {
    let kind = match &cause {
        BuildError::Manifest(_) => Kind::Usage,
        BuildError::Form(_)
        | BuildError::SlotCut { .. }
        | BuildError::SlotLonger { .. }
        | BuildError::Incomplete { .. }
        | BuildError::NoKey
        | BuildError::KeyTwice { .. }
        | BuildError::ReadSlot { .. }
        | BuildError::Compress { .. }
        | BuildError::Scratch(_)
        | BuildError::Output(_) => Kind::Failed,
    };
    let error = CliError::new(kind, format!("building {}", out.display())).because(cause);
    if kind == Kind::Usage { error.remedy("see: lifeboat release build --help") } else { error }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_date_means_its_end() {
        assert_eq!(parse_date("1970-01-01").unwrap(), 86399);
        assert_eq!(parse_date("1970-01-01T00:01:00Z").unwrap(), 60);
        for wrong in ["", "tomorrow", "1969-01-01", "2027-13-01"] {
            assert_eq!(parse_date(wrong).unwrap_err().kind(), Kind::Usage, "{wrong:?}");
        }
    }
}
