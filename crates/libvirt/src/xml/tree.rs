//! A document as a small tree.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use thiserror::Error;

/// Longest document; libvirt sends none that is longer.
const BYTES: usize = 4 << 20;
/// Most elements; capabilities of big hosts have some ten thousand.
const ELEMENTS: usize = 200_000;
/// Deepest nesting; libvirt's documents have about ten levels.
const DEPTH: usize = 64;
/// Most attributes of an element.
const ATTRIBUTES: usize = 64;

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Too long.
    #[error("the document has {len} bytes; more than {BYTES} are not read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A document type.
    #[error("the document declares a document type, which libvirt's never do")]
    DocType,
    /// Too many elements.
    #[error("the document has more than {ELEMENTS} elements")]
    TooMany,
    /// Too deep.
    #[error("elements are nested more than {DEPTH} deep, at byte {at}")]
    TooDeep {
        /// Place.
        at: u64,
    },
    /// Not well-formed.
    #[error("the document is not well-formed XML at byte {at}: {what}")]
    Form {
        /// Place.
        at: u64,
        /// What the parser says.
        what: String,
    },
    /// No element, or more than one on the outermost level.
    #[error("the document has {found} outermost elements; one is needed")]
    Roots {
        /// How many.
        found: usize,
    },
    /// Another document.
    #[error("the outermost element is <{found}>, not <{expected}>")]
    Other {
        /// Its name.
        found: String,
        /// What is needed.
        expected: &'static str,
    },
    /// Something that every such document has.
    #[error("<{element}> has no usable {what}")]
    Missing {
        /// Where.
        element: &'static str,
        /// What.
        what: &'static str,
    },
}

/// An element. Names keep their prefix; libvirt's own elements have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// All text directly within it, trimmed.
    pub text: String,
    /// Elements within it.
    pub children: Vec<Self>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Every child of this name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at the end of this path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// An attribute that is to be kept.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.attribute(name).map(str::to_owned)
    }

    /// Text of the first child of this name, unless empty.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Text of the first child that is to be kept.
    pub(crate) fn owned_text(&self, name: &str) -> Option<String> {
        self.text_of(name).map(str::to_owned)
    }

    /// Whether an attribute says `yes` or `on`.
    pub fn says_yes(&self, name: &str) -> bool {
        matches!(self.attribute(name), Some("yes" | "on"))
    }
}

/// Reads a document.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    if text.len() > BYTES {
        return Err(XmlError::TooLong { len: text.len() });
    }
    let mut reader = Reader::from_str(text);
    let mut roots: Vec<Element> = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| XmlError::Form { at, what: error.to_string() })?;
        match event {
            Event::Start(start) => {
                count(&mut elements)?;
                if open.len() >= DEPTH {
                    return Err(XmlError::TooDeep { at });
                }
                open.push(element(&start, at)?);
            }
            Event::Empty(start) => {
                count(&mut elements)?;
                place(element(&start, at)?, &mut open, &mut roots);
            }
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    place(done, &mut open, &mut roots);
                }
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(text) => append(&mut open, &text.xml10_content()),
            Event::GeneralRef(name) => append(&mut open, reference(&name, at)?.encode_utf8(&mut [0; 4])),
            Event::DocType(_) => return Err(XmlError::DocType),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(left) = open.last() {
        let what = format!("<{}> is not closed", left.name);
        return Err(XmlError::Form { at: text.len() as u64, what });
    }
    let found = roots.len();
    match roots.pop() {
        Some(root) if found == 1 => Ok(root),
        Some(_) | None => Err(XmlError::Roots { found }),
    }
}

/// Reads a document whose outermost element has this name.
pub(crate) fn parse_as(text: &str, expected: &'static str) -> Result<Element, XmlError> {
    let root = parse(text)?;
    if root.name == expected { Ok(root) } else { Err(XmlError::Other { found: root.name, expected }) }
}

/// A size in bytes: a number and a unit, KiB if the document leaves it out and this is the default.
pub(crate) fn bytes(element: &Element, default_unit: &str) -> Option<u64> {
    let number: u64 = element.text.parse().ok()?;
    let unit = match element.attribute("unit").unwrap_or(default_unit) {
        "b" | "bytes" | "B" => 1,
        "KB" => 1_000,
        "k" | "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "m" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "g" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "t" | "TiB" => 1 << 40,
        "PiB" | "P" => 1 << 50,
        "EiB" | "E" => 1 << 60,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn count(elements: &mut usize) -> Result<(), XmlError> {
    *elements += 1;
    if *elements > ELEMENTS { Err(XmlError::TooMany) } else { Ok(()) }
}

fn element(start: &BytesStart<'_>, at: u64) -> Result<Element, XmlError> {
    let wrong = |what: String| XmlError::Form { at, what };
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| wrong(error.to_string()))?;
        attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
        if attributes.len() > ATTRIBUTES {
            return Err(wrong(format!("an element has more than {ATTRIBUTES} attributes")));
        }
    }
    Ok(Element { name: start.name().into_inner().to_owned(), attributes, ..Element::default() })
}

fn place(mut done: Element, open: &mut [Element], roots: &mut Vec<Element>) {
    let trimmed = done.text.trim();
    if trimmed.len() != done.text.len() {
        done.text = String::from(trimmed);
    }
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => roots.push(done),
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(inner) = open.last_mut() {
        inner.text.push_str(text);
    }
}

/// One of the five names of XML, or a number.
fn reference(name: &BytesRef<'_>, at: u64) -> Result<char, XmlError> {
    let wrong = |what: String| XmlError::Form { at, what };
    if let Some(c) = name.resolve_char_ref().map_err(|error| wrong(error.to_string()))? {
        return Ok(c);
    }
    let found = name.xml10_content();
    match found.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(wrong(format!("the entity &{other}; is not known"))),
    }
}
