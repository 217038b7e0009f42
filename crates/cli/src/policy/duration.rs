//! Lengths of time as people write them: `90 s`, `15 min`, `2 h`, `1 d`.
//!
//! Promises: what [`show`] writes, [`parse`] reads as the same length. Does not: read sums or fractions.

/// Milliseconds of each unit, the longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// What a length may look like, for people.
pub(super) const FORM: &str =
    "a number of milliseconds, or text such as \"90 s\", \"15 min\", \"2 h\", \"1 d\"";

/// The longest length that has a meaning in a roll.
pub(super) const LONGEST: u64 = 366 * 86_400_000;

/// Milliseconds of a text: digits and a unit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "d" | "day" | "days" => "d",
        "h" | "hour" | "hours" => "h",
        "m" | "min" | "minute" | "minutes" => "min",
        "s" | "sec" | "second" | "seconds" => "s",
        "ms" | "" => "ms",
        _ => return None,
    };
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The text of a length, in its largest whole unit.
pub(super) fn show(millis: u64) -> String {
    if millis == 0 {
        return "0 s".to_owned();
    }
    let unit = UNITS.iter().find(|(_, factor)| millis.is_multiple_of(*factor));
    let (name, factor) = unit.copied().unwrap_or(("ms", 1));
    format!("{} {name}", millis / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_as_it_is_shown() {
        for (text, millis) in
            [("0 s", 0), ("90 s", 90_000), ("15 min", 900_000), ("2 h", 7_200_000), ("1 d", 86_400_000)]
        {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
        for millis in [0, 1, 999, 1000, 90_000, 3_600_000, 5_400_000, 86_400_000, 86_400_001, u64::MAX] {
            assert_eq!(parse(&show(millis)), Some(millis));
        }
        assert_eq!(parse("10000"), Some(10_000));
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for wrong in ["", "s", "-5 s", "1.5 h", "1 week", "1 h 30 min", "99999999999999999999 s", "ä"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("18446744073709551615 d"), None);
    }
}
