//! The PE32+ headers that matter to a boot image.
//!
//! Owns: finding and bounding headers and section table. Promises: every range it returns lies inside the file,
//! and no two sections overlap in memory. Does not: read anything but x86-64 images.

use std::ops::Range;

/// Bytes of one section header.
pub(super) const SECTION_HEADER: usize = 40;
/// Offset of the optional header behind the signature `PE\0\0` and the COFF header.
pub(super) const OPTIONAL_HEADER: usize = 24;
/// Position of the first data directory in a PE32+ optional header.
pub(super) const DIRECTORIES: usize = 112;
/// More sections than this are refused; the loader of Windows draws its line here too.
pub(super) const MOST_SECTIONS: usize = 96;

const MACHINE_X86_64: u16 = 0x8664;
const PE32_PLUS: u16 = 0x20b;
const SUBSYSTEM_EFI_APPLICATION: u16 = 10;

/// Why bytes are no unified kernel image, or why none can be made of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UkiError {
    /// The file ends before a structure that it announces.
    #[error("the image of {length} bytes ends inside its {what}, which needs {needs} bytes")]
    Truncated {
        /// Structure that is cut off.
        what: &'static str,
        /// Length of the file.
        length: usize,
        /// Length that the structure asks for.
        needs: u64,
    },
    /// A magic number is not the one of its format.
    #[error("the image is no EFI program for x86-64: its {what} is {found:#x} instead of {expected:#x}")]
    Foreign {
        /// Field.
        what: &'static str,
        /// Value in the file.
        found: u64,
        /// Value of the format.
        expected: u64,
    },
    /// A header field has a value that no valid image has.
    #[error("the header of the image is damaged: its {what} is {found:#x}")]
    Impossible {
        /// Field.
        what: &'static str,
        /// Value in the file.
        found: u64,
    },
    /// Two sections claim the same memory.
    #[error("the sections {first} and {second} of the image overlap in memory")]
    Overlap {
        /// Section that lies lower.
        first: String,
        /// Section that begins before the end of the first.
        second: String,
    },
    /// A section of a unified kernel image is not there.
    #[error("the image has no section {name}: it is a plain EFI program, not a unified kernel image")]
    MissingSection {
        /// Name of the section.
        name: &'static str,
    },
    /// A section appears twice, so that loader and reader might take different ones.
    #[error("the image has more than one section {name}")]
    DuplicateSection {
        /// Name of the section.
        name: &'static str,
    },
    /// The stub carries a section that is to be added.
    #[error("the stub has a section {name} already; take an unused stub")]
    StubInUse {
        /// Name of the section.
        name: &'static str,
    },
    /// A text section is no text.
    #[error("the section {name} of the image is not valid UTF-8 at byte {at}")]
    NotText {
        /// Name of the section.
        name: &'static str,
        /// First wrong byte.
        at: usize,
    },
    /// A text to be added holds a NUL, where its reader would stop.
    #[error("the text for section {name} holds a NUL byte at {at}; whatever follows it would be lost")]
    NulInText {
        /// Name of the section.
        name: &'static str,
        /// Position of the byte.
        at: usize,
    },
    /// A part to be added is empty.
    #[error("the content for section {name} is empty")]
    EmptySection {
        /// Name of the section.
        name: &'static str,
    },
    /// The stub's header has no room for the section headers to be added.
    #[error("the stub's header has room for {room} more sections and {needed} are needed; take another stub")]
    NoHeaderRoom {
        /// Section headers that fit.
        room: usize,
        /// Section headers to be added.
        needed: usize,
    },
    /// A text is longer than the section that it shall replace.
    #[error("the text for section {name} needs {needs} bytes, and the image has room for {room}")]
    NoRoom {
        /// Name of the section.
        name: &'static str,
        /// Bytes of the section.
        room: usize,
        /// Bytes of the text, its end included.
        needs: usize,
    },
    /// The image would pass 4 GiB, which PE cannot say.
    #[error("the image would be {bytes} bytes; a PE image ends at 4 GiB")]
    TooLarge {
        /// Length in the file or in memory.
        bytes: u64,
    },
}

/// One section of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Name without its padding.
    pub(super) name: String,
    /// First byte in memory, relative to the image.
    pub(super) memory: u32,
    /// Bytes in memory; of these the file may hold fewer.
    pub(super) memory_len: u32,
    /// Bytes in the file that belong to it: content, then padding up to the file alignment.
    pub(super) raw: Range<usize>,
}

impl Section {
    /// Where the content lies in the file: never more than the section's length in memory.
    pub(super) fn content(&self) -> Range<usize> {
        let len = self.raw.len().min(self.memory_len as usize);
        self.raw.start..self.raw.start + len
    }
}

/// The headers of an image, with positions where a writer must change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headers {
    /// Offset of the signature `PE\0\0`.
    pub(super) pe: usize,
    /// Offset of the section table.
    pub(super) table: usize,
    /// Bytes before the first section's content.
    pub(super) header_bytes: usize,
    /// Alignment of sections in memory, a power of two.
    pub(super) section_alignment: u32,
    /// Alignment of sections in the file, a power of two.
    pub(super) file_alignment: u32,
    /// Number of data directories.
    pub(super) directories: usize,
    /// Sections in the order of the table.
    pub(super) sections: Vec<Section>,
}

