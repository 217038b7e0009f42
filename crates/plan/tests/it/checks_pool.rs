//! Findings about the pool, what goes on in it, the release, the policy and the plan.

use lifeboat_model::{
    Admission, Blocked, Fact, FeatureKind, GuestRule, GuestStrategy, Hook, HookStage, InFlight, Mib, Millis,
    OnFailure, Order, Policy, PoolName, RollId, TaskKind, Timestamp, Window, World,
};
use lifeboat_plan::check::RollInProgress;

use crate::checks_scene::{Case, NOW, assert_cases, case, host_id, old, one, target, words};

fn window(from: &str, to: &str) -> Window {
    Window { days: Vec::new(), from: from.to_owned(), to: to.to_owned(), zone: "Europe/Vienna".to_owned() }
}

fn rule(guest: &str, strategy: GuestStrategy) -> GuestRule {
    GuestRule { guests: vec![guest.to_owned()], strategy }
}

pub(crate) fn of_the_pool() -> Vec<Case> {
    vec![
        case(
            "no hosts",
            |scene| {
                let world = World::new(PoolName::new("p").unwrap(), None, Vec::new(), Vec::new(), Vec::new());
                scene.survey.world = world.unwrap();
            },
            vec![one("pool-without-hosts", "p", &[])],
        ),
        case(
            "a host does not answer",
            |scene| scene.host("h2", |host| host.reachable = false),
            vec![one("host-unreachable", "h2", &["does not answer"])],
        ),
        case(
            "the coordinator does not answer",
            |scene| scene.host("h1", |host| host.reachable = false),
            vec![one("host-unreachable", "h1", &["coordinator"])],
        ),
        case(
            "a host that has the release already is in maintenance",
            |scene| {
                scene.policy.order = Order::LeastLoadedFirst;
                scene.host("h4", |host| {
                    host.maintenance = true;
                    host.running = Some(target().digest);
                });
            },
            vec![
                one("host-out-of-service", "h4", &["is in maintenance", "64.0 GiB"]),
                one("mixed-releases", "p", &["3 hosts run 1.0", "1 host run"]),
            ],
        ),
        case(
            "somebody works on a host",
            |scene| scene.host("h3", |host| host.maintenance = true),
            vec![one("host-in-maintenance", "h3", &["Lifeboat did not order"])],
        ),
        case(
            "a host is being worked on",
            |scene| scene.task(TaskKind::Host, "firmware update of h2"),
            vec![one("host-task-running", "p", &["firmware update of h2, for 1m05s"])],
        ),
        case(
            "a guest is being moved",
            |scene| scene.task(TaskKind::Guest, "migration of g1"),
            vec![one("guest-task-running", "p", &["migration of g1, for 1m05s"])],
        ),
        case(
            "a backup is being taken",
            |scene| scene.task(TaskKind::Backup, "backup of g1 to nas"),
            vec![one("backup-running", "p", &["backup of g1 to nas, for 1m05s"])],
        ),
        case(
            "another tool rolls",
            |scene| scene.task(TaskKind::Roll, "rolling update by the vendor's tool"),
            vec![one("foreign-roll-running", "p", &["the vendor's tool, for 1m05s"])],
        ),
        case(
            "a roll of ours has not ended, and has put a host into maintenance",
            |scene| {
                scene.host("h3", |host| host.maintenance = true);
                let roll = RollId::new("roll-7").unwrap();
                scene.rolls.push(RollInProgress { roll, what: "running, 3 of 8 hosts".to_owned() });
            },
            vec![one("roll-not-ended", "roll-7", &["3 of 8 hosts"])],
        ),
        case(
            "I-11: a member was upgraded before its coordinator",
            |scene| scene.host("h3", |host| host.running = Some(target().digest)),
            vec![
                one("coordinator-behind", "h1", &["coordinator h1 runs 1.0, but 1 member", "h3"]),
                one("mixed-releases", "p", &["3 hosts run 1.0"]),
            ],
        ),
        case(
            "I-11: a member has accepted a newer release, and none was named",
            |scene| {
                scene.host("h3", |host| host.running = Some(lifeboat_model::Sha256Hex::of(b"another")));
                scene.survey.pool.serial_floor.insert(host_id("h3"), 2);
            },
            vec![
                one("coordinator-behind", "h1", &["h3"]),
                one("mixed-releases", "p", &["3 hosts run 1.0, 1 host"]),
            ],
        ),
        case(
            "the plan leaves the coordinator out",
            |scene| {
                let plan = scene.planned();
                plan.steps.remove(0);
                plan.excluded.push(host_id("h1"));
            },
            vec![one("coordinator-left-out", "h1", &["h1 runs 1.0 and stays so"])],
        ),
    ]
}

