//! Which VIBs would come, go, stay and be left out.
//!
//! VIBs are matched by name, never by vendor: a driver may change its vendor, and a new name says so by `replaces`.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{Finding, Severity};

use super::plan::{Change, ChangeKind, Gone, GoneWhy, Mode, Request, ResolveError, Skip, SkipWhy};
use super::set::{Member, Set, package_of};
use crate::depot::{Depot, Package};
use crate::finding::Code;
use crate::host::{Host, Installed};
use crate::profile::Profile;
use crate::version::VibVersion;
use crate::vibid::VibId;

pub(super) struct Selected<'a> {
    pub(super) profile: Option<String>,
    pub(super) set: Set<'a>,
    pub(super) installed: Vec<Change>,
    pub(super) removed: Vec<Gone>,
    pub(super) skipped: Vec<Skip>,
    pub(super) kept: Vec<VibId>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn select<'a>(
    depot: &'a Depot,
    host: &'a Host,
    request: &Request,
) -> Result<Selected<'a>, ResolveError> {
    let mut findings = Vec::new();
    let profile = if request.mode.of_profile() { Some(profile_of(depot, request)?) } else { None };
    let candidates = match profile {
        Some(profile) => of_profile(depot, host, profile, &mut findings),
        None => wanted(depot, request, &mut findings),
    };
    let mut choice = Choice { depot, host, request, set: Set::new(), skipped: Vec::new(), findings };
    for installed in host.vibs.values() {
        choice.set.insert(&installed.name, Member::staying(installed, depot));
    }
    for package in candidates.values() {
        choice.decide(package);
    }
    if let (Mode::ProfileInstall, Some(profile)) = (request.mode, profile) {
        choice.only_the_profile(profile);
    }
    choice.obsolete();
    Ok(choice.tell(profile.map(|profile| profile.name.clone())))
}

fn profile_of<'a>(depot: &'a Depot, request: &Request) -> Result<&'a Profile, ResolveError> {
    let names = || depot.profiles.iter().map(|profile| profile.name.clone()).collect::<Vec<_>>();
    match (&request.profile, depot.profiles.as_slice()) {
        (_, []) => Err(ResolveError::NoProfile { mode: request.mode.words() }),
        (None, [only]) => Ok(only),
        (None, _) => Err(ResolveError::WhichProfile { names: names() }),
        (Some(name), profiles) => profiles
            .iter()
            .find(|profile| profile.name == *name)
            .ok_or_else(|| ResolveError::UnknownProfile { name: name.clone(), names: names() }),
    }
}

/// Packages of a profile. A VIB that the host has already need not be in the depot.
fn of_profile<'a>(
    depot: &'a Depot,
    host: &Host,
    profile: &Profile,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, &'a Package> {
    let there: BTreeSet<VibId> = host.vibs.values().map(Installed::id).collect();
    let mut found = BTreeMap::new();
    for vib in &profile.vibs {
        if let Some(package) = depot.packages.get(&vib.id) {
            found.insert(package.descriptor.name.as_str(), package);
        } else if !there.contains(&vib.id) {
            let what =
                format!("profile {:?} names it; it is neither in the depot nor on the host", profile.name);
            findings.push(Code::ProfileVibMissing.at(vib.id.as_str(), what));
        }
    }
    found
}

/// The newest package of each name, or those that were asked for.
fn wanted<'a>(
    depot: &'a Depot,
    request: &Request,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, &'a Package> {
    if request.only.is_empty() {
        return depot.newest();
    }
    let mut found: BTreeMap<&str, &Package> = BTreeMap::new();
    for text in &request.only {
        let mut any = false;
        for package in depot.packages.values().filter(|package| is_meant(text, package)) {
            any = true;
            let name = package.descriptor.name.as_str();
            if found.get(name).is_none_or(|there| there.descriptor.version <= package.descriptor.version) {
                found.insert(name, package);
            }
        }
        if !any {
            findings.push(Code::NothingMatches.at(text.clone(), "no VIB of the depot has this name"));
        }
    }
    found
}

fn is_meant(text: &str, package: &Package) -> bool {
    let one = &package.descriptor;
    let version = |text: &str| one.version == VibVersion::new(text);
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => one.name == *name,
        [first, second] => {
            (one.name == *first && version(second)) || (one.vendor == *first && one.name == *second)
        }
        [vendor, name, text] => one.vendor == *vendor && one.name == *name && version(text),
        _ => false,
    }
}

struct Choice<'a, 'r> {
    depot: &'a Depot,
    host: &'a Host,
    request: &'r Request,
    set: Set<'a>,
    skipped: Vec<Skip>,
    findings: Vec<Finding>,
}

