//! Roots and dates from the command line.

use std::path::Path;

use lifeboat_depot::Level;
use lifeboat_depot::signature::Trust;

use crate::args::TrustArgs;
use crate::commands::now;
use crate::error::{CliError, Kind};
use crate::files::read_text;

pub(super) fn load(args: &TrustArgs) -> Result<Trust, CliError> {
    let mut trust = Trust::new();
    for text in &args.trust {
        // A path may hold an equals sign; a level is what follows the last one, if it is one.
        let (path, level) = match text.rsplit_once('=').map(|(path, level)| (path, level.parse::<Level>())) {
            Some((path, Ok(level))) => (path, level),
            Some((_, Err(wrong))) if !Path::new(text).exists() => return Err(CliError::usage(wrong)),
            Some((_, Err(_))) | None => (text.as_str(), Level::Certified),
        };
        let path = Path::new(path);
        let pem = read_text(path, "the trusted certificates", 4 << 20)?;
        trust.add_pem(&pem, level).map_err(|cause| {
            CliError::new(Kind::Failed, format!("{} is no file of certificates", path.display()))
                .because(cause)
                .remedy("give the certificates of those whom you trust in PEM form")
        })?;
    }
    Ok(trust)
}

/// Unix seconds of the date that counts.
pub(super) fn date(args: &TrustArgs) -> Result<u64, CliError> {
    let Some(text) = &args.at else { return Ok(now()) };
    let wrong = || {
        CliError::usage(format!("--at {text:?} is no date"))
            .remedy("write it as 2024-05-01 or as 2024-05-01T12:00:00Z; a date alone means midnight, UTC")
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    u64::try_from(time.ok_or_else(wrong)?.as_second()).map_err(|_| wrong())
}