pub(crate) fn of_features() -> Vec<Case> {
    vec![
        case(
            "HA",
            |scene| scene.feature(FeatureKind::Ha, "restart priority high"),
            vec![one("ha-on", "p", &["\"restart priority high\"", "8 running guests are"])],
        ),
        case("a feature that is off is none", |scene| scene.feature(FeatureKind::Ha, "off"), Vec::new()),
        case(
            "I-01: admission control with room enough",
            |scene| {
                scene.feature(FeatureKind::HaAdmissionControl, "1 host");
                scene.survey.pool.admission = Fact::Known(Some(Admission { hosts: 1 }));
            },
            vec![one(
                "ha-admission-control-on",
                "p",
                &[
                    "\"1 host\"; 4 hosts with 256.0 GiB in service, guests use 64.0 GiB",
                    "with the largest (64.0 GiB) out of service 192.0 GiB remain",
                    "it keeps 64.0 GiB for the loss of 1 more host: 128.0 GiB",
                    "enough",
                ],
            )],
        ),
        case(
            "I-01: admission control with too little room",
            |scene| {
                scene.feature(FeatureKind::HaAdmissionControl, "3 hosts");
                scene.survey.pool.admission = Fact::Known(Some(Admission { hosts: 3 }));
            },
            vec![one(
                "ha-admission-control-on",
                "p",
                &["64.0 GiB too little, so it would refuse maintenance"],
            )],
        ),
        case(
            "I-02: power management",
            |scene| scene.feature(FeatureKind::PowerManagement, "automatic"),
            vec![one("power-management-on", "p", &["\"automatic\""])],
        ),
        case(
            "load balancer",
            |scene| scene.feature(FeatureKind::LoadBalancer, "level 3"),
            vec![one("load-balancer-on", "p", &["\"level 3\""])],
        ),
        case(
            "fault tolerance",
            |scene| {
                scene.feature(FeatureKind::FaultTolerance, "on");
                scene.guest_facts("g3", |guest| guest.fault_tolerant = true);
            },
            vec![one("fault-tolerance-on", "p", &["in lock step: g3"])],
        ),
        case(
            "a guest in lock step that cannot be suspended",
            |scene| scene.guest_facts("g3", |guest| guest.fault_tolerant = true),
            vec![one("guest-in-lock-step", "g3", &["guest g3 on h2"])],
        ),
        case(
            "backup schedules",
            |scene| {
                scene.feature(FeatureKind::BackupSchedules, "nightly");
                scene.planned().figures.makespan.planned = Millis::from_secs(7200);
            },
            vec![one("backup-schedules-on", "p", &["\"nightly\"", "the plan takes 2h00m"])],
        ),
        case(
            "auto power-on",
            |scene| scene.feature(FeatureKind::AutoPowerOn, "all"),
            vec![one("auto-start-on", "p", &["\"all\""])],
        ),
        case(
            "a guest that is down would start",
            |scene| {
                scene.guest("g5", |guest| guest.running = false);
                scene.guest_facts("g5", |guest| guest.auto_start = true);
                scene.guest_facts("g6", |guest| guest.auto_start = true);
            },
            vec![one("guest-would-start", "h3", &["1 guest is down and would start with h3: g5"])],
        ),
    ]
}

pub(crate) fn of_the_release() -> Vec<Case> {
    vec![
        case(
            "not signed by a key that is trusted",
            |scene| scene.release(|release| release.signed_by = None),
            vec![one("release-not-trusted", "lab-host 2.0 (2ed4cfc8a1b1)", &["none of its signatures"])],
        ),
        case(
            "for another machine",
            |scene| {
                scene.facts("h2", |facts| facts.machine = Fact::Known("arm-board".to_owned()));
            },
            vec![one("release-not-for-machine", "h2", &["it is a arm-board", "is for pc"])],
        ),
        case("for any machine", |scene| scene.release(|release| release.machines = words(&[])), Vec::new()),
        case(
            "older than what two hosts have accepted",
            |scene| {
                for name in ["h2", "h3"] {
                    scene.survey.pool.serial_floor.insert(host_id(name), 5);
                }
                scene.policy.order = Order::LeastLoadedFirst;
            },
            vec![one(
                "release-older",
                "lab-host 2.0 (2ed4cfc8a1b1)",
                &["its serial number is 2; 5 was accepted by h2, h3"],
            )],
        ),
        case(
            "expired",
            |scene| scene.release(|release| release.expires = Some(Timestamp(NOW.0 - 3_600_000))),
            vec![one("release-expired", "lab-host 2.0 (2ed4cfc8a1b1)", &["expired 1h00m ago"])],
        ),
        case(
            "expires within a day",
            |scene| scene.release(|release| release.expires = Some(NOW.after(Millis::from_secs(3600)))),
            vec![one("release-expires-soon", "lab-host 2.0 (2ed4cfc8a1b1)", &["in 1h00m", "may take 1d00h"])],
        ),
        case(
            "expires after the plan has ended",
            |scene| {
                scene.release(|release| release.expires = Some(NOW.after(Millis::from_secs(3600))));
                scene.planned().figures.makespan.planned = Millis::from_secs(3000);
            },
            Vec::new(),
        ),
        case(
            "I-31: it failed on a host before",
            |scene| scene.host("h4", |host| host.failed_releases.push(target().digest)),
            vec![one("release-failed-before", "h4", &["lab-host 2.0 (2ed4cfc8a1b1) was tried on it"])],
        ),
        case(
            "every host runs it",
            |scene| scene.hosts(|host| host.running = Some(target().digest)),
            vec![one("nothing-to-upgrade", "p", &["4 of 4 hosts run lab-host 2.0"])],
        ),
    ]
}

