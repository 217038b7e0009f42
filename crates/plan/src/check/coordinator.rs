//! Releases of the coordinator and of the members, and whether the order is broken already.

use std::collections::BTreeMap;

use lifeboat_model::{Order, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Host, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "coordinator",
    title: "the coordinator is not older than its members",
    pages: &[BEHIND, EXCLUDED, MIXED],
    run,
};

const BEHIND: Page = Page {
    code: "coordinator-behind",
    title: "members run a newer release than their coordinator",
    severity: Severity::Warning,
    looks_at: "with `order = \"coordinator-first\"`: members that run the release that is to come, or have accepted a \
               higher serial number, while the coordinator has not",
    means: "Somebody upgraded a member by hand. Until its coordinator is upgraded too, such a member may stay offline \
            without its networks, and must not be rebooted again.",
    remedy: "The way out is forward: upgrade the coordinator next. A plan of this pool does that in its first wave, \
             before any other member. If an upgraded member does not answer, leave it alone until then: it comes \
             back with its coordinator. Do not upgrade further members by hand.",
    undo: "",
    incidents: &["I-11"],
};

const EXCLUDED: Page = Page {
    code: "coordinator-left-out",
    title: "the plan leaves the coordinator out and upgrades members",
    severity: Severity::Blocker,
    looks_at: "the plan, with `order = \"coordinator-first\"`",
    means: "Members would run a newer release than their coordinator, and may lose their networks.",
    remedy: "Make the plan without `--exclude` of the coordinator, or set `order = \"least-loaded-first\"` if \
             members of this pool may be newer than their coordinator.",
    undo: "",
    incidents: &["I-11"],
};

const MIXED: Page = Page {
    code: "mixed-releases",
    title: "the hosts of the pool run different releases",
    severity: Severity::Note,
    looks_at: "the release that each host runs",
    means: "An earlier roll did not reach every host, or somebody upgraded by hand. Guests may not be able to move \
            back from newer hosts to older ones.",
    remedy: "Nothing before the roll: it brings every host of the plan to one release. Hosts that you leave out stay \
             as they are.",
    undo: "",
    incidents: &["I-11"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let mut by_release: BTreeMap<[u8; 32], Vec<&Host<'_>>> = BTreeMap::new();
    let mut silent = Vec::new();
    for host in &pool.hosts {
        match host.view.running {
            Some(digest) => by_release.entry(digest.0).or_default().push(host),
            None => silent.push(host.name()),
        }
    }
    found.unknown_of("the release", &silent);
    if by_release.len() > 1 {
        let mut kinds: Vec<&Vec<&Host<'_>>> = by_release.values().collect();
        kinds.sort_by_key(|hosts| std::cmp::Reverse(hosts.len()));
        let kinds = kinds.iter().map(|hosts| {
            let version = hosts.first().map_or("?", |host| version(host));
            format!("{} run {version}", count(hosts.len(), "host"))
        });
        found.add(&MIXED, pool.name(), names(kinds), "nothing: the roll brings them to one release");
    }
    let Some(coordinator) = pool.ground.survey.world.coordinator().and_then(|id| pool.host(id)) else {
        return;
    };
    if pool.ground.policy.order != Order::CoordinatorFirst {
        return;
    }
    behind(pool, coordinator, found);
    let left_out = pool
        .ground
        .plan
        .is_some_and(|plan| !plan.steps.is_empty() && plan.excluded.contains(&coordinator.view.id));
    if left_out && coordinator.view.running != pool.target.map(|target| target.digest) {
        let name = coordinator.name();
        found.add(
            &EXCLUDED,
            name,
            format!("{name} runs {} and stays so, while members are upgraded", version(coordinator)),
            format!("make the plan without --exclude {name}"),
        );
    }
}

fn behind(pool: &Pool<'_>, coordinator: &Host<'_>, found: &mut Found) {
    let floors = &pool.ground.survey.pool.serial_floor;
    let floor = |host: &Host<'_>| floors.get(&host.view.id).copied();
    let own = floor(coordinator);
    let has_target =
        |host: &Host<'_>| pool.target.is_some_and(|target| host.view.running == Some(target.digest));
    let is_ahead = |host: &&Host<'_>| {
        let by_serial = own.zip(floor(host)).is_some_and(|(own, other)| other > own);
        host.view.id != coordinator.view.id
            && (by_serial || has_target(host))
            && host.view.running != coordinator.view.running
    };
    if has_target(coordinator) {
        return;
    }
    let ahead: Vec<&Host<'_>> = pool.hosts.iter().filter(is_ahead).collect();
    let Some(first) = ahead.first() else { return };
    let name = coordinator.name();
    found.add(
        &BEHIND,
        name,
        format!(
            "coordinator {name} runs {}, but {} {} already: {}",
            version(coordinator),
            if ahead.len() == 1 { "1 member runs".to_owned() } else { format!("{} members run", ahead.len()) },
            first.view.version.as_ref().map_or("a newer release", |version| version.0.as_str()),
            names(ahead.iter().map(|host| host.name()))
        ),
        format!(
            "upgrade {name} next: a plan does so in its first wave; do not reboot or upgrade members by hand until then"
        ),
    );
}

fn version<'a>(host: &Host<'a>) -> &'a str {
    host.view.version.as_ref().map_or("a release without a version", |version| version.0.as_str())
}
