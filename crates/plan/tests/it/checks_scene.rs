//! A healthy pool of four hosts of which everything is known, and ways to make it worse.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{
    Bank, BankFacts, BankState, BankView, Fact, FeatureKind, FeatureView, Figures, Finding, Fix, GuestFacts,
    GuestId, GuestView, HostFacts, HostId, HostView, Link, Mib, Millis, Movable, Move, PLAN_SCHEMA, Plan,
    PlanStep, Policy, PoolFacts, PoolName, ReleaseFacts, ReleaseRef, ReleaseVersion, Sha256Hex, Space,
    StoragePaths, Survey, Task, TaskKind, Timestamp, World,
};
use lifeboat_plan::check::{Checked, Ground, RollInProgress, run};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn host_id(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

pub(crate) fn guest_id(name: &str) -> GuestId {
    GuestId::new(name).unwrap()
}

pub(crate) fn old() -> Sha256Hex {
    Sha256Hex::of(b"release 1")
}

pub(crate) fn target() -> ReleaseRef {
    ReleaseRef {
        name: "lab-host".to_owned(),
        version: ReleaseVersion("2.0".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"release 2"),
    }
}

pub(crate) fn words(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

const OFFERS: [&str; 3] = ["cpu:avx2", "net:prod", "storage:nfs1"];

/// What checks look at, owned.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) survey: Survey,
    pub(crate) policy: Policy,
    pub(crate) plan: Option<Plan>,
    pub(crate) rolls: Vec<RollInProgress>,
}

impl Scene {
    /// Hosts h1 (coordinator) to h4 of 64 GiB with two guests of 8 GiB each: g1 and g2 on h1, and so on.
    pub(crate) fn healthy() -> Self {
        let hosts: Vec<HostView> = ["h1", "h2", "h3", "h4"].map(host).into();
        let guests = (0..8).map(|number| guest(&format!("g{}", number + 1), &format!("h{}", number / 2 + 1)));
        let world =
            World::new(PoolName::new("p").unwrap(), Some(host_id("h1")), hosts, guests.collect(), Vec::new());
        let mut survey = Survey::of_world(world.unwrap(), NOW);
        survey.hosts = survey.world.hosts().map(|host| (host.id.clone(), facts())).collect();
        survey.guests_known = true;
        survey.pool = PoolFacts {
            tasks: Fact::Known(Vec::new()),
            admission: Fact::Known(None),
            serial_floor: survey.world.hosts().map(|host| (host.id.clone(), 1)).collect(),
        };
        survey.release = Some(ReleaseFacts {
            release: target(),
            signed_by: Some("maker".to_owned()),
            serial: Some(2),
            expires: Some(NOW.after(Millis::from_secs(30 * 86_400))),
            machines: words(&["pc"]),
        });
        Self { survey, policy: Policy::default(), plan: None, rolls: Vec::new() }
    }

    pub(crate) fn host(&mut self, name: &str, change: impl FnOnce(&mut HostView)) {
        let mut view = self.survey.world.host(&host_id(name)).unwrap().clone();
        change(&mut view);
        self.survey.world.set_host(view);
    }

    /// Changes all hosts.
    pub(crate) fn hosts(&mut self, change: impl Fn(&mut HostView)) {
        for name in ["h1", "h2", "h3", "h4"] {
            self.host(name, &change);
        }
    }

    pub(crate) fn facts(&mut self, name: &str, change: impl FnOnce(&mut HostFacts)) {
        change(self.survey.hosts.get_mut(&host_id(name)).unwrap());
    }

    pub(crate) fn bank(&mut self, name: &str, bank: Bank, change: impl FnOnce(&mut BankFacts)) {
        self.facts(name, |facts| {
            let Fact::Known(banks) = &mut facts.banks else { unreachable!("banks are known") };
            change(&mut banks[bank.index()]);
        });
    }

    pub(crate) fn guest(&mut self, name: &str, change: impl FnOnce(&mut GuestView)) {
        let mut view = self.survey.world.guest(&guest_id(name)).unwrap().clone();
        change(&mut view);
        self.survey.world.set_guest(view).unwrap();
    }

    pub(crate) fn guest_facts(&mut self, name: &str, change: impl FnOnce(&mut GuestFacts)) {
        change(self.survey.guests.entry(guest_id(name)).or_default());
    }

    pub(crate) fn feature(&mut self, kind: FeatureKind, value: &str) {
        self.survey.world.set_feature(FeatureView { kind, value: value.to_owned() });
    }

    pub(crate) fn task(&mut self, kind: TaskKind, what: &str) {
        let task = Task { kind, what: what.to_owned(), since: Some(Timestamp(NOW.0 - 65_000)) };
        self.survey.pool.tasks = Fact::Known(vec![task]);
    }

    pub(crate) fn release(&mut self, change: impl FnOnce(&mut ReleaseFacts)) {
        change(self.survey.release.as_mut().unwrap());
    }

    /// A plan in which every host but the last moves its guests to the next one.
    pub(crate) fn planned(&mut self) -> &mut Plan {
        let names = ["h1", "h2", "h3", "h4", "h1"].map(host_id);
        let step = |(pair, wave): (&[HostId], u32)| {
            let [from, to] = pair else { unreachable!("windows of two") };
            let moves = self.survey.world.guests_on(from).map(|guest| Move {
                guest: guest.id.clone(),
                from: from.clone(),
                to: to.clone(),
                memory: guest.memory,
            });
            PlanStep { host: from.clone(), wave, moves: moves.collect(), stops: Vec::new() }
        };
        let plan = Plan {
            schema: PLAN_SCHEMA,
            pool: self.survey.world.pool().clone(),
            target: target(),
            policy: self.policy.clone(),
            coordinator: Some(host_id("h1")),
            suspends: Vec::new(),
            steps: names.windows(2).zip(1..).map(step).collect(),
            unchanged: Vec::new(),
            blocked: Vec::new(),
            excluded: Vec::new(),
            placement: Vec::new(),
            figures: Figures { waves: 4, ..Figures::default() },
            notes: Vec::new(),
        };
        self.plan.insert(plan)
    }

    pub(crate) fn run(&self) -> Vec<Checked> {
        run(&Ground {
            survey: &self.survey,
            policy: &self.policy,
            plan: self.plan.as_ref(),
            rolls: &self.rolls,
        })
    }

    /// All findings of all checks.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.run().into_iter().flat_map(|checked| checked.findings).collect()
    }
}

