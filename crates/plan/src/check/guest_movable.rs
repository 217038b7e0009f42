//! Which guests cannot be moved while they run, and what the policy makes of them.

use std::collections::BTreeMap;

use lifeboat_model::{Fix, GuestStrategy, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Guest, Host, Obstacle, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "guest-movable",
    title: "every guest can be moved while it runs, or the policy says what happens to it",
    pages: &[DEVICE, DISK, MEDIA, OTHER, FORBIDDEN, STOPS, OWNER],
    run,
};

const LOOKS_AT: &str =
    "running guests of hosts with a turn that the policy does not stop or leave to their owners";
const STRATEGY: &str =
    "The guest cannot be moved while it runs, so its host cannot be emptied and is not upgraded.";

const DEVICE: Page = Page {
    code: "guest-device-pinned",
    title: "a guest has a device of its host for itself",
    severity: Severity::Blocker,
    looks_at: LOOKS_AT,
    means: STRATEGY,
    remedy: "Let it be down while its host is upgraded: a `[[guests]]` rule with `strategy = \"stop-start\"` in the policy, or \
             `immovable-guests = \"stop-start\"` for all such guests. Or take the device away from it.",
    undo: "With `stop-start` the roll starts the guest again. A device that you took away you give back by hand.",
    incidents: &["I-23"],
};

const DISK: Page = Page {
    code: "guest-local-disk",
    title: "a guest has a disk that only its host has",
    severity: Severity::Blocker,
    looks_at: LOOKS_AT,
    means: STRATEGY,
    remedy: "Move the disk to a shared storage, or let the guest be down while its host is upgraded: a `[[guests]]` rule with \
             `strategy = \"stop-start\"` in the policy, or `immovable-guests = \"stop-start\"`.",
    undo: "With `stop-start` the roll starts the guest again.",
    incidents: &["I-08", "I-23"],
};

const MEDIA: Page = Page {
    code: "guest-media-connected",
    title: "a CD image or floppy is connected to a guest from outside of the shared storage",
    severity: Severity::Blocker,
    looks_at: LOOKS_AT,
    means: STRATEGY,
    remedy: "Disconnect it. *A program can do it*: `lifeboat check run POOL --fix`. Look first whether somebody \
             installs from it.",
    undo: "The image is connected again when the roll has ended.",
    incidents: &["I-23"],
};

const OTHER: Page = Page {
    code: "guest-not-movable",
    title: "a guest cannot be moved while it runs",
    severity: Severity::Blocker,
    looks_at: LOOKS_AT,
    means: STRATEGY,
    remedy: "Remove the cause that the finding names, or let the guest be down while its host is upgraded: a `[[guests]]` rule with \
             `strategy = \"stop-start\"` in the policy.",
    undo: "With `stop-start` the roll starts the guest again.",
    incidents: &["I-23"],
};

const FORBIDDEN: Page = Page {
    code: "guest-forbidden",
    title: "the policy forbids to touch a guest",
    severity: Severity::Blocker,
    looks_at: "running guests of hosts with a turn that a rule of the policy gives `strategy = \"forbid\"`",
    means: "The host is not upgraded while the guest runs on it.",
    remedy: "Move the guest by hand to a host that has no turn, shut it down, give it another strategy, or leave its \
             host out: `lifeboat plan create POOL --exclude HOST`.",
    undo: "Start the guest again when the roll has ended.",
    incidents: &[],
};

const STOPS: Page = Page {
    code: "guests-stop-with-host",
    title: "guests are down while their host is upgraded",
    severity: Severity::Note,
    looks_at: "running guests of hosts with a turn that the policy gives `strategy = \"stop-start\"`",
    means: "They are shut down just before their host is upgraded and started just after. Their users should know.",
    remedy: "Nothing, if that is what you want. The plan lists them.",
    undo: "",
    incidents: &[],
};

