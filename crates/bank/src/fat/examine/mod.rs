//! The doctor: what is wrong with a volume, without writing and without believing anything on it.
//!
//! Owns: boot sector, both FATs, tree, chains, lost clusters, as a [`FatReport`]. Promises: every finding, not only
//! the first; bounded time and memory whatever the bytes are; no panic. A structure is read at most twice. Does not:
//! repair, or read the content of files.

mod chain;
mod entry;
mod judge;
mod judge_entry;
pub(super) mod names;
pub(super) mod shape;
pub(super) mod table;
pub(super) mod walk;

use lifeboat_model::io::ReadAt;

use self::names::printable;
use self::shape::{Identity, Remark, Shape, identity, is_label, parse};
use self::table::{Differences, Table, equals, state_bits, top};
use self::walk::{Tree, View};
use super::report::{FatCode, FatCopy, FatFinding, FatKind, FatReport, FatSeverity};
use crate::bytes::{le_u32, take};

/// Examines the volume of `len` bytes that begins at byte `base` of `disk`. Reads only.
///
/// What is reported is the tree by FAT 1, which is what loaders and drivers see. When the FATs differ, the tree by
/// FAT 2 is walked too, and [`FatReport::saner`] says which of them has less damage.
pub fn examine(disk: &dyn ReadAt, base: u64, len: u64) -> FatReport {
    survey(disk, base, len).report
}

/// A report with what changes of the volume need beside it.
pub(super) struct Survey {
    pub(super) report: FatReport,
    pub(super) inner: Option<Inner>,
}

/// The inside of a volume that could be read.
pub(super) struct Inner {
    pub(super) shape: Shape,
    pub(super) first: Table,
    pub(super) second: Option<Table>,
    pub(super) tree: Tree,
    /// Findings by FAT 1 and by FAT 2 that are damage; the second only when they differ.
    pub(super) damage: (usize, usize),
    /// A size in the boot sector is in doubt.
    pub(super) doubt: bool,
}

pub(super) fn survey(disk: &dyn ReadAt, base: u64, len: u64) -> Survey {
    let mut out = Survey { report: empty(), inner: None };
    let there = disk.size().saturating_sub(base);
    let mut boot = [0_u8; 512];
    if let Err(error) = disk.read_at(base, &mut boot) {
        let (code, text) = if there < 512 {
            (FatCode::ImageCut, format!("the disk or image ends before the volume at byte {base} begins"))
        } else {
            (FatCode::Io, format!("the boot sector at byte {base} of the disk cannot be read: {error}"))
        };
        out.report.findings.push(unreadable(code, text));
        return out;
    }
    let (shape, remarks) = match parse(&boot, len) {
        Ok(parsed) => parsed,
        Err((code, text)) => {
            out.report.findings.push(unreadable(code, text));
            return out;
        }
    };
    let identity = identity(&boot, shape.kind);
    out.report.kind = Some(shape.kind);
    out.report.oem.clone_from(&identity.oem);
    out.report.serial = identity.serial;
    out.report.sector_bytes = u32::try_from(shape.sector).unwrap_or(0);
    out.report.cluster_bytes = u32::try_from(shape.cluster_bytes()).unwrap_or(0);
    out.report.clusters = shape.clusters;
    out.report.reserved_sectors = u16::try_from(shape.reserved).unwrap_or(0);
    out.report.root_entries = u16::try_from(shape.root_bytes / 32).unwrap_or(0);
    let mut findings: Vec<FatFinding> = remarks.into_iter().map(boot_finding).collect();
    let mut doubt = findings.iter().any(|finding| finding.code == FatCode::BootDoubt);
    let present = there.min(len);
    if present < shape.total_bytes && there < len {
        let text = format!(
            "the disk or image has {there} bytes of the volume's {}: what lies behind is missing",
            shape.total_bytes
        );
        findings.push(finding(FatCode::ImageCut, FatSeverity::Damage, text));
    }
    if shape.kind == FatKind::Fat32 {
        fat32_sectors(disk, base, &shape, &boot, &mut findings);
    }

    let first = match Table::read(disk, base, &shape, shape.active_fat) {
        Ok(table) => table,
        Err(error) => {
            let at = base + shape.fat_offset(shape.active_fat);
            let text = format!("the FAT at byte {at} of the disk cannot be read: {error}");
            findings.push(unreadable(FatCode::Io, text));
            out.report.findings = findings;
            return out;
        }
    };
    let (second, differ) = other_copy(disk, base, &shape, &first, &mut findings);
    let bad_first = reserved_entries(&first, &shape, 1, &mut findings);
    let bad_second = second.as_ref().is_some_and(|table| reserved_entries(table, &shape, 2, &mut findings));
    // A FAT that does not begin as one, in neither copy: it is probably looked for in the wrong place.
    doubt |= bad_first && (second.is_none() || bad_second);
    flags(&identity, (!bad_first).then_some(&first), &shape, &mut findings);

    let view = |table, differ| View { disk, base, shape: &shape, table, differ, present };
    let mut tree = view(&first, &differ).walk();
    let mut damage = (tree.damage() + usize::from(bad_first), 0);
    let mut saner = FatCopy::First;
    if let Some(second) = &second {
        let other = view(second, &differ).walk();
        damage.1 = other.damage() + usize::from(bad_second);
        if damage.1 < damage.0 {
            saner = FatCopy::Second;
        }
        findings.push(copies_differ(&differ, damage, saner));
        if damage.0 == 0 && damage.1 > 0 {
            // FAT 2 alone is impossible: what FAT 1 says stands.
            tree = view(&first, &Differences::default()).walk();
        }
    }
    if doubt {
        tree.items.iter_mut().for_each(|item| item.node.whole = false);
    }
    labels(&identity, &tree, &mut findings);
    out.report.label = tree.labels.first().or(identity.label.as_ref()).map(|label| printable(label));
    out.report.free_clusters = tree.leftover.free;
    out.report.nodes = tree.items.iter().map(|item| item.node.clone()).collect();
    findings.extend(tree.findings.iter().cloned());
    out.report.findings = findings;
    out.report.saner = saner;
    out.inner = Some(Inner { shape, first, second, tree, damage, doubt });
    out
}

