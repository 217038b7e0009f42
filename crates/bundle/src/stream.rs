//! A bundle that comes as a stream: a pipe, a connection.
//!
//! Owns: slots in the order of the bundle. Promises: as `bundle`, except that a cut or trailing bytes can be
//! found only where they are, so that a caller must not call what it wrote good before
//! [`Verified::<BundleStream<R>>::next_slot`] answered that there are no more. Does not: seek.

use std::io::{self, Read};

use crate::block::{BlockDecoder, hand_out};
use crate::error::BundleError;
use crate::head::{Head, cut, read_up_to};
use crate::manifest::Slot;
use crate::trust::TrustStore;
use crate::verify::{Rules, Verified, check_head};

/// A stream that stands behind the head of a bundle.
#[derive(Debug)]
pub struct BundleStream<R> {
    source: R,
    end: u64,
    at: u64,
    /// Index of the slot and of its block that come next in the stream.
    slot: usize,
    block: usize,
    decoder: BlockDecoder,
    broken: bool,
    entered: bool,
    /// Bytes of the current block that [`Read`] has handed out.
    taken: usize,
}

/// Reads and checks the head of a bundle: form, signatures, rules. No block is read yet.
pub fn open_stream<R: Read>(
    mut source: R,
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Verified<BundleStream<R>>, BundleError> {
    let head = Head::read(&mut source)?;
    if head.contents.is_some() {
        // Equal chunks lie in the bundle once: slots cannot be had one after the other without positions.
        return Err(BundleError::NeedsPositions);
    }
    let stream = BundleStream {
        source,
        end: head.end(),
        at: head.blocks_at,
        slot: 0,
        block: 0,
        decoder: BlockDecoder::default(),
        broken: false,
        entered: false,
        taken: usize::MAX,
    };
    check_head(&head, trust, rules, stream)
}

impl<R: Read> Verified<BundleStream<R>> {
    /// The next slot in the bundle's order. What was not read of the one before is read and verified first.
    /// Nothing after the last one, and only if nothing follows it in the stream either.
    pub fn next_slot(&mut self) -> Result<Option<StreamSlot<'_, R>>, BundleError> {
        if self.inner.entered {
            while self.read_block()? {}
            self.inner.slot += 1;
        }
        self.inner.entered = true;
        self.inner.block = 0;
        self.inner.decoder.start_slot();
        self.inner.taken = usize::MAX;
        if self.inner.slot < self.manifest.slots.len() {
            return Ok(Some(StreamSlot { stream: self }));
        }
        self.inner.slot = self.manifest.slots.len();
        self.check_end()?;
        Ok(None)
    }

    fn check_end(&mut self) -> Result<(), BundleError> {
        let end = self.inner.end;
        // Set until the end was seen: asking again after trailing bytes must not find a good end behind them.
        self.inner.broken = true;
        let more = read_up_to(&mut self.inner.source, &mut [0]);
        let more = more.map_err(|source| BundleError::Read { at: end, len: 1, source })?;
        if more > 0 {
            return Err(BundleError::TrailingBytes { end });
        }
        self.inner.broken = false;
        Ok(())
    }

    /// Reads, verifies and decodes the next block of the current slot; false when there is none.
    fn read_block(&mut self) -> Result<bool, BundleError> {
        if self.inner.broken {
            return Err(BundleError::StreamBroken);
        }
        let stream = &mut self.inner;
        let Some((slot, block)) = self
            .manifest
            .slots
            .get(stream.slot)
            .and_then(|slot| slot.blocks.get(stream.block).map(|block| (slot, block)))
        else {
            return Ok(false);
        };
        // Set until the block is through: where the stream stands after an error is not known.
        stream.broken = true;
        let len = block.stored_len as usize;
        stream.decoder.stored.resize(len, 0);
        let got = read_up_to(&mut stream.source, &mut stream.decoder.stored);
        let got = got.map_err(|source| BundleError::Read { at: stream.at, len: len as u64, source })?;
        if got < len {
            let within = format!("block {} of slot {}", stream.block, slot.name);
            return Err(cut(stream.at.saturating_add(got as u64), stream.end, &within));
        }
        stream.decoder.decode(slot, stream.block, block, stream.at)?;
        stream.at = stream.at.saturating_add(block.stored_len.into());
        stream.block += 1;
        stream.broken = false;
        Ok(true)
    }
}

/// The slot that a stream stands in.
#[derive(Debug)]
pub struct StreamSlot<'b, R> {
    stream: &'b mut Verified<BundleStream<R>>,
}

impl<R: Read> StreamSlot<'_, R> {
    /// What the manifest says about the slot.
    pub fn slot(&self) -> Option<&Slot> {
        self.stream.manifest.slots.get(self.stream.inner.slot)
    }

    /// Name of the slot.
    pub fn name(&self) -> &str {
        self.slot().map_or("", |slot| slot.name.as_str())
    }

    /// The next decoded block, at most 4 MiB; nothing after the last one. Do not mix with [`Read`].
    pub fn next_block(&mut self) -> Result<Option<&[u8]>, BundleError> {
        self.stream.inner.taken = usize::MAX;
        if self.stream.read_block()? { Ok(Some(self.stream.inner.decoder.decoded())) } else { Ok(None) }
    }
}

impl<R: Read> Read for StreamSlot<'_, R> {
    /// A refusal comes as [`io::ErrorKind::InvalidData`] with the [`BundleError`] inside.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.stream.inner.decoder.decoded().len() <= self.stream.inner.taken {
            if !self.stream.read_block()? {
                return Ok(0);
            }
            self.stream.inner.taken = 0;
        }
        let stream = &mut self.stream.inner;
        Ok(hand_out(stream.decoder.decoded(), &mut stream.taken, buf))
    }
}
