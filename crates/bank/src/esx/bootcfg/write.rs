//! Writing, so that no version of the loader can misread it.

use thiserror::Error;

use super::keys::Key;
use super::read::{BootCfg, CfgLine, LineKind, MAX_CFG};

/// What changes when the file is written again. All other values stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CfgChanges {
    /// State, 0 to 3.
    pub state: u8,
    /// New `updated`; none keeps the value that the loader reads.
    pub updated: Option<u32>,
    /// New `build`; none keeps it.
    pub build: Option<String>,
    /// What happens to the mark of a quick boot.
    pub quickboot: QuickBoot,
}

/// What happens to a `quickboot` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuickBoot {
    /// It stays, with its value.
    Keep,
    /// It is left out: a bank that is rebuilt was not left by a quick boot.
    Drop,
}

impl CfgChanges {
    /// Only the state changes.
    #[must_use]
    pub const fn state(state: u8) -> Self {
        Self { state, updated: None, build: None, quickboot: QuickBoot::Keep }
    }
}

/// Why a file is not written. Nothing came out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CfgWriteError {
    /// No such state.
    #[error("{state} is no state of a bank; 0 to 3 are")]
    State {
        /// What was asked for.
        state: u8,
    },
    /// A bank that may boot needs a counter.
    #[error("`updated` would be 0: a bank with it never boots; 1 to 4294967295 are possible")]
    Updated,
    /// A value that the loader refuses would stay.
    #[error("`{key}` on line {line} is not a number ({value:?}), and no other value was given")]
    NotANumber {
        /// Key in full.
        key: &'static str,
        /// Line, counted from 1.
        line: u32,
        /// What stands there.
        value: String,
    },
    /// The loader stops at such a version.
    #[error("`build` would be {build:?}; the loader asks for a digit at its beginning")]
    Build {
        /// The version.
        build: String,
    },
    /// The mark of a quick boot would stay on a bank that shall boot.
    #[error("`quickboot` is {value}: the bank would never boot; it has to be dropped")]
    QuickBoot {
        /// Its value.
        value: i32,
    },
    /// A value cannot stand on a line.
    #[error("`{key}` cannot be written: it holds a line end, a NUL or blanks that the loader would not keep")]
    Value {
        /// Key in full.
        key: &'static str,
    },
    /// The file would be too large.
    #[error("the file would have {bytes} bytes; {MAX_CFG} are possible")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Read again, it does not say what it should.
    #[error("the written file reads otherwise than meant: {what}")]
    NotTheSame {
        /// What differs.
        what: String,
    },
}

/// Writes `cfg` again: `bootstate` with one digit on the first line, full key names, no blanks around `=`, no key
/// twice, line feeds. Comments and lines of unknown keys stay where they are; a line that only looks like a key of
/// the loader (a blank before its `=`, a byte order mark) becomes a comment. The result is read again and compared.
pub fn write_strict(cfg: &BootCfg, changes: &CfgChanges) -> Result<Vec<u8>, CfgWriteError> {
    let wanted = Wanted::of(cfg, changes)?;
    let mut out = format!("bootstate={}\n", changes.state).into_bytes();
    let (mut updated, mut build) = (false, false);
    let counting: Vec<(Key, u32)> =
        Key::all().filter_map(|key| cfg.last(key).map(|(line, _)| (key, line.number))).collect();
    for line in &cfg.lines {
        match &line.kind {
            LineKind::Blank => {}
            LineKind::Comment => keep(&mut out, &line.raw),
            LineKind::NoEquals => comment(&mut out, line),
            LineKind::Pair { key, selector: None, starter: None, .. } => {
                if looks_known(key) {
                    comment(&mut out, line);
                } else {
                    keep(&mut out, &line.raw);
                }
            }
            LineKind::Pair { selector, starter, value, .. } => {
                for known in [*selector, *starter].into_iter().flatten() {
                    if known == Key::Bootstate || !counting.contains(&(known, line.number)) {
                        continue;
                    }
                    if known == Key::Updated {
                        updated = true;
                        pair(&mut out, known, wanted.updated.to_string().as_bytes());
                    } else if known == Key::Build {
                        build = true;
                        pair(&mut out, known, wanted.build.as_bytes());
                    } else if known != Key::Quickboot || changes.quickboot == QuickBoot::Keep {
                        pair(&mut out, known, value);
                    }
                }
            }
        }
    }
    if !build && !wanted.build.is_empty() {
        pair(&mut out, Key::Build, wanted.build.as_bytes());
    }
    if !updated {
        pair(&mut out, Key::Updated, wanted.updated.to_string().as_bytes());
    }
    if out.len() as u64 > MAX_CFG {
        return Err(CfgWriteError::TooLarge { bytes: out.len() });
    }
    verify(cfg, changes, &wanted, &out)?;
    Ok(out)
}

