//! What a host printed after an update: for comparing decisions with real ones.
//!
//! Owns: [`UpdateResult`]. Promises: lists that the text cuts short (`...`) are told to be cut. Does not: believe that
//! success was success.

use serde::Serialize;

use crate::vibid::VibId;

/// Names of the lines.
const KEYS: [&str; 5] = ["Message", "Reboot Required", "VIBs Installed", "VIBs Removed", "VIBs Skipped"];

/// One `Installation Result` or `Update Result`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpdateResult {
    /// As printed.
    pub message: String,
    /// As printed; none if the line is not there.
    pub reboot_required: Option<bool>,
    /// VIBs that came.
    pub installed: Vec<VibId>,
    /// VIBs that went.
    pub removed: Vec<VibId>,
    /// VIBs that were left out.
    pub skipped: Vec<VibId>,
    /// Names of the lists whose end is missing.
    pub cut: Vec<&'static str>,
}

impl UpdateResult {
    /// Pairs of one name: what went, and what came for it.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&VibId, &VibId)> {
        let name = |id: &VibId| id.parts().map(|(_, _, name, _)| name.to_owned());
        let mut pairs = Vec::new();
        for gone in &self.removed {
            let found = self.installed.iter().find(|new| name(new).is_some() && name(new) == name(gone));
            pairs.extend(found.map(|new| (gone, new)));
        }
        pairs
    }
}

/// Every result in a text with other lines around them.
#[must_use]
pub fn parse_results(text: &str) -> Vec<UpdateResult> {
    let mut results: Vec<UpdateResult> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if matches!(trimmed, "Installation Result" | "Update Result" | "Removal Result") {
            results.push(UpdateResult::default());
            open = true;
            continue;
        }
        let Some(result) = results.last_mut().filter(|_| open) else { continue };
        // Texts that were pasted may have lost the blanks in front.
        let Some((key, value)) = trimmed.split_once(':').filter(|(key, _)| KEYS.contains(key)) else {
            // A long message may go on in the next line; anything else ends the result.
            open = result.reboot_required.is_none() && !trimmed.is_empty();
            continue;
        };
        match key {
            "Message" => value.trim().clone_into(&mut result.message),
            "Reboot Required" => result.reboot_required = value.trim().to_ascii_lowercase().parse().ok(),
            "VIBs Installed" => ids(value, "installed", &mut result.installed, &mut result.cut),
            "VIBs Removed" => ids(value, "removed", &mut result.removed, &mut result.cut),
            "VIBs Skipped" => ids(value, "skipped", &mut result.skipped, &mut result.cut),
            _ => {}
        }
    }
    results
}

fn ids(value: &str, list: &'static str, into: &mut Vec<VibId>, cut: &mut Vec<&'static str>) {
    let value = value.trim();
    if value.ends_with(',') || value.ends_with("..") {
        cut.push(list);
    }
    for word in value.split(',').map(str::trim) {
        if !word.trim_matches('.').is_empty() {
            into.push(VibId::new(word));
        }
    }
}
