//! Finding the traps of a file.

use super::digit::StateDigit;
use super::keys::Key;
use super::number::Number;
use super::read::{BootCfg, CfgLine, LineKind};
use super::trap::{Trap, TrapEffect};

/// Most traps that are told of one file; a file with more is garbage.
const MOST: usize = 100;
/// Most characters of a value that are quoted.
const QUOTED: usize = 60;

/// All traps, in the order of their lines, then those without a line.
pub(super) fn find(cfg: &BootCfg) -> Vec<Trap> {
    let mut found = Found { traps: Vec::new() };
    for line in &cfg.lines {
        of_line(&mut found, line);
        if found.traps.len() >= MOST {
            break;
        }
    }
    duplicates(&mut found, cfg);
    of_state(&mut found, cfg);
    of_rules(&mut found, cfg);
    found.traps.sort_by_key(|trap| trap.line.unwrap_or(u32::MAX));
    found.traps
}

struct Found {
    traps: Vec<Trap>,
}

impl Found {
    fn add(&mut self, code: &'static str, effect: TrapEffect, line: impl Into<Option<u32>>, text: String) {
        self.traps.push(Trap { code, effect, line: line.into(), text });
    }
}

/// The effect of a key on what happens.
fn effect_of(key: Key) -> TrapEffect {
    match key {
        Key::Build | Key::Updated | Key::Bootstate | Key::Quickboot => TrapEffect::Selection,
        Key::Kernel | Key::Kernelopt | Key::Modules | Key::Prefix | Key::Skip => TrapEffect::Loading,
        Key::Title
        | Key::Nobootif
        | Key::Timeout
        | Key::Noquirks
        | Key::Norts
        | Key::Crypto
        | Key::Runtimewd
        | Key::Tftpblksize
        | Key::Acpitables
        | Key::Runtimewdtimeout
        | Key::Errtimeout => TrapEffect::Reading,
    }
}

fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let short: String = text.chars().take(QUOTED).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_default())
}

fn of_line(found: &mut Found, line: &CfgLine) {
    let at = line.number;
    if line.raw.starts_with(b"\xef\xbb\xbf") {
        let text = "the file begins with a byte order mark, which hides its first line from the loader";
        found.add("cfg-bom", TrapEffect::Selection, at, text.to_owned());
    }
    if line.len > line.raw.len() {
        let text = format!("a NUL byte cuts the line after {} of {} bytes", line.raw.len(), line.len);
        found.add("cfg-nul", TrapEffect::Loading, at, text);
    }
    let inner_cr = line.raw.strip_suffix(b"\r").unwrap_or(&line.raw).contains(&b'\r');
    if inner_cr {
        let text =
            "a carriage return without a line feed does not end a line: the loader reads one long line";
        found.add("cfg-cr-alone", TrapEffect::Selection, at, text.to_owned());
    }
    match &line.kind {
        LineKind::Blank | LineKind::Comment => {}
        LineKind::NoEquals => {
            let text = format!("{} has no `=` and is not looked at", quote(&line.raw));
            found.add("cfg-line-ignored", TrapEffect::Reading, at, text);
        }
        LineKind::Pair { key, value, selector: None, starter: None } => unknown(found, at, key, value),
        LineKind::Pair { key, value, selector, starter } => {
            for known in [*selector, *starter].into_iter().flatten() {
                known_key(found, at, known, (key, value));
            }
        }
    }
}

/// A key that is not known; a known one with a blank behind it is the likely cause.
fn unknown(found: &mut Found, at: u32, key: &[u8], value: &[u8]) {
    let Some(bare) = key.strip_suffix(b" ") else { return };
    if let Some(known) = Key::all().find(|known| known.name().as_bytes().eq_ignore_ascii_case(bare)) {
        let text = format!(
            "a blank before `=` makes {} an unknown key: the value {} is not read",
            quote(bare),
            quote(value)
        );
        found.add("cfg-blank-before-equals", effect_of(known), at, text);
    }
}

fn known_key(found: &mut Found, at: u32, known: Key, (key, value): (&[u8], &[u8])) {
    let name = known.name();
    if !key.eq_ignore_ascii_case(name.as_bytes()) {
        let text = format!("the shortened key {} is taken for `{name}`", quote(key));
        found.add("cfg-key-shortened", effect_of(known), at, text);
    }
    let counts = matches!(known, Key::Timeout | Key::Errtimeout | Key::Runtimewdtimeout | Key::Tftpblksize);
    if !known.is_number() && !counts {
        if value.starts_with(b"\"") {
            let text = format!("quotes are part of the value {} of `{name}`", quote(value));
            found.add("cfg-quotes", effect_of(known), at, text);
        }
        let comment = value.windows(2).any(|pair| pair == b" #");
        if comment {
            let text =
                format!("a comment cannot follow on a line: {} is the whole value of `{name}`", quote(value));
            found.add("cfg-comment-in-value", effect_of(known), at, text);
        }
        return;
    }
    match Number::parse(value) {
        Err(_) if known.is_number() => {
            let text = format!(
                "`{name}` is {}, which is not a number: the loader refuses the whole file and drops the bank",
                quote(value)
            );
            found.add("cfg-not-a-number", TrapEffect::Selection, at, text);
        }
        Err(_) => {
            let text = format!("`{name}` is {}, which is not a number", quote(value));
            found.add("cfg-not-a-number", TrapEffect::Reading, at, text);
        }
        Ok(number) => number_traps(found, at, known, (value, number)),
    }
}