fn empty() -> FatReport {
    FatReport {
        kind: None,
        oem: String::new(),
        label: None,
        serial: 0,
        sector_bytes: 0,
        cluster_bytes: 0,
        clusters: 0,
        free_clusters: 0,
        reserved_sectors: 0,
        root_entries: 0,
        findings: Vec::new(),
        nodes: Vec::new(),
        saner: FatCopy::First,
    }
}

fn finding(code: FatCode, severity: FatSeverity, text: String) -> FatFinding {
    FatFinding { code, severity, path: None, text }
}

fn unreadable(code: FatCode, text: String) -> FatFinding {
    finding(code, FatSeverity::Unreadable, text)
}

fn boot_finding((code, text): Remark) -> FatFinding {
    let innocent = matches!(code, FatCode::Tail | FatCode::Copies);
    let severity = if innocent { FatSeverity::Innocent } else { FatSeverity::Damage };
    finding(code, severity, text)
}

/// The second FAT, if it differs; else none, and nothing is kept of it.
fn other_copy(
    disk: &dyn ReadAt,
    base: u64,
    shape: &Shape,
    first: &Table,
    findings: &mut Vec<FatFinding>,
) -> (Option<Table>, Differences) {
    if shape.fats < 2 || !shape.mirrored {
        return (None, Differences::default());
    }
    let read = match equals(first, disk, base, shape, 1) {
        Ok(true) => return (None, Differences::default()),
        Ok(false) => Table::read(disk, base, shape, 1),
        Err(error) => Err(error),
    };
    match read {
        Ok(second) => {
            let differ = Differences::between(first, &second);
            // Only the state bits of entry 1, or the upper bits of FAT32: as good as equal.
            let same =
                differ.count == 0 && first.raw(0) == second.raw(0) && same_but_state(first, &second, shape);
            if same { (None, differ) } else { (Some(second), differ) }
        }
        Err(error) => {
            let at = base + shape.fat_offset(1);
            let text = format!("FAT 2 at byte {at} of the disk cannot be read: {error}");
            findings.push(finding(FatCode::Io, FatSeverity::Damage, text));
            (None, Differences::default())
        }
    }
}

fn same_but_state(first: &Table, second: &Table, shape: &Shape) -> bool {
    let (clean, error) = state_bits(shape.kind).unwrap_or((0, 0));
    (first.raw(1) | clean | error) == (second.raw(1) | clean | error)
}

fn copies_differ(differ: &Differences, damage: (usize, usize), saner: FatCopy) -> FatFinding {
    let advice = match saner {
        FatCopy::Second if damage.1 == 0 => "FAT 2 contradicts nothing: by it the files can still be read",
        FatCopy::Second => "FAT 2 has less damage, but neither can be trusted: rebuild the bank",
        FatCopy::First if damage.0 == 0 && damage.1 > 0 => {
            "FAT 1, which is the one that is read, contradicts nothing: files are right, and the copy is not"
        }
        FatCopy::First => "which of them is right cannot be told: rebuild the bank",
    };
    let text = format!(
        "the two FATs differ in {} entries (the first is that of cluster {}); by FAT 1 there are {} other findings, by \
         FAT 2 {}: {advice}",
        differ.count, differ.first, damage.0, damage.1
    );
    finding(FatCode::CopiesDiffer, FatSeverity::Damage, text)
}

