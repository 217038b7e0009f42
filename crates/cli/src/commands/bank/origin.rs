//! Where the release of an install comes from: a bundle on this machine, or a repository.

use std::path::Path;

use lifeboat_bundle::{
    Assembly, Bundle, BundleError, ChunkedRelease, FetchPlan, Manifest, Rules, Seed, TrustStore, Verified,
    slot,
};
use lifeboat_model::ReleaseRef;
use lifeboat_repo::RepoSource;

use super::root::Root;
use crate::args::InstallArgs;
use crate::commands::release::remote::{open_view_at, repo_error, split_release};
use crate::commands::release::{bundle_error, open_bundle, verify_to_end};
use crate::error::CliError;
use crate::files::FileAt;
use crate::run::Ctx;

/// A release behind its signatures and rules.
pub(super) enum Origin {
    /// A bundle.
    File(Box<Verified<Bundle<FileAt>>>),
    /// A repository: only what is not here is fetched.
    Repository {
        /// The release.
        release: Box<ChunkedRelease>,
        /// Its packs.
        source: Box<RepoSource>,
    },
}

impl Origin {
    /// Opens what the arguments name. A bundle of format 1 is verified whole; chunks are verified as they come.
    pub(super) fn open(
        ctx: &Ctx,
        args: &InstallArgs,
        trust: &TrustStore,
        rules: &Rules,
    ) -> Result<Self, CliError> {
        let Some(repo) = &args.from else {
            let bundle = open_bundle(&args.bundle, trust, rules)?;
            let origin = Self::File(Box::new(bundle));
            if let (Self::File(bundle), None) = (&origin, origin.chunked()) {
                verify_to_end(&args.bundle, bundle)?;
            }
            return Ok(origin);
        };
        let name = args.bundle.to_string_lossy();
        let (name, version) = split_release(&name);
        let failed = |cause| repo_error(repo, cause);
        let root = args.repo.root.as_deref().unwrap_or(Path::new("root.json"));
        let view = open_view_at(ctx, repo, root, args.repo.net.ca.as_deref())?;
        let entry = view.find(name, version).map_err(failed)?;
        let scratch = ctx.state.root().join("repositories").join("packs");
        let opened = view.open(entry, scratch).map_err(failed)?;
        let release = opened.release(trust, rules).map_err(failed)?;
        Ok(Self::Repository { release: Box::new(release), source: Box::new(opened.source) })
    }

    pub(super) fn manifest(&self) -> &Manifest {
        match self {
            Self::File(bundle) => bundle.manifest(),
            Self::Repository { release, .. } => release.manifest(),
        }
    }

    pub(super) fn release(&self) -> &ReleaseRef {
        match self {
            Self::File(bundle) => bundle.release(),
            Self::Repository { release, .. } => release.release(),
        }
    }

    /// The release as chunks; none for a bundle of format 1.
    pub(super) fn chunked(&self) -> Option<&ChunkedRelease> {
        match self {
            Self::File(bundle) => bundle.chunked(),
            Self::Repository { release, .. } => Some(release),
        }
    }

    /// A part that goes into memory.
    pub(super) fn slot_bytes(&self, path: &Path, name: &str, limit: u64) -> Result<Vec<u8>, CliError> {
        let fail = |cause| bundle_error(path, cause);
        match self {
            Self::File(bundle) => bundle.slot_bytes(name, limit).map_err(fail),
            Self::Repository { release, source } => {
                release.slot_bytes(name, limit, &**source, &[]).map_err(fail)
            }
        }
    }

    /// The root image, with what `seeds` have of it. From a repository, what will be fetched is announced, so that it
    /// is under way while the disk is written.
    pub(super) fn root<'a>(&'a self, seeds: Vec<&'a dyn Seed>) -> Result<Root<'a>, BundleError> {
        match self {
            Self::File(bundle) => Root::of(bundle, seeds),
            Self::Repository { release, source } => {
                let plan = FetchPlan::new(release.index(slot::ROOT)?, &seeds);
                source.expect_plan(release.manifest(), &plan);
                Ok(Root::Pieces(Box::new(Assembly::new(release, slot::ROOT, &**source, seeds)?)))
            }
        }
    }

    /// Bytes that are looked at before the first write: those of a bundle. What a repository gives is checked piece by
    /// piece as it comes; looking at it before would fetch it twice.
    pub(super) fn checked_first(&self) -> Option<u64> {
        match self {
            Self::File(bundle) => Some(bundle.carried_len().unwrap_or(0)),
            Self::Repository { .. } => None,
        }
    }
}