fn number_traps(found: &mut Found, at: u32, known: Key, (value, number): (&[u8], Number)) {
    let name = known.name();
    if number.beyond {
        let text = format!(
            "`{name}` is {}, more than 64 bits hold; what the loader makes of it is not known",
            quote(value)
        );
        found.add("cfg-number-cut", effect_of(known), at, text);
    } else if known == Key::Updated && i64::from(number.cut_u32()) != number.value {
        let text = format!(
            "`updated` is {}; the loader cuts it to 32 bits without a sign and reads {}",
            quote(value),
            number.cut_u32()
        );
        found.add("cfg-number-cut", TrapEffect::Selection, at, text);
    } else if known == Key::Timeout && !(0..=9).contains(&number.value) {
        let text = format!(
            "`timeout` is {}; it is one byte with a sign, read as {}, and shown right up to 9 only",
            quote(value),
            number.cut_i8()
        );
        found.add("cfg-timeout-cut", TrapEffect::Reading, at, text);
    }
    if known == Key::Bootstate {
        if value.is_empty() {
            let text =
                "`bootstate` has no value, which the loader reads as 0, valid; it cannot write a state here";
            found.add("cfg-state-empty", TrapEffect::Writing, at, text.to_owned());
        } else if !(0..=3).contains(&number.cut_i32()) {
            let text = format!("`bootstate` is {}, no state: the bank is never eligible", quote(value));
            found.add("cfg-state-unknown", TrapEffect::Selection, at, text);
        } else if value.len() > 1 {
            let text = format!(
                "`bootstate` is {}, read as {}; the loader rewrites the first character only, which makes another \
                 number of it",
                quote(value),
                number.cut_i32()
            );
            found.add("cfg-state-text", TrapEffect::Writing, at, text);
        }
    }
}

fn duplicates(found: &mut Found, cfg: &BootCfg) {
    for key in Key::all() {
        let mut lines = cfg.of_key(key).map(|(line, value)| (line.number, value));
        let (Some((first, _)), Some((last, value))) = (lines.next(), lines.last()) else { continue };
        let name = key.name();
        if key == Key::Bootstate {
            let text = format!(
                "`bootstate` stands on more than one line: the loader reads the last (line {last}) and writes the \
                 first (line {first}), so the fall-back does not work"
            );
            found.add("cfg-state-twice", TrapEffect::Writing, last, text);
        } else {
            let text = format!(
                "`{name}` stands on more than one line (first on line {first}): the last counts, {}",
                quote(value)
            );
            found.add("cfg-key-twice", effect_of(key), last, text);
        }
    }
}

fn of_state(found: &mut Found, cfg: &BootCfg) {
    let read = cfg.last(Key::Bootstate).map(|(line, _)| line.number);
    if read.is_none() {
        let text = "there is no `bootstate` line, which the loader reads as 0, valid";
        found.add("cfg-state-missing", TrapEffect::Writing, None, text.to_owned());
    }
    match cfg.state_digit {
        StateDigit::At { .. } => {}
        StateDigit::Beyond { offset } => {
            let text = format!(
                "the state lies at byte {offset}; the loader writes it within the first 512 bytes only, so a state \
                 that has to change makes it drop the bank"
            );
            found.add("cfg-state-beyond-512", TrapEffect::Writing, read, text);
        }
        StateDigit::NotAState { .. } | StateDigit::NoLine => {
            let told =
                found.traps.iter().any(|trap| matches!(trap.code, "cfg-state-empty" | "cfg-state-missing"));
            if !told {
                let text = "the loader finds no digit from 0 to 3 where it would write the state; a state that has \
                            to change makes it drop the bank";
                found.add("cfg-state-unwritable", TrapEffect::Writing, read, text.to_owned());
            }
        }
    }
}

/// What is no looseness, but keeps a bank from booting.
fn of_rules(found: &mut Found, cfg: &BootCfg) {
    let values = &cfg.values;
    if cfg.refused.is_some() {
        return;
    }
    let line = |key| cfg.last(key).map(|(line, _)| line.number);
    if values.updated == 0 {
        let text =
            "`updated` is 0 or missing: the bank is never eligible (an installer's file looks like this)";
        found.add("cfg-updated-zero", TrapEffect::Selection, line(Key::Updated), text.to_owned());
    }
    if values.build.is_empty() {
        let text = "`build` is missing or empty: the bank is never eligible";
        found.add("cfg-build-missing", TrapEffect::Selection, line(Key::Build), text.to_owned());
    } else if !values.build.starts_with(|first: char| first.is_ascii_digit()) {
        let text = format!(
            "`build` is {}, which does not begin with a digit: the loader stops at it and does not try the other \
             bank",
            quote(values.build.as_bytes())
        );
        found.add("cfg-build-no-digit", TrapEffect::Selection, line(Key::Build), text);
    }
    if values.quickboot != 0 {
        let text = format!("`quickboot` is {}: the bank never boots from the disk", values.quickboot);
        found.add("cfg-quickboot", TrapEffect::Selection, line(Key::Quickboot), text);
    }
    if values.kernel.is_empty() {
        let text = "`kernel` is missing or empty: nothing can be loaded";
        found.add("cfg-kernel-missing", TrapEffect::Loading, line(Key::Kernel), text.to_owned());
    }
}