/// Entries 0 and 1. Gives whether the FAT does not begin as one.
fn reserved_entries(table: &Table, shape: &Shape, number: u32, findings: &mut Vec<FatFinding>) -> bool {
    let top = top(shape.kind);
    let zero = table.raw(0);
    let (clean, error) = state_bits(shape.kind).unwrap_or((0, 0));
    let one = table.raw(1) | clean | error;
    let begins = zero | 0xff == top;
    let media = zero & 0xff == u32::from(shape.media);
    if begins && media && one >= top - 7 {
        return false;
    }
    let what = if !begins {
        "this is not how a FAT begins: it was overwritten, or a size in the boot sector is wrong and it lies elsewhere"
    } else if media {
        "entry 1 has to be a mark of the end"
    } else {
        "the media byte in entry 0 is not that of the boot sector"
    };
    let text = format!("FAT {number}: entries 0 and 1 are {zero:#x} and {:#x}: {what}", table.raw(1));
    findings.push(finding(FatCode::Reserved, FatSeverity::Damage, text));
    !begins
}

/// Dirty bits and marks of disk errors; of the FAT only when it begins as one.
fn flags(identity: &Identity, first: Option<&Table>, shape: &Shape, findings: &mut Vec<FatFinding>) {
    let state = first.map_or(u32::MAX, |table| table.raw(1));
    let innocent = |code, text: String| finding(code, FatSeverity::Innocent, text);
    if identity.flags & 1 != 0 {
        let text = format!(
            "the dirty bit in the boot sector (byte {}) is set: somebody was writing when the power went. No damage \
             by itself, but ESXi's precheck fails at it; clear it when nothing else is wrong",
            shape.flags_at()
        );
        findings.push(innocent(FatCode::DirtyBoot, text));
    }
    let (clean, no_error) = state_bits(shape.kind).unwrap_or((0, 0));
    if state & clean != clean {
        let text = "entry 1 of the FAT says that the volume was not closed: no damage by itself, but ESXi's precheck \
                    fails at it; clear it when nothing else is wrong"
            .to_owned();
        findings.push(innocent(FatCode::DirtyTable, text));
    }
    if state & no_error != no_error || identity.flags & 2 != 0 {
        let text = "a driver noted that it met errors of the disk while it used this volume: look at the disk's own \
                    error counters"
            .to_owned();
        findings.push(innocent(FatCode::DiskErrorBit, text));
    }
}

fn labels(identity: &Identity, tree: &Tree, findings: &mut Vec<FatFinding>) {
    let root = tree.labels.first().filter(|label| is_label(label));
    if root == identity.label.as_ref() {
        return;
    }
    let show =
        |label: Option<&[u8; 11]>| label.map_or("none".to_owned(), |label| format!("{:?}", printable(label)));
    let text = format!(
        "the label in the root is {} and in the boot sector {}: no damage, and nothing that boots looks at it",
        show(root),
        show(identity.label.as_ref())
    );
    findings.push(finding(FatCode::LabelDiffers, FatSeverity::Innocent, text));
}

/// FSInfo and the backup boot sector of FAT32.
fn fat32_sectors(
    disk: &dyn ReadAt,
    base: u64,
    shape: &Shape,
    boot: &[u8; 512],
    findings: &mut Vec<FatFinding>,
) {
    let read = |number: u64| {
        let mut sector = [0_u8; 512];
        (number != 0 && disk.read_at(base + number * shape.sector, &mut sector).is_ok()).then_some(sector)
    };
    if let Some(info) = read(shape.info_sector) {
        let marks = le_u32(&info, 0) == Some(0x4161_5252) && le_u32(&info, 484) == Some(0x6141_7272);
        if !marks {
            let text = format!(
                "sector {} does not hold FSInfo: drivers count free clusters anew",
                shape.info_sector
            );
            findings.push(finding(FatCode::FsInfo, FatSeverity::Innocent, text));
        }
    }
    match read(shape.backup_sector) {
        None => {
            let text = "there is no backup of the boot sector".to_owned();
            findings.push(finding(FatCode::BackupBoot, FatSeverity::Innocent, text));
        }
        Some(backup) => {
            let sizes = |sector: &[u8; 512]| take::<53>(sector, 11).unwrap_or([0; 53]);
            if sizes(&backup) != sizes(boot) || backup[510..] != [0x55, 0xaa] {
                let text = format!(
                    "the backup of the boot sector in sector {} has other sizes than the boot sector: one of them is \
                     wrong",
                    shape.backup_sector
                );
                findings.push(finding(FatCode::BackupBoot, FatSeverity::Damage, text));
            }
        }
    }
}
