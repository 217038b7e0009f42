//! The thread of a connection: it alone reads and writes the stream.
//!
//! One thread, because a TLS session cannot be split. Promises: never waits on the stream, so frames flow both ways at
//! once; answers keepalive messages; notices a silent death; tells the mailbox how it ended. Does not: open streams.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::CloseReason;
use crate::event;
use crate::frame::{self, Assembler, Frame, Header, Kind, Status};
use crate::mailbox::{Answer, Mailbox};
use crate::procedure::Procedure;
use crate::remote_error::RemoteError;
use crate::transport::Stream;
use crate::xdr::Decoder;

/// Bytes that are read before what waits to be sent gets its turn.
const TURN: usize = 1 << 20;
/// Bytes of one read.
const PIECE: usize = 64 << 10;
/// How long a last frame may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Looking after a connection that is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence after which the daemon is asked.
    pub interval: Duration,
    /// Questions without an answer after which it is given up.
    pub misses: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), misses: 6 }
    }
}

/// Serves the stream until it ends.
pub(crate) fn serve(stream: Box<dyn Stream>, mailbox: &Arc<Mailbox>, keepalive: Option<Keepalive>) {
    let mut link = Link {
        stream,
        mailbox,
        keepalive,
        assembler: Assembler::new(),
        piece: vec![0; PIECE],
        outgoing: VecDeque::new(),
        heard: Instant::now(),
        asked: 0,
        closing: None,
        // A handshake may have brought more than it needed.
        more: true,
    };
    let guard = Guard(mailbox);
    let mut reason = loop {
        if let Err(reason) = link.turn() {
            break reason;
        }
    };
    let words = link.stream.end();
    if link.closing.is_some() {
        // The daemon may hang up at the farewell before this side does.
        reason = CloseReason::Asked;
    }
    if let CloseReason::Ended { detail } = &mut reason {
        detail.push_str(&words);
    }
    guard.0.end(&reason);
    std::mem::forget(guard);
}

/// Frees the callers even if this thread should ever panic.
struct Guard<'m>(&'m Arc<Mailbox>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.end(&CloseReason::Io { detail: "the thread of the connection failed".to_owned() });
    }
}

struct Link<'m> {
    stream: Box<dyn Stream>,
    mailbox: &'m Arc<Mailbox>,
    keepalive: Option<Keepalive>,
    assembler: Assembler,
    piece: Vec<u8>,
    /// Bytes that the stream has not taken over yet.
    outgoing: VecDeque<u8>,
    /// When anything came last.
    heard: Instant,
    /// Keepalive questions since then.
    asked: u32,
    /// When the connection ends even if the last frame is not sent.
    closing: Option<Instant>,
    /// Whether more can be read without polling.
    more: bool,
}

