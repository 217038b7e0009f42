//! Writing an undo file before the first change.

use std::io;

use lifeboat_model::io::ReadAt;
use sha2::{Digest, Sha256};

use super::codec::{
    END, END_MAGIC, HEADER, Header, MARK, RECORD_LIMIT, RECORD_SECTORS, RecordHead, encode_header,
    encode_record_head, header_text,
};
use super::error::UndoError;
use super::file::UndoFile;
use crate::esx::change::{ChangeError, ChangePlan, Epoch, SECTOR, SECTOR_LEN, Write};

/// Where an undo file goes.
pub trait UndoSink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be kept. The change does not begin then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything is on stable storage, under the name by which it will be found.
    ///
    /// # Errors
    /// When that is not certain. The change does not begin then.
    fn seal(&mut self) -> io::Result<()>;

    /// The file as it can be read now; with it, its digest is checked before the change begins. The default is that it
    /// cannot be read.
    fn reader(&self) -> Option<&dyn ReadAt> {
        None
    }
}

/// Memory; for tests, and for callers that keep the file by themselves.
impl UndoSink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reader(&self) -> Option<&dyn ReadAt> {
        Some(self)
    }
}

/// Writes what `plan` will overwrite, in the order in which it is overwritten, and seals it. Returns the bytes of the
/// file. Nothing is written to the disk.
pub(in crate::esx) fn save_undo(
    disk: &dyn ReadAt,
    plan: &ChangePlan,
    now: u64,
    sink: &mut dyn UndoSink,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ChangeError> {
    let wrong = |doing: &'static str| move |source| ChangeError::Undo { doing, source };
    let heads = records(plan.epochs());
    let count = heads.len() as u64;
    if count > RECORD_LIMIT {
        let source = UndoError::TooLarge { what: format!("{count} records"), limit: RECORD_LIMIT };
        return Err(wrong("planning")(source));
    }
    let what = header_text(plan.what()).to_owned();
    let file_bytes =
        (HEADER + what.len()) as u64 + heads.iter().map(|(head, _, _)| head.file_bytes()).sum::<u64>() + END;
    let header = Header {
        created: now,
        disk: *plan.disk(),
        place: *plan.place(),
        records: u32::try_from(count).unwrap_or(u32::MAX),
        epochs: u32::try_from(plan.epochs().len()).unwrap_or(u32::MAX),
        file_bytes,
        what,
    };
    let mut out = Hashed { sink, hasher: Sha256::new(), written: 0 };
    out.append(&encode_header(&header)).map_err(wrong("writing"))?;
    let mut done = 0;
    let mut scratch = Vec::new();
    let mut old = Vec::new();
    let mut new = Vec::new();
    for (head, write, at) in &heads {
        let len = usize::try_from(head.bytes()).unwrap_or(0);
        old.resize(len, 0);
        new.resize(len, 0);
        before(disk, plan.epochs(), *head, &mut old, &mut scratch).map_err(|source| ChangeError::Io {
            doing: "reading what will be overwritten",
            offset: head.offset,
            source,
        })?;
        write.fill(disk, *at, &mut new).map_err(|source| ChangeError::Io {
            doing: "reading the source of a copy",
            offset: head.offset,
            source,
        })?;
        out.append(&encode_record_head(head)).map_err(wrong("writing"))?;
        out.append(&old).map_err(wrong("writing"))?;
        scratch.clear();
        for sector in new.chunks(SECTOR_LEN) {
            scratch.extend_from_slice(&mark(sector));
        }
        out.append(&scratch).map_err(wrong("writing"))?;
        done += head.bytes();
        progress(done);
    }
    out.append(END_MAGIC).map_err(wrong("writing"))?;
    let digest: [u8; 32] = out.hasher.clone().finalize().into();
    out.append(&digest).map_err(wrong("writing"))?;
    let written = out.written;
    sink.seal().map_err(|source| {
        wrong("sealing")(UndoError::File { doing: "bringing to stable storage", offset: written, source })
    })?;
    if let Some(reader) = sink.reader() {
        UndoFile::open(reader).map_err(wrong("reading back"))?;
    }
    Ok(written)
}

/// What is kept of the digest of a sector.
pub(super) fn mark(sector: &[u8]) -> [u8; MARK] {
    let digest: [u8; 32] = Sha256::digest(sector).into();
    let mut out = [0; MARK];
    out.copy_from_slice(digest.get(..MARK).unwrap_or(&[0; MARK]));
    out
}

/// The records of a plan, each with its write and its place in it.
fn records(epochs: &[Epoch]) -> Vec<(RecordHead, &Write, u64)> {
    let mut out = Vec::new();
    for (epoch, number) in epochs.iter().zip(1_u32..) {
        for write in &epoch.writes {
            let (len, mut at) = (write.len(), 0);
            while at < len {
                let sectors = ((len - at) / SECTOR).min(u64::from(RECORD_SECTORS));
                let head = RecordHead {
                    epoch: number,
                    offset: write.offset + at,
                    sectors: u32::try_from(sectors).unwrap_or(0),
                };
                if sectors == 0 {
                    break;
                }
                out.push((head, write, at));
                at += sectors * SECTOR;
            }
        }
    }
    out
}

/// The bytes of a range before the epoch of `head`: those of the disk, with what earlier epochs will have written.
fn before(
    disk: &dyn ReadAt,
    epochs: &[Epoch],
    head: RecordHead,
    out: &mut [u8],
    scratch: &mut Vec<u8>,
) -> io::Result<()> {
    disk.read_at(head.offset, out)?;
    let earlier = usize::try_from(head.epoch).unwrap_or(0).saturating_sub(1);
    for write in epochs.iter().take(earlier).flat_map(|epoch| &epoch.writes) {
        let (from, to) = (write.offset.max(head.offset), write.end().min(head.end()));
        if from < to {
            scratch.resize(usize::try_from(to - from).unwrap_or(0), 0);
            write.fill(disk, from - write.offset, scratch)?;
            let place = usize::try_from(from - head.offset).unwrap_or(usize::MAX);
            if let Some(part) = out.get_mut(place..).and_then(|rest| rest.get_mut(..scratch.len())) {
                part.copy_from_slice(scratch);
            }
        }
    }
    Ok(())
}

/// A sink, and the digest of what went into it.
struct Hashed<'a> {
    sink: &'a mut dyn UndoSink,
    hasher: Sha256,
    written: u64,
}

impl Hashed<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), UndoError> {
        self.hasher.update(bytes);
        self.sink.append(bytes).map_err(|source| UndoError::File {
            doing: "writing",
            offset: self.written,
            source,
        })?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}