fn host(name: &str) -> HostView {
    let bank = |state: BankState, updated| BankView { state, updated, ..BankView::empty() };
    HostView {
        id: host_id(name),
        memory: Mib::from_gib(64),
        fault_domain: None,
        reachable: true,
        boot_id: Some("boot-1".to_owned()),
        active: Some(Bank::A),
        banks: [bank(BankState::Good, 1), bank(BankState::Empty, 0)],
        running: Some(old()),
        version: Some(ReleaseVersion("1.0".to_owned())),
        maintenance: false,
        failed_releases: Vec::new(),
        pending_reboot: Vec::new(),
        offers: words(&OFFERS),
    }
}

fn facts() -> HostFacts {
    let bank = BankFacts { loader: Some("loader 7".to_owned()), ..BankFacts::default() };
    HostFacts {
        pending_reboot: Fact::Known(Vec::new()),
        clock_offset_ms: Fact::Known(40),
        spaces: Fact::Known(vec![Space { place: "bank B".to_owned(), free: 600 * MIB, needed: 512 * MIB }]),
        banks: Fact::Known([bank.clone(), bank]),
        networks: Fact::Known(vec![Link { name: "prod".to_owned(), up: true }]),
        storages: Fact::Known(vec![StoragePaths { name: "nfs1".to_owned(), paths: 2, alive: 2 }]),
        offers_after: Fact::Known(words(&OFFERS)),
        machine: Fact::Known("pc".to_owned()),
        emulator: None,
    }
}

fn guest(name: &str, host: &str) -> GuestView {
    GuestView {
        id: guest_id(name),
        host: host_id(host),
        memory: Mib::from_gib(8),
        running: true,
        movable: Movable::Yes,
        keep_apart: None,
        needs: words(&OFFERS),
    }
}

/// A way to make the healthy pool worse, and all that is found then.
pub(crate) struct Case {
    /// What is worse.
    pub(crate) name: &'static str,
    pub(crate) change: fn(&mut Scene),
    pub(crate) expect: Vec<Expected>,
}

/// One finding.
pub(crate) struct Expected {
    pub(crate) code: &'static str,
    pub(crate) subject: &'static str,
    /// Texts that must stand in the evidence: the figures.
    pub(crate) evidence: &'static [&'static str],
    pub(crate) fix: Option<Fix>,
}

pub(crate) fn case(name: &'static str, change: fn(&mut Scene), expect: Vec<Expected>) -> Case {
    Case { name, change, expect }
}

pub(crate) fn one(code: &'static str, subject: &'static str, evidence: &'static [&'static str]) -> Expected {
    Expected { code, subject, evidence, fix: None }
}

pub(crate) fn fixed(
    code: &'static str,
    subject: &'static str,
    evidence: &'static [&'static str],
    fix: Fix,
) -> Expected {
    Expected { code, subject, evidence, fix: Some(fix) }
}

/// Findings that are the same in code and subject, counted.
fn counted<'a>(list: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<(&'a str, &'a str), usize> {
    let mut map = BTreeMap::new();
    for key in list {
        *map.entry(key).or_default() += 1;
    }
    map
}

/// Runs the cases: exactly the findings that are expected, each with its figures and its fix.
pub(crate) fn assert_cases(cases: &[Case]) {
    for case in cases {
        let mut scene = Scene::healthy();
        (case.change)(&mut scene);
        let findings = scene.findings();
        let found = counted(findings.iter().map(|found| (found.code.as_str(), found.subject.as_str())));
        let expected = counted(case.expect.iter().map(|expect| (expect.code, expect.subject)));
        assert_eq!(found, expected, "{}: {findings:#?}", case.name);
        for expect in &case.expect {
            let is_it = |found: &&Finding| {
                found.code == expect.code
                    && found.subject == expect.subject
                    && expect.evidence.iter().all(|text| found.evidence.contains(text))
                    && found.fix == expect.fix
            };
            let found = findings.iter().find(is_it);
            let alike: Vec<_> = findings.iter().filter(|found| found.code == expect.code).collect();
            assert!(found.is_some(), "{}: {:?} is not in {alike:#?}", case.name, expect.evidence);
        }
    }
}
