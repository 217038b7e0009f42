//! `Content-Range` (RFC 9110, section 14.4).

/// What a server says that it sends: bytes `first` to `last` of `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// `None` when the server wrote `*`.
    pub(crate) total: Option<u64>,
}

/// Reads `bytes 0-99/1234`; `None` for anything else, also for numbers that cannot be.
pub(crate) fn parse_content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some(ContentRange { first, last, total })
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone takes a plus sign.
    if text.bytes().all(|c| c.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_that_can_be_are_read() {
        let good = Some(ContentRange { first: 5, last: 9, total: Some(10) });
        assert_eq!(parse_content_range("bytes 5-9/10"), good);
        assert_eq!(parse_content_range("bytes 5-9/*").map(|range| range.total), Some(None));
        let bad =
            ["", "bytes 5-9", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes +5-9/10", "lines 5-9/10"];
        for bad in bad.into_iter().chain(["bytes 5-99999999999999999999/*", "bytes -9/10", "bytes 5-/10"]) {
            assert_eq!(parse_content_range(bad), None, "{bad:?}");
        }
    }
}
