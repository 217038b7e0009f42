//! Frames: a length, a header of six words, a payload.
//!
//! Owns: the numbers of libvirt's programs, the header, putting frames together from a stream of bytes. Promises: a
//! length outside libvirt's bounds is refused as soon as its four bytes are there, and a frame takes memory only as
//! its bytes arrive. Does not: know payloads.

use thiserror::Error;

use crate::xdr::{Decoder, XdrError};

/// The program that hypervisor calls belong to.
pub const REMOTE_PROGRAM: u32 = 0x2000_8086;
/// The program of keepalive messages.
pub const KEEPALIVE_PROGRAM: u32 = 0x6b65_6570;
/// Version of both.
pub const PROGRAM_VERSION: u32 = 1;
/// Keepalive: "are you there?".
pub const KEEPALIVE_PING: i32 = 1;
/// Keepalive: "I am".
pub const KEEPALIVE_PONG: i32 = 2;

/// Bytes of the length, which counts itself.
const LENGTH: usize = 4;
/// Bytes of the header.
const HEADER: usize = 24;
/// Longest frame: 32 MiB and its length, libvirt's `VIR_NET_MESSAGE_MAX`.
pub const FRAME_LIMIT: usize = LENGTH + (32 << 20);
/// Memory that is kept between frames.
const KEPT: usize = 256 << 10;

/// What kind a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call, from client to daemon.
    Call,
    /// Its answer.
    Reply,
    /// An event, or a keepalive message.
    Message,
    /// Part of a stream of bytes, with open files, or a hole: nothing that this client ever asks for.
    Other(u32),
}

impl Kind {
    fn word(self) -> u32 {
        match self {
            Self::Call => 0,
            Self::Reply => 1,
            Self::Message => 2,
            Self::Other(word) => word,
        }
    }

    fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Call,
            1 => Self::Reply,
            2 => Self::Message,
            word => Self::Other(word),
        }
    }
}

/// Whether a reply carries what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does; also in every call and event.
    Ok,
    /// It carries an error.
    Error,
}

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose procedure.
    pub program: u32,
    /// Version of the program.
    pub version: u32,
    /// Number of the procedure or event.
    pub procedure: i32,
    /// Call, reply or event.
    pub kind: Kind,
    /// Which call a reply answers; 0 in events.
    pub serial: u32,
    /// Whether an error follows.
    pub status: Status,
}

impl Header {
    /// Of a call.
    #[must_use]
    pub fn call(procedure: i32, serial: u32) -> Self {
        let (program, version) = (REMOTE_PROGRAM, PROGRAM_VERSION);
        Self { program, version, procedure, kind: Kind::Call, serial, status: Status::Ok }
    }

    /// Of a keepalive message.
    #[must_use]
    pub fn keepalive(procedure: i32) -> Self {
        let (program, version) = (KEEPALIVE_PROGRAM, PROGRAM_VERSION);
        Self { program, version, procedure, kind: Kind::Message, serial: 0, status: Status::Ok }
    }
}

/// What is wrong with a frame. The stream cannot be read on after it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length outside the bounds.
    #[error("a frame of {len} bytes; they have {HEADER} to {FRAME_LIMIT}")]
    Length {
        /// What it claims.
        len: u32,
    },
    /// A header that cannot be read.
    #[error("a header that cannot be read")]
    Header(#[source] XdrError),
    /// A payload that does not fit into a frame.
    #[error("a payload of {len} bytes does not fit into a frame")]
    TooLarge {
        /// Its length.
        len: usize,
    },
}

/// The bytes of a frame.
pub fn encode(header: &Header, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let len = LENGTH + HEADER + payload.len();
    let word = u32::try_from(len).ok().filter(|_| len <= FRAME_LIMIT);
    let Some(word) = word else { return Err(FrameError::TooLarge { len: payload.len() }) };
    let mut bytes = Vec::with_capacity(len);
    let status = match header.status {
        Status::Ok => 0,
        Status::Error => 1,
    };
    bytes.extend_from_slice(&word.to_be_bytes());
    bytes.extend_from_slice(&header.program.to_be_bytes());
    bytes.extend_from_slice(&header.version.to_be_bytes());
    bytes.extend_from_slice(&header.procedure.to_be_bytes());
    bytes.extend_from_slice(&header.kind.word().to_be_bytes());
    bytes.extend_from_slice(&header.serial.to_be_bytes());
    bytes.extend_from_slice(&u32::to_be_bytes(status));
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it says of itself.
    pub header: Header,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Puts frames together from the pieces that a stream gives.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
    taken: usize,
}

impl Assembler {
    /// Without a byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is whole.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((length, after)) = rest.split_first_chunk::<LENGTH>() else {
            self.tidy();
            return Ok(None);
        };
        let word = u32::from_be_bytes(*length);
        let len = word as usize;
        if !(LENGTH + HEADER..=FRAME_LIMIT).contains(&len) {
            return Err(FrameError::Length { len: word });
        }
        let Some(body) = after.get(..len - LENGTH) else {
            self.tidy();
            return Ok(None);
        };
        let mut decoder = Decoder::new(body);
        let header = header(&mut decoder).map_err(FrameError::Header)?;
        let payload = body.get(HEADER..).unwrap_or_default().to_vec();
        self.taken += len;
        Ok(Some(Frame { header, payload }))
    }

    /// Gives back what was taken.
    fn tidy(&mut self) {
        self.bytes.drain(..self.taken.min(self.bytes.len()));
        self.taken = 0;
        if self.bytes.len() < KEPT && self.bytes.capacity() > KEPT {
            self.bytes.shrink_to(KEPT);
        }
    }
}

fn header(decoder: &mut Decoder<'_>) -> Result<Header, XdrError> {
    let (program, version, procedure) = (decoder.unsigned()?, decoder.unsigned()?, decoder.int()?);
    let (kind, serial) = (Kind::from_word(decoder.unsigned()?), decoder.unsigned()?);
    let status = match decoder.unsigned()? {
        0 => Status::Ok,
        1 => Status::Error,
        value => return decoder.unknown("the status of a frame", value),
    };
    Ok(Header { program, version, procedure, kind, serial, status })
}
