//! Writers of tar (both forms) and zip (stored).

/// Which form of tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarForm {
    /// All headers first, data by position.
    Visor,
    /// POSIX.
    Plain,
}

/// An entry to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarEntry<'a> {
    /// Path, at most 100 bytes.
    pub path: &'a str,
    /// Type letter: `0` file, `5` directory, `2` symbolic link.
    pub letter: u8,
    /// Target of a link.
    pub target: &'a str,
    /// Content of a file.
    pub data: &'a [u8],
}

impl<'a> TarEntry<'a> {
    /// A file.
    #[must_use]
    pub const fn file(path: &'a str, data: &'a [u8]) -> Self {
        Self { path, letter: b'0', target: "", data }
    }
}

/// An archive of these entries.
#[must_use]
pub fn tar(form: TarForm, entries: &[TarEntry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut data = Vec::new();
    let front = (entries.len() + 1) * 512;
    for entry in entries {
        let place = front + data.len();
        out.extend_from_slice(&header(form, entry, if entry.data.is_empty() { 0 } else { place }));
        let to = match form {
            TarForm::Visor => &mut data,
            TarForm::Plain => &mut out,
        };
        to.extend_from_slice(entry.data);
        to.resize(to.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 512, 0);
    if form == TarForm::Plain {
        out.resize(out.len() + 512, 0);
    }
    out.extend_from_slice(&data);
    out
}

fn header(form: TarForm, entry: &TarEntry<'_>, place: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, longest: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes.iter().take(longest)) {
            *to = *from;
        }
    };
    put(0, 100, entry.path.as_bytes());
    put(100, 8, b"0000644\0");
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{:011o}\0", entry.data.len()).as_bytes());
    put(136, 12, b"00000000000\0");
    put(148, 8, b"        ");
    put(156, 1, &[entry.letter]);
    put(157, 100, entry.target.as_bytes());
    match form {
        TarForm::Visor => {
            put(257, 8, b"visor  \0");
            put(496, 4, &u32::try_from(place).unwrap_or(0).to_le_bytes());
        }
        TarForm::Plain => put(257, 8, b"ustar\x0000"),
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (to, from) in block.iter_mut().skip(148).zip(sum.bytes()) {
        *to = from;
    }
    block
}

/// A zip archive of stored members.
#[must_use]
pub fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in members {
        let crc = crc32fast::hash(bytes);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
        // Version, flags, method, time, date, sum, sizes, lengths: the same in both headers.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend_from_slice(&crc.to_le_bytes());
        common.extend_from_slice(&len.to_le_bytes());
        common.extend_from_slice(&len.to_le_bytes());
        common.extend_from_slice(&name_len.to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).to_le_bytes();
    let len = u32::try_from(directory.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}
