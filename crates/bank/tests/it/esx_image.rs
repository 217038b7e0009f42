//! A small ESXi boot disk, and an oracle with the loader's eyes that shares no code with what is tested but the grammar
//! of boot.cfg and the selection, which are held against 1,442 real boots.

use lifeboat_bank::esx::bootcfg::BootCfg;
use lifeboat_bank::esx::select::{BankInput, Selection, select};
use lifeboat_bank::gpt::{GptEntry, GptTable, write_table};
use lifeboat_bank::guid::Guid;

use crate::fixture::noise;

/// Bytes of a bank's partition.
pub(crate) const BANK: usize = 5 << 19;
/// Where the banks begin.
pub(crate) const BANKS: [usize; 2] = [1 << 20, (1 << 20) + BANK];
const DISK: usize = BANKS[1] + BANK + (1 << 20);
const SECTOR: usize = 512;
const RESERVED: usize = 2;
const PER_FAT: usize = 20;
const ROOT_ENTRIES: usize = 128;
const ROOT: usize = RESERVED + 2 * PER_FAT;
const DATA: usize = ROOT + ROOT_ENTRIES * 32 / SECTOR;

const BASIC_DATA: Guid =
    Guid([0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7]);

/// A gzip file of one stored block (RFC 1951, 3.2.4).
pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut blocks = data.chunks(0xffff).peekable();
    if data.is_empty() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32fast::hash(data).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out
}

