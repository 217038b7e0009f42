//! `lifeboat release pull`: a release comes out of a repository.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use lifeboat_bundle::{Manifest, PackId, PackSource, ReleaseParts, Rules, full_runs, write_bundle};
use lifeboat_repo::{Cache, Fetched, ReleaseEntry, RepoError};

use super::remote::{open_view, repo_error, split_release};
use super::{bundle_error, load_trust, now, open_bundle};
use crate::args::PullArgs;
use crate::error::{CliError, Kind, file_error};
use crate::files::replace;
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;

/// A release that is here.
#[derive(serde::Serialize)]
struct Pulled<'a> {
    #[serde(flatten)]
    release: &'a ReleaseEntry,
    #[serde(flatten)]
    bytes: Fetched,
    file: Option<&'a Path>,
    cache: Option<&'a Path>,
}

pub(super) fn pull(ctx: &Ctx, args: &PullArgs) -> Result<(), CliError> {
    let url = &args.place.url;
    let failed = |cause: RepoError| repo_error(url, cause);
    let view = open_view(ctx, url, &args.place.repo)?;
    let (name, version) = split_release(&args.release);
    let entry = view.find(name, version).map_err(failed)?;
    // Beside the file, so that a cut fetch is taken up by the same command.
    let own_cache = args.out.as_ref().map(|out| beside(out)).unwrap_or_default();
    let dir = args.cache.clone().unwrap_or_else(|| own_cache.clone());
    let opened = view.open(entry, dir.clone()).map_err(failed)?;
    let release = &opened.entry;
    let what = format!("{}@{}", release.name, release.version);
    if args.trust.is_empty() {
        ctx.out.say("note: no maker is trusted (--trust): only the repository vouches for this release");
    } else {
        let trust = load_trust(&args.trust)?;
        opened.release(&trust, &Rules::at(now())).map_err(failed)?;
    }
    if ctx.dry_run {
        ctx.out.say(&format!("would fetch {what} from {}", view.place()));
        return Ok(());
    }
    let mut seeds = Vec::new();
    for path in &args.seeds {
        // Its expiry does not matter: only its chunks are taken, and each is checked.
        let rules = Rules { allow_expired: true, ..Rules::at(now()) };
        seeds.push(open_bundle(path, &load_trust(&args.trust)?, &rules)?);
    }
    let seeds: Vec<(&ReleaseParts, &dyn PackSource)> =
        seeds.iter().filter_map(|seed| Some((seed.parts()?, seed as &dyn PackSource))).collect();
    let cache = Cache::new(dir);
    let mut line = ProgressLine::bytes(format!("fetching {what}"), 0);
    let label = format!("fetching {what}");
    let bytes = cache
        .fetch(&opened, &seeds, &mut |step| {
            line.step(label.as_str(), step.total);
            line.set(step.done);
        })
        .map_err(failed)?;
    line.finish();
    if opened.source.without_ranges() {
        ctx.out.say(&format!(
            "note: {} gives only whole files; with range requests a host would fetch only what it lacks",
            view.place()
        ));
    }
    if let Some(out) = &args.out {
        write_out(out, &opened.parts, &cache)?;
        if args.cache.is_none() {
            fs::remove_dir_all(&own_cache).map_err(|source| file_error("removing", &own_cache, source))?;
        }
    }
    let pulled = Pulled { release, bytes, file: args.out.as_deref(), cache: args.cache.as_deref() };
    ctx.out.object("pull", &pulled, &what, || {
        let to = args.out.as_ref().or(args.cache.as_ref()).map(|path| path.display().to_string());
        format!(
            "{what}: {}\n  fetched {}, copied {}, here before {}\n",
            to.unwrap_or_default(),
            show_size(bytes.fetched),
            show_size(bytes.copied),
            show_size(bytes.kept)
        )
    })
}

fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// The bundle that the maker built, byte for byte.
fn write_out(out: &Path, parts: &ReleaseParts, cache: &Cache) -> Result<(), CliError> {
    let manifest = Manifest::parse(&parts.manifest).map_err(|cause| bundle_error(out, cause.into()))?;
    replace(out, 0o644, |file| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let mut read = |pack: &PackId, at: u64, buf: &mut [u8]| cache.read_at(pack, at, buf);
        write_bundle(parts, None, &full_runs(&manifest), &mut read, &mut writer)
            .map_err(|cause| bundle_error(out, cause))?;
        writer.flush().map_err(|source| {
            CliError::new(Kind::Failed, format!("writing {}", out.display())).because(source)
        })
    })
}
