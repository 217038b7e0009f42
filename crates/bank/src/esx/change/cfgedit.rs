//! Changing a boot.cfg where it lies, so that at no moment half of it can be taken for a bank.
//!
//! The way is always: *close* the bank by one byte, flush; write the content, flush; *open* it by one byte. Closing is
//! the digit of the state if the loader would then read 3, whatever mixture of old and new sectors follows; otherwise
//! the first byte of the file's name in the directory, which then counts as deleted.

use lifeboat_model::io::ReadAt;

use super::error::ChangeError;
use super::fatmap::{FatMap, Spot};
use super::plan::{ChangePlan, Data, SECTOR, SECTOR_LEN, Step, Write};
use crate::bytes::put;
use crate::esx::bootcfg::{BootCfg, MAX_CFG};
use crate::esx::select::{BankInput, select};

/// The name of boot.cfg in a directory entry.
pub(super) const CFG_NAME: &[u8; 11] = b"BOOT    CFG";
/// Where a strict file has the digit of its state.
const DIGIT: usize = 10;
/// Up to so many changed sectors every mixture of old and new ones is looked at.
const ALL_MIXTURES: usize = 10;
/// Mark of a deleted directory entry.
const DELETED: u8 = 0xe5;

/// A boot.cfg on the disk.
#[derive(Debug, Clone)]
pub(super) struct CfgSpot {
    entry: Spot,
    /// First byte on the disk of each sector that the file owns, in order.
    sectors: Vec<u64>,
    /// Bytes of these sectors.
    bytes: Vec<u8>,
    pub(super) cfg: BootCfg,
}

/// How a bank is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Closing {
    /// It is closed already, and stays so.
    Closed,
    /// The first sector of the file with another digit, and where it lies.
    Digit { offset: u64, sector: Vec<u8> },
    /// The entry counts as deleted while the file is written.
    Hidden,
}

impl CfgSpot {
    /// Finds the file as the loader does. The error is a sentence without its end.
    pub(super) fn find(disk: &dyn ReadAt, map: &FatMap) -> Result<Self, String> {
        let io = |error: std::io::Error| format!("cannot be read: {error}");
        let entry = map.find(disk, CFG_NAME).map_err(io)?.ok_or("is missing")?;
        let len = entry.len();
        if len == 0 || len > MAX_CFG {
            return Err(format!("has {len} bytes"));
        }
        let fat = map.read_fat(disk, 0).map_err(io)?;
        let chain =
            map.chain(&fat, entry.cluster()).map_err(|why| format!("has a damaged chain, which {why}"))?;
        if (chain.len() as u64) * map.cluster_bytes() < len {
            return Err("has a chain that is too short".to_owned());
        }
        let per_cluster = map.cluster_bytes() / SECTOR;
        let most = usize::try_from(MAX_CFG / SECTOR).unwrap_or(usize::MAX);
        let sectors: Vec<u64> = chain
            .iter()
            .filter_map(|cluster| map.cluster_offset(*cluster))
            .flat_map(|offset| (0..per_cluster).map(move |sector| offset + sector * SECTOR))
            .take(most)
            .collect();
        let mut bytes = vec![0; sectors.len() * SECTOR_LEN];
        for (part, offset) in bytes.chunks_mut(SECTOR_LEN).zip(&sectors) {
            disk.read_at(*offset, part).map_err(io)?;
        }
        let file = bytes.get(..usize::try_from(len).unwrap_or(0)).unwrap_or(&[]);
        let cfg = BootCfg::read(file).map_err(|error| error.to_string())?;
        Ok(Self { entry, sectors, bytes, cfg })
    }

    fn len(&self) -> usize {
        usize::try_from(self.entry.len()).unwrap_or(0)
    }

