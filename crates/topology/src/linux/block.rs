//! Block devices of sysfs, and what udev's database says of them.
//!
//! Promises: memory disks and loop devices without a file are left out, as `lsblk` does.

use std::collections::{BTreeMap, BTreeSet};

use super::place::Place;
use crate::ident::{DeviceIds, DiskId, IdKind};
use crate::names::{by_id, nvme, unescape, wwid};
use crate::tree::View;

/// Longest entry of udev's database.
const ENTRY: usize = 64 * 1024;

/// What a device is, as far as its own files tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Plain,
    Rom,
    Bcache,
    /// A path of NVMe's own multipath, which no program opens.
    Hidden,
}

/// One device as sysfs has it.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) kernel: String,
    /// Path in sysfs without links.
    pub(super) dir: String,
    pub(super) place: Place,
    pub(super) number: Option<(u32, u32)>,
    pub(super) bytes: Option<u64>,
    pub(super) read_only: bool,
    pub(super) sort: Sort,
    /// Kernel name of the disk, number, first byte.
    pub(super) partition: Option<(String, u32, Option<u64>)>,
    pub(super) slaves: Vec<String>,
    pub(super) dm: Option<(String, String)>,
    pub(super) md: Option<String>,
    pub(super) file: Option<String>,
    pub(super) names: BTreeSet<String>,
    /// Properties of udev.
    pub(super) props: BTreeMap<String, String>,
    pub(super) mounts: Vec<String>,
    /// Type of the file system that is mounted.
    pub(super) mounted: Option<String>,
}

impl Block {
    pub(super) fn prop(&self, name: &str) -> Option<&str> {
        self.props.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A property that udev keeps whole in another one, with blanks as `\x20`.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        let whole =
            self.prop(&format!("{name}_ENC")).map(unescape).or_else(|| self.prop(name).map(str::to_owned))?;
        let whole = whole.trim();
        (!whole.is_empty()).then(|| whole.to_owned())
    }

    /// The ids that udev's properties and links tell of a whole disk.
    pub(super) fn add_ids(&self, ids: &mut DeviceIds) {
        let wwn = self.prop("ID_WWN_WITH_EXTENSION").or_else(|| self.prop("ID_WWN"));
        match wwn {
            Some(wwn) if wwn.starts_with("0x") => {
                // Without its extension an NAA 6 is that of the whole array.
                let id = DiskId::of_hex(wwn.trim_start_matches("0x"));
                ids.extend_one(id.filter(|_| wwn.len() != 18 || !wwn.starts_with("0x6")));
            }
            Some(wwn) => ids.extend_one(nvme(wwn)),
            None => {}
        }
        if let Some(serial) = self.prop("ID_SERIAL") {
            match self.prop("ID_BUS") {
                Some("ata") => ids.take(IdKind::Ata, serial),
                Some("usb") => ids.take(IdKind::Usb, serial),
                Some("scsi" | "cciss") => ids.extend_one(wwid(serial)),
                _ => {}
            }
        }
        for key in ["SCSI_IDENT_LUN_NAA_REGEXT", "SCSI_IDENT_LUN_NAA_REG", "SCSI_IDENT_LUN_NAA_EXT"] {
            ids.extend_one(self.prop(key).and_then(DiskId::of_hex));
        }
        if let Some(text) = self.prop("SCSI_IDENT_LUN_T10") {
            ids.take(IdKind::T10, text);
        }
        if let (Some(vendor), Some(model)) = (self.prop("SCSI_VENDOR"), self.prop("SCSI_MODEL")) {
            for key in ["SCSI_IDENT_SERIAL", "SCSI_IDENT_LUN_VENDOR"] {
                let serial = self.prop(key).map(|serial| format!("{vendor} {model} {serial}"));
                ids.extend_one(serial.and_then(|text| DiskId::new(IdKind::Scsi, &text).ok()));
            }
        }
        for name in self.names.iter().filter_map(|name| name.strip_prefix("/dev/disk/by-id/")) {
            // Links of a map or RAID above may have been left on its parts.
            if !name.starts_with("dm-") && !name.starts_with("md-") {
                ids.extend_one(by_id(name));
            }
        }
    }

    /// Number of a partition that the device mapper made: `part1-mpath-…`.
    pub(super) fn dm_part(&self) -> Option<u32> {
        let rest = self.dm.as_ref()?.1.strip_prefix("part")?;
        crate::ident::part_number(rest.split_once('-')?.0)
    }

    /// Whether a LUN or namespace is behind it.
    pub(super) fn is_hardware(&self) -> bool {
        let upon = self.partition.is_some() || self.dm.is_some() || self.md.is_some();
        !upon && self.file.is_none() && !self.place.software && matches!(self.sort, Sort::Plain | Sort::Rom)
    }
}

