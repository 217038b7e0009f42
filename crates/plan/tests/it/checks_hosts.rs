//! Findings about what a host consists of: banks, space, clock, storage, networks.

use lifeboat_model::{Bank, BankState, Fact, Fix, HostId, Link, Space, StoragePaths};

use crate::checks_scene::{Case, MIB, assert_cases, case, fixed, host_id, one};

fn clock(host: &str, offset_ms: i64) -> Fix {
    Fix::SetClock { host: host_id(host), offset_ms }
}

fn rebuild(host: HostId) -> Fix {
    Fix::RebuildBank { host, bank: Bank::B }
}

fn rescan(host: &str) -> Fix {
    Fix::RescanStorage { host: host_id(host), storage: "nfs1".to_owned() }
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn of_banks() -> Vec<Case> {
    vec![
        case(
            "I-25: a bank on trial",
            |scene| scene.host("h2", |host| host.banks[0].state = BankState::Trying),
            vec![one("active-bank-unproven", "h2", &["its active bank A is trying"])],
        ),
        case(
            "I-26: a bank that failed",
            |scene| {
                scene.host("h2", |host| {
                    host.banks[0].state = BankState::Failed;
                    host.banks[0].note = Some("no network".to_owned());
                });
            },
            vec![one("active-bank-unproven", "h2", &["bank A is failed: no network"])],
        ),
        case(
            "damage in the active bank",
            |scene| scene.bank("h2", Bank::A, |bank| bank.damage.push("kernel: hash differs".to_owned())),
            vec![one("active-bank-damaged", "h2", &["bank A: kernel: hash differs"])],
        ),
        case(
            "damage in the other bank",
            |scene| scene.bank("h2", Bank::B, |bank| bank.damage.push("kernel: hash differs".to_owned())),
            vec![fixed("alternate-bank-damaged", "h2", &["bank B: kernel"], rebuild(host_id("h2")))],
        ),
        case(
            "damage in both banks: nothing to rebuild from",
            |scene| {
                for bank in Bank::BOTH {
                    scene.bank("h2", bank, |bank| bank.damage.push("kernel: hash differs".to_owned()));
                }
            },
            vec![
                one("active-bank-damaged", "h2", &["bank A"]),
                one("alternate-bank-damaged", "h2", &["bank B"]),
            ],
        ),
        case(
            "I-05: foreign files in both banks",
            |scene| {
                scene.bank("h2", Bank::A, |bank| bank.foreign.push(".Trashes".to_owned()));
                scene.bank("h2", Bank::B, |bank| {
                    bank.foreign = vec![".Spotlight-V100".to_owned(), "._.Trashes".to_owned()];
                });
            },
            vec![
                fixed(
                    "foreign-files",
                    "h2",
                    &["bank A: 1 file that its manifest does not name: .Trashes"],
                    Fix::CleanBank { host: host_id("h2"), bank: Bank::A, files: vec![".Trashes".to_owned()] },
                ),
                fixed(
                    "foreign-files",
                    "h2",
                    &["bank B: 2 files", ".Spotlight-V100, ._.Trashes"],
                    Fix::CleanBank {
                        host: host_id("h2"),
                        bank: Bank::B,
                        files: vec![".Spotlight-V100".to_owned(), "._.Trashes".to_owned()],
                    },
                ),
            ],
        ),
        case(
            "banks with different loaders",
            |scene| scene.bank("h3", Bank::B, |bank| bank.loader = Some("loader 5".to_owned())),
            vec![one("loader-differs-in-banks", "h3", &["bank A (active): loader 7; bank B: loader 5"])],
        ),
        case(
            "hosts with different loaders",
            |scene| {
                for bank in Bank::BOTH {
                    scene.bank("h3", bank, |bank| bank.loader = Some("loader 5".to_owned()));
                }
            },
            vec![one(
                "loader-differs-across-hosts",
                "p",
                &["loader 7 on 3 (h1, h2, h4); loader 5 on 1 (h3)"],
            )],
        ),
        case(
            "an empty bank has no loader",
            |scene| scene.bank("h3", Bank::B, |bank| bank.loader = None),
            Vec::new(),
        ),
        case(
            "I-09: the other bank cannot be written",
            |scene| {
                scene.bank("h4", Bank::B, |bank| {
                    bank.not_writable = Some("state.abc: [Errno 9] bad file descriptor".to_owned());
                });
            },
            vec![fixed("bank-not-writable", "h4", &["bank B: state.abc: [Errno 9]"], rebuild(host_id("h4")))],
        ),
        case(
            "the active bank need not be written",
            |scene| scene.bank("h4", Bank::A, |bank| bank.not_writable = Some("it is mounted".to_owned())),
            Vec::new(),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn of_surroundings() -> Vec<Case> {
    vec![
        case(
            "I-03: hosts wait for a reboot, the coordinator first",
            |scene| {
                for name in ["h3", "h1"] {
                    scene.facts(name, |facts| {
                        facts.pending_reboot = Fact::Known(vec!["management agents installed".to_owned()]);
                    });
                }
            },
            vec![
                one("pending-reboot", "h1", &["since its last boot: management agents installed"]),
                one("pending-reboot", "h3", &[]),
            ],
        ),
        case(
            "I-04: a place without room",
            |scene| {
                scene.facts("h2", |facts| {
                    facts.spaces = Fact::Known(vec![
                        Space { place: "/tmp".to_owned(), free: 100 * MIB, needed: 512 * MIB },
                        Space { place: "bank B".to_owned(), free: 512 * MIB - 1, needed: 512 * MIB },
                        Space { place: "state".to_owned(), free: 7, needed: 7 },
                    ]);
                });
            },
            vec![
                one(
                    "space-missing",
                    "h2",
                    &["/tmp: 100.0 MiB free, 512.0 MiB needed, 412.0 MiB missing (432013312 bytes)"],
                ),
                one("space-missing", "h2", &["bank B: 511.9 MiB free, 512.0 MiB needed, 1 bytes missing"]),
            ],
        ),
        case(
            "a clock that is far off",
            |scene| scene.facts("h2", |facts| facts.clock_offset_ms = Fact::Known(-60_000)),
            vec![fixed("clock-skew", "h2", &["1m00s behind this controller's"], clock("h2", -60_000))],
        ),
        case(
            "a clock that is off by some seconds",
            |scene| {
                scene.facts("h2", |facts| facts.clock_offset_ms = Fact::Known(5_000));
                scene.facts("h3", |facts| facts.clock_offset_ms = Fact::Known(-4_999));
            },
            vec![fixed("clock-drift", "h2", &["5.0s ahead of this controller's"], clock("h2", 5_000))],
        ),
        case(
            "the controller's own clock is wrong",
            |scene| {
                for name in ["h1", "h2", "h3"] {
                    scene.facts(name, |facts| facts.clock_offset_ms = Fact::Known(90_000));
                }
            },
            vec![
                one("controller-clock-wrong", "this controller", &["3 of 4 hosts are ahead"]),
                one("clock-skew", "h1", &["1m30s ahead"]),
                one("clock-skew", "h2", &[]),
                one("clock-skew", "h3", &[]),
            ],
        ),
        case(
            "a storage that is not reached, and one with a lost path",
            |scene| {
                for (name, alive) in [("h2", 0), ("h3", 1)] {
                    let paths = StoragePaths { name: "nfs1".to_owned(), paths: 2, alive };
                    scene.facts(name, |facts| facts.storages = Fact::Known(vec![paths]));
                }
            },
            vec![
                fixed("storage-not-reached", "h2", &["nfs1: 0 of 2 paths work"], rescan("h2")),
                fixed("storage-path-lost", "h3", &["nfs1: 1 of 2 paths work"], rescan("h3")),
            ],
        ),
        case(
            "a storage and a network that one host lacks, and one that only one has",
            |scene| {
                let link = |name: &str| Link { name: name.to_owned(), up: true };
                let paths = |name: &str| StoragePaths { name: name.to_owned(), paths: 1, alive: 1 };
                for name in ["h1", "h2", "h4"] {
                    scene.facts(name, |facts| {
                        facts.networks = Fact::Known(vec![link("prod"), link("backup")]);
                        facts.storages = Fact::Known(vec![paths("nfs1"), paths("iso"), paths(name)]);
                    });
                }
            },
            vec![
                one("storage-missing-on-host", "iso", &["3 of 4 hosts in service have it; not h3"]),
                one("network-missing-on-host", "backup", &["3 of 4 hosts in service have it; not h3"]),
            ],
        ),
        case(
            "networks that are down",
            |scene| {
                let down = |name: &str| Link { name: name.to_owned(), up: false };
                scene.facts("h2", |facts| facts.networks = Fact::Known(vec![down("prod"), down("spare")]));
            },
            vec![
                one("network-down", "h2", &["prod is down; 8 running guests of the pool need it"]),
                one("unused-network-down", "h2", &["spare is down"]),
            ],
        ),
    ]
}

#[test]
fn banks_are_looked_into_and_rebuilt_only_from_a_good_one() {
    assert_cases(&of_banks());
}

#[test]
fn what_surrounds_a_host_is_found_with_its_figures() {
    assert_cases(&of_surroundings());
}
