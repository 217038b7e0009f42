//! XML documents of depots as small trees.
//!
//! Promises: bytes, elements and depth are bounded; no entity of the document is expanded, and a document that
//! declares any is refused; both forms of an empty element are the same. Does not: know what elements mean; names
//! are taken without their prefix.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

use crate::limits::Limits;

/// Deepest nesting; real documents have eight levels.
const DEPTH: usize = 48;

/// What is wrong with a document.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Too long.
    #[error("the document has {len} bytes; more than {limit} are not read")]
    TooLong {
        /// What it has.
        len: u64,
        /// The bound.
        limit: u64,
    },
    /// Not UTF-8.
    #[error("the document is not UTF-8 text: byte {at} is wrong")]
    NotText {
        /// Place of the byte.
        at: usize,
    },
    /// A document type.
    #[error("the document declares a document type, which no descriptor needs")]
    DocType,
    /// Too many elements.
    #[error("the document has more than {limit} elements")]
    TooMany {
        /// The bound.
        limit: usize,
    },
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
}

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// All text directly within it, trimmed.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Text of the first child of this name; empty when there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// Every child of this name.
    pub(crate) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a document whose outermost element has this name.
pub(crate) fn parse(bytes: &[u8], expected: &'static str, limits: &Limits) -> Result<Element, XmlError> {
    let len = bytes.len() as u64;
    if len > limits.xml_bytes {
        return Err(XmlError::TooLong { len, limit: limits.xml_bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| XmlError::NotText { at: error.valid_up_to() })?;
    let root = tree(text.trim_start_matches('\u{feff}'), limits)?;
    if root.name == expected { Ok(root) } else { Err(XmlError::Other { found: root.name, expected }) }
}

fn tree(text: &str, limits: &Limits) -> Result<Element, XmlError> {
    let mut reader = Reader::from_str(text);
    let mut roots: Vec<Element> = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| XmlError::Form { at, what: error.to_string() })?;
        match event {
            Event::Start(start) => {
                count(&mut elements, limits)?;
                if open.len() >= DEPTH {
                    return Err(XmlError::TooDeep { at });
                }
                open.push(element(&start, at)?);
            }
            Event::Empty(start) => {
                count(&mut elements, limits)?;
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

fn count(elements: &mut usize, limits: &Limits) -> Result<(), XmlError> {
    *elements += 1;
    if *elements > limits.xml_elements {
        return Err(XmlError::TooMany { limit: limits.xml_elements });
    }
    Ok(())
}

fn element(start: &BytesStart<'_>, at: u64) -> Result<Element, XmlError> {
    let wrong = |what: String| XmlError::Form { at, what };
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| wrong(error.to_string()))?;
        attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
        if attributes.len() > 64 {
            return Err(wrong("an element has more than 64 attributes".to_owned()));
        }
    }
    let name = start.local_name().into_inner().to_owned();
    Ok(Element { name, attributes, ..Element::default() })
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
fn reference(name: &quick_xml::events::BytesRef<'_>, at: u64) -> Result<char, XmlError> {
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
