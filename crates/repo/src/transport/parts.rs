//! Bodies: whole ones with limits, and parts that are taken up where they were cut.
//!
//! Owns: reading of answers' bodies. Promises: a part is refused unless `Content-Range` says that it is the one asked
//! for; no more bytes are read than a limit or a part has; a server that dribbles is given up. Does not: decide about
//! whole questions again (`client`).

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::TransportError;
use super::client::{Answer, Ask, Client, passing};
use super::range::parse_content_range;

/// An attempt that brings fewer bytes than this counts as one without progress.
const PROGRESS: u64 = 4096;
/// The slowest server that is waited for, bytes per second on the average of one answer.
const SLOWEST: u64 = 16 * 1024;
/// Between directory and network: bytes moved at once.
const COPY: usize = 256 * 1024;

/// Why a body did not come whole.
pub(super) enum Copied {
    /// The connection broke.
    Stopped(io::Error),
    /// It is not what it should be, or cannot be kept.
    Refused(TransportError),
}

impl Client {
    /// Fills `buf` with the part of the body from `offset` on, taking up what was cut.
    pub(crate) fn fill(
        &self,
        at: &str,
        ask: &Ask<'_>,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), TransportError> {
        let mut filled = 0_usize;
        let mut tries = 0_u32;
        while filled < buf.len() {
            let rest = buf.get_mut(filled..).unwrap_or_default();
            let (got, failure) = self.part(at, ask, offset + filled as u64, rest, tries + 1)?;
            filled += got;
            let Some(failure) = failure else { continue };
            tries = if got as u64 >= PROGRESS { 1 } else { tries + 1 };
            if tries >= self.tries {
                return Err(failure);
            }
            self.wait(tries);
        }
        Ok(())
    }

    /// One attempt at a part: how many bytes came, and why not all of them.
    fn part(
        &self,
        at: &str,
        ask: &Ask<'_>,
        offset: u64,
        buf: &mut [u8],
        tries: u32,
    ) -> Result<(usize, Option<TransportError>), TransportError> {
        let last = offset + (buf.len() as u64).saturating_sub(1);
        let ask = ask.again().header("range", format!("bytes={offset}-{last}"));
        let answer = match self.once(at, &ask, tries) {
            Ok(answer) => answer,
            Err(error @ TransportError::Network { .. }) => return Ok((0, Some(error))),
            Err(error) => return Err(error),
        };
        let bad = |what: String| TransportError::BadAnswer { at: at.to_owned(), what };
        match answer.status {
            206 => {}
            // Right by chance: the part is the whole file.
            200 if offset == 0 && answer.content_length() == Some(buf.len() as u64) => {}
            200 => return Err(TransportError::NoRanges { at: at.to_owned() }),
            416 => return Err(bad(format!("it has no bytes {offset} to {last}; the file was cut"))),
            status if passing(status) => return Ok((0, Some(answer.refused(at)))),
            _ => return Err(answer.refused(at)),
        }
        if answer.status == 206 {
            let said = answer.header("content-range").unwrap_or_default().to_owned();
            let range = parse_content_range(&said).ok_or_else(|| bad(format!("content-range {said:?}")))?;
            if range.first != offset || range.last > last {
                return Err(bad(format!("bytes {offset} to {last} were asked for, it sends {said:?}")));
            }
            if range.last < last && range.total.is_some_and(|total| total <= last) {
                return Err(bad(format!(
                    "bytes {offset} to {last} were asked for, it ends earlier: {said:?}"
                )));
            }
        }
        let started = Instant::now();
        let want = buf.len() as u64;
        let mut reader = answer.body.into_with_config().limit(u64::MAX).reader();
        let mut filled = 0_usize;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match reader.read(rest) {
                Ok(0) => {
                    let source = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed the connection early",
                    );
                    return Ok((filled, Some(TransportError::Network { at: at.to_owned(), tries, source })));
                }
                Ok(got) => {
                    self.traffic.received.fetch_add(got as u64, Ordering::Relaxed);
                    filled += got;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Ok((filled, Some(TransportError::Network { at: at.to_owned(), tries, source })));
                }
            }
            if let Some(source) = self.dribbles(started, want) {
                return Ok((filled, Some(TransportError::Network { at: at.to_owned(), tries, source })));
            }
        }
        // Asks for the end, so that the connection can be used again; more bytes than the part has are not read.
        let mut more = [0_u8; 1];
        if matches!(reader.read(&mut more), Ok(1..)) {
            return Err(bad("it sends more bytes than the part has".to_owned()));
        }
        Ok((filled, None))
    }

    fn dribbles(&self, started: Instant, want: u64) -> Option<io::Error> {
        let allowed = self.patience * 2 + Duration::from_secs(want / SLOWEST);
        (started.elapsed() > allowed)
            .then(|| io::Error::new(io::ErrorKind::TimedOut, "the server sends too slowly"))
    }

    pub(super) fn copy(
        &self,
        at: &str,
        answer: Answer,
        limit: u64,
        sink: &mut dyn Write,
    ) -> Result<u64, Copied> {
        let too_long = || Copied::Refused(TransportError::TooLong { at: at.to_owned(), limit });
        let expected = answer.content_length();
        if expected.is_some_and(|len| len > limit) {
            return Err(too_long());
        }
        let started = Instant::now();
        let mut reader = answer.body.into_with_config().limit(u64::MAX).reader();
        let mut buf = vec![0_u8; COPY];
        let mut done = 0_u64;
        loop {
            let got = match reader.read(&mut buf) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Copied::Stopped(source)),
            };
            done += got as u64;
            self.traffic.received.fetch_add(got as u64, Ordering::Relaxed);
            if done > limit {
                return Err(too_long());
            }
            sink.write_all(buf.get(..got).unwrap_or_default()).map_err(|source| {
                Copied::Refused(TransportError::Local { doing: "keeping", path: at.into(), source })
            })?;
            if let Some(slow) = self.dribbles(started, expected.unwrap_or(done).max(done)) {
                return Err(Copied::Stopped(slow));
            }
        }
        if expected.is_some_and(|len| len != done) {
            return Err(Copied::Stopped(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection early",
            )));
        }
        Ok(done)
    }
}
