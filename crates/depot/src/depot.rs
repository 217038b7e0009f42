//! A depot: VIBs and profiles from bundles and single files, put together.
//!
//! Owns: [`Depot`]. Promises: two VIBs with one id are taken for one only if their payloads are; otherwise both are
//! refused, with names, sizes and sums. Does not: read files.

use std::collections::BTreeMap;

use lifeboat_model::Finding;
use serde::Serialize;

use crate::descriptor::{Descriptor, PayloadSpec};
use crate::finding::Code;
use crate::offline::{Bulletin, Bundle};
use crate::profile::Profile;
use crate::version::VibVersion;
use crate::vibid::VibId;

/// A VIB of a depot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// What it says about itself.
    pub descriptor: Descriptor,
    /// Where it lies: bundle and member, or file.
    pub places: Vec<String>,
}

/// VIBs by id, and what was said about them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Depot {
    /// One for each id; those that were refused are not here.
    pub packages: BTreeMap<VibId, Package>,
    /// Profiles, in the order found.
    pub profiles: Vec<Profile>,
    /// Bulletins, in the order found.
    pub bulletins: Vec<Bulletin>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Ids that stand for unequal payloads, with what was first seen of each.
    #[serde(skip)]
    refused: BTreeMap<VibId, Package>,
}

impl Depot {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a VIB.
    pub fn add(&mut self, descriptor: Descriptor, place: &str) {
        let id = descriptor.id.clone();
        let new = Package { descriptor, places: vec![place.to_owned()] };
        let first = match (self.packages.get_mut(&id), self.refused.get(&id)) {
            (Some(there), _) if same_payloads(&there.descriptor.payloads, &new.descriptor.payloads) => {
                there.places.push(place.to_owned());
                return;
            }
            (Some(there), _) => there.clone(),
            (None, Some(refused)) => refused.clone(),
            (None, None) => {
                self.packages.insert(id, new);
                return;
            }
        };
        let what = format!(
            "{}: {}; {place}: {}; neither is used",
            first.places.join(", "),
            show_payloads(&first.descriptor.payloads),
            show_payloads(&new.descriptor.payloads),
        );
        self.findings.push(Code::SameIdOtherPayload.at(id.as_str(), what));
        self.packages.remove(&id);
        self.refused.insert(id, first);
    }

    /// Adds everything that a bundle's index holds.
    pub fn add_bundle(&mut self, bundle: Bundle, name: &str) {
        self.findings.extend(bundle.findings);
        for vib in bundle.vibs {
            let place =
                vib.member.as_ref().map_or_else(|| name.to_owned(), |member| format!("{name}:{member}"));
            self.add(vib.descriptor, &place);
        }
        self.profiles.extend(bundle.profiles);
        self.bulletins.extend(bundle.bulletins);
    }

    /// Says which profiles name VIBs that are not here.
    #[must_use]
    pub fn profile_findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for profile in &self.profiles {
            let missing: Vec<&str> = profile
                .vibs
                .iter()
                .filter(|vib| !self.packages.contains_key(&vib.id))
                .map(|vib| vib.id.as_str())
                .collect();
            if !missing.is_empty() {
                let shown: Vec<&str> = missing.iter().take(8).copied().collect();
                let more = missing.len() - shown.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let what =
                    format!("{} of {} VIBs: {}{more}", missing.len(), profile.vibs.len(), shown.join(", "));
                findings.push(Code::ProfileVibMissing.at(profile.name.clone(), what));
            }
        }
        findings
    }

    /// The newest VIB of each name. Of equal versions the one with the later id, so that the answer is always one.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<&str, &Package> {
        let mut newest: BTreeMap<&str, &Package> = BTreeMap::new();
        for package in self.packages.values() {
            let name = package.descriptor.name.as_str();
            let version = |package: &Package| -> VibVersion { package.descriptor.version.clone() };
            if newest.get(name).is_none_or(|there| version(there) <= version(package)) {
                newest.insert(name, package);
            }
        }
        newest
    }
}

/// Whether two lists of payloads are the same bytes, as far as their sums tell: same names and sizes, every sum that
/// both have is equal, and there is such a sum.
#[must_use]
pub fn same_payloads(left: &[PayloadSpec], right: &[PayloadSpec]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same_payload(a, b))
}

fn same_payload(left: &PayloadSpec, right: &PayloadSpec) -> bool {
    if left.name != right.name || left.size != right.size {
        return false;
    }
    let mut common = 0;
    for a in &left.checksums {
        for b in &right.checksums {
            if (&a.algorithm, &a.process) == (&b.algorithm, &b.process) {
                if a.digits != b.digits {
                    return false;
                }
                common += 1;
            }
        }
    }
    common > 0
}

/// Names, sizes and sums of payloads, for a person.
#[must_use]
pub fn show_payloads(payloads: &[PayloadSpec]) -> String {
    let one = |payload: &PayloadSpec| {
        let size = payload.size.map_or_else(|| "size not given".to_owned(), |size| format!("{size} bytes"));
        let best = payload.checksums.iter().find(|sum| sum.algorithm == "sha-256" && sum.process.is_empty());
        let sum = best.or(payload.checksums.first());
        let sum = sum.map_or_else(|| "no sum".to_owned(), |sum| format!("{} {}", sum.algorithm, sum.digits));
        format!("payload {}, {size}, {sum}", payload.name)
    };
    if payloads.is_empty() {
        return "no payloads".to_owned();
    }
    payloads.iter().map(one).collect::<Vec<_>>().join("; ")
}
