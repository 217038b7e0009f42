//! XML in one spelling: attributes sorted, quotes and white space as one way writes them, comments left out.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Largest document that is compared by its meaning.
const LIMIT: usize = 4 << 20;
/// Deepest nesting.
const DEPTH: usize = 64;

/// The lines of a document in one spelling; none if it is no well-formed XML of a reasonable size.
pub(super) fn canonical(bytes: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LIMIT)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut lines = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut inner = String::new();
    loop {
        let event = reader.read_event().ok()?;
        match event {
            Event::Text(text) => inner.push_str(&text.xml10_content()),
            Event::CData(text) => inner.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok()? {
                Some(letter) => inner.push(letter),
                None => match name.xml10_content().as_ref() {
                    "amp" => inner.push('&'),
                    "lt" => inner.push('<'),
                    "gt" => inner.push('>'),
                    "quot" => inner.push('"'),
                    "apos" => inner.push('\''),
                    _ => return None,
                },
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::DocType(_) => return None,
            Event::Start(start) => {
                spill(&mut inner, open.len(), &mut lines);
                if open.len() >= DEPTH {
                    return None;
                }
                lines.push(format!("{}{}", "  ".repeat(open.len()), tag(&start)?));
                open.push(start.name().into_inner().to_owned());
            }
            Event::Empty(start) => {
                spill(&mut inner, open.len(), &mut lines);
                let indent = "  ".repeat(open.len());
                lines.push(format!("{indent}{}", tag(&start)?));
                lines.push(format!("{indent}</{}>", start.name().into_inner()));
            }
            Event::End(_) => {
                spill(&mut inner, open.len(), &mut lines);
                let name = open.pop()?;
                lines.push(format!("{}</{name}>", "  ".repeat(open.len())));
            }
            Event::Eof => break,
        }
    }
    (open.is_empty() && !lines.is_empty()).then_some(lines)
}

/// Text between tags; white space around it is layout.
fn spill(inner: &mut String, depth: usize, lines: &mut Vec<String>) {
    for line in inner.trim().lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines.push(format!("{}{line}", "  ".repeat(depth)));
    }
    inner.clear();
}

fn tag(start: &BytesStart<'_>) -> Option<String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
        attributes.push((attribute.key.into_inner().to_owned(), value));
    }
    attributes.sort();
    let mut text = format!("<{}", start.name().into_inner());
    for (key, value) in attributes {
        text.push_str(&format!(" {key}={value:?}"));
    }
    text.push('>');
    Some(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::canonical;

    #[test]
    fn layout_quotes_order_of_attributes_and_comments_mean_nothing() {
        let a = "<!-- WARNING -->\n<disk type='block' device=\"disk\">\n  <source dev='/dev/a&amp;b'/>\n</disk>\n";
        let b = "<disk device='disk' type='block'><source dev=\"/dev/a&#38;b\"></source></disk>";
        assert_eq!(canonical(a.as_bytes()).unwrap(), canonical(b.as_bytes()).unwrap());
        let c = b.replace("block", "file");
        assert_ne!(canonical(b.as_bytes()), canonical(c.as_bytes()));
        for wrong in ["", "<a>", "<a><b></a>", "text"] {
            assert!(canonical(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
    }
}
