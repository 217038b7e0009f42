//! Whether a release fits into the bank that an update would write.

use super::options::ReleaseSize;
use crate::esx::content::{BankContent, Role};
use crate::esx::select::Selection;
use crate::esx::{EsxDisk, EsxFinding, EsxSeverity, Remedy};

pub(super) fn judge(
    findings: &mut Vec<EsxFinding>,
    disk: &EsxDisk,
    selection: &Selection,
    contents: &[BankContent],
    release: Option<&ReleaseSize>,
) {
    let Some(release) = release else { return };
    // An update writes the bank that does not run.
    let target = (0..disk.banks.len()).find(|index| Some(*index) != selection.chosen);
    let Some(content) = target.and_then(|index| contents.get(index)) else { return };
    let cluster = u64::from(content.fat.cluster_bytes);
    if cluster == 0 {
        return;
    }
    let needed: u64 = release.files.iter().map(|len| len.div_ceil(cluster) * cluster).sum();
    let whole = u64::from(content.fat.clusters) * cluster;
    // An update removes what the bank names; what it does not know stays.
    let own: u64 = content
        .belonging()
        .filter(|file| !file.is_dir)
        .map(|file| file.len.div_ceil(cluster) * cluster)
        .sum();
    let state = content.belonging().find(|file| file.role == Role::State);
    let keeps = state.map_or(0, |file| file.len.div_ceil(cluster) * cluster);
    let room = (content.fat.free_bytes() + own).min(whole).saturating_sub(keeps);
    let letter = content.letter;
    if needed > whole.saturating_sub(keeps) {
        let text = format!(
            "the release {} needs {needed} bytes on the bank, which has {whole} in all ({keeps} for the saved state)",
            release.name
        );
        let next = "it cannot be installed into banks of this size; the disk has to be divided anew by the installer";
        findings.push(EsxFinding::new("esx-space-bank", EsxSeverity::Error, text, next).on(letter));
    } else if needed > room {
        let lost = whole - room - keeps;
        let text = format!(
            "the release {} needs {needed} bytes on the bank, and {room} are free when its own files are gone: {lost} \
             bytes are taken by files or clusters that are nobody's",
            release.name
        );
        let next = "the update stops in the middle of copying (\"reached EOF\", \"No space left on device\")";
        let finding = EsxFinding::new("esx-space-foreign", EsxSeverity::Error, text, next).on(letter);
        findings.push(finding.with(Some(Remedy::Clean)));
    }
}
