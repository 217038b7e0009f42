//! Finding the banks of a disk: table, places, marks, `boot.cfg`.

use std::io;

use lifeboat_model::io::ReadAt;

use super::bootcfg::{BootCfg, MAX_CFG};
use super::disk::{EsxBank, EsxDisk, EsxError, EsxLayout, EsxPartition, EsxRole, EsxTable, uuid_text};
use super::finding::{EsxFinding, EsxSeverity};
use super::mbr::{Mbr, read_mbr};
use super::view::{View, identity};
use crate::bytes::le_u64;
use crate::gpt::{GptRead, read_table};
use crate::guid::Guid;

/// Most banks that are told; the loader looks at three.
const MOST: usize = 8;
const SECTOR: u64 = 512;

const BASIC_DATA: Guid =
    Guid([0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7]);
const ESP: Guid =
    Guid([0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
const DIAGNOSTIC: Guid =
    Guid([0x80, 0x53, 0x27, 0x9d, 0xad, 0x40, 0xdb, 0x11, 0xbf, 0x97, 0x00, 0x0c, 0x29, 0x11, 0xd1, 0xb8]);
const OS_DATA: Guid =
    Guid([0x39, 0xea, 0xb2, 0x4e, 0x55, 0x78, 0x90, 0x47, 0xa7, 0x9e, 0xfa, 0xe4, 0x95, 0xe2, 0x1f, 0x8d]);
const DATASTORE: Guid =
    Guid([0x2a, 0xe0, 0x31, 0xaa, 0x0f, 0x40, 0xdb, 0x11, 0x95, 0x90, 0x00, 0x0c, 0x29, 0x11, 0xd1, 0xb8]);

/// Types of a PC's table on which the loader looks for a bank.
const MBR_KINDS: [u8; 7] = [0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e, 0xef];
/// Numbers under which every release puts its banks.
const PLACES: [u32; 2] = [5, 6];

/// Finds the banks of a disk, stick or image. Reads only, a few sectors and each `boot.cfg`.
///
/// Beside the banks that the loader sees, the places of banks that lost their mark are given: the partitions 5 and 6
/// of a disk on which the other one is a bank, or which are named BOOTBANK1 and BOOTBANK2.
pub fn find_banks(disk: &dyn ReadAt) -> Result<EsxDisk, EsxError> {
    if let Some(bare) = bare_bank(disk) {
        return Ok(bare);
    }
    let (gpt, mut findings) = read_gpt(disk);
    let (table, partitions) = match gpt {
        Ok(read) => of_gpt(&read, &mut findings),
        Err(gpt) => match read_mbr(disk) {
            Ok(mbr) => of_mbr(&mbr),
            Err(mbr) => {
                let bare = View::open(disk, 0, disk.size()).err().unwrap_or_default();
                return Err(EsxError::NotADisk { gpt, mbr, bare });
            }
        },
    };
    let mut out = EsxDisk {
        bytes: disk.size(),
        table,
        layout: EsxLayout::Unknown,
        partitions,
        banks: Vec::new(),
        findings,
    };
    let marked = |part: &EsxPartition| may_be_bank(part) && identity(disk, part.offset).is_some();
    let any_marked = out.partitions.iter().any(marked);
    let is_bank = |part: &EsxPartition| {
        let place = PLACES.contains(&part.number) && (any_marked || part.name.starts_with("BOOTBANK"));
        may_be_bank(part) && (place || identity(disk, part.offset).is_some())
    };
    for part in &mut out.partitions {
        if is_bank(part) {
            part.role = EsxRole::Bank;
            if out.banks.len() < MOST {
                let letter = char::from(b'A' + u8::try_from(out.banks.len()).unwrap_or(0));
                out.banks.push(read_bank(disk, letter, part));
            }
        }
    }
    if out.banks.is_empty() {
        return Err(EsxError::NoBank { partitions: out.partitions.len() });
    }
    out.layout = layout_of(&out);
    of_places(&mut out);
    Ok(out)
}

/// Whether the loader would look into the partition.
fn may_be_bank(part: &EsxPartition) -> bool {
    part.kind == BASIC_DATA.to_string()
        || part.kind == ESP.to_string()
        || MBR_KINDS.iter().any(|kind| part.kind == mbr_kind(*kind))
}

fn mbr_kind(kind: u8) -> String {
    format!("{kind:02x}")
}

/// An image that begins with a bank's volume instead of a table.
fn bare_bank(disk: &dyn ReadAt) -> Option<EsxDisk> {
    let view = View::open(disk, 0, disk.size());
    let marked = identity(disk, 0).is_some();
    let has_table = {
        let mut sector = [0_u8; 512];
        disk.read_at(SECTOR, &mut sector).is_ok() && sector.starts_with(b"EFI PART")
    };
    if has_table || !(marked || view.is_ok()) {
        return None;
    }
    let bytes = disk.size();
    let part = EsxPartition {
        number: 0,
        kind: String::new(),
        name: String::new(),
        offset: 0,
        bytes,
        role: EsxRole::Bank,
    };
    let text = "the image is the volume of a single bank, without a disk around it; nothing is known of the other bank";
    let next = "which bank boots next depends on the other bank, too";
    Some(EsxDisk {
        bytes,
        table: EsxTable::Bare,
        layout: EsxLayout::SingleBank,
        banks: vec![read_bank(disk, 'A', &part)],
        partitions: vec![part],
        findings: vec![EsxFinding::new("esx-single-bank", EsxSeverity::Note, text, next)],
    })
}

/// A disk that answers for its full size although its end is missing.
struct Stretched<'a> {
    disk: &'a dyn ReadAt,
    bytes: u64,
}

impl ReadAt for Stretched<'_> {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(offset, buf)
    }
}

