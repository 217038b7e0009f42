//! Whether the release may be brought to these hosts.

use std::collections::BTreeMap;

use lifeboat_model::{Millis, ReleaseFacts, Severity};

use super::catalogue::Page;
use super::found::{Found, names};
use super::pool::{Host, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "release",
    title: "the release is signed, compatible, not older and not expired",
    pages: &[UNSIGNED, MACHINE, OLDER, EXPIRED, EXPIRES, FAILED, NOTHING],
    run,
};

const UNSIGNED: Page = Page {
    code: "release-not-trusted",
    title: "nobody whom you trust has signed the release",
    severity: Severity::Blocker,
    looks_at: "the signatures of the bundle and the keys that are trusted",
    means: "The bytes may be anybody's. Every host would refuse them.",
    remedy: "Get the bundle anew from its maker, and give the maker's public key: `--trust KEY`. `lifeboat release \
             verify BUNDLE --trust KEY` tells who signed it.",
    undo: "",
    incidents: &[],
};

const MACHINE: Page = Page {
    code: "release-not-for-machine",
    title: "the release is not made for a host's kind of machine",
    severity: Severity::Blocker,
    looks_at: "the kinds of machine that the release names, and the kind of every host with a turn",
    means: "The host would not boot it, and would fall back to its old bank.",
    remedy: "Choose a release for this kind of machine, or leave the host out: `lifeboat plan create POOL --exclude \
             HOST`.",
    undo: "",
    incidents: &[],
};

const OLDER: Page = Page {
    code: "release-older",
    title: "a host has accepted a newer release than this one",
    severity: Severity::Blocker,
    looks_at: "the serial number of the release, and the highest that each host with a turn has accepted",
    means: "Old faults would come back, and the host refuses it: somebody may be offering an old, vulnerable release.",
    remedy: "Choose a release with a higher serial number. To go back on purpose, build the old content as a new \
             release with a higher serial number.",
    undo: "",
    incidents: &[],
};

const EXPIRED: Page = Page {
    code: "release-expired",
    title: "the release has expired",
    severity: Severity::Blocker,
    looks_at: "the time after which the release must not be installed, and the pool's clock",
    means: "Every host refuses it. Its maker does not vouch for it any more.",
    remedy: "Get a newer release from its maker. If it should not have expired yet, look at this controller's clock.",
    undo: "",
    incidents: &[],
};

const EXPIRES: Page = Page {
    code: "release-expires-soon",
    title: "the release may expire before the roll ends",
    severity: Severity::Warning,
    looks_at: "the time after which the release must not be installed, and the estimated end of the plan (without a \
               plan: one day)",
    means: "Hosts whose turn comes after that time refuse it; the roll stops half way, with two releases in the pool.",
    remedy: "Get a newer release, begin earlier, or let more hosts be out of service at once: `max-in-flight`.",
    undo: "",
    incidents: &[],
};

const FAILED: Page = Page {
    code: "release-failed-before",
    title: "this release failed on this host before",
    severity: Severity::Blocker,
    looks_at: "what every host with a turn remembers of releases that failed on it",
    means: "It would fail again, and each try wears on the host's only fall-back.",
    remedy: "Find out why it failed (`lifeboat roll log ROLL`, the host's console). Then use a newer release, leave \
             the host out, or try again on purpose: `lifeboat plan create … --retry HOST`, \
             then `lifeboat roll start PLAN --retry HOST`.",
    undo: "",
    incidents: &["I-31"],
};