/// The two values that are always written.
struct Wanted {
    updated: u32,
    build: String,
}

impl Wanted {
    fn of(cfg: &BootCfg, changes: &CfgChanges) -> Result<Self, CfgWriteError> {
        if changes.state > 3 {
            return Err(CfgWriteError::State { state: changes.state });
        }
        if let Some(refused) = &cfg.refused {
            let replaced = match refused.key {
                "updated" => changes.updated.is_some(),
                "quickboot" => changes.quickboot == QuickBoot::Drop,
                _ => true,
            };
            if !replaced {
                let (key, line, value) = (refused.key, refused.line, refused.value.clone());
                return Err(CfgWriteError::NotANumber { key, line, value });
            }
        }
        let updated = changes.updated.unwrap_or(cfg.values.updated);
        let build = changes.build.clone().unwrap_or_else(|| cfg.values.build.clone());
        if changes.state != 3 {
            if updated == 0 {
                return Err(CfgWriteError::Updated);
            }
            if !build.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(CfgWriteError::Build { build });
            }
            if cfg.values.quickboot != 0 && changes.quickboot == QuickBoot::Keep {
                return Err(CfgWriteError::QuickBoot { value: cfg.values.quickboot });
            }
        }
        if build.contains(['\n', '\0', '\r']) || build.trim() != build {
            return Err(CfgWriteError::Value { key: "build" });
        }
        Ok(Self { updated, build })
    }
}

fn keep(out: &mut Vec<u8>, raw: &[u8]) {
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    // Carriage returns inside would be taken for line ends by a person's editor.
    out.extend(raw.iter().map(|&byte| if byte == b'\r' { b' ' } else { byte }));
    out.push(b'\n');
}

fn comment(out: &mut Vec<u8>, line: &CfgLine) {
    out.extend_from_slice(b"# ");
    keep(out, line.raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line.raw));
}

fn pair(out: &mut Vec<u8>, key: Key, value: &[u8]) {
    out.extend_from_slice(key.name().as_bytes());
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Whether a person would take the key for one of the loader's.
fn looks_known(key: &[u8]) -> bool {
    let bare = key.strip_prefix(b"\xef\xbb\xbf").unwrap_or(key);
    let bare = bare.strip_suffix(b" ").unwrap_or(bare);
    Key::all().any(|known| known.name().as_bytes().eq_ignore_ascii_case(bare))
}

/// Reads the result with the loader's eyes.
fn verify(cfg: &BootCfg, changes: &CfgChanges, wanted: &Wanted, out: &[u8]) -> Result<(), CfgWriteError> {
    let not = |what: &str| CfgWriteError::NotTheSame { what: what.to_owned() };
    let again = BootCfg::read(out).map_err(|_| not("it is too large"))?;
    let (new, old) = (&again.values, &cfg.values);
    if again.refused.is_some() {
        return Err(not("a number is none"));
    }
    if again.state_digit.patch(changes.state).is_none_or(|patch| patch.offset != 10 || patch.old != patch.new)
        || new.bootstate != i32::from(changes.state)
    {
        return Err(not("the state"));
    }
    if new.updated != wanted.updated || new.build != wanted.build {
        return Err(not("`updated` or `build`"));
    }
    let same = new.kernel == old.kernel
        && new.kernelopt == old.kernelopt
        && new.modules == old.modules
        && new.prefix == old.prefix
        && new.title == old.title
        && new.timeout == old.timeout
        && new.errtimeout == old.errtimeout;
    if same { Ok(()) } else { Err(not("kernel, modules or their words")) }
}
