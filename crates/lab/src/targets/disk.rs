//! Disks in few bytes, so that a fuzzer can hold a terabyte.
//!
//! Owns: the form of disks in the corpus: `u32` sectors of 512 bytes that the disk claims, then pieces of `u32` first
//! sector, `u16` length and so many bytes; numbers are little-endian, later pieces lie over earlier ones, and
//! everything else is zero. Promises: every input is some disk. Does not: keep what is written.

use lifeboat_model::io::ReadAt;

const SECTOR: u64 = 512;

/// A disk that is larger than the bytes it is made of.
#[derive(Debug)]
pub(crate) struct Sparse<'a> {
    size: u64,
    pieces: Vec<(u64, &'a [u8])>,
}

impl<'a> Sparse<'a> {
    /// Reads the form above.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let (sectors, mut rest) = number::<4>(bytes);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (first, behind) = number::<4>(rest);
            let (len, behind) = number::<2>(behind);
            let len = usize::try_from(len).unwrap_or(0).min(behind.len());
            let (piece, behind) = behind.split_at(len);
            pieces.push((first * SECTOR, piece));
            rest = behind;
        }
        Self { size: sectors * SECTOR, pieces }
    }

    /// All of it in memory, if it is not large.
    pub(crate) fn whole(&self, most: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size).ok().filter(|_| self.size <= most)?];
        self.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// The first bytes as a number, and the others; what is missing is zero.
fn number<const N: usize>(bytes: &[u8]) -> (u64, &[u8]) {
    let (head, rest) = bytes.split_at(N.min(bytes.len()));
    (head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest)
}

/// Writes the form above.
pub(crate) fn encode(disk: &[u8], claimed: u64) -> Vec<u8> {
    let mut out = u32::try_from(claimed / SECTOR).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    let mut first = 0_u32;
    let mut run: Vec<u8> = Vec::new();
    let mut end = |first: u32, run: &mut Vec<u8>| {
        // Zeros at the end of a run say nothing.
        let used = run.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used > 0 {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&u16::try_from(used).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(run.get(..used).unwrap_or_default());
        }
        run.clear();
    };
    for (at, sector) in (0_u32..).zip(disk.chunks(512)) {
        if sector.iter().all(|byte| *byte == 0) || run.len() > 60_000 {
            end(first, &mut run);
        }
        if run.is_empty() {
            first = at;
        }
        if sector.iter().any(|byte| *byte != 0) {
            run.extend_from_slice(sector);
        }
    }
    end(first, &mut run);
    out
}

impl ReadAt for Sparse<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buf.fill(0);
        for (first, piece) in &self.pieces {
            let (from, to) = (offset.max(*first), end.min(first + piece.len() as u64));
            let count = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            let source =
                usize::try_from(from - first.min(&from)).ok().and_then(|at| piece.get(at..at + count));
            let target = usize::try_from(from - offset).ok().and_then(|at| buf.get_mut(at..at + count));
            if let (Some(source), Some(target), 1..) = (source, target, count) {
                target.copy_from_slice(source);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_disk_is_the_same_after_its_short_form() {
        let mut disk = vec![0_u8; 400 * 512];
        for at in (0..disk.len()).filter(|at| at % 5000 < 900 || *at > 100_000) {
            disk[at] = 1 + u8::try_from(at % 251).unwrap();
        }
        let short = encode(&disk, disk.len() as u64);
        let again = Sparse::of(&short);
        assert_eq!(again.size(), disk.len() as u64);
        assert!(again.whole(1 << 20).unwrap() == disk);
        let mut part = [0; 1000];
        again.read_at(100_500, &mut part).unwrap();
        assert!(part[..] == disk[100_500..101_500]);
    }
}
