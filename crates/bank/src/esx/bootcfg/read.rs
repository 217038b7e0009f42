//! Reading, with the loader's eyes.

use serde::Serialize;
use thiserror::Error;

use super::digit::StateDigit;
use super::keys::Key;
use super::number::Number;
use super::trap::Trap;
use super::traps;

/// Most bytes of a file that are read. A real one has some 3 KiB.
pub const MAX_CFG: u64 = 256 << 10;

/// A `boot.cfg` as the loader reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootCfg {
    /// The file as it is.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// Its lines in order, for writing it again.
    #[serde(skip)]
    pub lines: Vec<CfgLine>,
    /// What the loader takes from it; without meaning for the selector when `refused` is set.
    pub values: Values,
    /// Why the selector refuses the whole file.
    pub refused: Option<Refusal>,
    /// Where the loader would write the state.
    pub state_digit: StateDigit,
    /// Each looseness that changes an answer.
    pub traps: Vec<Trap>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CfgLine {
    /// Counted from 1.
    pub number: u32,
    /// The line without its end, cut at a NUL, as it stands.
    pub raw: Vec<u8>,
    /// Bytes of the line in the file, without the line feed; more than `raw` has when a NUL cuts it.
    pub len: usize,
    /// What the loader makes of it.
    pub kind: LineKind,
}

/// What the loader makes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineKind {
    /// Nothing on it.
    Blank,
    /// Begins with `#`.
    Comment,
    /// No `=` on it: not looked at.
    NoEquals,
    /// A key and its value, blanks at both ends dropped and runs of blanks made one.
    Pair {
        /// Text before the first `=`.
        key: Vec<u8>,
        /// Text after it.
        value: Vec<u8>,
        /// What the program that chooses a bank takes the key for.
        selector: Option<Key>,
        /// What the program that loads the modules takes the key for.
        starter: Option<Key>,
    },
}

/// A value that had to be a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Line, counted from 1.
    pub line: u32,
    /// Key in full.
    pub key: &'static str,
    /// What stands there.
    pub value: String,
}

/// A file that is loaded with the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Module {
    /// Name as given, for example `s.v00` or `/s.v00`.
    pub name: String,
    /// Words after it.
    pub options: String,
}

/// What the loader takes from the file. The last line of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// State, cut to 32 bits; 0 when there is no line or no value.
    pub bootstate: i32,
    /// Cut to 32 bits without a sign.
    pub updated: u32,
    /// Version text; empty when missing.
    pub build: String,
    /// Not 0: never boots from the disk.
    pub quickboot: i32,
    /// File of the kernel; empty when missing.
    pub kernel: String,
    /// Words for the kernel.
    pub kernelopt: String,
    /// Files that are loaded with it, in order.
    pub modules: Vec<Module>,
    /// Text on the screen.
    pub title: String,
    /// Folder of kernel and modules; empty on a bank.
    pub prefix: String,
    /// Seconds of the countdown, one byte with a sign; none when there is no usable line.
    pub timeout: Option<i8>,
    /// Seconds before an error ends the loader; none when there is no usable line, which means for ever.
    pub errtimeout: Option<i32>,
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum CfgError {
    /// Far larger than such a file can be.
    #[error("boot.cfg has {bytes} bytes; at most {MAX_CFG} are read, and a real one has some thousand")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
}

impl BootCfg {
    /// Reads a file. Everything but a size beyond [`MAX_CFG`] is an answer, not an error: the loader has one too.
    pub fn read(bytes: &[u8]) -> Result<Self, CfgError> {
        if bytes.len() as u64 > MAX_CFG {
            return Err(CfgError::TooLarge { bytes: bytes.len() as u64 });
        }
        let mut lines = Vec::new();
        for (number, whole) in (1_u32..).zip(bytes.split(|&byte| byte == b'\n')) {
            let raw = whole.split(|&byte| byte == 0).next().unwrap_or_default();
            lines.push(CfgLine { number, raw: raw.to_vec(), len: whole.len(), kind: kind_of(raw) });
        }
        let (values, refused) = values_of(&lines);
        let mut cfg = Self {
            bytes: bytes.to_vec(),
            lines,
            values,
            refused,
            state_digit: StateDigit::find(bytes),
            traps: Vec::new(),
        };
        cfg.traps = traps::find(&cfg);
        Ok(cfg)
    }

