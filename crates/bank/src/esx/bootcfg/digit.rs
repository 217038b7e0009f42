//! The one byte of the file that the loader writes.

use serde::Serialize;

/// Bytes at the front of the file among which the loader looks for the state: one sector.
pub const STATE_LIMIT: usize = 512;

/// What the loader finds when it has to write a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum StateDigit {
    /// A character from 0 to 3, which can be replaced.
    At {
        /// Byte in the file.
        offset: usize,
        /// The character.
        byte: u8,
    },
    /// A line for the state whose first character is no state; it cannot be replaced.
    NotAState {
        /// Byte in the file where a digit should stand.
        offset: usize,
    },
    /// The first line for the state begins, or has its digit, behind the first sector of the file.
    Beyond {
        /// Byte in the file where its line begins.
        offset: usize,
    },
    /// No line for the state.
    NoLine,
}

/// A change of one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StatePatch {
    /// Byte in the file; below [`STATE_LIMIT`].
    pub offset: usize,
    /// The character that stands there.
    pub old: u8,
    /// The character that comes.
    pub new: u8,
}

impl StateDigit {
    /// Looks through a whole file: the first line that begins with `bootstate`, blanks, `=`.
    #[must_use]
    pub fn find(file: &[u8]) -> Self {
        let mut start = 0;
        for line in file.split(|&byte| byte == b'\n') {
            if let Some(inside) = value_at(line) {
                let offset = start + inside;
                return match file.get(offset).copied() {
                    _ if start >= STATE_LIMIT || offset >= STATE_LIMIT => Self::Beyond { offset: start },
                    Some(byte @ b'0'..=b'3') => Self::At { offset, byte },
                    Some(_) | None => Self::NotAState { offset },
                };
            }
            start += line.len() + 1;
        }
        Self::NoLine
    }

    /// The change that makes the state `state`, if the loader could make it. The byte may be the same already.
    #[must_use]
    pub fn patch(self, state: u8) -> Option<StatePatch> {
        match self {
            Self::At { offset, byte } => Some(StatePatch { offset, old: byte, new: b'0' + state.min(3) }),
            Self::NotAState { .. } | Self::Beyond { .. } | Self::NoLine => None,
        }
    }
}

/// Where the value begins in a line for the state. The line itself must begin with the key.
fn value_at(line: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"bootstate";
    if !line.get(..KEY.len())?.eq_ignore_ascii_case(KEY) {
        return None;
    }
    let blanks = |from: usize| {
        let rest = line.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    };
    let equals = blanks(KEY.len());
    (line.get(equals) == Some(&b'=')).then(|| blanks(equals + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_first_sector_holds_the_digit() {
        assert_eq!(StateDigit::find(b"bootstate=1\n"), StateDigit::At { offset: 10, byte: b'1' });
        assert_eq!(
            StateDigit::find(b"a=b\nbootstate = 2\nbootstate=0"),
            StateDigit::At { offset: 16, byte: b'2' }
        );
        assert_eq!(StateDigit::find(b"bootstate=\nbootstate=0"), StateDigit::NotAState { offset: 10 });
        assert_eq!(StateDigit::find(b"bootstate="), StateDigit::NotAState { offset: 10 });
        assert_eq!(StateDigit::find(b"#bootstate=1\n"), StateDigit::NoLine);
        let mut late = vec![b'#'; 501];
        late.extend(b"\nbootstate=1\n");
        assert_eq!(StateDigit::find(&late), StateDigit::Beyond { offset: 502 });
        late.remove(0);
        assert_eq!(StateDigit::find(&late), StateDigit::At { offset: 511, byte: b'1' });
    }
}
