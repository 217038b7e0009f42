//! Lines of bounded length.
//!
//! Owns: reading one line of JSON, and writing one. Promises: a peer that sends no end of a line costs the limit and
//! no more; a line that was cut off is not taken for a whole one. Does not: know the words.

use std::io::{self, BufRead, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why a line could not be understood.
#[derive(Debug, Error)]
pub enum LineError {
    /// The line is not one of the words.
    #[error("a line that is none of the known words: {start:?}")]
    Words {
        /// Its first characters.
        start: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

/// One line without its end; none at the end of the stream. `limit` counts bytes with the newline.
pub fn read_line(reader: &mut impl BufRead, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    io::Read::take(&mut *reader, limit as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() + 1 < limit => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {limit} bytes")))
        }
    }
}

/// The word of a line.
pub fn parse_line<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineError> {
    serde_json::from_slice(line).map_err(|source| LineError::Words {
        start: String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned(),
        source,
    })
}

/// Writes a word as one line, in one call.
pub fn write_line(writer: &mut impl Write, word: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(word).map_err(io::Error::other)?;
    line.push(b'\n');
    writer.write_all(&line)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_without_end_costs_its_limit_and_a_cut_one_is_an_error() {
        let endless = vec![b'x'; 100];
        assert!(read_line(&mut endless.as_slice(), 64).is_err());
        assert!(read_line(&mut b"cut".as_slice(), 64).is_err());
        assert_eq!(read_line(&mut b"one\ntwo".as_slice(), 64).unwrap(), Some(b"one".to_vec()));
        assert_eq!(read_line(&mut b"".as_slice(), 64).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_what_is_written_is_read_again(
            bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,40}"
        ) {
            let mut reader = bytes.as_slice();
            while let Ok(Some(line)) = read_line(&mut reader, 64) {
                prop_assert!(line.len() < 64);
                let _ = parse_line::<lifeboat_model::agent::AgentMessage>(&line);
            }
            let mut written = Vec::new();
            write_line(&mut written, &text).unwrap();
            let line = read_line(&mut written.as_slice(), 4096).unwrap().unwrap();
            prop_assert_eq!(parse_line::<String>(&line).unwrap(), text);
        }
    }
}