    /// The line whose value counts for `key`, and that value.
    #[must_use]
    pub fn last(&self, key: Key) -> Option<(&CfgLine, &[u8])> {
        self.of_key(key).last()
    }

    /// All lines that are taken for `key`, with their values.
    pub fn of_key(&self, key: Key) -> impl Iterator<Item = (&CfgLine, &[u8])> {
        self.lines.iter().filter_map(move |line| match &line.kind {
            LineKind::Pair { value, selector, starter, .. }
                if *selector == Some(key) || *starter == Some(key) =>
            {
                Some((line, value.as_slice()))
            }
            LineKind::Pair { .. } | LineKind::Blank | LineKind::Comment | LineKind::NoEquals => None,
        })
    }

    /// Kernel and modules as paths below the root of the bank: prefix joined, no leading `/`, in loading order.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let names = self.values.modules.iter().map(|module| module.name.as_str());
        let kernel = Some(self.values.kernel.as_str()).filter(|kernel| !kernel.is_empty());
        let prefix = self.values.prefix.trim_matches('/');
        let join = |name: &str| {
            let name = name.trim_start_matches('/');
            if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
        };
        kernel.into_iter().chain(names).map(join).collect()
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Blanks at both ends dropped, runs of them made one.
fn normal(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for word in raw.split(|&byte| is_blank(byte)).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out
}

fn kind_of(raw: &[u8]) -> LineKind {
    let text = normal(raw);
    match text.first() {
        None => return LineKind::Blank,
        Some(b'#') => return LineKind::Comment,
        Some(_) => {}
    }
    let Some(equals) = text.iter().position(|&byte| byte == b'=') else {
        return LineKind::NoEquals;
    };
    let (key, value) = text.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    let value = value.strip_prefix(b" ").unwrap_or(value);
    LineKind::Pair {
        key: key.to_vec(),
        value: value.to_vec(),
        selector: Key::selector(key),
        starter: Key::starter(key),
    }
}

/// What both programs take. The selector stops at the first value that is not a number; the starter does not see it.
fn values_of(lines: &[CfgLine]) -> (Values, Option<Refusal>) {
    let mut values = Values::default();
    take_starter(&mut values, lines);
    for line in lines {
        let LineKind::Pair { value, selector: Some(key), .. } = &line.kind else { continue };
        let text = || String::from_utf8_lossy(value).into_owned();
        if *key == Key::Build {
            values.build = text();
            continue;
        }
        let Ok(number) = Number::parse(value) else {
            return (values, Some(Refusal { line: line.number, key: key.name(), value: text() }));
        };
        if *key == Key::Updated {
            values.updated = number.cut_u32();
        } else if *key == Key::Bootstate {
            values.bootstate = number.cut_i32();
        } else {
            values.quickboot = number.cut_i32();
        }
    }
    (values, None)
}

/// What the second program takes; a number that is none leaves its value alone here, and is a trap.
fn take_starter(values: &mut Values, lines: &[CfgLine]) {
    for line in lines {
        let LineKind::Pair { value, starter: Some(key), .. } = &line.kind else { continue };
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            Key::Kernel => values.kernel = text(),
            Key::Kernelopt => values.kernelopt = text(),
            Key::Modules => values.modules = modules_of(&text()),
            Key::Title => values.title = text(),
            Key::Prefix => values.prefix = text(),
            Key::Timeout => values.timeout = Number::parse(value).ok().map(Number::cut_i8).or(values.timeout),
            Key::Errtimeout => {
                values.errtimeout = Number::parse(value).ok().map(Number::cut_i32).or(values.errtimeout);
            }
            Key::Build
            | Key::Updated
            | Key::Bootstate
            | Key::Quickboot
            | Key::Nobootif
            | Key::Noquirks
            | Key::Norts
            | Key::Crypto
            | Key::Runtimewd
            | Key::Tftpblksize
            | Key::Acpitables
            | Key::Runtimewdtimeout
            | Key::Skip => {}
        }
    }
}

/// `a --- b words --- c`.
fn modules_of(text: &str) -> Vec<Module> {
    let parts = text.split("---").map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, options) = part.split_once(' ').unwrap_or((part, ""));
            Module { name: name.to_owned(), options: options.to_owned() }
        })
        .collect()
}
