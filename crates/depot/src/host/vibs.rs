//! The VIBs of a host.
//!
//! Owns: [`Host`], [`Installed`], and making them from named fields. Promises: what the output does not tell stays
//! unknown. Does not: guess relations.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::descriptor::Platform;
use crate::level::Level;
use crate::relation::{Constraint, Relations};
use crate::version::VibVersion;
use crate::vibid::VibId;

/// A VIB on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Name.
    pub name: String,
    /// Version.
    pub version: VibVersion,
    /// Vendor.
    pub vendor: String,
    /// Its type, if the output tells it.
    pub kind: Option<String>,
    /// Level.
    pub level: Option<Level>,
    /// As printed.
    pub install_date: String,
    /// Words about others, if the output tells them.
    pub relations: Option<Relations>,
    /// Whether it can be removed without a reboot, if the output tells it.
    pub live_remove: Option<bool>,
    /// Whether it asks for maintenance mode, if the output tells it.
    pub maintenance: Option<bool>,
    /// Hardware that it is made for.
    pub platforms: Vec<Platform>,
}

impl Installed {
    /// Its id; a type that is not known counts as bootbank.
    #[must_use]
    pub fn id(&self) -> VibId {
        VibId::of(&self.vendor, self.kind.as_deref().unwrap_or("bootbank"), &self.name, self.version.as_str())
    }
}

/// A host as its command printed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// VIBs by name.
    pub vibs: BTreeMap<String, Installed>,
}

impl Host {
    /// Adds what another output of the same host tells.
    pub fn merge(&mut self, other: Self) {
        other.vibs.into_values().for_each(|vib| self.add(vib));
    }

    /// Adds a VIB, or what more is known of one.
    pub(super) fn add(&mut self, new: Installed) {
        match self.vibs.get_mut(&new.name) {
            None => {
                self.vibs.insert(new.name.clone(), new);
            }
            Some(there) => {
                // `vib list` and `vib get` of one host: the one fills what the other leaves open.
                there.kind = there.kind.take().or(new.kind);
                there.relations = there.relations.take().or(new.relations);
                there.live_remove = there.live_remove.or(new.live_remove);
                there.maintenance = there.maintenance.or(new.maintenance);
                if there.platforms.is_empty() {
                    there.platforms = new.platforms;
                }
                if there.install_date.is_empty() {
                    there.install_date = new.install_date;
                }
            }
        }
    }
}

/// Fields of one VIB: names in lower case without blanks; values split where the output has lists.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

pub(super) fn key(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A VIB from named fields; none if name or version is missing.
pub(super) fn from_fields(fields: &Fields) -> Option<Installed> {
    let one = |name: &str| fields.get(name).and_then(|values| values.first()).map_or("", |text| text.trim());
    let truth = |name: &str| one(name).to_ascii_lowercase().parse::<bool>().ok();
    let (name, version) = (one("name"), one("version"));
    if name.is_empty() || version.is_empty() {
        return None;
    }
    let list = |name: &str| -> Vec<String> {
        let values = fields.get(name).into_iter().flatten();
        let words = values.flat_map(|value| value.split(',')).map(|word| word.trim().to_owned());
        words.filter(|word| !word.is_empty()).collect()
    };
    let constraints =
        |name: &str| list(name).iter().filter_map(|text| Constraint::parse(text)).collect::<Vec<_>>();
    let relations = fields.contains_key("depends").then(|| Relations {
        depends: constraints("depends"),
        conflicts: constraints("conflicts"),
        replaces: constraints("replaces"),
        provides: constraints("provides"),
        compatible_with: constraints("compatiblewith"),
    });
    let platforms = list("hardwareplatformsrequired");
    let platforms = platforms.into_iter().map(|vendor| Platform { vendor, model: String::new() });
    let vendor = match one("vendor") {
        // Older outputs print the id and leave the vendor to it.
        "" => VibId::new(one("id")).parts().map_or("", |(vendor, ..)| vendor).to_owned(),
        vendor => vendor.to_owned(),
    };
    let kind = match one("type") {
        "" => VibId::new(one("id")).parts().map(|(_, kind, ..)| kind.to_owned()),
        kind => Some(kind.to_owned()),
    };
    Some(Installed {
        name: name.to_owned(),
        version: VibVersion::new(version),
        vendor,
        kind,
        level: one("acceptancelevel").parse().ok(),
        install_date: one("installdate").to_owned(),
        relations,
        live_remove: truth("liveremoveallowed"),
        maintenance: truth("maintenancemoderequired"),
        platforms: platforms.collect(),
    })
}