    /// Closed by the digit 3 if that alone makes the loader pass the bank over, or if it does already.
    fn close_by_digit(&self) -> Closing {
        if self.cfg.values.bootstate == 3 && self.cfg.refused.is_none() && passes_over(&self.cfg) {
            return Closing::Closed;
        }
        self.digit_sector().unwrap_or(Closing::Hidden)
    }

    fn digit_sector(&self) -> Option<Closing> {
        let patch = self.cfg.state_digit.patch(3)?;
        let mut bytes = self.bytes.clone();
        put(&mut bytes, patch.offset, &[patch.new]);
        let closed = BootCfg::read(bytes.get(..self.len())?).ok()?;
        let enough = closed.values.bootstate == 3 && passes_over(&closed);
        let sector = bytes.get(..SECTOR_LEN)?.to_vec();
        self.sectors.first().filter(|_| enough).map(|offset| Closing::Digit { offset: *offset, sector })
    }

    /// Adds the step that marks the bank invalid, by the digit alone. Says whether the loader passes it over then.
    pub(super) fn push_invalid(&self, plan: &mut ChangePlan) -> Result<bool, ChangeError> {
        match self.close_by_digit() {
            Closing::Hidden => Ok(false),
            Closing::Closed => Ok(true),
            Closing::Digit { offset, sector } => {
                let why = "one digit in boot.cfg becomes 3: the loader passes the bank over from here on";
                plan.push(Step::Invalidate, why, vec![Write { offset, data: Data::Bytes(sector) }])?;
                Ok(true)
            }
        }
    }