/// Reads the GUID table; of an image whose end is missing, the copy at the front.
fn read_gpt(disk: &dyn ReadAt) -> (Result<GptRead, String>, Vec<EsxFinding>) {
    let mut header = [0_u8; 512];
    let signed = disk.read_at(SECTOR, &mut header).is_ok() && header.starts_with(b"EFI PART");
    let last = le_u64(&header, 32).filter(|_| signed).unwrap_or(0);
    let said = last.saturating_add(1).saturating_mul(SECTOR);
    let mut findings = Vec::new();
    let read = if said > disk.size() && said < 1 << 60 {
        let stretched = Stretched { disk, bytes: said };
        let read = read_table(&stretched);
        if read.as_ref().is_ok_and(|read| read.primary_ok) {
            let text = format!(
                "the partition table is made for a disk of {said} bytes, and this one has {}: its end is missing, with \
                 the backup of the table",
                disk.size()
            );
            let next = "of an image: what lies behind the cut is lost, copy it again; of a disk: the table's backup \
                        cannot be used";
            findings.push(EsxFinding::new("esx-disk-cut", EsxSeverity::Error, text, next));
        }
        read
    } else {
        read_table(disk)
    };
    let large = disk.read_at(4096, &mut header).is_ok() && header.starts_with(b"EFI PART");
    let read = read.map_err(|error| {
        if large {
            "its table is one of sectors of 4096 bytes, and only 512 are supported".to_owned()
        } else {
            error.to_string()
        }
    });
    (read, findings)
}

fn of_gpt(read: &GptRead, findings: &mut Vec<EsxFinding>) -> (EsxTable, Vec<EsxPartition>) {
    for finding in &read.findings {
        let cut = findings.iter().any(|finding| finding.code == "esx-disk-cut");
        if cut && finding.code == "gpt-backup-bad" {
            continue;
        }
        let (severity, next) = if finding.code == "gpt-primary-bad" {
            let next = "the loader uses the primary copy only: the host does not boot from this disk until it is \
                        restored";
            (EsxSeverity::Error, next)
        } else {
            (
                EsxSeverity::Warning,
                "nothing while the primary copy is good; the spare copy is missing when it is not",
            )
        };
        findings.push(EsxFinding::new(finding.code, severity, finding.text.clone(), next));
    }
    let table =
        EsxTable::Gpt { disk: read.table.disk_guid, primary_ok: read.primary_ok, backup_ok: read.backup_ok };
    let role = |guid: Guid| match guid {
        ESP => EsxRole::BootLoader,
        BASIC_DATA => EsxRole::Fat,
        DIAGNOSTIC => EsxRole::Diagnostic,
        OS_DATA => EsxRole::OsData,
        DATASTORE => EsxRole::Datastore,
        _ => EsxRole::Other,
    };
    let partitions = read.table.entries.iter().map(|entry| EsxPartition {
        number: entry.number,
        kind: entry.type_guid.to_string(),
        name: entry.name.clone(),
        offset: entry.first_lba * SECTOR,
        bytes: entry.sectors() * SECTOR,
        role: role(entry.type_guid),
    });
    (table, partitions.collect())
}

