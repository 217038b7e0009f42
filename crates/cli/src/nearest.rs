//! "Did you mean …?"

/// The candidate that is nearest to what was written, if it is near enough to be meant.
pub(crate) fn nearest<'c>(given: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let given = plain(given);
    // Text from outside: the effort grows with its length.
    if given.chars().count() > 64 {
        return None;
    }
    let far = given.chars().count() / 3 + 1;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let plain = plain(candidate);
        let begins = given.len() >= 3 && (plain.starts_with(&given) || given.starts_with(&plain));
        let steps = if begins { 1 } else { distance(&given, &plain) };
        if steps <= far && best.is_none_or(|(fewest, _)| steps < fewest) {
            best = Some((steps, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Letters that must be added, removed or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut before = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (before + usize::from(letter != *other)).min(above + 1).min(left + 1);
            before = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_nonsense_finds_none() {
        let words = ["max-in-flight", "attempts", "soak"];
        for (given, meant) in [
            ("max_in_flight", Some("max-in-flight")),
            ("attemps", Some("attempts")),
            ("Soak", Some("soak")),
            ("attempt", Some("attempts")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), meant, "{given:?}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
        assert_eq!(nearest(&"a".repeat(1_000_000), words), None);
    }
}
