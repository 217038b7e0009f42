//! Partitioning a disk.

use lifeboat_model::io::WriteAt;

use super::{Layout, LayoutError, OURS, read_layout};
use crate::gpt::{GptEntry, GptTable, SECTOR, write_table};
use crate::guid::Guid;

const MIB: u64 = 1 << 20;

/// Sizes of the partitions in bytes, each a multiple of 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Each boot volume: at least 4 MiB, at most 32 GiB.
    pub boot: u64,
    /// Each root volume: the largest root image and 1 MiB for the bank record.
    pub root: u64,
    /// The state volume: at least 1 MiB.
    pub state: u64,
}

impl Geometry {
    /// Smallest disk that holds this: the volumes, 1 MiB before and 1 MiB after them.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let banks = self.boot.saturating_add(self.root).saturating_mul(2);
        banks.saturating_add(self.state).saturating_add(2 * MIB)
    }

    fn check(&self, disk: u64) -> Result<(), String> {
        let named = [("boot", self.boot, 4 * MIB), ("root", self.root, MIB), ("state", self.state, MIB)];
        for (name, bytes, least) in named {
            if bytes < least || bytes % MIB != 0 {
                return Err(format!(
                    "the {name} volume has {bytes} bytes; it needs a multiple of 1 MiB, at least {} MiB",
                    least / MIB
                ));
            }
        }
        if self.boot > crate::fat::MAX_VOLUME {
            return Err(format!("the boot volume has {} bytes; at most 32 GiB are possible", self.boot));
        }
        if disk < self.disk_bytes() {
            return Err(format!(
                "the volumes need a disk of {} MiB, this one has {} MiB; use a larger disk or smaller volumes",
                self.disk_bytes() / MIB,
                disk / MIB
            ));
        }
        Ok(())
    }
}

/// Identities for a new layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutGuids {
    /// The disk.
    pub disk: Guid,
    /// A-boot, A-root, B-boot, B-root, state.
    pub partitions: [Guid; 5],
}

impl LayoutGuids {
    /// Identities from 96 random bytes that the caller brings.
    #[must_use]
    pub fn from_random(random: &[u8; 96]) -> Self {
        let nth =
            |index: usize| Guid::from_random(crate::bytes::take(random, index * 16).unwrap_or_default());
        Self { disk: nth(0), partitions: [nth(1), nth(2), nth(3), nth(4), nth(5)] }
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = vec![Guid::NIL];
        for guid in self.partitions.into_iter().chain([self.disk]) {
            if seen.contains(&guid) {
                return Err(format!("the identity {guid} is nil or is used twice"));
            }
            seen.push(guid);
        }
        Ok(())
    }
}

/// Partitions `disk`: everything on it is lost, which the caller has asked its user about ([`super::inspect()`]).
///
/// Old content that could be taken for ours (bank records, boot sectors, file systems) is zeroed where a volume
/// begins and where a record lies, *before* the table is written.
pub fn create_layout(
    disk: &mut dyn WriteAt,
    geometry: &Geometry,
    guids: &LayoutGuids,
) -> Result<Layout, LayoutError> {
    geometry.check(disk.size()).map_err(|reason| LayoutError::BadGeometry { reason })?;
    guids.check().map_err(|reason| LayoutError::BadGeometry { reason })?;
    let mut table = GptTable::empty(guids.disk, disk.size() / SECTOR);
    let sizes = [geometry.boot, geometry.root, geometry.boot, geometry.root, geometry.state];
    let mut at = MIB;
    let zeros = vec![0_u8; 64 << 10];
    let io = |doing: &'static str| move |source| LayoutError::Io { doing, source };
    for ((number, (name, type_guid)), (bytes, guid)) in
        (1..).zip(OURS).zip(sizes.into_iter().zip(guids.partitions))
    {
        table.entries.push(GptEntry {
            number,
            type_guid,
            guid,
            first_lba: at / SECTOR,
            last_lba: (at + bytes) / SECTOR - 1,
            attributes: 0,
            name: name.to_owned(),
        });
        disk.write_at(at, &zeros).map_err(io("clearing the front of a volume"))?;
        let end = zeros.len() as u64;
        disk.write_at(at + bytes - end, &zeros).map_err(io("clearing the end of a volume"))?;
        at += bytes;
    }
    disk.flush().map_err(io("flushing the cleared volumes"))?;
    write_table(disk, &table).map_err(|source| LayoutError::Table { source })?;
    read_layout(disk)
}