pub(crate) fn of_the_policy() -> Vec<Case> {
    vec![
        case(
            "a value without a meaning",
            |scene| scene.policy.attempts = 99,
            vec![one("policy-invalid", "attempts", &["99", "1 to 20"])],
        ),
        case(
            "hosts that are not there",
            |scene| {
                scene.policy.canary = Some(host_id("h9"));
                scene.policy.last = vec![host_id("h4"), host_id("controller")];
            },
            vec![
                one("policy-names-unknown-host", "canary", &["names h9"]),
                one("policy-names-unknown-host", "last", &["names controller"]),
            ],
        ),
        case(
            "rules that name no guest, or none that is left",
            |scene| {
                scene.policy.guests = vec![
                    rule("g1", GuestStrategy::Migrate),
                    rule("bd*", GuestStrategy::StopStart),
                    rule("g1", GuestStrategy::Leave),
                ];
            },
            vec![
                one("policy-rule-matches-no-guest", "guests.1", &["bd* (stop-start)"]),
                one("policy-rule-matches-no-guest", "guests.2", &["g1 (leave)"]),
            ],
        ),
        case(
            "a hook for no host",
            |scene| {
                scene.policy.hooks.push(Hook {
                    name: "drain-lb".to_owned(),
                    stage: HookStage::PreMaintenance,
                    command: vec!["/usr/bin/true".to_owned()],
                    hosts: vec!["web*".to_owned()],
                    timeout: Millis::from_secs(1),
                    warn_after: None,
                });
            },
            vec![one("policy-hook-matches-no-host", "drain-lb", &["(pre-maintenance) is for web*"])],
        ),
        case(
            "more hosts in flight than there is room for",
            |scene| {
                scene.policy.max_in_flight = InFlight::Hosts(4);
                scene.policy.reserve_hosts = 1;
            },
            vec![one(
                "policy-in-flight-not-reached",
                "max-in-flight",
                &["4 hosts may", "192.0 GiB are free and 64.0 GiB", "room for 2"],
            )],
        ),
        case(
            "more hosts in flight than fault domains",
            |scene| {
                scene.policy.max_in_flight = InFlight::Hosts(2);
                scene.hosts(|host| host.fault_domain = Some("rack 1".to_owned()));
            },
            vec![one("policy-in-flight-not-reached", "max-in-flight", &["in 1 fault domain"])],
        ),
        case(
            "windows that are never long enough",
            |scene| {
                scene.policy.windows = vec![window("22:00", "23:00"), window("23:00", "23:30")];
                scene.policy.window_margin = Millis::from_secs(7200);
            },
            vec![one(
                "policy-windows-never-long-enough",
                "window-margin",
                &["has 1h30m, the margin is 2h00m"],
            )],
        ),
        case(
            "windows that are shorter than a wave",
            |scene| {
                scene.policy.windows = vec![window("22:00", "22:30")];
                scene.planned().figures.makespan.planned = Millis::from_secs(4 * 3600);
            },
            vec![one("policy-windows-shorter-than-a-wave", "windows", &["has 30m00s", "for 4 waves, 1h00m"])],
        ),
        case(
            "it goes on whatever fails",
            |scene| scene.policy.on_failure = OnFailure::Continue(4),
            vec![one("policy-goes-on-whatever-fails", "on-failure", &["more than 4 hosts", "4 have a turn"])],
        ),
    ]
}

