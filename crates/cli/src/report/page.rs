//! Text of a page, into which nothing gets unescaped.
//!
//! Promises: markup can only be a text of this program (`&'static str`); anything else goes through [`Page::text`],
//! numbers aside. So a name in a journal cannot become markup, an attribute or a script. Does not: check that tags
//! are balanced.

/// Longest text that is shown whole, in characters.
const LONGEST: usize = 1_000;

/// A page that is being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.text.push_str(markup);
        self
    }

    /// Any text: made harmless between tags and within quoted attributes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        escape(&mut self.text, text);
        self
    }

    /// A whole number.
    pub(crate) fn int(&mut self, number: u64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// A coordinate, with at most one decimal.
    pub(crate) fn at(&mut self, number: f64) -> &mut Self {
        let tenths = (number * 10.0).round() / 10.0;
        let safe = if tenths.is_finite() { tenths } else { 0.0 };
        self.text.push_str(&safe.to_string());
        self
    }

    /// What was written by another page.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The page.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// The one function through which outside text gets onto a page.
fn escape(page: &mut String, text: &str) {
    for (at, character) in text.chars().enumerate() {
        if at == LONGEST {
            let more = text.chars().count().saturating_sub(LONGEST);
            page.push_str(&format!("… ({more} more characters)"));
            return;
        }
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '`' => page.push_str("&#96;"),
            '\n' | '\t' => page.push(' '),
            // Characters that turn the direction of what follows, or are not seen at all: a name must look like itself.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{061c}'
            | '\u{feff}' => page.push('\u{fffd}'),
            character if character.is_control() => page.push('\u{fffd}'),
            character => page.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let mut page = Page::default();
        page.text(text);
        page.finish()
    }

    #[test]
    fn no_text_becomes_markup_or_leaves_an_attribute() {
        assert_eq!(of("<script>alert('x')</script>"), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        assert_eq!(of(r#"" onload="x"#), "&quot; onload=&quot;x");
        assert_eq!(of("a&b`c"), "a&amp;b&#96;c");
        assert_eq!(of("&lt;"), "&amp;lt;");
    }

    #[test]
    fn a_name_cannot_hide_or_turn_what_follows() {
        assert_eq!(of("a\u{202e}b\u{200b}c\u{0}d\x1b[2J"), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}[2J");
        assert_eq!(of("عربي"), "عربي");
    }

    #[test]
    fn a_long_text_is_cut_and_says_by_how_much() {
        let shown = of(&"é".repeat(10_000));
        assert!(shown.ends_with("… (9000 more characters)"), "{}", shown.len());
        assert!(shown.chars().count() < 1_100);
    }

    #[test]
    fn a_coordinate_is_always_a_number() {
        let mut page = Page::default();
        page.at(1.25).raw(" ").at(f64::NAN).raw(" ").at(f64::INFINITY).raw(" ").at(3.0);
        assert_eq!(page.finish(), "1.3 0 0 3");
    }
}
