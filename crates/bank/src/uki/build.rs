//! Appending sections to a boot stub.

use super::pe::{
    DIRECTORIES, Headers, MOST_SECTIONS, OPTIONAL_HEADER, SECTION_HEADER, UkiError, parse_headers,
};

/// IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ.
const READ_ONLY_DATA: u32 = 0x4000_0040;
/// Sections begin at pages even where the stub's header says less, so that a loader that maps pages is content.
const PAGE: u64 = 4096;

/// Appends kernel line, release data, kernel and initramfs to a stub of systemd.
///
/// Addresses in memory follow the stub's last section, so that nothing limits the parts but PE's 4 GiB. A symbol
/// table behind the stub's sections is dropped, and so is a signature, which could not cover what is added.
/// The kernel line is ended by a NUL. The same input gives the same bytes.
pub fn build_uki(
    stub: &[u8],
    cmdline: &str,
    osrel: &str,
    kernel: &[u8],
    initrd: &[u8],
) -> Result<Vec<u8>, UkiError> {
    let headers = parse_headers(stub)?;
    let cmdline = ended_text(".cmdline", cmdline)?;
    let osrel = whole_text(".osrel", osrel)?;
    let parts: [(&'static str, &[u8]); 4] =
        [(".osrel", osrel), (".cmdline", &cmdline), (".linux", kernel), (".initrd", initrd)];
    check_parts(&headers, &parts)?;
    let content_end = headers.sections.iter().map(|section| section.raw.end).max().unwrap_or_default();
    let mut image = stub.get(..content_end.max(headers.header_bytes)).unwrap_or(stub).to_vec();
    image.reserve_exact(parts.iter().map(|(_, bytes)| bytes.len() + headers.file_alignment as usize).sum());
    let in_memory = u64::from(headers.section_alignment).max(PAGE);
    let ends = headers.sections.iter().map(|s| u64::from(s.memory) + u64::from(s.memory_len));
    let mut memory = ends.max().unwrap_or_default().next_multiple_of(in_memory);
    pad(&mut image, headers.file_alignment);
    for (index, (name, bytes)) in parts.into_iter().enumerate() {
        let raw = image.len() as u64;
        image.extend_from_slice(bytes);
        pad(&mut image, headers.file_alignment);
        let at = headers.table + (headers.sections.len() + index) * SECTION_HEADER;
        write_section(&mut image, at, name, [bytes.len() as u64, memory, raw])?;
        memory = (memory + bytes.len() as u64).next_multiple_of(in_memory);
    }
    let count = u16::try_from(headers.sections.len() + parts.len()).unwrap_or(u16::MAX);
    finish_headers(&mut image, &headers, count, fits(memory)?);
    fits(image.len() as u64)?;
    let sum = checksum(&image);
    put(&mut image, headers.pe + OPTIONAL_HEADER + 64, &sum.to_le_bytes());
    Ok(image)
}

/// The same image with another kernel line, which must not be longer: for a copy of a bank, whose line differs in the
/// names of bank and partition only. Nothing else is changed but PE's checksum.
pub fn relabel_uki(image: &[u8], cmdline: &str) -> Result<Vec<u8>, UkiError> {
    let headers = parse_headers(image)?;
    let mut found = headers.sections.iter().filter(|section| section.name == ".cmdline");
    let section = match (found.next(), found.next()) {
        (Some(section), None) => section,
        (None, _) => return Err(UkiError::MissingSection { name: ".cmdline" }),
        (Some(_), Some(_)) => return Err(UkiError::DuplicateSection { name: ".cmdline" }),
    };
    let mut line = ended_text(".cmdline", cmdline)?;
    let (room, at) = (section.content().len(), section.content().start);
    if line.len() > room {
        return Err(UkiError::NoRoom { name: ".cmdline", room, needs: line.len() });
    }
    line.resize(room, 0);
    let mut relabelled = image.to_vec();
    put(&mut relabelled, at, &line);
    let field = headers.pe + OPTIONAL_HEADER + 64;
    put(&mut relabelled, field, &[0; 4]);
    let sum = checksum(&relabelled);
    put(&mut relabelled, field, &sum.to_le_bytes());
    Ok(relabelled)
}

fn whole_text<'a>(name: &'static str, text: &'a str) -> Result<&'a [u8], UkiError> {
    match text.bytes().position(|byte| byte == 0) {
        Some(at) => Err(UkiError::NulInText { name, at }),
        None => Ok(text.as_bytes()),
    }
}

fn ended_text(name: &'static str, text: &str) -> Result<Vec<u8>, UkiError> {
    let mut bytes = whole_text(name, text)?.to_vec();
    bytes.push(0);
    Ok(bytes)
}

fn check_parts(headers: &Headers, parts: &[(&'static str, &[u8])]) -> Result<(), UkiError> {
    for &(name, bytes) in parts {
        if headers.sections.iter().any(|section| section.name == name) {
            return Err(UkiError::StubInUse { name });
        }
        if bytes.is_empty() {
            return Err(UkiError::EmptySection { name });
        }
    }
    let used = headers.table + headers.sections.len() * SECTION_HEADER;
    // The header's room ends where the first content begins, whatever SizeOfHeaders says.
    let first = headers.sections.iter().filter(|s| !s.raw.is_empty()).map(|s| s.raw.start).min();
    let end = first.unwrap_or(headers.header_bytes).min(headers.header_bytes);
    let room = (end.saturating_sub(used) / SECTION_HEADER).min(MOST_SECTIONS - headers.sections.len());
    if room < parts.len() {
        return Err(UkiError::NoHeaderRoom { room, needed: parts.len() });
    }
    Ok(())
}

fn fits(bytes: u64) -> Result<u32, UkiError> {
    u32::try_from(bytes).map_err(|_| UkiError::TooLarge { bytes })
}

fn pad(image: &mut Vec<u8>, alignment: u32) {
    image.resize(image.len().next_multiple_of(alignment as usize), 0);
}

/// Overwrites bytes inside the image; positions were bounded when the headers were read.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = image.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// Writes one section header: length in memory, address in memory, position in the file (then the file's end).
fn write_section(
    image: &mut [u8],
    at: usize,
    name: &str,
    [len, memory, raw]: [u64; 3],
) -> Result<(), UkiError> {
    let mut header = [0_u8; SECTION_HEADER];
    for (to, from) in header.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let raw_len = image.len() as u64 - raw;
    put(&mut header, 8, &fits(len)?.to_le_bytes());
    put(&mut header, 12, &fits(memory)?.to_le_bytes());
    put(&mut header, 16, &fits(raw_len)?.to_le_bytes());
    put(&mut header, 20, &fits(raw)?.to_le_bytes());
    put(&mut header, 36, &READ_ONLY_DATA.to_le_bytes());
    put(image, at, &header);
    Ok(())
}

fn finish_headers(image: &mut [u8], headers: &Headers, count: u16, size_of_image: u32) {
    let optional = headers.pe + OPTIONAL_HEADER;
    put(image, headers.pe + 6, &count.to_le_bytes());
    // The symbol table was cut off: no position, no symbols.
    put(image, headers.pe + 12, &[0; 8]);
    put(image, optional + 56, &size_of_image.to_le_bytes());
    put(image, optional + 64, &[0; 4]);
    if headers.directories > 4 {
        // Directory 4: attribute certificates.
        put(image, optional + DIRECTORIES + 4 * 8, &[0; 8]);
    }
}

/// The checksum of PE: 16-bit words added with carry, plus the length; its own field counts as zero.
fn checksum(image: &[u8]) -> u32 {
    let mut sum = 0_u32;
    for word in image.chunks(2) {
        let word = word.iter().rev().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte));
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum.wrapping_add(u32::try_from(image.len()).unwrap_or(u32::MAX))
}
