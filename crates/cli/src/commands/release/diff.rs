//! `lifeboat release diff`: what changed, and what a host would fetch.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use lifeboat_bundle::{
    Bundle, BundleError, ChunkHash, ChunkedRelease, FetchPlan, PlanSummary, Rules, Seed, TrustStore,
    Verified, slot,
};
use lifeboat_model::ReleaseRef;
use serde::Serialize;

use super::packages::{self, PackageDiff};
use super::{bundle_error, load_trust, now, open_bundle};
use crate::args::DiffArgs;
use crate::error::CliError;
use crate::files::FileAt;
use crate::output::Table;
use crate::run::Ctx;
use crate::size::show_size;

/// Two releases compared.
#[derive(Debug, Serialize)]
struct Diff {
    from: ReleaseRef,
    to: ReleaseRef,
    slots: Vec<SlotDiff>,
    /// Bytes of all indexes of the second release, which are fetched in any case.
    index_bytes: u64,
    /// Bytes that a host fetches that has nothing, indexes included.
    whole: u64,
    /// The same of a host that runs the first release.
    from_bank: u64,
    /// The same with the first bundle at hand.
    from_bundle: u64,
    /// Packages that are not the same; only of package releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<Vec<PackageDiff>>,
}

/// A slot compared.
#[derive(Debug, Serialize)]
struct SlotDiff {
    slot: String,
    change: Change,
    len: u64,
    /// For a host that runs the first release.
    from_bank: PlanSummary,
    /// With the first bundle at hand.
    from_bundle: PlanSummary,
    /// For a host that has nothing.
    whole: PlanSummary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Same,
    Changed,
    Added,
    Removed,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// Chunks that a host would have, for counting only.
struct Claims {
    name: String,
    chunks: HashMap<ChunkHash, u32>,
}

impl Claims {
    fn of(release: &ChunkedRelease, takes: impl Fn(&str) -> bool) -> Self {
        let slots = release.slots().filter(|(slot, _)| takes(&slot.name));
        let chunks = slots.flat_map(|(_, index)| index.chunks.iter().map(|chunk| (chunk.hash, chunk.len)));
        Self { name: release.release().to_string(), chunks: chunks.collect() }
    }
}

impl Seed for Claims {
    fn name(&self) -> &str {
        &self.name
    }

    fn holds(&self, hash: &ChunkHash, len: u32) -> bool {
        self.chunks.get(hash) == Some(&len)
    }

    fn read(&self, _: &ChunkHash, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) fn diff(ctx: &Ctx, args: &DiffArgs) -> Result<(), CliError> {
    let trust = load_trust(&args.trust)?;
    let (from, to) = (opened(&args.from, &trust)?, opened(&args.to, &trust)?);
    let mut diff = compare(chunked(&args.from, &from)?, chunked(&args.to, &to)?);
    if let Some(after) = packages::index_of(&args.to, &to)? {
        let before = packages::index_of(&args.from, &from)?;
        diff.packages = Some(packages::compare(before.as_ref(), &after));
    }
    ctx.out.object("release-diff", &diff, &diff.from_bank.to_string(), || text(ctx, &diff))
}

/// Opens a bundle that need not be installed: it may have expired.
pub(super) fn opened(path: &Path, trust: &TrustStore) -> Result<Verified<Bundle<FileAt>>, CliError> {
    open_bundle(path, trust, &Rules { allow_expired: true, ..Rules::at(now()) })
}

fn chunked<'a>(path: &Path, bundle: &'a Verified<Bundle<FileAt>>) -> Result<&'a ChunkedRelease, CliError> {
    bundle.chunked().ok_or_else(|| bundle_error(path, BundleError::NotChunked))
}

fn compare(from: &ChunkedRelease, to: &ChunkedRelease) -> Diff {
    let bank = Claims::of(from, |name| name == slot::ROOT);
    let bundle = Claims::of(from, |_| true);
    let mut slots = Vec::new();
    for (there, index) in to.slots() {
        let before = from.manifest().slot(&there.name);
        let change = match before {
            None => Change::Added,
            Some(before) if before.sha256 == there.sha256 && before.len == there.len => Change::Same,
            Some(_) => Change::Changed,
        };
        let plan = |seeds: &[&dyn Seed]| FetchPlan::new(index, seeds).summary(index, seeds);
        slots.push(SlotDiff {
            slot: there.name.clone(),
            change,
            len: there.len,
            from_bank: plan(&[&bank]),
            from_bundle: plan(&[&bundle]),
            whole: plan(&[]),
        });
    }
    for gone in from.manifest().slots.iter().filter(|gone| to.manifest().slot(&gone.name).is_none()) {
        let nothing = PlanSummary::default;
        slots.push(SlotDiff {
            slot: gone.name.clone(),
            change: Change::Removed,
            len: 0,
            from_bank: nothing(),
            from_bundle: nothing(),
            whole: nothing(),
        });
    }
    let index_bytes = to.manifest().index_len();
    let sum = |part: fn(&SlotDiff) -> u64| index_bytes + slots.iter().map(part).sum::<u64>();
    Diff {
        from: from.release().clone(),
        to: to.release().clone(),
        index_bytes,
        whole: sum(|slot| slot.whole.download),
        from_bank: sum(|slot| slot.from_bank.download),
        from_bundle: sum(|slot| slot.from_bundle.download),
        slots,
        packages: None,
    }
}

fn text(ctx: &Ctx, diff: &Diff) -> String {
    let mut text = format!("from  {}\nto    {}\n\n", diff.from, diff.to);
    let mut table = Table::new()
        .column("SLOT")
        .column("CHANGE")
        .number("SIZE")
        .number("CHUNKS")
        .number("NEW")
        .number("FETCH")
        .number("WITH BUNDLE")
        .number("WHOLE");
    for slot in &diff.slots {
        table.row([
            slot.slot.clone(),
            slot.change.word().to_owned(),
            show_size(slot.len),
            slot.whole.total.chunks.to_string(),
            slot.from_bundle.fetched.chunks.to_string(),
            show_size(slot.from_bank.download),
            show_size(slot.from_bundle.download),
            show_size(slot.whole.download),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    text.push_str(&format!(
        "\na host that runs the first one fetches {}, with its bundle at hand {}; one that has nothing {} (indexes of {} \
         in each)\n",
        show_size(diff.from_bank),
        show_size(diff.from_bundle),
        show_size(diff.whole),
        show_size(diff.index_bytes)
    ));
    if let Some(packages) = &diff.packages {
        text.push_str(&packages::diff_text(ctx, packages));
    }
    text
}
