//! `lifeboat release show`

use std::path::{Path, PathBuf};

use lifeboat_bundle::{Rules, SignatureState, inspect};

use super::{bundle_error, load_trust, now, open_bundle, packages};
use crate::error::CliError;
use crate::files::FileAt;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;

/// A time for people: RFC 3339, UTC.
pub(super) fn show_time(unix: u64) -> String {
    let seconds = i64::try_from(unix).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{unix} s after 1970"), |time| time.to_string())
}

pub(super) fn show(ctx: &Ctx, path: &Path, trust: &[PathBuf]) -> Result<(), CliError> {
    let store = if trust.is_empty() { None } else { Some(load_trust(trust)?) };
    let file = FileAt::open(path, "the release")?.into_reader();
    let mut info = inspect(file, store.as_ref()).map_err(|cause| bundle_error(path, cause))?;
    let is_packages = info.slots.iter().any(|slot| slot.name == lifeboat_bundle::slot::PACKAGES);
    // What lies in a slot is told only of a bundle that somebody stands for.
    let good = info.signatures.iter().any(|signature| signature.state == SignatureState::Good);
    if let Some(store) = store.as_ref().filter(|_| is_packages && good) {
        let bundle = open_bundle(path, store, &Rules { allow_expired: true, ..Rules::at(now()) })?;
        info.packages = packages::index_of(path, &bundle)?;
    }
    ctx.out.object("release", &info, &info.release.digest.to_string(), || {
        let release = &info.release;
        let expires = info.expires.map_or_else(|| "never".to_owned(), show_time);
        let mut text = format!(
            "release   {} {}  serial {}\ndigest    {}\narch      {}\ncreated   {}\nexpires   {expires}\noptions   {}\n\n",
            release.name,
            release.version,
            release.serial,
            release.digest,
            info.arch,
            show_time(info.created),
            if info.cmdline.is_empty() { "-" } else { &info.cmdline },
        );
        let mut slots = Table::new().column("SLOT").number("SIZE").number("STORED").column("SHA-256");
        for slot in &info.slots {
            let (size, stored) = (show_size(slot.totals.len), show_size(slot.totals.stored_len));
            slots.row([slot.name.clone(), size, stored, slot.sha256.short()]);
        }
        text.push_str(&ctx.out.render(&slots));
        text.push('\n');
        if let Some(index) = &info.packages {
            text.push_str(&packages::text(ctx, index));
            text.push('\n');
        } else if is_packages {
            text.push_str("a release of packages; they are listed with --trust KEY of its maker\n\n");
        }
        let mut signatures = Table::new().column("SIGNED BY").column("SIGNATURE").flexible("COMMENT");
        for signature in &info.signatures {
            let state = match signature.state {
                SignatureState::Good => Cell::painted("good, trusted key", Paint::Good),
                SignatureState::UnknownKey => {
                    Cell::painted(if store.is_some() { "key not trusted" } else { "not checked (no --trust)" }, Paint::Warn)
                }
                SignatureState::Bad => Cell::painted("WRONG: altered after signing", Paint::Bad),
            };
            let comment = signature.comment.clone().unwrap_or_else(|| "-".to_owned());
            signatures.row([Cell::from(signature.key_id.to_string()), state, Cell::from(comment)]);
        }
        text.push_str(&ctx.out.render(&signatures));
        if info.signatures.is_empty() {
            text.push_str("nobody signed it: it will be refused\n");
        }
        text
    })
}
