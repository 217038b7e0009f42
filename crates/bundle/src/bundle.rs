//! A bundle that can be read at any position: a file, a device, memory.
//!
//! Owns: opening, slot readers in any order, verifying everything. Promises: [`open`] refuses with a reason
//! before a byte of a block was read; a [`SlotReader`] hands out only verified bytes. Does not: write.

use std::io::{self, Read};

use lifeboat_model::io::ReadAt;

use crate::block::{BlockDecoder, hand_out};
use crate::error::BundleError;
use crate::head::{Head, cut};
use crate::manifest::Slot;
use crate::trust::TrustStore;
use crate::verify::{Rules, Verified, check_head};

/// A source with a bundle's bytes. Only [`Verified`] gives access to its blocks.
#[derive(Debug)]
pub struct Bundle<R> {
    source: R,
}

/// Opens a bundle: its form, its signatures, the rules and its length are checked; no block is read yet.
pub fn open<R: ReadAt>(
    source: R,
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Verified<Bundle<R>>, BundleError> {
    let head = Head::read(&mut Cursor { source: &source, at: 0 })?;
    let verified = check_head(&head, trust, rules, ())?;
    let (size, end) = (source.size(), head.end());
    if size < end {
        return Err(cut(size, end, &verified.place_of(size)));
    }
    if size > end {
        return Err(BundleError::TrailingBytes { end });
    }
    let Verified { inner: (), manifest, release, blocks_at } = verified;
    Ok(Verified { inner: Bundle { source }, manifest, release, blocks_at })
}

/// How far [`verify_all`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The slot that is being read.
    pub slot: &'a str,
    /// Decoded bytes that were verified so far, over all slots.
    pub done: u64,
    /// Decoded bytes of all slots.
    pub total: u64,
}

/// Reads and verifies every block of every slot; `progress` is called after each block.
pub fn verify_all<R: ReadAt>(
    bundle: &Verified<Bundle<R>>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), BundleError> {
    let total = bundle.manifest.decoded_len();
    let mut done = 0;
    for slot in &bundle.manifest.slots {
        let mut reader = bundle.slot(&slot.name)?;
        while let Some(bytes) = reader.next_block()? {
            done += bytes.len() as u64;
            progress(Progress { slot: &slot.name, done, total });
        }
    }
    Ok(())
}

impl<R: ReadAt> Verified<Bundle<R>> {
    /// A reader of one slot from its beginning.
    pub fn slot(&self, name: &str) -> Result<SlotReader<'_, R>, BundleError> {
        let mut at = self.blocks_at;
        for slot in &self.manifest.slots {
            if slot.name == name {
                let source = &self.inner.source;
                return Ok(SlotReader {
                    source,
                    slot,
                    next: 0,
                    at,
                    decoder: BlockDecoder::default(),
                    taken: 0,
                });
            }
            at = at.saturating_add(slot.stored_len());
        }
        Err(self.missing(name))
    }

    /// A whole slot in memory, if it is at most `limit` bytes long. For kernels and texts, not for root images.
    pub fn slot_bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let mut reader = self.slot(name)?;
        let len = reader.len();
        if len > limit {
            return Err(BundleError::SlotTooLong { slot: name.to_owned(), len, max: limit });
        }
        let mut bytes = Vec::new();
        while let Some(block) = reader.next_block()? {
            bytes.extend_from_slice(block);
        }
        Ok(bytes)
    }
}

impl<T> Verified<T> {
    /// Which part of the bundle byte `at` lies in, for messages.
    pub(crate) fn place_of(&self, at: u64) -> String {
        let mut end = self.blocks_at;
        for slot in &self.manifest.slots {
            for (index, block) in slot.blocks.iter().enumerate() {
                end = end.saturating_add(block.stored_len.into());
                if at < end {
                    return format!("block {index} of slot {}", slot.name);
                }
            }
        }
        "the end".to_owned()
    }
}

/// Decoded bytes of one slot, each block verified before any byte of it is handed out, and the whole slot's
/// digest before the last block is. An empty slot was verified when the bundle was opened.
#[derive(Debug)]
pub struct SlotReader<'b, R> {
    source: &'b R,
    slot: &'b Slot,
    next: usize,
    at: u64,
    decoder: BlockDecoder,
    /// Bytes of the current block that [`Read`] has handed out.
    taken: usize,
}

impl<R: ReadAt> SlotReader<'_, R> {
    /// Length of the slot in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.slot.len
    }

    /// Whether the slot has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slot.len == 0
    }

    /// The next decoded block, at most 4 MiB; nothing after the last one. Do not mix with [`Read`].
    pub fn next_block(&mut self) -> Result<Option<&[u8]>, BundleError> {
        let Some(block) = self.slot.blocks.get(self.next) else {
            return Ok(None);
        };
        let len = block.stored_len as usize;
        self.decoder.stored.resize(len, 0);
        let read = self.source.read_at(self.at, &mut self.decoder.stored);
        read.map_err(|source| BundleError::Read { at: self.at, len: len as u64, source })?;
        self.taken = 0;
        self.decoder.decode(self.slot, self.next, block, self.at)?;
        self.at = self.at.saturating_add(block.stored_len.into());
        self.next += 1;
        let bytes = self.decoder.decoded();
        self.taken = bytes.len();
        Ok(Some(bytes))
    }
}

impl<R: ReadAt> Read for SlotReader<'_, R> {
    /// A refusal comes as [`io::ErrorKind::InvalidData`] with the [`BundleError`] inside.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.decoder.decoded().len() <= self.taken {
            if self.next_block()?.is_none() {
                return Ok(0);
            }
            self.taken = 0;
        }
        Ok(hand_out(self.decoder.decoded(), &mut self.taken, buf))
    }
}

/// Sequential reading of a positioned source.
struct Cursor<'s, R> {
    source: &'s R,
    at: u64,
}

impl<R: ReadAt> Read for Cursor<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if let Some(to) = buf.get_mut(..count).filter(|to| !to.is_empty()) {
            self.source.read_at(self.at, to)?;
        }
        self.at += count as u64;
        Ok(count)
    }
}