pub(crate) fn of_the_plan() -> Vec<Case> {
    vec![
        case("a plan that fits", |scene| _ = scene.planned(), Vec::new()),
        case(
            "a blocked host",
            |scene| {
                let plan = scene.planned();
                plan.steps.retain(|step| step.host != host_id("h3"));
                plan.blocked.push(Blocked {
                    host: host_id("h3"),
                    guest: None,
                    reason: "guest g5 needs 8.0 GiB".to_owned(),
                    remedy: "add a host".to_owned(),
                });
            },
            vec![one("plan-host-blocked", "h3", &["guest g5 needs 8.0 GiB"])],
        ),
        case(
            "a pool that has changed",
            |scene| {
                let plan = scene.planned();
                plan.steps[0].moves.remove(0);
                plan.steps.retain(|step| step.host != host_id("h4"));
                plan.unchanged.push(host_id("h5"));
                scene.policy = Policy { spill: 1, ..Policy::default() };
            },
            vec![one(
                "plan-outdated",
                "p",
                &[
                    "1 host of the plan left the pool: h5",
                    "1 host of the pool not in the plan: h4",
                    "1 running guest on hosts with a turn, of which the plan says nothing: g1",
                    "another policy: spill differ",
                ],
            )],
        ),
        case(
            "what the plan leaves out is not looked at",
            |scene| {
                scene.host("h4", |host| {
                    host.failed_releases.push(target().digest);
                    host.running = Some(old());
                });
                let plan = scene.planned();
                plan.steps.retain(|step| step.host != host_id("h4"));
                plan.excluded.push(host_id("h4"));
            },
            Vec::new(),
        ),
    ]
}

pub(crate) fn of_capacity() -> Vec<Case> {
    vec![
        case(
            "no room for the guests of a host",
            |scene| {
                scene.policy.order = Order::LeastLoadedFirst;
                scene.hosts(|host| host.memory = Mib::from_gib(20));
            },
            vec![
                one(
                    "no-room-to-empty-host",
                    "h1",
                    &[
                        "need 16.0 GiB elsewhere; the other 3 hosts in service have 12.0 GiB free: 4.0 GiB are missing",
                    ],
                ),
                one("no-room-to-empty-host", "h2", &["4.0 GiB are missing"]),
                one("no-room-to-empty-host", "h3", &["4.0 GiB are missing"]),
                one("no-room-to-empty-host", "h4", &["4.0 GiB are missing"]),
                one(
                    "no-failover-capacity",
                    "p",
                    &[
                        "guests use 64.0 GiB of 80.0 GiB (80 %)",
                        "two largest of 4 hosts gone 40.0 GiB remain (50 %)",
                        "4 equal hosts need a load of at most 50 %",
                    ],
                ),
            ],
        ),
        case(
            "guests that stop need no room",
            |scene| {
                scene.hosts(|host| host.memory = Mib::from_gib(20));
                scene.policy.guests = vec![rule("*", GuestStrategy::StopStart)];
            },
            vec![
                one("no-failover-capacity", "p", &[]),
                one("guests-stop-with-host", "h1", &["2 guests down while h1 is upgraded: g1, g2"]),
                one("guests-stop-with-host", "h2", &[]),
                one("guests-stop-with-host", "h3", &[]),
                one("guests-stop-with-host", "h4", &[]),
            ],
        ),
        case(
            "the reserve takes the room of a host",
            |scene| scene.policy.reserve_percent = 60,
            vec![
                one(
                    "no-room-to-empty-host",
                    "h1",
                    &["144.0 GiB free, of which 153.6 GiB are the reserve: 16.0 GiB are missing"],
                ),
                one("no-room-to-empty-host", "h2", &[]),
                one("no-room-to-empty-host", "h3", &[]),
                one("no-room-to-empty-host", "h4", &[]),
            ],
        ),
        case(
            "the coordinator goes first, and a guest of it fits nowhere yet",
            |scene| {
                scene.hosts(|host| host.memory = Mib::from_gib(44));
                scene.guest("g1", |guest| guest.memory = Mib::from_gib(30));
            },
            vec![one(
                "coordinator-guest-without-room",
                "g1",
                &["runs on coordinator h1 and needs 30.0 GiB", "room is 28.0 GiB on h4: 2.0 GiB are missing"],
            )],
        ),
        case(
            "a reserve that is not there",
            |scene| scene.policy.reserve_hosts = 4,
            vec![one(
                "reserve-not-kept",
                "p",
                &[
                    "4 hosts in service have 256.0 GiB, guests use 64.0 GiB: 192.0 GiB are free, 256.0 GiB",
                    "reserve-hosts = 4",
                ],
            )],
        ),
    ]
}

#[test]
fn what_goes_on_in_the_pool_is_found_with_its_figures() {
    assert_cases(&of_the_pool());
}

#[test]
fn features_are_found_with_their_values() {
    assert_cases(&of_features());
}

#[test]
fn a_release_that_must_not_be_installed_is_found() {
    assert_cases(&of_the_release());
}

#[test]
fn a_policy_that_means_something_else_for_this_pool_is_found() {
    assert_cases(&of_the_policy());
}

#[test]
fn a_plan_that_does_not_fit_is_found() {
    assert_cases(&of_the_plan());
}

#[test]
fn a_lack_of_room_is_found_with_the_arithmetic() {
    assert_cases(&of_capacity());
}