impl Link<'_> {
    /// Waits for something to do and does it.
    fn turn(&mut self) -> Result<(), CloseReason> {
        self.collect()?;
        self.write()?;
        self.wait()?;
        self.read()?;
        self.keep_alive()
    }

    /// Takes new frames.
    fn collect(&mut self) -> Result<(), CloseReason> {
        let (frames, close) = self.mailbox.take();
        self.outgoing.extend(frames.into_iter().flatten());
        if close && self.closing.is_none() {
            self.closing = Some(Instant::now() + FAREWELL);
            // No answer is waited for: the daemon lets go either way.
            self.send(&Header::call(Procedure::CONNECT_CLOSE.number, u32::MAX));
        }
        match self.closing {
            Some(_) if self.outgoing.is_empty() && !self.stream.wants_write() => Err(CloseReason::Asked),
            Some(end) if Instant::now() >= end => Err(CloseReason::Asked),
            _ => Ok(()),
        }
    }

    fn wait(&mut self) -> Result<(), CloseReason> {
        let mut interest = PollFlags::IN;
        if !self.outgoing.is_empty() || self.stream.wants_write() {
            interest |= PollFlags::OUT;
        }
        let wake = self.mailbox.wake_descriptor();
        let mut all =
            [PollFd::from_borrowed_fd(self.stream.descriptor(), interest), PollFd::new(&wake, PollFlags::IN)];
        let patience = self.patience();
        let limit = patience.map(|patience| Timespec::try_from(patience).unwrap_or_default());
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(CloseReason::Io { detail: format!("waiting for the connection: {error}") }),
        }
    }

    /// How long may be waited.
    fn patience(&self) -> Option<Duration> {
        if self.more {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let alive = self.keepalive.map(|keepalive| self.due(keepalive).saturating_duration_since(now));
        let closing = self.closing.map(|end| end.saturating_duration_since(now));
        alive.into_iter().chain(closing).min()
    }

    /// When the next keepalive message is due.
    fn due(&self, keepalive: Keepalive) -> Instant {
        self.heard + keepalive.interval.saturating_mul(self.asked.saturating_add(1))
    }

    fn keep_alive(&mut self) -> Result<(), CloseReason> {
        let Some(keepalive) = self.keepalive else { return Ok(()) };
        if Instant::now() < self.due(keepalive) {
            return Ok(());
        }
        if self.asked >= keepalive.misses {
            return Err(CloseReason::KeepaliveLost { silent: self.heard.elapsed() });
        }
        self.asked += 1;
        self.send(&Header::keepalive(frame::KEEPALIVE_PING));
        Ok(())
    }

    fn send(&mut self, header: &Header) {
        // A header alone always fits.
        self.outgoing.extend(frame::encode(header, &[]).into_iter().flatten());
    }

    fn write(&mut self) -> Result<(), CloseReason> {
        loop {
            let (bytes, _) = self.outgoing.as_slices();
            let taken =
                if bytes.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(bytes) };
            match taken {
                Ok(0) => return Ok(()),
                Ok(taken) => drop(self.outgoing.drain(..taken)),
                Err(error) if later(&error) => return Ok(()),
                Err(error) => {
                    // What the other side said before it closed may still be there.
                    self.read()?;
                    return Err(ended("sending", &error));
                }
            }
        }
    }

    fn read(&mut self) -> Result<(), CloseReason> {
        let mut turn = 0;
        self.more = false;
        loop {
            match self.stream.read(&mut self.piece) {
                Ok(0) => return Err(CloseReason::Ended { detail: String::new() }),
                Ok(len) => {
                    self.heard = Instant::now();
                    self.asked = 0;
                    self.assembler.push(self.piece.get(..len).unwrap_or_default());
                    turn += len;
                }
                Err(error) if later(&error) => return Ok(()),
                Err(error) => return Err(ended("receiving", &error)),
            }
            loop {
                match self.assembler.next_frame() {
                    Ok(Some(frame)) => self.take(frame)?,
                    Ok(None) => break,
                    Err(error) => return Err(CloseReason::Protocol { detail: error.to_string() }),
                }
            }
            if turn >= TURN {
                self.more = true;
                return Ok(());
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), CloseReason> {
        let header = frame.header;
        let broken = |what: &str| {
            let detail = format!("{what} (program {:#x}, procedure {})", header.program, header.procedure);
            Err(CloseReason::Protocol { detail })
        };
        if header.version != frame::PROGRAM_VERSION {
            return broken("a version that is not spoken here");
        }
        match (header.program, header.kind) {
            (frame::KEEPALIVE_PROGRAM, Kind::Message) => {
                if header.procedure == frame::KEEPALIVE_PING {
                    self.send(&Header::keepalive(frame::KEEPALIVE_PONG));
                }
                Ok(())
            }
            (frame::REMOTE_PROGRAM, Kind::Reply) => {
                let answer = match header.status {
                    Status::Ok => Answer::Payload(frame.payload),
                    Status::Error => refusal(&frame.payload),
                };
                let known = self.mailbox.answer(header.serial, answer);
                if known || self.closing.is_some() {
                    Ok(())
                } else {
                    broken("an answer that nobody asked for")
                }
            }
            (frame::REMOTE_PROGRAM, Kind::Message) => {
                match event::decode(header.procedure, &frame.payload) {
                    Ok(Some((kind, event))) => self.mailbox.tell(kind, &event),
                    // An event that was never asked for is no harm.
                    Ok(None) => {}
                    Err(error) => return broken(&format!("an event that cannot be read: {error}")),
                }
                Ok(())
            }
            (frame::REMOTE_PROGRAM | frame::KEEPALIVE_PROGRAM, _) => {
                broken("a frame of a kind not asked for")
            }
            _ => broken("a program that is not known here"),
        }
    }
}

fn refusal(payload: &[u8]) -> Answer {
    let mut decoder = Decoder::new(payload);
    match RemoteError::decode(&mut decoder).and_then(|error| decoder.finish().map(|()| error)) {
        Ok(error) => Answer::Refused(error),
        Err(error) => Answer::Unreadable(error),
    }
}

fn later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn ended(doing: &str, error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            CloseReason::Ended { detail: String::new() }
        }
        _ => CloseReason::Io { detail: format!("{doing}: {error}") },
    }
}
