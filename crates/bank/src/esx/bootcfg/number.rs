//! Numbers: an optional minus, digits, or nothing at all.

use thiserror::Error;

/// A number of 64 bits with its sign, as the loader parses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The value; digits beyond 64 bits saturate (what the loader does with them was not measured).
    pub value: i64,
    /// More digits than 64 bits hold.
    pub beyond: bool,
}

/// The text is not a number; the loader refuses the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a number: an optional minus and digits, nothing else")]
pub struct NumberError;

impl Number {
    /// Parses a value without blanks at its ends; the empty text is 0.
    pub fn parse(text: &[u8]) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Ok(Self { value: 0, beyond: false });
        }
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NumberError);
        }
        let mut number = Self { value: 0, beyond: false };
        for &digit in digits {
            let digit = i64::from(digit - b'0');
            let next = number.value.checked_mul(10);
            let next =
                next.and_then(|ten| if negative { ten.checked_sub(digit) } else { ten.checked_add(digit) });
            if let Some(value) = next {
                number.value = value;
            } else {
                let value = if negative { i64::MIN } else { i64::MAX };
                return Ok(Self { value, beyond: true });
            }
        }
        Ok(number)
    }

    /// The lower 32 bits without a sign, as `updated` is compared: −1 is the newest of all.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the loader cuts in this way"
    )]
    pub const fn cut_u32(self) -> u32 {
        self.value as u32
    }

    /// The lower 32 bits with a sign, as states are compared.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the loader cuts in this way")]
    pub const fn cut_i32(self) -> i32 {
        self.value as i32
    }

    /// One byte with a sign, as the countdown is kept.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the loader cuts in this way")]
    pub const fn cut_i8(self) -> i8 {
        self.value as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_signed_64_bit_and_cut() {
        let cut = |text: &[u8]| Number::parse(text).map(Number::cut_u32);
        assert_eq!(cut(b""), Ok(0));
        assert_eq!(cut(b"-1"), Ok(u32::MAX));
        assert_eq!(cut(b"4294967296"), Ok(0));
        assert_eq!(cut(b"4294967301"), Ok(5));
        assert_eq!(cut(b"007"), Ok(7));
        for bad in [&b"-"[..], b"+1", b"\"1\"", b"1 2", b"0x1", b"1a", b"x", b"--1"] {
            assert_eq!(Number::parse(bad), Err(NumberError));
        }
        assert!(Number::parse(b"99999999999999999999").unwrap_or(Number { value: 0, beyond: false }).beyond);
    }
}