const OWNER: Page = Page {
    code: "guests-wait-for-owner",
    title: "a host will wait for the owners of its guests",
    severity: Severity::Warning,
    looks_at: "running guests of hosts with a turn that the policy gives `strategy = \"leave\"`",
    means: "The roll waits for their owners to shut them down or move them, up to `timeouts.owner`; then the host \
            fails. Nobody starts them again.",
    remedy: "Tell their owners when the roll begins, or ask them to shut the guests down before.",
    undo: "The owners start their guests again.",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if !pool.ground.survey.guests_known {
        found.unknown(
            "the driver does not tell which guests have devices, local disks or media; only what it says cannot be \
             moved is found",
        );
    }
    let mut stops: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let mut owners = stops.clone();
    for (guest, host) in pool.guests_with_turn() {
        let name = guest.view.id.as_str();
        match guest.strategy {
            GuestStrategy::StopStart => stops.entry(guest.host).or_default().push(name),
            GuestStrategy::Leave => owners.entry(guest.host).or_default().push(name),
            GuestStrategy::Forbid if guest.ruled => forbidden(guest, host, found),
            GuestStrategy::Migrate | GuestStrategy::Forbid => {
                for obstacle in &guest.obstacles {
                    immovable(guest, host, obstacle, found);
                }
            }
        }
    }
    for (host, guests) in named(pool, stops) {
        let evidence =
            format!("{} down while {host} is upgraded: {}", count(guests.len(), "guest"), names(&guests));
        found.add(&STOPS, host, evidence, "nothing, if that is what you want; tell their users");
    }
    let limit = pool.ground.policy.timeouts.owner;
    for (host, guests) in named(pool, owners) {
        let evidence =
            format!("{} for which it waits up to {limit}: {}", count(guests.len(), "guest"), names(&guests));
        found.add(&OWNER, host, evidence, "tell their owners when the roll begins");
    }
}

fn named<'a, T>(pool: &Pool<'a>, by_host: BTreeMap<usize, T>) -> impl Iterator<Item = (&'a str, T)> {
    by_host.into_iter().filter_map(|(host, what)| pool.hosts.get(host).map(|host| (host.name(), what)))
}

fn forbidden(guest: &Guest<'_>, host: &Host<'_>, found: &mut Found) {
    let (name, host) = (&guest.view.id, host.name());
    found.add(
        &FORBIDDEN,
        name,
        format!("it runs on {host}, and a rule of the policy says forbid"),
        format!("shut {name} down or move it by hand, or leave {host} out: lifeboat plan create POOL … --exclude {host}"),
    );
}

fn immovable(guest: &Guest<'_>, host: &Host<'_>, obstacle: &Obstacle<'_>, found: &mut Found) {
    let (name, host) = (&guest.view.id, host.name());
    let stop = format!("give {name} strategy = \"stop-start\" in the policy");
    match obstacle {
        Obstacle::Device(device) => {
            let evidence =
                format!("it has {device} of {host} for itself, and the policy says {}", guest.strategy);
            found.add(&DEVICE, name, evidence, format!("{stop}, or take the device away from it"));
        }
        Obstacle::LocalDisk(disk) => {
            let evidence =
                format!("its disk {disk} is on {host} alone, and the policy says {}", guest.strategy);
            found.add(&DISK, name, evidence, format!("move the disk to a shared storage, or {stop}"));
        }
        Obstacle::Media(image) => {
            let evidence = format!("{image} is connected to it on {host}");
            let finding =
                found.add(&MEDIA, name, evidence, "disconnect it: lifeboat check run POOL --fix does so");
            finding.fix = Some(Fix::EjectMedia { guest: guest.view.id.clone(), image: (*image).to_owned() });
        }
        Obstacle::Other(reason) => {
            let reason = if reason.is_empty() { "the driver gives no reason" } else { reason };
            let evidence = format!("it runs on {host} and cannot be moved: {reason}");
            found.add(&OTHER, name, evidence, format!("remove the cause, or {stop}"));
        }
    }
}