fn take<'a>(image: &'a [u8], at: usize, len: usize, what: &'static str) -> Result<&'a [u8], UkiError> {
    at.checked_add(len).and_then(|end| image.get(at..end)).ok_or(UkiError::Truncated {
        what,
        length: image.len(),
        needs: at as u64 + len as u64,
    })
}

fn u16_at(image: &[u8], at: usize, what: &'static str) -> Result<u16, UkiError> {
    Ok(take(image, at, 2, what)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u16::from(byte)))
}

fn u32_at(image: &[u8], at: usize, what: &'static str) -> Result<u32, UkiError> {
    Ok(take(image, at, 4, what)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
}

fn expect(what: &'static str, found: u64, expected: u64) -> Result<(), UkiError> {
    if found == expected { Ok(()) } else { Err(UkiError::Foreign { what, found, expected }) }
}

fn alignment(what: &'static str, found: u32) -> Result<u32, UkiError> {
    let sane = found.is_power_of_two() && found <= 1 << 24;
    if sane { Ok(found) } else { Err(UkiError::Impossible { what, found: u64::from(found) }) }
}

/// Reads the headers of `image`.
pub(super) fn parse_headers(image: &[u8]) -> Result<Headers, UkiError> {
    expect("first word", u64::from(u16_at(image, 0, "DOS header")?), 0x5a4d)?;
    let pe = u32_at(image, 0x3c, "DOS header")? as usize;
    take(image, pe, OPTIONAL_HEADER, "COFF header")?;
    expect("signature", u64::from(u32_at(image, pe, "signature")?), 0x4550)?;
    expect("machine", u64::from(u16_at(image, pe + 4, "COFF header")?), u64::from(MACHINE_X86_64))?;
    let count = usize::from(u16_at(image, pe + 6, "COFF header")?);
    let optional_len = usize::from(u16_at(image, pe + 20, "COFF header")?);
    let optional = pe + OPTIONAL_HEADER;
    take(image, optional, DIRECTORIES, "optional header")?;
    expect("kind of header", u64::from(u16_at(image, optional, "optional header")?), u64::from(PE32_PLUS))?;
    let subsystem = u16_at(image, optional + 68, "optional header")?;
    expect("subsystem", u64::from(subsystem), u64::from(SUBSYSTEM_EFI_APPLICATION))?;
    let section_alignment = alignment("section alignment", u32_at(image, optional + 32, "optional header")?)?;
    let file_alignment = alignment("file alignment", u32_at(image, optional + 36, "optional header")?)?;
    let size_of_image = u32_at(image, optional + 56, "optional header")?;
    let size_of_headers = u32_at(image, optional + 60, "optional header")? as usize;
    let directories = u32_at(image, optional + 108, "optional header")? as usize;
    if directories > 16 || optional_len < DIRECTORIES + directories * 8 {
        return Err(UkiError::Impossible { what: "number of data directories", found: directories as u64 });
    }
    if count == 0 || count > MOST_SECTIONS {
        return Err(UkiError::Impossible { what: "number of sections", found: count as u64 });
    }
    let table = optional + optional_len;
    take(image, 0, size_of_headers, "headers")?;
    if table + count * SECTION_HEADER > size_of_headers {
        return Err(UkiError::Impossible { what: "size of headers", found: size_of_headers as u64 });
    }
    let mut sections = Vec::with_capacity(count);
    for index in 0..count {
        sections.push(parse_section(image, table + index * SECTION_HEADER, size_of_headers, size_of_image)?);
    }
    let entry = u32_at(image, optional + 16, "optional header")?;
    if entry >= size_of_image {
        return Err(UkiError::Impossible { what: "entry point", found: u64::from(entry) });
    }
    check_overlaps(&sections)?;
    Ok(Headers {
        pe,
        table,
        header_bytes: size_of_headers,
        section_alignment,
        file_alignment,
        directories,
        sections,
    })
}

fn parse_section(image: &[u8], at: usize, headers: usize, image_end: u32) -> Result<Section, UkiError> {
    let name = take(image, at, 8, "section table")?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let memory_len = u32_at(image, at + 8, "section table")?;
    let memory = u32_at(image, at + 12, "section table")?;
    let raw_len = u32_at(image, at + 16, "section table")? as usize;
    let raw = u32_at(image, at + 20, "section table")? as usize;
    let raw = if raw_len == 0 { headers..headers } else { raw..raw.saturating_add(raw_len) };
    if raw.start < headers {
        return Err(UkiError::Impossible { what: "file position of a section", found: raw.start as u64 });
    }
    take(image, raw.start, raw.len(), "section content")?;
    if memory.checked_add(memory_len).is_none_or(|end| end > image_end) {
        return Err(UkiError::Impossible { what: "memory range of a section", found: u64::from(memory) });
    }
    Ok(Section { name: String::from_utf8_lossy(name).into_owned(), memory, memory_len, raw })
}

fn check_overlaps(sections: &[Section]) -> Result<(), UkiError> {
    let mut by_memory: Vec<&Section> = sections.iter().filter(|section| section.memory_len > 0).collect();
    by_memory.sort_by_key(|section| section.memory);
    for pair in by_memory.windows(2) {
        if let [first, second] = pair
            && first.memory + first.memory_len > second.memory
        {
            return Err(UkiError::Overlap { first: first.name.clone(), second: second.name.clone() });
        }
    }
    Ok(())
}
