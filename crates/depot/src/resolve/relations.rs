//! Depends and conflicts over the whole resulting set.
//!
//! Promises: every VIB that has a conflict is listed in exactly one finding; a dependency that is missing for certain
//! is told apart from one that could not be proved, because relations of a VIB on the host are not known.
//! Bounds (`<<`, `<=`, `>=`, `>>`) on one name must be met by one provider together; an `=` and a name alone may
//! each be met by another one.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::Finding;

use super::set::{Member, Set};
use crate::finding::Code;
use crate::relation::{Constraint, Relation};
use crate::version::VibVersion;

pub(super) fn check(set: &Set<'_>) -> Vec<Finding> {
    let offers = Offers::of(set);
    let unknown: Vec<&str> =
        set.values().filter(|member| member.relations.is_none()).map(|member| member.name).collect();
    let mut findings = Vec::new();
    for member in set.values() {
        findings.extend(depends(member, &offers, set, &unknown));
    }
    findings.extend(conflicts(set, &offers));
    if !unknown.is_empty() {
        let shown = unknown.iter().take(6).copied().collect::<Vec<_>>().join(", ");
        let more = if unknown.len() > 6 { ", …" } else { "" };
        let what = format!("{} of {} VIBs: {shown}{more}", unknown.len(), set.len());
        findings.push(Code::RelationsUnknown.at("host", what));
    }
    findings
}

/// Who offers which name in which version.
struct Offers<'a> {
    by_name: BTreeMap<&'a str, Vec<(&'a str, Option<&'a VibVersion>)>>,
}

impl<'a> Offers<'a> {
    fn of(set: &Set<'a>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<(&str, Option<&VibVersion>)>> = BTreeMap::new();
        for member in set.values() {
            by_name.entry(member.name).or_default().push((member.name, Some(member.version)));
            for provided in member.relations.into_iter().flat_map(|relations| &relations.provides) {
                let version = provided.bound.as_ref().map(|(_, version)| version);
                by_name.entry(&provided.name).or_default().push((member.name, version));
            }
        }
        Self { by_name }
    }

    fn named(&self, name: &str) -> &[(&'a str, Option<&'a VibVersion>)] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    fn meets(&self, name: &str, together: &[&Constraint]) -> bool {
        self.named(name).iter().any(|(_, version)| together.iter().all(|one| one.admits(*version)))
    }
}

fn depends(member: &Member<'_>, offers: &Offers<'_>, set: &Set<'_>, unknown: &[&str]) -> Option<Finding> {
    let relations = member.relations?;
    let (mut bounds, mut single): (BTreeMap<&str, Vec<&Constraint>>, Vec<&Constraint>) = Default::default();
    for one in &relations.depends {
        match &one.bound {
            None | Some((Relation::Equal, _)) => single.push(one),
            Some((
                Relation::Earlier | Relation::EarlierOrEqual | Relation::LaterOrEqual | Relation::Later,
                _,
            )) => bounds.entry(&one.name).or_default().push(one),
        }
    }
    let groups = bounds.into_iter().chain(single.into_iter().map(|one| (one.name.as_str(), vec![one])));
    let (mut missing, mut proof) = (Vec::new(), true);
    for (name, group) in groups {
        if offers.meets(name, &group) {
            continue;
        }
        let text = group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let there: Vec<String> = offers
            .named(name)
            .iter()
            .map(|(by, version)| match version {
                Some(version) => format!("{by} has {version}"),
                None => format!("{by} has it without a version"),
            })
            .collect();
        // A VIB of that name is there in a wrong version: nobody else will provide it.
        proof &= unknown.is_empty() || set.contains_key(name);
        missing.push(if there.is_empty() { text } else { format!("{text} ({})", there.join(", ")) });
    }
    let code = if proof { Code::DependencyMissing } else { Code::DependencyUnproven };
    (!missing.is_empty()).then(|| code.at(member.id.as_str(), missing.join("; ")))
}

/// One finding for each group of VIBs that hang together by conflicts.
fn conflicts(set: &Set<'_>, offers: &Offers<'_>) -> Vec<Finding> {
    let mut pairs: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for member in set.values() {
        let Some(relations) = member.relations else { continue };
        for one in &relations.conflicts {
            for (other, version) in offers.named(&one.name) {
                let Some(other) = set.get(other).filter(|other| other.name != member.name) else { continue };
                let compatible = relations.compatible_with.iter().any(|with| other.satisfies(with));
                if one.admits(*version) && !compatible {
                    let pair = (member.name.min(other.name), member.name.max(other.name));
                    pairs
                        .entry(pair)
                        .or_insert_with(|| format!("{} excludes {} ({one})", member.id, other.id));
                }
            }
        }
    }
    let mut findings = Vec::new();
    while let Some((first, _)) = pairs.first_key_value() {
        let mut group = BTreeSet::from([first.0, first.1]);
        let mut evidence = Vec::new();
        loop {
            let more: Vec<(&str, &str)> =
                pairs.keys().filter(|(a, b)| group.contains(a) || group.contains(b)).copied().collect();
            if more.is_empty() {
                break;
            }
            for pair in more {
                group.extend([pair.0, pair.1]);
                evidence.extend(pairs.remove(&pair));
            }
        }
        let ids: Vec<&str> =
            group.iter().filter_map(|name| set.get(name).map(|member| member.id.as_str())).collect();
        findings.push(Code::Conflict.at(ids.join(", "), evidence.join("; ")));
    }
    findings
}
