//! Lines over an asynchronous connection.
//!
//! Owns: a buffer that is as large as the line in it, and time limits of writes. Promises: a peer that sends no end of
//! a line costs [`MAX_LINE`] bytes; reading may be given up at any time without losing a byte. Does not: wait without
//! a limit when it writes.

use std::io;
use std::time::Duration;

use lifeboat_model::agent::{ControllerMessage, MAX_LINE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Longest time that a peer may take to read what it is sent.
pub(crate) const WRITE: Duration = Duration::from_secs(30);
/// Bytes that an idle connection keeps.
const IDLE: usize = 2048;

/// The bytes of a connection that are not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Bytes before this one hold no end of a line.
    searched: usize,
}

impl Lines {
    /// Reads more bytes; false at the end of the connection. May be given up at any time.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        if self.buffer.len() >= MAX_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line has more than {MAX_LINE} bytes"),
            ));
        }
        self.buffer.reserve(IDLE);
        let got = stream.read_buf(&mut self.buffer).await?;
        if got == 0 && !self.buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(got > 0)
    }

    /// The next whole line, without its end.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n').map(|at| at + self.searched) else {
            self.searched = self.buffer.len();
            if self.buffer.is_empty() && self.buffer.capacity() > IDLE * 2 {
                self.buffer = Vec::new();
            }
            return None;
        };
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        line.pop();
        self.searched = 0;
        Some(line)
    }
}

/// Sends a word.
pub(crate) async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &ControllerMessage,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    write(stream, &line).await
}

/// Sends bytes.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let sent = timeout(WRITE, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    });
    sent.await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not read what it is sent")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn lines_come_whole_however_they_were_cut_and_an_endless_one_is_refused() {
        run(async {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for piece in [&b"on"[..], b"e\ntw", b"o\n", b"\nthree\nfo"] {
                let mut piece = piece;
                assert!(lines.fill(&mut piece).await.unwrap());
                while let Some(line) = lines.next() {
                    got.push(String::from_utf8(line).unwrap());
                }
            }
            assert_eq!(got, ["one", "two", "", "three"]);
            assert!(lines.fill(&mut &b""[..]).await.is_err(), "the end cut a line");
            let endless = vec![b'x'; MAX_LINE * 2];
            let mut endless = endless.as_slice();
            let mut lines = Lines::default();
            let error = loop {
                assert!(lines.next().is_none());
                if let Err(error) = lines.fill(&mut endless).await {
                    break error;
                }
            };
            assert!(error.to_string().contains("more than"));
            assert!(lines.buffer.len() < MAX_LINE * 2);
        });
    }
}