    /// Adds the steps that replace the file by `text`, which [`write_strict`](crate::esx::bootcfg::write_strict) made
    /// with its last state. Refuses a text that does not fit into the sectors that the file owns.
    pub(super) fn push_rewrite(
        &self,
        map: &FatMap,
        disk: &dyn ReadAt,
        plan: &mut ChangePlan,
        text: &[u8],
    ) -> Result<(), ChangeError> {
        if text.len() > self.bytes.len() {
            return Err(ChangeError::refused(
                plan.what().to_owned(),
                format!(
                    "boot.cfg would have {} bytes, and its clusters hold {}",
                    text.len(),
                    self.bytes.len()
                ),
                "rebuild the bank from the other one",
            ));
        }
        let mut open = vec![0; self.bytes.len()];
        put(&mut open, 0, text);
        let mut invalid = open.clone();
        put(&mut invalid, DIGIT, b"3");
        let (offset, len) = self.entry_sector();
        plan.guard(disk, offset, len)?;
        for sector in &self.sectors {
            plan.guard(disk, *sector, SECTOR)?;
        }
        let closing = self.closing(&invalid, text.len());
        let resized = text.len() != self.len();
        let mut named = self.entry.raw;
        put(&mut named, 28, &u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        let mut hidden = named;
        put(&mut hidden, 0, &[DELETED]);
        match closing {
            Closing::Hidden => {
                let mut old_hidden = self.entry.raw;
                put(&mut old_hidden, 0, &[DELETED]);
                let why = "boot.cfg loses its name for a moment: no state of it keeps the loader from half of a file";
                plan.push(Step::Invalidate, why, vec![self.entry_write(disk, &old_hidden)?])?;
                let mut writes = self.changed(&self.bytes, &open);
                if resized {
                    writes.push(self.entry_write(disk, &hidden)?);
                }
                plan.push(Step::Content, "the new boot.cfg, which nothing names yet", writes)?;
                let why = "boot.cfg gets its name back: one byte";
                plan.push(Step::Release, why, vec![self.entry_write(disk, &named)?])
            }
            Closing::Closed | Closing::Digit { .. } => {
                let mut before = self.bytes.clone();
                if let Closing::Digit { offset, sector } = closing {
                    put(&mut before, 0, &sector);
                    let why = "one digit in boot.cfg becomes 3: the loader passes the bank over while it is written";
                    plan.push(Step::Invalidate, why, vec![Write { offset, data: Data::Bytes(sector) }])?;
                }
                let mut writes = self.changed(&before, &invalid);
                if resized {
                    writes.push(self.entry_write(disk, &named)?);
                }
                plan.push(Step::Content, "the new boot.cfg, still with the state 3", writes)?;
                let why = "the digit of the state becomes what it shall be: one byte";
                plan.push(Step::Release, why, self.changed(&invalid, &open))
            }
        }?;
        // Positions come from this geometry; it must be the same when they are written to.
        plan.guard(disk, map.base(), SECTOR)
    }

    /// How the bank can be closed so that no mixture of old and new sectors is eligible.
    fn closing(&self, invalid: &[u8], new_len: usize) -> Closing {
        let closing = self.close_by_digit();
        let mut before = self.bytes.clone();
        match &closing {
            Closing::Hidden => return closing,
            Closing::Closed => {}
            Closing::Digit { sector, .. } => put(&mut before, 0, sector),
        }
        let changed: Vec<usize> = before
            .chunks(SECTOR_LEN)
            .zip(invalid.chunks(SECTOR_LEN))
            .enumerate()
            .filter(|(_, (old, new))| old != new)
            .map(|(index, _)| index)
            .collect();
        let safe = |new: &dyn Fn(usize) -> bool| {
            [self.len(), new_len].into_iter().all(|len| {
                let mut mixed = before.clone();
                for (_, index) in changed.iter().enumerate().filter(|(bit, _)| new(*bit)) {
                    let at = index * SECTOR_LEN;
                    put(&mut mixed, at, invalid.get(at..at + SECTOR_LEN).unwrap_or(&[]));
                }
                let file = mixed.get(..len).unwrap_or(&mixed);
                BootCfg::read(file).is_ok_and(|cfg| passes_over(&cfg))
            })
        };
        let count = changed.len();
        let all_safe = if count <= ALL_MIXTURES {
            (0..1_u32 << count).all(|set| safe(&|bit| set >> bit & 1 == 1))
        } else {
            (0..count).all(|cut| {
                safe(&|bit| bit < cut)
                    && safe(&|bit| bit >= cut)
                    && safe(&|bit| bit == cut)
                    && safe(&|bit| bit != cut)
            })
        };
        if all_safe { closing } else { Closing::Hidden }
    }

    /// Writes for the sectors of the file that differ.
    fn changed(&self, old: &[u8], new: &[u8]) -> Vec<Write> {
        let pairs = old.chunks(SECTOR_LEN).zip(new.chunks(SECTOR_LEN)).zip(&self.sectors);
        pairs
            .filter(|((old, new), _)| old != new)
            .map(|((_, new), offset)| Write { offset: *offset, data: Data::Bytes(new.to_vec()) })
            .collect()
    }

    fn entry_sector(&self) -> (u64, u64) {
        (self.entry.offset - self.entry.offset % SECTOR, SECTOR)
    }

    /// The sector of the directory with this entry in it.
    fn entry_write(&self, disk: &dyn ReadAt, raw: &[u8; 32]) -> Result<Write, ChangeError> {
        entry_write(disk, self.entry.offset, raw)
    }
}

/// The write that puts a directory entry into its sector.
pub(super) fn entry_write(disk: &dyn ReadAt, at: u64, raw: &[u8; 32]) -> Result<Write, ChangeError> {
    let offset = at - at % SECTOR;
    let mut sector = vec![0; SECTOR_LEN];
    disk.read_at(offset, &mut sector).map_err(|source| ChangeError::Io {
        doing: "reading the root directory",
        offset,
        source,
    })?;
    put(&mut sector, usize::try_from(at - offset).unwrap_or(usize::MAX), raw);
    Ok(Write { offset, data: Data::Bytes(sector) })
}

/// Whether the loader would not choose a bank with this file even if it were alone.
fn passes_over(cfg: &BootCfg) -> bool {
    select(&[BankInput { marked: true, cfg: Some(cfg) }]).chosen.is_none()
}