/// Whether a file is a whole gzip file as [`gzip`] makes them.
fn gzip_is_whole(file: &[u8]) -> bool {
    if file.len() < 23 || file[..4] != [0x1f, 0x8b, 8, 0] {
        return false;
    }
    let (mut at, mut data) = (10, Vec::new());
    loop {
        let Some(head) = file.get(at..at + 5) else { return false };
        let len = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let Some(block) = file.get(at + 5..at + 5 + len) else { return false };
        data.extend_from_slice(block);
        at += 5 + len;
        if head[0] == 1 {
            break;
        }
    }
    let end = [crc32fast::hash(&data).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    file.get(at..) == Some(&end[..])
}

/// A saved state: an archive with one encrypted archive in it.
pub(crate) fn state_tgz(seed: u64, len: usize) -> Vec<u8> {
    let mut tar = vec![0; 512];
    tar[..12].copy_from_slice(b"local.tgz.ve");
    tar[100..107].copy_from_slice(b"0000644");
    tar[124..135].copy_from_slice(format!("{len:011o}").as_bytes());
    tar[136..147].copy_from_slice(b"00000000000");
    tar[156] = b'0';
    tar[257..265].copy_from_slice(b"ustar\x0000");
    tar[148..156].fill(b' ');
    let sum: u32 = tar.iter().map(|byte| u32::from(*byte)).sum();
    tar[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend(noise(seed, len));
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    gzip(&tar)
}

/// A file of a bank.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) data: Vec<u8>,
}

/// The files of a bank whose modules are made from `seed`.
pub(crate) fn files(seed: u64, cfg: &str) -> Vec<File> {
    let file = |name, seed, len| File { name, data: gzip(&noise(seed, len)) };
    vec![
        File { name: "BOOT.CFG", data: cfg.as_bytes().to_vec() },
        file("B.B00", seed, 30_000),
        file("S.V00", seed + 1, 70_000),
        file("IMGDB.TGZ", seed + 2, 5_000),
        File { name: "STATE.TGZ", data: state_tgz(seed + 3, 9_000) },
    ]
}

/// A boot.cfg of several sectors, as installers write it.
pub(crate) fn cfg(state: u8, updated: u32, build: &str) -> String {
    let padding = format!("#{}\n", "-".repeat(30)).repeat(40);
    format!(
        "bootstate={state}\ntitle=Loading ESXi\ntimeout=5\nprefix=\nkernel=b.b00\nkernelopt=\n\
         modules=s.v00 --- imgdb.tgz --- state.tgz\nbuild={build}\n{padding}updated={updated}\n"
    )
}

/// A name as it stands in a directory entry.
pub(crate) fn short(name: &str) -> [u8; 11] {
    let mut out = [b' '; 11];
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    out[..base.len()].copy_from_slice(base.to_ascii_uppercase().as_bytes());
    out[8..8 + extension.len()].copy_from_slice(extension.to_ascii_uppercase().as_bytes());
    out
}

/// A bank as FAT16 with clusters of 512 bytes.
pub(crate) struct Volume {
    pub(crate) bytes: Vec<u8>,
    next: u16,
    entries: usize,
}

impl Volume {
    pub(crate) fn new(uuid: u8) -> Self {
        let mut bytes = vec![0; BANK];
        bytes[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        bytes[3..11].copy_from_slice(b"MSDOS5.0");
        bytes[11..13].copy_from_slice(&(SECTOR as u16).to_le_bytes());
        bytes[13] = 1;
        bytes[14..16].copy_from_slice(&(RESERVED as u16).to_le_bytes());
        bytes[16] = 2;
        bytes[17..19].copy_from_slice(&(ROOT_ENTRIES as u16).to_le_bytes());
        bytes[19..21].copy_from_slice(&((BANK / SECTOR) as u16).to_le_bytes());
        bytes[21] = 0xf8;
        bytes[22..24].copy_from_slice(&(PER_FAT as u16).to_le_bytes());
        bytes[36..39].copy_from_slice(&[0x80, 0, 0x29]);
        bytes[43..54].copy_from_slice(b"NO NAME    ");
        bytes[54..62].copy_from_slice(b"FAT16   ");
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes[512..528].copy_from_slice(b"VMWARE FAT16    ");
        bytes[528..544].fill(uuid);
        let mut volume = Self { bytes, next: 2, entries: 0 };
        volume.set(0, 0xfff8);
        volume.set(1, 0xffff);
        volume
    }

    pub(crate) fn set(&mut self, cluster: u16, value: u16) {
        for copy in 0..2 {
            let at = (RESERVED + copy * PER_FAT) * SECTOR + usize::from(cluster) * 2;
            self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Adds a file and returns its first cluster.
    pub(crate) fn add(&mut self, name: &str, data: &[u8]) -> u16 {
        let count = data.len().div_ceil(SECTOR) as u16;
        let first = if count == 0 { 0 } else { self.next };
        for index in 0..count {
            let cluster = self.next + index;
            self.set(cluster, if index + 1 == count { 0xffff } else { cluster + 1 });
        }
        let at = (DATA + usize::from(self.next) - 2) * SECTOR;
        self.bytes[at..at + data.len()].copy_from_slice(data);
        self.next += count;
        self.entry(&short(name), 0x20, first, data.len() as u32);
        first
    }

    /// Adds an entry as it stands.
    pub(crate) fn entry(&mut self, name: &[u8; 11], attributes: u8, cluster: u16, len: u32) {
        let at = ROOT * SECTOR + self.entries * 32;
        self.bytes[at..at + 11].copy_from_slice(name);
        self.bytes[at + 11] = attributes;
        self.bytes[at + 26..at + 28].copy_from_slice(&cluster.to_le_bytes());
        self.bytes[at + 28..at + 32].copy_from_slice(&len.to_le_bytes());
        self.entries += 1;
    }

    pub(crate) fn of(uuid: u8, files: &[File]) -> Self {
        let mut volume = Self::new(uuid);
        for file in files {
            volume.add(file.name, &file.data);
        }
        volume
    }
}

/// A disk with these two banks on partitions 5 and 6.
pub(crate) fn disk_with(a: &Volume, b: &Volume) -> Vec<u8> {
    let mut disk = vec![0; DISK];
    let mut table = GptTable::empty(Guid([7; 16]), (DISK / SECTOR) as u64);
    for (index, (number, name)) in [(5, "BOOTBANK1"), (6, "BOOTBANK2")].into_iter().enumerate() {
        let first_lba = (BANKS[index] / SECTOR) as u64;
        table.entries.push(GptEntry {
            number,
            type_guid: BASIC_DATA,
            guid: Guid([number as u8; 16]),
            first_lba,
            last_lba: first_lba + (BANK / SECTOR) as u64 - 1,
            attributes: 0,
            name: name.to_owned(),
        });
    }
    write_table(&mut disk, &table).unwrap();
    for (base, volume) in BANKS.into_iter().zip([a, b]) {
        disk[base..base + BANK].copy_from_slice(&volume.bytes);
    }
    disk
}

/// What the loader sees of a bank: FAT 1, the root directory, 8.3 names.
struct Seen<'a> {
    bytes: &'a [u8],
    fat: usize,
    data: usize,
    per_cluster: usize,
    root: usize,
    entries: usize,
    wide: bool,
}

impl<'a> Seen<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (per_cluster, reserved, fats) = (usize::from(bytes[13]), u16_at(14), usize::from(bytes[16]));
        let (entries, per_fat) = (u16_at(17), u16_at(22));
        if u16_at(11) != SECTOR || per_cluster == 0 || reserved == 0 || per_fat == 0 || entries == 0 {
            return None;
        }
        let root = reserved + fats * per_fat;
        let data = root + (entries * 32).div_ceil(SECTOR);
        let total = if u16_at(19) == 0 { u16_at(32) | u16_at(34) << 16 } else { u16_at(19) };
        let wide = (total - data) / per_cluster >= 4085;
        let [fat, root, data] = [reserved, root, data].map(|sector| sector * SECTOR);
        Some(Self { bytes, fat, data, per_cluster: per_cluster * SECTOR, root, entries, wide })
    }

    fn next(&self, cluster: usize) -> usize {
        let at = if self.wide { cluster * 2 } else { cluster * 3 / 2 };
        let pair =
            usize::from(u16::from_le_bytes([self.bytes[self.fat + at], self.bytes[self.fat + at + 1]]));
        match (self.wide, cluster % 2) {
            (true, _) => pair,
            (false, 0) => pair & 0xfff,
            (false, _) => pair >> 4,
        }
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let wanted = short(name);
        let root = &self.bytes[self.root..self.root + self.entries * 32];
        let entry = root.chunks(32).take_while(|entry| entry[0] != 0).find(|entry| entry[..11] == wanted)?;
        let len = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]) as usize;
        let mut cluster = usize::from(u16::from_le_bytes([entry[26], entry[27]]));
        let mut out = Vec::new();
        while out.len() < len {
            let at = self.data + cluster.checked_sub(2)? * self.per_cluster;
            let part = self.bytes.get(at..at + self.per_cluster)?;
            out.extend_from_slice(part);
            cluster = self.next(cluster);
        }
        out.truncate(len);
        Some(out)
    }
}

