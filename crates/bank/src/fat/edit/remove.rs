//! Removal of files, directory trees, and entries that no driver can delete.
//!
//! Owns: the order of writes. Promises: first the entry goes, then its clusters; a cut in between leaves lost
//! clusters, a cut between the tables a FAT 2 that is behind, a cut inside an entry that spans two sectors a part of
//! a long name without an owner: nothing that another file would suffer from. Does not: touch content, or free a
//! cluster that anything else owns too.

use std::collections::BTreeSet;

use lifeboat_model::io::ReadAt;

use super::sectors::Sectors;
use super::{Edit, FatEditError, open};
use crate::bytes::le_u32;
use crate::fat::examine::Inner;
use crate::fat::examine::table::Table;
use crate::fat::report::{FatCode, FatKind, FatReport, FatSeverity};

/// Mark of a deleted entry.
const DELETED: u8 = 0xe5;

/// Removes what has these [`paths`](crate::fat::FatNode::path): files, whole directory trees, ghosts. A ghost's entry
/// goes; clusters that it does not own alone stay as they are.
pub fn remove(disk: &dyn ReadAt, base: u64, len: u64, paths: &[String]) -> Result<Vec<Edit>, FatEditError> {
    let (report, inner) = open(disk, base, len)?;
    refuse_damage(&report, &inner)?;
    let tops = tops(&inner, paths)?;
    let all = with_descendants(&inner, &tops);
    refuse_shared(&inner, &all)?;

    let shape = &inner.shape;
    let mut sectors = Sectors::new(disk, base, shape.sector);
    for &index in &tops {
        for offset in entry_offsets(&inner, index)? {
            sectors.write(offset, &[DELETED])?;
        }
    }
    sectors.barrier();

    let clusters: Vec<u32> = all
        .iter()
        .filter_map(|&index| inner.tree.items.get(index))
        .flat_map(|item| item.runs.iter().flat_map(|&(first, count)| first..first + count))
        .collect();
    let mirrors = if shape.mirrored { 0..shape.fats } else { shape.active_fat..shape.active_fat + 1 };
    for copy in mirrors {
        let table = match (copy, &inner.second) {
            (1, Some(second)) => second,
            _ => &inner.first,
        };
        free(&mut sectors, shape.fat_offset(copy), shape.sector, table, &clusters)?;
        sectors.barrier();
    }
    if shape.kind == FatKind::Fat32 && shape.info_sector != 0 {
        count_free(&mut sectors, shape.info_sector * shape.sector, clusters.len())?;
    }
    Ok(sectors.finish())
}

fn refuse_damage(report: &FatReport, inner: &Inner) -> Result<(), FatEditError> {
    let fatal = |code: FatCode| {
        matches!(
            code,
            FatCode::BootDoubt | FatCode::TooLarge | FatCode::ImageCut | FatCode::Limit | FatCode::Io
        )
    };
    let unsafe_ = |reason: String| Err(FatEditError::Unsafe { reason });
    if let Some(finding) = report
        .findings
        .iter()
        .find(|finding| finding.severity != FatSeverity::Innocent && fatal(finding.code))
    {
        return unsafe_(finding.text.clone());
    }
    if inner.doubt {
        return unsafe_("neither FAT begins as one, so it may lie elsewhere".to_owned());
    }
    if inner.second.is_some() && inner.damage.0 > 0 {
        return unsafe_(format!(
            "the two FATs differ, with {} findings by FAT 1 and {} by FAT 2: which clusters are free cannot be told",
            inner.damage.0, inner.damage.1
        ));
    }
    Ok(())
}

/// The items asked for.
fn tops(inner: &Inner, paths: &[String]) -> Result<BTreeSet<usize>, FatEditError> {
    if paths.is_empty() {
        return Err(FatEditError::Nothing { reason: "no path was given".to_owned() });
    }
    let items = &inner.tree.items;
    let find = |path: &String| {
        let wanted = path.trim_start_matches('/');
        let exact = items.iter().position(|item| item.node.path == wanted);
        exact
            .or_else(|| items.iter().position(|item| item.node.path.eq_ignore_ascii_case(wanted)))
            .ok_or_else(|| FatEditError::NotFound { path: path.clone() })
    };
    paths.iter().map(find).collect()
}