pub(super) fn read(view: &View<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut seen = BTreeSet::new();
    let root = if view.there("sys/block") { "sys/block" } else { "sys/class/block" };
    for name in view.list(root) {
        let Some(dir) = view.resolve(&format!("{root}/{name}")) else { continue };
        if view.text(&format!("{dir}/partition")).is_some() || !seen.insert(name.clone()) {
            continue;
        }
        let Some(disk) = one(view, &name, dir) else { continue };
        let mut parts = Vec::new();
        for entry in view.list(&disk.dir) {
            let number = entry.strip_prefix(name.as_str()).is_some_and(|rest| !rest.is_empty());
            if !number || !seen.insert(entry.clone()) {
                continue;
            }
            let dir = format!("{}/{entry}", disk.dir);
            let Some(number) = view.text(&format!("{dir}/partition")) else { continue };
            let Some(number) = crate::ident::part_number(&number) else {
                view.remark(&dir, format!("{number:?} is not the number of a partition"));
                continue;
            };
            let start = view.number(&format!("{dir}/start")).and_then(|start| start.checked_mul(512));
            if let Some(mut part) = one(view, &entry, dir) {
                part.partition = Some((name.clone(), number, start));
                parts.push(part);
            }
        }
        blocks.push(disk);
        blocks.append(&mut parts);
    }
    blocks
}

fn one(view: &View<'_>, kernel: &str, dir: String) -> Option<Block> {
    let at = |name: &str| format!("{dir}/{name}");
    let number = view.text(&at("dev")).and_then(|text| {
        let (major, minor) = text.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    let sectors = view.number(&at("size"));
    let file = view.text(&at("loop/backing_file"));
    let empty_loop = kernel.starts_with("loop") && sectors.unwrap_or(0) == 0 && file.is_none();
    if (number.is_none() && sectors.is_none()) || empty_loop || number.is_some_and(|(major, _)| major == 1) {
        return None;
    }
    let sort = match () {
        () if view.number(&at("hidden")) == Some(1) => Sort::Hidden,
        () if kernel.starts_with("bcache") => Sort::Bcache,
        () if kernel.starts_with("sr") || view.number(&at("device/type")) == Some(5) => Sort::Rom,
        () => Sort::Plain,
    };
    let mut block = Block {
        kernel: kernel.to_owned(),
        place: Place::of(&dir),
        number,
        bytes: sectors.and_then(|sectors| sectors.checked_mul(512)),
        read_only: view.number(&at("ro")) == Some(1),
        sort,
        slaves: view.list(&at("slaves")),
        file,
        md: view.text(&at("md/level")),
        ..Block::default()
    };
    if sectors.is_some() && block.bytes.is_none() {
        view.remark(&dir, "its size is larger than 64 bits can count in bytes");
    }
    if kernel.starts_with("dm-") {
        let name = view.text(&at("dm/name")).unwrap_or_default();
        block.dm = Some((name, view.text(&at("dm/uuid")).unwrap_or_default()));
    }
    block.names.insert(format!("/dev/{}", kernel.replace('!', "/")));
    // Names of partitions, and their UUIDs in newer kernels.
    for (word, prop) in [("PARTNAME=", "ID_PART_ENTRY_NAME"), ("PARTUUID=", "ID_PART_ENTRY_UUID")] {
        let uevent = view.text(&at("uevent")).unwrap_or_default();
        if let Some(value) = uevent.lines().find_map(|line| line.strip_prefix(word)) {
            block.props.insert(prop.to_owned(), value.to_owned());
        }
    }
    block.dir = dir;
    database(view, &mut block);
    if block.dm.as_ref().is_some_and(|(_, uuid)| uuid.is_empty())
        && let Some(uuid) = block.prop("DM_UUID").map(str::to_owned)
    {
        block.dm = Some((block.prop("DM_NAME").unwrap_or_default().to_owned(), uuid));
    }
    if let Some((name, _)) = &block.dm
        && !name.is_empty()
    {
        block.names.insert(format!("/dev/mapper/{name}"));
    }
    if block.md.is_none() {
        block.md = block.prop("MD_LEVEL").map(str::to_owned).or_else(|| {
            let numbered = kernel.strip_prefix("md")?;
            numbered.starts_with(|c: char| c.is_ascii_digit() || c == '_').then(String::new)
        });
    }
    Some(block)
}

/// `E:KEY=VALUE` are properties, `S:LINK` are links under `/dev`.
fn database(view: &View<'_>, block: &mut Block) {
    let Some((major, minor)) = block.number else { return };
    let Some(bytes) = view.bytes(&format!("run/udev/data/b{major}:{minor}"), ENTRY) else { return };
    for line in String::from_utf8_lossy(&bytes).lines() {
        if let Some(link) = line.strip_prefix("S:") {
            block.names.insert(format!("/dev/{link}"));
        } else if let Some((key, value)) = line.strip_prefix("E:").and_then(|line| line.split_once('=')) {
            block.props.insert(key.to_owned(), value.to_owned());
        }
    }
}