/// The loader's boot: the bank that it chooses, which must be whole.
pub(crate) fn boot(disk: &[u8]) -> Result<usize, String> {
    let chosen = selected(disk).boots().ok_or("no hypervisor found")?;
    bank_is_whole(disk, chosen).map_err(|why| format!("bank {chosen} is chosen, and {why}"))?;
    Ok(chosen)
}

/// Whether the loader may choose this bank, now or when the other one is gone.
pub(crate) fn is_eligible(disk: &[u8], bank: usize) -> bool {
    selected(disk).banks[bank].eligible
}

fn selected(disk: &[u8]) -> Selection {
    let cfgs = BANKS.map(|base| {
        let bytes = &disk[base..base + BANK];
        let marked = bytes[512..528] == *b"VMWARE FAT16    ";
        let file = Seen::open(bytes).and_then(|seen| seen.read("boot.cfg"));
        (marked, file.filter(|file| !file.is_empty()).map(|file| BootCfg::read(&file).unwrap()))
    });
    let inputs = cfgs.each_ref().map(|(marked, cfg)| BankInput { marked: *marked, cfg: cfg.as_ref() });
    select(&inputs)
}

/// Whether the kernel and every module of a bank can be loaded.
pub(crate) fn bank_is_whole(disk: &[u8], bank: usize) -> Result<(), String> {
    let bytes = &disk[BANKS[bank]..BANKS[bank] + BANK];
    let seen = Seen::open(bytes).ok_or("it has no file system")?;
    let cfg = BootCfg::read(&seen.read("boot.cfg").ok_or("it has no boot.cfg")?).unwrap();
    let files = cfg.files();
    if files.len() != 4 {
        return Err(format!("its boot.cfg names {files:?}"));
    }
    for file in files {
        let data = seen.read(&file).ok_or_else(|| format!("{file} is missing"))?;
        if !gzip_is_whole(&data) {
            return Err(format!("{file} is damaged"));
        }
    }
    Ok(())
}

/// The content of a file of a bank.
pub(crate) fn read(disk: &[u8], bank: usize, name: &str) -> Option<Vec<u8>> {
    Seen::open(&disk[BANKS[bank]..BANKS[bank] + BANK])?.read(name)
}