/// The items and everything below them.
fn with_descendants(inner: &Inner, tops: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut all = tops.clone();
    // A directory stands before what it holds.
    for (index, item) in inner.tree.items.iter().enumerate() {
        if item.parent.is_some_and(|parent| all.contains(&parent)) {
            all.insert(index);
        }
    }
    all
}

fn refuse_shared(inner: &Inner, all: &BTreeSet<usize>) -> Result<(), FatEditError> {
    let name = |index: Option<usize>| {
        index
            .and_then(|index| inner.tree.items.get(index))
            .map_or("the root directory", |item| item.node.path.as_str())
    };
    for &(one, other) in &inner.tree.crossings {
        let inside = |index: Option<usize>| index.is_some_and(|index| all.contains(&index));
        if inside(one) != inside(other) {
            return Err(FatEditError::Unsafe {
                reason: format!(
                    "{} and {} own the same cluster, and only one of them is to go",
                    name(one),
                    name(other)
                ),
            });
        }
    }
    Ok(())
}

/// Where the entry of an item and the parts of its long name lie, from the start of the volume.
fn entry_offsets(inner: &Inner, index: usize) -> Result<Vec<u64>, FatEditError> {
    let shape = &inner.shape;
    let none =
        || FatEditError::Unsafe { reason: "the directory of an entry is shared with a file".to_owned() };
    let item = inner.tree.items.get(index).ok_or_else(none)?;
    let runs = match item.parent {
        Some(parent) => Some(&inner.tree.items.get(parent).ok_or_else(none)?.runs),
        None if shape.kind == FatKind::Fat32 => Some(&inner.tree.root_runs),
        None => None,
    };
    let mut out = Vec::new();
    for number in item.index - item.parts.min(item.index)..=item.index {
        let at = number as u64 * 32;
        let Some(runs) = runs else {
            out.push(shape.root_offset + at);
            continue;
        };
        let (mut nth, inside) = (at / shape.cluster_bytes(), at % shape.cluster_bytes());
        let mut found = None;
        for &(first, count) in runs {
            if nth < u64::from(count) {
                found = u32::try_from(nth).ok().and_then(|nth| shape.cluster_offset(first + nth));
                break;
            }
            nth -= u64::from(count);
        }
        out.push(found.ok_or_else(none)? + inside);
    }
    Ok(out)
}

/// Frees clusters in the FAT at `offset`, touching only sectors that change.
fn free(
    sectors: &mut Sectors<'_>,
    offset: u64,
    sector: u64,
    table: &Table,
    clusters: &[u32],
) -> Result<(), FatEditError> {
    let mut changed = table.clone();
    for &cluster in clusters {
        changed.free(cluster);
    }
    let step = usize::try_from(sector).unwrap_or(512);
    let parts = table.bytes.chunks(step).zip(changed.bytes.chunks(step));
    for (number, (_, new)) in parts.enumerate().filter(|(_, (old, new))| old != new) {
        sectors.write(offset + number as u64 * sector, new)?;
    }
    Ok(())
}

/// The count of free clusters of FSInfo, when there is one.
fn count_free(sectors: &mut Sectors<'_>, offset: u64, more: usize) -> Result<(), FatEditError> {
    let mut sector = [0_u8; 512];
    sectors.read(offset, &mut sector)?;
    let known = le_u32(&sector, 488).filter(|&count| count != u32::MAX);
    if le_u32(&sector, 484) == Some(0x6141_7272)
        && let Some(count) = known
    {
        let count = count.saturating_add(u32::try_from(more).unwrap_or(0));
        sectors.write(offset + 488, &count.to_le_bytes())?;
    }
    Ok(())
}
