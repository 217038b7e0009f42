//! Whether the state of this backup may be written to this host at all (incident I-13).

use super::{Blocker, RestoreOptions};
use crate::facts::{Difference, Sameness, compare_hosts, compare_products};
use crate::form::{BankFact, HostFacts, Index, Product};
use crate::root::Section;

/// What the target is.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its product; none if no file tells.
    pub(super) product: Option<Product>,
    pub(super) host: HostFacts,
    pub(super) banks: Vec<BankFact>,
    /// Whether it is an empty folder: then there is nothing that could be of another version.
    pub(super) empty: bool,
}

/// Blockers of product, version and host.
pub(super) fn check_gate(index: &Index, target: &Target, options: &RestoreOptions) -> Vec<Blocker> {
    if target.empty {
        return Vec::new();
    }
    let mut blockers = Vec::new();
    blockers.extend(match &target.product {
        Some(product) => check_product(index, product, target, options),
        None => Some(Blocker::new(
            "product-unknown",
            format!(
                "which product the target holds cannot be told, and the backup is of {}: state must not be mixed between \
                 versions",
                index.product
            ),
            "give the root of an installed host with --root, or an empty folder to look at the files",
        )),
    });
    if !options.as_other_host {
        blockers.extend(check_host(index, target));
    }
    blockers
}

fn check_product(
    index: &Index,
    here: &Product,
    target: &Target,
    options: &RestoreOptions,
) -> Option<Blocker> {
    let there = &index.product;
    match compare_products(there, here) {
        Some(Difference::Product) => Some(Blocker::new(
            "other-product",
            format!("the backup is of {there} ({}), and the target runs {here} ({})", there.name, here.name),
            "restore it on a host with the product of the backup",
        )),
        Some(Difference::Version) => accepted(
            &there.version,
            options,
            format!("the backup was made by {there}, and the target runs {here}"),
            &format!("bring the target to {there} first"),
        ),
        None => {
            let (old, new) = (active(&index.banks)?, active(&target.banks)?);
            if old == new {
                return None;
            }
            accepted(
                old,
                options,
                format!("the backup was made under release {old}, and the target runs release {new}"),
                &format!("install release {old} first"),
            )
        }
    }
}

/// A version is accepted only by its name, and only for sections that outlive versions.
fn accepted(version: &str, options: &RestoreOptions, what: String, first: &str) -> Option<Blocker> {
    let lasting: Vec<&str> =
        Section::ALL.into_iter().filter(|section| section.outlives_versions()).map(Section::word).collect();
    let all =
        options.only.as_ref().is_some_and(|only| only.iter().all(|section| section.outlives_versions()));
    if options.accept_version.as_deref() == Some(version) && all {
        return None;
    }
    let remedy = format!(
        "{first}, then restore; or, if only some of it is wanted: --accept-version {version} --only SECTION,… with any of {}",
        lasting.join(", ")
    );
    Some(Blocker::new("other-version", what, remedy))
}

fn active(banks: &[BankFact]) -> Option<&String> {
    banks.iter().find(|bank| bank.active)?.release.as_ref()
}

fn check_host(index: &Index, target: &Target) -> Option<Blocker> {
    let name = |host: &HostFacts| host.hostname.clone().unwrap_or_else(|| "without a name".to_owned());
    let remedy = "if this host is to take the place of the other one, give --as-other-host; its identity (host name, machine-id) \
                  then stays, unless --only names it";
    match compare_hosts(&index.host, &target.host) {
        Sameness::Same(_) => None,
        Sameness::Other(sign, there, here) => Some(Blocker::new(
            "other-host",
            format!(
                "the backup is of host {}, and this is {}: {sign} is {here}, there it was {there}",
                name(&index.host),
                name(&target.host)
            ),
            remedy,
        )),
        Sameness::Unknown => Some(Blocker::new(
            "host-unknown",
            format!(
                "whether the target is host {} cannot be told: no UUID of the machine and no machine-id to compare",
                name(&index.host)
            ),
            remedy,
        )),
    }
}