fn of_mbr(mbr: &Mbr) -> (EsxTable, Vec<EsxPartition>) {
    let role = |kind: u8| match kind {
        0xef => EsxRole::BootLoader,
        0xfc => EsxRole::Diagnostic,
        0xfb => EsxRole::Datastore,
        kind if MBR_KINDS.contains(&kind) => EsxRole::Fat,
        _ => EsxRole::Other,
    };
    let partitions = mbr.partitions.iter().map(|part| EsxPartition {
        number: part.number,
        kind: mbr_kind(part.kind),
        name: String::new(),
        offset: part.offset,
        bytes: part.bytes,
        role: role(part.kind),
    });
    (EsxTable::Mbr { signature: mbr.signature }, partitions.collect())
}

fn read_bank(disk: &dyn ReadAt, letter: char, part: &EsxPartition) -> EsxBank {
    let mut bank = EsxBank {
        letter,
        partition: part.number,
        name: part.name.clone(),
        offset: part.offset,
        bytes: part.bytes,
        uuid: identity(disk, part.offset),
        cfg: None,
        cfg_at: None,
        cfg_error: None,
        volume: None,
    };
    let read = View::open(disk, part.offset, part.bytes).and_then(|view| {
        let file = view.read(disk, b"BOOT    CFG", MAX_CFG);
        bank.volume = Some(view);
        let file = file?.ok_or_else(|| "has no boot.cfg in its root directory".to_owned())?;
        bank.cfg_at = file.at;
        BootCfg::read(&file.bytes).map_err(|error| format!("has an unusable file: {error}"))
    });
    match read {
        Ok(cfg) => bank.cfg = Some(cfg),
        Err(why) => bank.cfg_error = Some(why),
    }
    bank
}

fn layout_of(disk: &EsxDisk) -> EsxLayout {
    let size = disk.banks.iter().map(|bank| bank.bytes).max().unwrap_or(0);
    let places = disk.banks.iter().all(|bank| PLACES.contains(&bank.partition));
    let named = disk.partitions.iter().any(|part| part.name.starts_with("BOOTBANK"));
    let has = |role: EsxRole| disk.partitions.iter().any(|part| part.role == role);
    match disk.table {
        EsxTable::Bare => EsxLayout::SingleBank,
        _ if !places => EsxLayout::Unknown,
        EsxTable::Mbr { .. } if size <= 64 << 20 => EsxLayout::V3,
        EsxTable::Mbr { .. } => EsxLayout::V4,
        EsxTable::Gpt { .. } if named || has(EsxRole::OsData) || size >= 400 << 20 => {
            EsxLayout::V7To8 { bank_bytes: size }
        }
        EsxTable::Gpt { .. } => EsxLayout::V5To6,
    }
}

/// What the places of the banks say about each other.
fn of_places(disk: &mut EsxDisk) {
    let mut found = Vec::new();
    for (index, bank) in disk.banks.iter().enumerate() {
        let earlier = disk.banks.iter().take(index).find(|other| other.uuid == bank.uuid);
        if let (Some(uuid), Some(other)) = (bank.uuid, earlier) {
            let text = format!(
                "the banks {} and {} have the same identity {}: one was copied as a whole partition",
                other.letter,
                bank.letter,
                uuid_text(uuid)
            );
            let next = "after a boot the system cannot tell the banks apart by it and may update the running one; \
                        rebuild one of them";
            let finding = EsxFinding::new("esx-uuid-twice", EsxSeverity::Error, text, next).on(bank.letter);
            found.push(finding);
        }
        if bank.offset.saturating_add(bank.bytes) > disk.bytes {
            let text = format!(
                "the partition of bank {} ends at byte {}, the disk at {}",
                bank.letter,
                bank.offset.saturating_add(bank.bytes),
                disk.bytes
            );
            let next = "files behind the cut cannot be read; nothing may be written to this disk";
            let finding = EsxFinding::new("esx-bank-cut", EsxSeverity::Error, text, next).on(bank.letter);
            found.push(finding);
        }
    }
    if disk.banks.len() == 1 && disk.table != EsxTable::Bare {
        let text = "there is only one bank on this disk";
        let next = "an upgrade has nothing to install into, and there is nothing to go back to";
        found.push(EsxFinding::new("esx-one-bank", EsxSeverity::Error, text, next));
    }
    disk.findings.append(&mut found);
}
