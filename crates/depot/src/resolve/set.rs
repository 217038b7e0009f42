//! The set of VIBs that a host would have afterwards.
//!
//! Owns: [`Member`], from the depot or from the host, with what is known of it. Does not: decide.

use std::collections::BTreeMap;

use crate::depot::{Depot, Package};
use crate::host::Installed;
use crate::relation::{Constraint, Relations};
use crate::version::VibVersion;
use crate::vibid::VibId;

/// A VIB of the set.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) id: VibId,
    pub(super) name: &'a str,
    pub(super) version: &'a VibVersion,
    /// None if nobody told them.
    pub(super) relations: Option<&'a Relations>,
    /// The package, if a depot holds it.
    pub(super) package: Option<&'a Package>,
    /// Whether it comes with this update.
    pub(super) comes: bool,
}

impl<'a> Member<'a> {
    pub(super) fn coming(package: &'a Package) -> Self {
        let descriptor = &package.descriptor;
        Self {
            id: descriptor.id.clone(),
            name: &descriptor.name,
            version: &descriptor.version,
            relations: Some(&descriptor.relations),
            package: Some(package),
            comes: true,
        }
    }

    /// A VIB of the host; what its output left open is taken from the depot's VIB of the same id.
    pub(super) fn staying(installed: &'a Installed, depot: &'a Depot) -> Self {
        let package = package_of(installed, depot);
        Self {
            id: package.map_or_else(|| installed.id(), |package| package.descriptor.id.clone()),
            name: &installed.name,
            version: &installed.version,
            relations: installed
                .relations
                .as_ref()
                .or_else(|| package.map(|package| &package.descriptor.relations)),
            package,
            comes: false,
        }
    }

    /// Whether its name, or something that it provides, satisfies a constraint.
    pub(super) fn satisfies(&self, constraint: &Constraint) -> bool {
        (self.name == constraint.name && constraint.admits(Some(self.version)))
            || self.relations.is_some_and(|relations| {
                relations.provides.iter().any(|provided| constraint.admits_provided(provided))
            })
    }
}

/// The depot's package that a VIB of the host is.
pub(super) fn package_of<'a>(installed: &Installed, depot: &'a Depot) -> Option<&'a Package> {
    let kinds: &[&str] = match installed.kind.as_deref() {
        Some("locker") => &["locker"],
        Some(_) => &["bootbank"],
        None => &["bootbank", "locker"],
    };
    kinds.iter().find_map(|kind| {
        depot.packages.get(&VibId::of(&installed.vendor, kind, &installed.name, installed.version.as_str()))
    })
}

/// The set by name: a host has one VIB of a name.
pub(super) type Set<'a> = BTreeMap<&'a str, Member<'a>>;