const NOTHING: Page = Page {
    code: "nothing-to-upgrade",
    title: "no host has a turn",
    severity: Severity::Note,
    looks_at: "the release that each host runs, and what the plan leaves out",
    means: "A roll would change nothing.",
    remedy: "Nothing. If you expected otherwise, look whether the right release was named.",
    undo: "",
    incidents: &["I-24"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    nothing_to_do(pool, found);
    failed_before(pool, found);
    let Some(release) = &pool.ground.survey.release else {
        found.unknown("no release was named: add --release BUNDLE");
        return;
    };
    let named = release.release.to_string();
    if release.signed_by.is_none() {
        found.add(
            &UNSIGNED,
            &named,
            "none of its signatures is by a key that is trusted",
            "get the bundle anew from its maker, and name the maker's key with --trust",
        );
    }
    machines(pool, release, found);
    older(pool, release, &named, found);
    expiry(pool, release, &named, found);
}

fn nothing_to_do(pool: &Pool<'_>, found: &mut Found) {
    let Some(target) = pool.target.filter(|_| !pool.hosts.is_empty()) else { return };
    if pool.hosts.iter().any(|host| host.turn) {
        return;
    }
    let run_it = pool.hosts.iter().filter(|host| host.view.running == Some(target.digest)).count();
    found.add(
        &NOTHING,
        pool.name(),
        format!("{run_it} of {} hosts run {target}, the others are left out", pool.hosts.len()),
        "nothing",
    );
}

fn failed_before(pool: &Pool<'_>, found: &mut Found) {
    let Some(target) = pool.target else { return };
    let failed =
        pool.hosts.iter().filter(|host| host.turn && host.view.failed_releases.contains(&target.digest));
    for host in failed {
        let name = host.name();
        found.add(
            &FAILED,
            name,
            format!("{target} was tried on it and did not prove itself"),
            format!(
                "find out why; then leave it out (lifeboat plan create POOL … --exclude {name}) or try again on purpose (--retry \
                 {name}, for plan create and for roll start)"
            ),
        );
    }
}

fn machines(pool: &Pool<'_>, release: &ReleaseFacts, found: &mut Found) {
    if release.machines.is_empty() {
        return;
    }
    let known = found.facts(pool, "the kind of machine", |host| host.turn, |facts| &facts.machine);
    for (host, machine) in known.into_iter().filter(|(_, machine)| !release.machines.contains(*machine)) {
        let name = host.name();
        found.add(
            &MACHINE,
            name,
            format!("it is a {machine}; {} is for {}", release.release, names(&release.machines)),
            format!("choose a release for {machine}, or leave the host out: lifeboat plan create POOL … --exclude {name}"),
        );
    }
}

fn older(pool: &Pool<'_>, release: &ReleaseFacts, named: &str, found: &mut Found) {
    let Some(serial) = release.serial else {
        found.unknown(format!("the serial number of {named} is not known"));
        return;
    };
    // By floor, so that a release that is too old for all hosts is one finding and not a thousand.
    let mut floors: BTreeMap<u64, Vec<&Host<'_>>> = BTreeMap::new();
    for host in pool.hosts.iter().filter(|host| host.turn) {
        let floor = pool.ground.survey.pool.serial_floor.get(&host.view.id).copied();
        if let Some(floor) = floor.filter(|floor| *floor > serial) {
            floors.entry(floor).or_default().push(host);
        }
    }
    for (floor, hosts) in floors {
        found.add(
            &OLDER,
            named,
            format!(
                "its serial number is {serial}; {floor} was accepted by {}",
                names(hosts.iter().map(|host| host.name()))
            ),
            format!("choose a release with serial number {floor} or higher"),
        );
    }
}

fn expiry(pool: &Pool<'_>, release: &ReleaseFacts, named: &str, found: &mut Found) {
    let Some(expires) = release.expires else { return };
    let now = pool.ground.survey.at;
    if now >= expires {
        let evidence = format!("it expired {} ago", now.since(expires));
        found.add(
            &EXPIRED,
            named,
            evidence,
            "get a newer release from its maker; is this controller's clock right?",
        );
        return;
    }
    let left = expires.since(now);
    let (takes, whose) = match pool.ground.plan {
        Some(plan) => (plan.figures.makespan.planned, "the plan takes"),
        None => (Millis::from_secs(86_400), "a roll may take"),
    };
    if left < takes {
        found.add(
            &EXPIRES,
            named,
            format!("it expires in {left}; {whose} {takes}"),
            "get a newer release, begin earlier, or raise max-in-flight in the policy",
        );
    }
}
