//! Findings about guests.

use lifeboat_model::{Emulator, Fact, Fix, GuestRule, GuestStrategy, Mib, Movable};

use crate::checks_scene::{Case, assert_cases, case, fixed, guest_id, one, target, words};

fn rule(guest: &str, strategy: GuestStrategy) -> GuestRule {
    GuestRule { guests: vec![guest.to_owned()], strategy }
}

fn unmovable() -> Movable {
    Movable::No { reason: "it uses the GPU".to_owned() }
}

fn emulator(version: (u32, u32, u32)) -> Emulator {
    Emulator { name: "QEMU".to_owned(), version, interpreted: vec![guest_id("g1")] }
}

pub(crate) fn that_are_interpreted() -> Vec<Case> {
    vec![
        case(
            "an interpreter that loses writes, with a guest that it interprets",
            |scene| scene.facts("h1", |facts| facts.emulator = Some(emulator((7, 2, 22)))),
            vec![one("emulator-loses-writes", "h1", &["QEMU 7.2.22 interprets 1 of the guests", "g1"])],
        ),
        case(
            "an interpreter that keeps writes",
            |scene| scene.facts("h1", |facts| facts.emulator = Some(emulator((9, 0, 0)))),
            Vec::new(),
        ),
        case(
            "a guest that is interpreted and not moved",
            |scene| {
                scene.facts("h1", |facts| facts.emulator = Some(emulator((7, 2, 22))));
                scene.guest("g1", |guest| guest.running = false);
            },
            Vec::new(),
        ),
    ]
}

