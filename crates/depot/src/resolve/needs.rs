//! What the update asks of the host: a reboot, maintenance mode, a level, hardware.
//!
//! Promises: what is not known is told as not known, never as not needed.

use lifeboat_model::Finding;
use serde::Serialize;

use super::plan::{Change, ChangeKind, Gone, Request};
use super::set::Set;
use crate::descriptor::{Descriptor, Platform};
use crate::finding::Code;
use crate::host::Host;
use crate::level::Level;

/// Whether the host must do something first or afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "needed")]
pub enum Need {
    /// No.
    No,
    /// Yes, because of these.
    Yes {
        /// Ids and reasons.
        because: Vec<String>,
    },
    /// Perhaps: of these it is not known.
    Perhaps {
        /// Ids.
        because: Vec<String>,
    },
}

impl Need {
    fn of(yes: Vec<String>, perhaps: Vec<String>) -> Self {
        match (yes.is_empty(), perhaps.is_empty()) {
            (false, _) => Self::Yes { because: yes },
            (true, false) => Self::Perhaps { because: perhaps },
            (true, true) => Self::No,
        }
    }
}

pub(super) fn look(
    set: &Set<'_>,
    installed: &[Change],
    removed: &[Gone],
    host: &Host,
    request: &Request,
) -> (Need, Need, Vec<Finding>) {
    let mut findings = Vec::new();
    let (mut reboot, mut maybe_reboot) = (Vec::new(), Vec::new());
    let (mut maintenance, mut maybe_maintenance) = (Vec::new(), Vec::new());
    for change in installed {
        let Some(new) = set.get(change.name.as_str()).and_then(|member| member.package) else { continue };
        let new = &new.descriptor;
        if !new.live_install {
            reboot.push(format!("{} cannot be installed live", new.id));
        }
        let needed = match change.kind {
            ChangeKind::New => new.maintenance_on_install,
            ChangeKind::Upgrade | ChangeKind::Downgrade | ChangeKind::Renamed | ChangeKind::OtherVendor => {
                new.maintenance
            }
        };
        if needed {
            maintenance.push(format!("{} asks for it", new.id));
        }
        findings.extend(level(new, request));
        findings.extend(hardware(new, request.hardware.as_ref()));
    }
    for gone in removed {
        let Some(old) = host.vibs.values().find(|one| gone.id == one.id() || is_locker(one, gone)) else {
            continue;
        };
        match old.live_remove {
            Some(true) => {}
            Some(false) => reboot.push(format!("{} cannot be removed live", gone.id)),
            None => maybe_reboot.push(gone.id.to_string()),
        }
        match old.maintenance {
            Some(false) => {}
            Some(true) => maintenance.push(format!("{} asks for it", gone.id)),
            None => maybe_maintenance.push(gone.id.to_string()),
        }
    }
    if request.host_level.is_none() && !installed.is_empty() {
        let lowest = installed
            .iter()
            .filter_map(|change| set.get(change.name.as_str())?.package)
            .map(|package| claimed(&package.descriptor, request))
            .min()
            .unwrap_or(Level::Community);
        let what = format!("the lowest level among the VIBs that come is {lowest}");
        findings.push(Code::HostLevelUnknown.at("host", what));
    }
    (Need::of(reboot, maybe_reboot), Need::of(maintenance, maybe_maintenance), findings)
}

fn is_locker(one: &crate::host::Installed, gone: &Gone) -> bool {
    one.kind.is_none()
        && gone.id == crate::vibid::VibId::of(&one.vendor, "locker", &one.name, one.version.as_str())
}

fn claimed(new: &Descriptor, request: &Request) -> Level {
    let claim = new.level.unwrap_or(Level::Community);
    request.proved.get(&new.id).map_or(claim, |proved| claim.min(*proved))
}

fn level(new: &Descriptor, request: &Request) -> Option<Finding> {
    let wanted = request.host_level?;
    let level = claimed(new, request);
    let word = if request.proved.contains_key(&new.id) { "proved" } else { "claimed" };
    (level < wanted).then(|| {
        Code::LevelBelowHost
            .at(new.id.as_str(), format!("its level is {level} ({word}); the host asks for {wanted}"))
    })
}

fn hardware(new: &Descriptor, host: Option<&Platform>) -> Option<Finding> {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    if new.platforms.is_empty() {
        return None;
    }
    let mut wanted: Vec<String> = Vec::new();
    for platform in &new.platforms {
        let text = match platform.model.as_str() {
            "" => platform.vendor.clone(),
            model => format!("{} {model}", platform.vendor),
        };
        // Makers list their name in several spellings.
        if !wanted.iter().any(|there| same(there, &text)) {
            wanted.push(text);
        }
    }
    let wanted = wanted.join(", ");
    let Some(host) = host else {
        return Some(Code::HardwareUnknown.at(new.id.as_str(), format!("it is made for: {wanted}")));
    };
    let fits = |platform: &Platform| {
        same(&platform.vendor, &host.vendor)
            && (platform.model.is_empty() || same(&platform.model, &host.model))
    };
    let found = format!("it is made for: {wanted}; the host is {} {}", host.vendor, host.model);
    (!new.platforms.iter().any(fits)).then(|| Code::HardwareOther.at(new.id.as_str(), found.trim_end()))
}