impl<'a> Choice<'a, '_> {
    /// Takes a package into the set, or leaves it out with its reason.
    fn decide(&mut self, package: &'a Package) {
        let new = &package.descriptor;
        let Some(there) = self.host.vibs.get(&new.name) else {
            let renames = self.host.vibs.values().any(|installed| replaces(package, installed));
            if self.request.mode == Mode::VibUpdate && !renames {
                self.skip(package, SkipWhy::NotInstalled);
            } else {
                self.set.insert(&new.name, Member::coming(package));
            }
            return;
        };
        if new.version != there.version && !new.version.settled_against(&there.version) {
            let what = format!("{} on the host, {} in the depot", there.version, new.version);
            self.findings.push(Code::VersionOrderUnsettled.at(new.name.clone(), what));
        }
        let downwards = match self.request.mode {
            Mode::VibUpdate => false,
            Mode::ProfileUpdate => self.request.allow_downgrades,
            Mode::VibInstall | Mode::ProfileInstall => true,
        };
        if new.version == there.version {
            let exact = self.request.mode == Mode::ProfileInstall;
            if exact && new.vendor != there.vendor {
                self.set.insert(&new.name, Member::coming(package));
            } else {
                self.skip(package, SkipWhy::Same);
            }
        } else if new.version > there.version || downwards {
            if new.version < there.version && !self.request.allow_downgrades {
                let what = format!(
                    "{} on the host, {} in the depot; the host would not ask",
                    there.version, new.version
                );
                self.findings.push(Code::WouldDowngrade.at(new.id.as_str(), what));
            }
            self.set.insert(&new.name, Member::coming(package));
        } else {
            self.skip(package, SkipWhy::Newer { installed: there.version.clone() });
        }
    }

    fn skip(&mut self, package: &Package, reason: SkipWhy) {
        self.skipped.push(Skip { id: package.descriptor.id.clone(), reason });
    }

    /// Takes out what the profile does not hold.
    fn only_the_profile(&mut self, profile: &Profile) {
        let names: BTreeSet<String> = profile
            .vibs
            .iter()
            .filter_map(|vib| match self.depot.packages.get(&vib.id) {
                Some(package) => Some(package.descriptor.name.clone()),
                None => vib.id.parts().map(|(_, _, name, _)| name.to_owned()),
            })
            .collect();
        self.set.retain(|name, _| names.contains(*name));
    }

    /// Takes out what others of the set replace, in the order of names.
    fn obsolete(&mut self) {
        let names: Vec<&str> = self.set.keys().copied().collect();
        for name in names {
            let Some(by) = self.set.get(name) else { continue };
            let Some(relations) = by.relations else { continue };
            let by_id = by.id.clone();
            let gone: Vec<&str> = self
                .set
                .values()
                .filter(|other| other.name != name)
                .filter(|other| {
                    let fits = |one: &crate::relation::Constraint| {
                        one.name == other.name && one.admits(Some(other.version))
                    };
                    relations.replaces.iter().any(fits)
                })
                .map(|other| other.name)
                .collect();
            for other in gone {
                if let Some(member) = self.set.remove(other).filter(|member| member.comes) {
                    self.skipped
                        .push(Skip { id: member.id, reason: SkipWhy::Replaced { by: by_id.clone() } });
                }
            }
        }
    }

    /// Compares the set with the host.
    fn tell(mut self, profile: Option<String>) -> Selected<'a> {
        let (mut installed, mut removed, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for member in self.set.values() {
            let Some(package) = member.package.filter(|_| member.comes) else {
                kept.push(member.id.clone());
                continue;
            };
            installed.push(change(package, self.host));
        }
        for there in self.host.vibs.values() {
            let id =
                package_of(there, self.depot).map_or_else(|| there.id(), |one| one.descriptor.id.clone());
            let reason = match self.set.get(there.name.as_str()) {
                Some(member) if !member.comes => continue,
                Some(member) => GoneWhy::Successor { by: member.id.clone() },
                None => {
                    let by = self.set.values().find(|member| {
                        member.relations.is_some_and(|relations| {
                            relations
                                .replaces
                                .iter()
                                .any(|one| one.name == there.name && one.admits(Some(&there.version)))
                        })
                    });
                    by.map_or(GoneWhy::NotInProfile, |by| GoneWhy::Replaced { by: by.id.clone() })
                }
            };
            if reason == GoneWhy::NotInProfile {
                let weight =
                    if self.request.ok_to_remove { Severity::Warning } else { Code::WouldRemove.severity() };
                let what = "the profile holds nothing of its name, and nothing that replaces it";
                self.findings.push(Code::WouldRemove.weighing(weight, id.as_str(), what));
            }
            removed.push(Gone { id, reason });
        }
        self.skipped.sort_by(|a, b| a.id.cmp(&b.id));
        Selected {
            profile,
            set: self.set,
            installed,
            removed,
            skipped: self.skipped,
            kept,
            findings: self.findings,
        }
    }
}

fn replaces(package: &Package, installed: &Installed) -> bool {
    package.descriptor.name != installed.name
        && package
            .descriptor
            .relations
            .replaces
            .iter()
            .any(|one| one.name == installed.name && one.admits(Some(&installed.version)))
}

fn change(package: &Package, host: &Host) -> Change {
    let new = &package.descriptor;
    let there = host.vibs.get(&new.name);
    let mut instead_of: Vec<VibId> = there.map(Installed::id).into_iter().collect();
    instead_of.extend(host.vibs.values().filter(|one| replaces(package, one)).map(Installed::id));
    let kind = match there {
        Some(there) if new.version > there.version => ChangeKind::Upgrade,
        Some(there) if new.version < there.version => ChangeKind::Downgrade,
        Some(_) => ChangeKind::OtherVendor,
        None if instead_of.is_empty() => ChangeKind::New,
        None => ChangeKind::Renamed,
    };
    Change {
        id: new.id.clone(),
        name: new.name.clone(),
        version: new.version.clone(),
        kind,
        instead_of,
        size: new.payloads.iter().try_fold(0_u64, |sum, payload| sum.checked_add(payload.size?)),
        place: package.places.first().cloned().unwrap_or_default(),
    }
}
