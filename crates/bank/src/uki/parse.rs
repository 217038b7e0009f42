//! Reading a unified kernel image.

use std::ops::Range;

use super::pe::{Section, UkiError, parse_headers};

/// What a unified kernel image carries. Ranges are byte positions in the file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uki {
    /// The kernel line, without the NUL that ends it.
    pub cmdline: String,
    /// Release data in the form of os-release(5).
    pub osrel: String,
    /// Where the kernel lies.
    pub kernel: Range<usize>,
    /// Where the initramfs lies.
    pub initrd: Range<usize>,
}

impl Uki {
    /// The value of the first word `key=value` of the kernel line; `None` if no word has this key.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        cmdline_option(&self.cmdline, key)
    }
}

/// As [`Uki::option`], for a line from elsewhere, such as `/proc/cmdline`.
fn cmdline_option<'a>(cmdline: &'a str, key: &str) -> Option<&'a str> {
    cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Reads the sections of a unified kernel image.
pub fn parse_uki(image: &[u8]) -> Result<Uki, UkiError> {
    let headers = parse_headers(image)?;
    Ok(Uki {
        cmdline: text(image, find(&headers.sections, ".cmdline")?, ".cmdline")?,
        osrel: text(image, find(&headers.sections, ".osrel")?, ".osrel")?,
        kernel: filled(find(&headers.sections, ".linux")?, ".linux")?,
        initrd: filled(find(&headers.sections, ".initrd")?, ".initrd")?,
    })
}

fn find<'a>(sections: &'a [Section], name: &'static str) -> Result<&'a Section, UkiError> {
    let mut found = sections.iter().filter(|section| section.name == name);
    match (found.next(), found.next()) {
        (None, _) => Err(UkiError::MissingSection { name }),
        (Some(section), None) => Ok(section),
        (Some(_), Some(_)) => Err(UkiError::DuplicateSection { name }),
    }
}

/// The content of a section that must be there in full: the loader would fill a gap with zeros in silence.
fn filled(section: &Section, name: &'static str) -> Result<Range<usize>, UkiError> {
    if section.memory_len == 0 {
        return Err(UkiError::EmptySection { name });
    }
    if (section.memory_len as usize) > section.raw.len() {
        return Err(UkiError::Truncated {
            what: name,
            length: section.raw.len(),
            needs: u64::from(section.memory_len),
        });
    }
    Ok(section.content())
}

fn text(image: &[u8], section: &Section, name: &'static str) -> Result<String, UkiError> {
    let bytes = image.get(section.content()).unwrap_or_default();
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|error| UkiError::NotText { name, at: error.valid_up_to() })
}