pub(crate) fn that_cannot_be_moved() -> Vec<Case> {
    vec![
        case(
            "a device",
            |scene| {
                scene.guest("g1", |guest| guest.movable = unmovable());
                scene.guest_facts("g1", |guest| guest.device = Some("gpu 0000:3b:00.0".to_owned()));
            },
            vec![one("guest-device-pinned", "g1", &["gpu 0000:3b:00.0 of h1", "the policy says forbid"])],
        ),
        case(
            "a local disk, which is also lost with its host",
            |scene| scene.guest_facts("g3", |guest| guest.local_disk = Some("vda".to_owned())),
            vec![
                one("guest-local-disk", "g3", &["vda is on h2 alone"]),
                one("guests-only-on-host", "h2", &["1 guest with disks on h2 alone: g3"]),
            ],
        ),
        case(
            "a connected image",
            |scene| scene.guest_facts("g4", |guest| guest.media = Some("install.iso".to_owned())),
            vec![fixed(
                "guest-media-connected",
                "g4",
                &["install.iso is connected to it on h2"],
                Fix::EjectMedia { guest: guest_id("g4"), image: "install.iso".to_owned() },
            )],
        ),
        case(
            "a reason of the driver's",
            |scene| scene.guest("g1", |guest| guest.movable = unmovable()),
            vec![one("guest-not-movable", "g1", &["runs on h1 and cannot be moved: it uses the GPU"])],
        ),
        case(
            "guests that cannot be moved are stopped",
            |scene| {
                scene.guest("g1", |guest| guest.movable = unmovable());
                scene.policy.immovable_guests = GuestStrategy::StopStart;
            },
            vec![one("guests-stop-with-host", "h1", &["1 guest down while h1 is upgraded: g1"])],
        ),
        case(
            "a guest that does not run needs no move",
            |scene| {
                scene.guest("g1", |guest| {
                    guest.movable = unmovable();
                    guest.running = false;
                });
            },
            Vec::new(),
        ),
        case(
            "a guest on a host that has the release needs no move",
            |scene| {
                scene.guest("g1", |guest| guest.movable = unmovable());
                scene.host("h1", |host| host.running = Some(target().digest));
            },
            vec![one("mixed-releases", "p", &[])],
        ),
        case(
            "a guest that is left to its owner",
            |scene| scene.policy.guests = vec![rule("g5", GuestStrategy::Leave)],
            vec![one("guests-wait-for-owner", "h3", &["1 guest for which it waits up to 1d00h: g5"])],
        ),
        case(
            "a guest that must not be touched",
            |scene| scene.policy.guests = vec![rule("g5", GuestStrategy::Forbid)],
            vec![one("guest-forbidden", "g5", &["it runs on h3"])],
        ),
        case(
            "a rule that orders what cannot be done",
            |scene| {
                scene.guest("g1", |guest| guest.movable = unmovable());
                scene.policy.immovable_guests = GuestStrategy::StopStart;
                scene.policy.guests = vec![rule("g1", GuestStrategy::Migrate)];
            },
            vec![one("guest-not-movable", "g1", &[])],
        ),
        case(
            "I-08: a guest that does not run has a local disk",
            |scene| {
                scene.guest("g7", |guest| guest.running = false);
                scene.guest_facts("g7", |guest| guest.local_disk = Some("vda".to_owned()));
            },
            vec![one("guests-only-on-host", "h4", &["g7"])],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn without_target() -> Vec<Case> {
    vec![
        case(
            "a storage that only its own host has",
            |scene| {
                scene.guest("g1", |guest| guest.needs.extend(words(&["storage:san9", "net:prod"])));
                scene.host("h1", |host| host.offers.extend(words(&["storage:san9"])));
                scene.facts("h1", |facts| facts.offers_after = Fact::Unknown);
            },
            vec![
                one(
                    "guest-without-target",
                    "g1",
                    &["runs on h1", "8.0 GiB", "no other host offers storage:san9"],
                ),
                one("storage-not-on-every-host", "storage:san9", &["1 of 4 hosts", "not on h2, h3, h4"]),
            ],
        ),
        case(
            "needs that no single host offers",
            |scene| {
                scene.guest("g1", |guest| guest.needs.extend(words(&["net:a", "net:b"])));
                scene.host("h2", |host| host.offers.extend(words(&["net:a"])));
                scene.host("h3", |host| host.offers.extend(words(&["net:b"])));
                scene.facts("h2", |facts| facts.offers_after = Fact::Unknown);
                scene.facts("h3", |facts| facts.offers_after = Fact::Unknown);
            },
            vec![
                one("guest-without-target", "g1", &["no other host offers all of cpu:avx2, net:a, net:b"]),
                one(
                    "network-not-on-every-host",
                    "net:a",
                    &["1 of 4 hosts", "1 guest need it", "not on h1, h3, h4"],
                ),
                one("network-not-on-every-host", "net:b", &[]),
            ],
        ),
        case(
            "more memory than any other host",
            |scene| {
                scene.host("h1", |host| host.memory = Mib::from_gib(256));
                scene.guest("g1", |guest| guest.memory = Mib::from_gib(100));
            },
            vec![
                one("coordinator-guest-without-room", "g1", &["52.0 GiB are missing"]),
                one(
                    "guest-too-large",
                    "g1",
                    &["needs 100.0 GiB", "is h2 with 64.0 GiB: 36.0 GiB are missing"],
                ),
                one("no-failover-capacity", "p", &["156.0 GiB of 448.0 GiB (34 %)"]),
            ],
        ),
        case(
            "no other host in service",
            |scene| {
                for name in ["h2", "h3", "h4"] {
                    scene.host(name, |host| {
                        host.maintenance = true;
                        host.running = Some(target().digest);
                    });
                }
                scene.policy.order = lifeboat_model::Order::LeastLoadedFirst;
                scene.guest("g2", |guest| guest.running = false);
            },
            vec![
                one("guest-without-target", "g1", &["there is no other host in service"]),
                one("host-out-of-service", "h2", &[]),
                one("host-out-of-service", "h3", &[]),
                one("host-out-of-service", "h4", &[]),
                one("mixed-releases", "p", &[]),
                one("no-room-to-empty-host", "h1", &["the other 0 hosts in service have 0 MiB free"]),
                one("no-failover-capacity", "p", &["at most 0 %"]),
            ],
        ),
        case(
            "a group as large as the pool",
            |scene| {
                for name in ["g1", "g3", "g5", "g7"] {
                    scene.guest(name, |guest| guest.keep_apart = Some("db".to_owned()));
                }
            },
            vec![one(
                "keep-apart-without-room",
                "group db",
                &[
                    "4 running guests on 4 of 4 hosts in service",
                    "no host is left for 1 guest",
                    "h1, h2, h3, h4",
                ],
            )],
        ),
        case(
            "a group that leaves one host free",
            |scene| {
                for name in ["g1", "g3", "g5"] {
                    scene.guest(name, |guest| guest.keep_apart = Some("db".to_owned()));
                }
            },
            Vec::new(),
        ),
        case(
            "a group that is broken already",
            |scene| {
                for name in ["g1", "g2"] {
                    scene.guest(name, |guest| guest.keep_apart = Some("db".to_owned()));
                }
            },
            vec![one("keep-apart-broken", "group db", &["2 guests share host h1: g1, g2"])],
        ),
        case(
            "old to new: no host offers a CPU feature any more",
            |scene| {
                for name in ["h1", "h2", "h3", "h4"] {
                    scene.facts(name, |facts| {
                        facts.offers_after = Fact::Known(words(&["net:prod", "storage:nfs1"]));
                    });
                }
            },
            vec![one("cpu-feature-lost", "cpu:avx2", &["no host offers it", "8 guests need it: g1, g2"])],
        ),
        case(
            "old to new: no host offers a storage any more",
            |scene| {
                for name in ["h1", "h2", "h3", "h4"] {
                    scene.facts(name, |facts| {
                        facts.offers_after = Fact::Known(words(&["net:prod", "cpu:avx2"]));
                    });
                }
            },
            vec![one("offer-lost", "storage:nfs1", &["no host offers it"])],
        ),
        case(
            "old to new: one host loses a CPU feature",
            |scene| {
                scene.facts("h2", |facts| {
                    facts.offers_after = Fact::Known(words(&["net:prod", "storage:nfs1"]));
                });
            },
            vec![one(
                "offer-on-fewer-hosts",
                "cpu:avx2",
                &["1 host does not offer it any more", "h2", "8 guests"],
            )],
        ),
        case(
            "new to old: upgraded hosts offer more",
            |scene| {
                scene.facts("h2", |facts| {
                    facts.offers_after = Fact::Known(words(&[
                        "net:prod",
                        "storage:nfs1",
                        "cpu:avx2",
                        "cpu:avx512f",
                        "net:new",
                    ]));
                });
            },
            vec![one("cpu-feature-gained", "cpu:avx512f", &["1 of 4 hosts", "h2"])],
        ),
    ]
}

#[test]
fn an_emulator_that_loses_writes_is_found_where_guests_are_moved() {
    assert_cases(&that_are_interpreted());
}

#[test]
fn guests_that_cannot_be_moved_are_found_as_the_policy_has_it() {
    assert_cases(&that_cannot_be_moved());
}

#[test]
fn guests_without_a_target_are_found_with_what_is_missing() {
    assert_cases(&without_target());
}
