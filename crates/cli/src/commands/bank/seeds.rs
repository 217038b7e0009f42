//! What lies here already and has much in common with a release: the active bank, other bundles.

use std::path::Path;

use lifeboat_bank::install::read_root_index;
use lifeboat_bundle::{AssemblyReport, Bundle, ChunkIndex, Chunker, ImageSeed, ReleaseSeed, Seed, Verified};
use lifeboat_device::BlockFile;
use lifeboat_model::Bank;

use super::errors::device_error;
use super::open::Disk;
use crate::error::{CliError, file_error};
use crate::files::FileAt;
use crate::size::show_size;

/// Seeds in the order in which they are asked.
pub(super) struct Seeds<'a> {
    list: Vec<Box<dyn Seed + 'a>>,
}

impl<'a> Seeds<'a> {
    pub(super) fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// The active bank, by its index or, without one, by cutting its image anew; then `given`. Without a chunker the
    /// release is of a form that has no use for seeds.
    pub(super) fn find(
        path: &Path,
        disk: &Disk,
        active: Option<Bank>,
        chunker: Option<Chunker>,
        given: &'a [Verified<Bundle<FileAt>>],
    ) -> Result<Self, CliError> {
        let mut list: Vec<Box<dyn Seed + 'a>> = Vec::new();
        let Some(chunker) = chunker else { return Ok(Self { list }) };
        let entry = active.map(|bank| (bank, disk.record().bank(bank)));
        if let Some((bank, entry)) = entry.filter(|(_, entry)| entry.root_len > 0) {
            let volume = disk.layout().volumes(bank).root;
            let (base, len) = (volume.offset(), entry.root_len.min(volume.bytes()));
            let name = entry.release.as_ref().map_or_else(String::new, |release| format!(" ({release})"));
            let name = format!("bank {bank}{name}");
            // A file of its own: the disk is written meanwhile.
            let file = BlockFile::open_read(path).map_err(device_error)?;
            let index = read_root_index(disk.disk(), disk.layout(), bank)
                .and_then(|bytes| ChunkIndex::parse(&bytes, None).ok())
                .filter(|index| index.slot_len == len && index.chunker == chunker);
            list.push(match index {
                Some(index) => Box::new(ImageSeed::new(name, file, base, &index)),
                None => Box::new(
                    ImageSeed::scan(name, file, base, len, &chunker)
                        .map_err(|source| file_error("reading the active bank of", path, source))?,
                ),
            });
        }
        for bundle in given {
            if let Some(release) = bundle.chunked() {
                let name = format!("the bundle of {}", release.release());
                list.push(Box::new(ReleaseSeed::new(name, release, bundle)));
            }
        }
        Ok(Self { list })
    }

    pub(super) fn list(&self) -> Vec<&dyn Seed> {
        self.list.iter().map(|seed| &**seed).collect()
    }
}

/// Where the bytes of a root image came from, in one line.
pub(super) fn came_from(report: &AssemblyReport) -> String {
    let plan = &report.plan;
    let mut parts = vec![format!("{} fetched", show_size(plan.download))];
    for (seed, bad) in plan.seeds.iter().zip(&report.bad) {
        let mut part = format!("{} from {}", show_size(seed.share.bytes), seed.name);
        if bad.chunks > 0 {
            part.push_str(&format!(
                " (of which {} in {} chunks were damaged there and were fetched instead)",
                show_size(bad.bytes),
                bad.chunks
            ));
        }
        parts.push(part);
    }
    for (share, words) in [
        (plan.in_place, "were there already from an install that did not end"),
        (plan.repeated, "occur more than once"),
        (plan.zeros, "are zeros"),
    ] {
        if share.bytes > 0 {
            parts.push(format!("{} {words}", show_size(share.bytes)));
        }
    }
    format!("root image of {}: {}", show_size(plan.total.bytes), parts.join(", "))
}
