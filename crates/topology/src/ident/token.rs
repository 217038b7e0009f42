//! Names as udev makes them.

/// Text as udev puts it into the name of a link: blanks at the ends dropped, others as one `_`, and what does not
/// belong into a name as `_`.
pub(crate) fn token(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == '\0').filter(|w| !w.is_empty()).collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !c.is_ascii();
    words.join("_").chars().map(|c| if fits(c) && !c.is_control() { c } else { '_' }).collect()
}

/// Whether there are digits, all hexadecimal.
pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
