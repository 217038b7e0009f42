//! Conditions are seen by a survey, make effects fail as they do in the field, and end by their remedies.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, Condition, SimKernel, SimOrder, SimPool, SimSpec};
use lifeboat_model::{
    Bank, BankState, Effect, Fact, FeatureKind, FeatureView, Fix, GuestFacts, HostFacts, Movable, Survey,
    TaskKind,
};

use crate::sim_support::{Controller, guest, host, memory_pool, release};

fn so(conditions: &[&str]) -> Controller {
    let mut pool = memory_pool(Behaviour::Good);
    for condition in conditions {
        pool.set_condition(condition.parse().unwrap()).unwrap();
    }
    Controller::new(pool)
}

fn survey(controller: &mut Controller) -> Survey {
    controller.pool.survey(Some(&release(2))).unwrap()
}

fn facts(controller: &mut Controller, name: &str) -> HostFacts {
    survey(controller).hosts.remove(&host(name)).unwrap()
}

fn known<T: Clone>(fact: &Fact<T>) -> T {
    fact.known().cloned().unwrap()
}

/// A remedy is done, done once more, taken back, and taken back once more.
fn there_and_back(controller: &mut Controller, fix: &Fix) {
    controller.starts = 2;
    for _ in 0..2 {
        controller.done(&Effect::Mend { fix: fix.clone() });
    }
    if !fix.can_be_undone() {
        assert!(controller.fails(&Effect::Unmend { fix: fix.clone() }).0.contains("cannot be taken back"));
    }
    controller.assert_harmless();
}

#[test]
fn a_pool_without_conditions_has_nothing_to_find() {
    let mut controller = so(&[]);
    let seen = survey(&mut controller);
    assert!(seen.guests_known && seen.guests.is_empty());
    assert_eq!(seen.pool.tasks, Fact::Known(Vec::new()));
    assert_eq!(seen.pool.admission, Fact::Known(None));
    assert_eq!(seen.release.as_ref().and_then(|facts| facts.serial), Some(2));
    assert_eq!(seen.hosts.len(), 4);
    for (id, facts) in &seen.hosts {
        assert_eq!(facts.pending_reboot, Fact::Known(Vec::new()));
        assert_eq!(facts.clock_offset_ms, Fact::Known(0));
        assert_eq!(seen.pool.serial_floor.get(id), Some(&1));
        let [a, b] = known(&facts.banks);
        assert_eq!((a.foreign.len(), a.damage.len(), a.not_writable), (0, 0, None));
        assert!(a.loader.is_some() && b.loader.is_none(), "an empty bank has no loader");
        assert!(known(&facts.spaces).iter().all(|space| space.needed > 0 && space.needed <= space.free));
        assert_eq!(known(&facts.offers_after), seen.world.host(id).unwrap().offers);
    }
    let without = controller.pool.survey(None).unwrap();
    assert!(without.release.is_none());
    assert!(without.hosts.values().all(|facts| known(&facts.spaces).iter().all(|space| space.needed == 0)));
}

#[test]
fn a_host_that_waits_for_a_reboot_refuses_in_obscure_words_until_it_was_rebooted() {
    let mut controller = so(&["pending-reboot:h02:agents were installed"]);
    assert_eq!(known(&facts(&mut controller, "h02").pending_reboot), ["agents were installed"]);
    let turn = controller.turn(&host("h02"), &release(2));
    assert!(controller.fails(&turn[3]).0.contains("incompatible"));
    controller.drain(&host("h02"));
    let before = controller.host(&host("h02"));
    let boot_id_before = before.boot_id.clone().unwrap_or_default();
    let restart = Effect::Restart { host: host("h02"), boot_id_before };
    controller.starts = 2;
    for _ in 0..2 {
        controller.done(&restart);
    }
    let after = controller.host(&host("h02"));
    assert!(after.boot_id != before.boot_id && after.active == before.active);
    assert!(known(&facts(&mut controller, "h02").pending_reboot).is_empty());
    controller.done(&turn[3]);
    controller.assert_harmless();
}

#[test]
fn what_does_not_fit_is_cut_with_an_end_of_file() {
    let mut controller = so(&["space:h02:staging:1000", "space:h03:bank-B:5000"]);
    let spaces = known(&facts(&mut controller, "h02").spaces);
    let staging = spaces.iter().find(|space| space.place == "staging").unwrap();
    assert!(staging.free == 1000 && staging.needed > 1000);
    let turn = controller.turn(&host("h02"), &release(2));
    let (reason, retriable) = controller.fails(&turn[3]);
    assert!(reason.contains("end of file after 1000 bytes") && retriable, "{reason}");
    let turn = controller.turn(&host("h03"), &release(2));
    controller.done(&turn[3]);
    assert!(controller.fails(&turn[4]).0.contains("byte 5000"));
    assert_eq!(controller.host(&host("h03")).bank(Bank::B).state, BankState::Invalid);
    // With enough room it goes on.
    for condition in ["space:h02:staging:999999999", "space:h03:bank-B:999999999"] {
        controller.pool.set_condition(condition.parse().unwrap()).unwrap();
    }
    controller.done(&turn[4]);
    let turn = controller.turn(&host("h02"), &release(2));
    controller.done(&turn[3]);
}

#[test]
fn foreign_files_break_an_install_off_until_they_are_removed_and_come_back_when_asked() {
    let mut controller = so(&["foreign-file:h02:B:.Trashes", "foreign-file:h02:B:.fseventsd/x"]);
    let turn = controller.turn(&host("h02"), &release(2));
    controller.done(&turn[3]);
    assert!(controller.fails(&turn[4]).0.contains("upgrade script"));
    let files = vec![".Trashes".to_owned(), ".fseventsd/x".to_owned()];
    let fix = Fix::CleanBank { host: host("h02"), bank: Bank::B, files: files.clone() };
    there_and_back(&mut controller, &fix);
    assert!(known(&facts(&mut controller, "h02").banks)[1].foreign.is_empty());
    for _ in 0..2 {
        controller.done(&Effect::Unmend { fix: fix.clone() });
        assert_eq!(known(&facts(&mut controller, "h02").banks)[1].foreign, files);
    }
    controller.done(&Effect::Mend { fix });
    controller.done(&turn[4]);
}

#[test]
fn a_bank_with_a_ghost_cannot_be_written_until_it_is_made_anew() {
    let mut controller = so(&["ghost:h02:B", "damage:h02:B:block 7 differs", "loader:h02:A:other 2"]);
    let turn = controller.turn(&host("h02"), &release(2));
    controller.done(&turn[3]);
    assert!(controller.fails(&turn[4]).0.contains("Errno 9"));
    let [a, b] = known(&facts(&mut controller, "h02").banks);
    assert!(b.not_writable.unwrap().contains("Errno 9"));
    assert_eq!((b.damage, a.loader.as_deref()), (vec!["block 7 differs".to_owned()], Some("other 2")));
    there_and_back(&mut controller, &Fix::RebuildBank { host: host("h02"), bank: Bank::B });
    let view = controller.host(&host("h02"));
    assert_eq!(view.bank(Bank::B).digest, view.bank(Bank::A).digest);
    let b = known(&facts(&mut controller, "h02").banks)[1].clone();
    assert_eq!((b.not_writable, b.damage.len()), (None, 0));
    controller.starts = 1;
    controller.done(&turn[4]);
    // The running bank is never made anew.
    let running = Fix::RebuildBank { host: host("h02"), bank: Bank::A };
    assert!(controller.fails(&Effect::Mend { fix: running }).0.contains("never written"));
}

#[test]
fn a_damaged_running_bank_stops_the_check_and_is_not_copied() {
    let mut controller = so(&["damage:h02:A:the root differs", "ghost:h02:B"]);
    let turn = controller.turn(&host("h02"), &release(2));
    assert!(controller.fails(&turn[0]).0.contains("the root differs"));
    let fix = Fix::RebuildBank { host: host("h02"), bank: Bank::B };
    assert!(controller.fails(&Effect::Mend { fix }).0.contains("nothing is made from it"));
}

#[test]
fn a_guest_with_an_image_or_a_device_is_not_moved_and_the_image_comes_back() {
    let mut controller = so(&["media:g01:debian.iso", "device:g02:gpu0", "local-disk:g03:scratch"]);
    for (name, word) in [("g01", "debian.iso"), ("g02", "gpu0"), ("g03", "scratch")] {
        let view = controller.world.guest(&guest(name)).unwrap().clone();
        assert!(matches!(&view.movable, Movable::No { reason } if reason.contains(word)));
        let to = controller.world.hosts().find(|host| host.id != view.host).unwrap().id.clone();
        let effect = Effect::Migrate { guest: guest(name), from: view.host, to };
        assert!(controller.fails(&effect).0.contains(word));
    }
    let media = |controller: &mut Controller| {
        survey(controller).guests.get(&guest("g01")).cloned().unwrap_or_default().media
    };
    let fix = Fix::EjectMedia { guest: guest("g01"), image: "debian.iso".to_owned() };
    there_and_back(&mut controller, &fix);
    assert_eq!(media(&mut controller), None);
    assert_eq!(controller.world.guest(&guest("g01")).unwrap().movable, Movable::Yes);
    for _ in 0..2 {
        controller.done(&Effect::Unmend { fix: fix.clone() });
        assert_eq!(media(&mut controller).as_deref(), Some("debian.iso"));
    }
    // Somebody put another one in meanwhile: that one is not thrown out.
    controller.pool.set_condition("media:g01:other.iso".parse().unwrap()).unwrap();
    assert!(controller.fails(&Effect::Mend { fix: fix.clone() }).0.contains("other.iso"));
    assert!(controller.fails(&Effect::Unmend { fix }).0.contains("other.iso"));
}

#[test]
fn clocks_and_storage_paths_are_mended_and_stay_so() {
    let mut controller = so(&["clock:h02:-90000", "storage-paths:h02:nfs1:0/4"]);
    let seen = facts(&mut controller, "h02");
    assert_eq!(seen.clock_offset_ms, Fact::Known(-90_000));
    assert_eq!(known(&seen.storages)[0].alive, 0);
    assert!(!controller.host(&host("h02")).offers.contains("storage:nfs1"));
    assert!(controller.host(&host("h03")).offers.contains("storage:nfs1"));
    there_and_back(&mut controller, &Fix::SetClock { host: host("h02"), offset_ms: -90_000 });
    let storage = "nfs1".to_owned();
    there_and_back(&mut controller, &Fix::RescanStorage { host: host("h02"), storage });
    let seen = facts(&mut controller, "h02");
    assert_eq!(seen.clock_offset_ms, Fact::Known(0));
    assert_eq!(known(&seen.storages)[0].alive, 4);
    assert!(controller.host(&host("h02")).offers.contains("storage:nfs1"));
}

#[test]
fn a_guest_goes_only_where_what_it_needs_is_offered() {
    let mut controller =
        so(&["needs:g01:net:prod", "no-network:h02:prod", "network-down:h03:prod", "needs:g02:cpu:amx"]);
    let offers = |controller: &Controller, name| controller.host(&host(name)).offers.contains("net:prod");
    assert!(!offers(&controller, "h02") && !offers(&controller, "h03") && offers(&controller, "h04"));
    assert_eq!(known(&facts(&mut controller, "h02").networks).len(), 0);
    assert!(!known(&facts(&mut controller, "h03").networks)[0].up);
    let from = controller.world.guest(&guest("g01")).unwrap().host.clone();
    for name in ["h02", "h03"].into_iter().filter(|name| host(name) != from) {
        let effect = Effect::Migrate { guest: guest("g01"), from: from.clone(), to: host(name) };
        assert!(controller.fails(&effect).0.contains("net:prod"));
    }
    if from != host("h04") {
        controller.done(&Effect::Migrate { guest: guest("g01"), from, to: host("h04") });
    }
    assert!(controller.world.guest(&guest("g02")).unwrap().needs.contains("cpu:amx"));
}

#[test]
fn what_a_host_offers_changes_with_its_release() {
    let mut controller = so(&["offers:h02:cpu:mpx", "drops:h02:cpu:mpx", "gains:h02:cpu:amx"]);
    let now = controller.host(&host("h02")).offers;
    let after = known(&facts(&mut controller, "h02").offers_after);
    assert!(now.contains("cpu:mpx") && !now.contains("cpu:amx"));
    assert!(!after.contains("cpu:mpx") && after.contains("cpu:amx"));
    controller.whole_turn(&host("h02"), &release(2));
    assert_eq!(controller.host(&host("h02")).offers, after);
}

#[test]
fn tasks_admission_and_facts_of_guests_are_told() {
    let mut controller = so(&[
        "task:backup:of g01 to tape",
        "task:roll:another tool",
        "admission:2",
        "auto-start:g01",
        "fault-tolerant:g01",
    ]);
    let seen = survey(&mut controller);
    let tasks = known(&seen.pool.tasks);
    assert_eq!(tasks.iter().map(|task| task.kind).collect::<Vec<_>>(), [TaskKind::Backup, TaskKind::Roll]);
    assert_eq!(known(&seen.pool.admission).unwrap().hosts, 2);
    let g1 = GuestFacts { auto_start: true, fault_tolerant: true, ..GuestFacts::default() };
    assert_eq!(seen.guests.get(&guest("g01")), Some(&g1));
    // Without a condition the setting of the feature says it.
    let feature =
        |value: &str| SimOrder::Feature { feature: FeatureKind::HaAdmissionControl, value: value.to_owned() };
    controller.pool.order(&SimOrder::Clear { condition: "admission:2".parse().unwrap() }).unwrap();
    for (value, hosts) in [("reserve 25 %", Some(Some(1))), ("slots", None), (FeatureView::OFF, Some(None))] {
        controller.pool.order(&feature(value)).unwrap();
        let admission = survey(&mut controller).pool.admission.known().cloned();
        assert_eq!(admission.map(|known| known.map(|known| known.hosts)), hosts, "{value}");
    }
}

#[test]
fn conditions_are_listed_cleared_and_begin_with_the_pool() {
    let all = ["ghost:h02:B", "media:g01:x.iso", "maintenance:h03", "admission:1", "unreachable:h04"];
    let conditions: Vec<Condition> = all.iter().map(|text| text.parse().unwrap()).collect();
    let spec = SimSpec { conditions: conditions.clone(), ..SimSpec::in_memory(4, 4) };
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    pool.offer_release(release(2), SimKernel::default()).unwrap();
    let mut controller = Controller::new(pool);
    assert!(controller.host(&host("h03")).maintenance);
    assert!(!controller.host(&host("h04")).reachable);
    assert!(!survey(&mut controller).hosts.contains_key(&host("h04")), "nothing is known of it");
    assert_eq!(controller.pool.conditions().len(), 3);
    for condition in conditions {
        controller.pool.order(&SimOrder::Clear { condition }).unwrap();
    }
    assert!(controller.pool.conditions().is_empty());
    controller.pool.let_pass(lifeboat_model::Millis::from_secs(600)).unwrap();
    let world = controller.pool.observe().unwrap();
    assert!(world.hosts().all(|host| host.reachable && !host.maintenance));
}

#[test]
fn an_order_on_something_that_is_not_there_changes_nothing() {
    let mut pool = memory_pool(Behaviour::Good);
    let before = pool.observe().unwrap();
    for text in ["ghost:h99:B", "media:g99:x", "runs-newer:h99"] {
        let error = pool.set_condition(text.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("99"), "{error}");
    }
    let order = SimOrder::Feature { feature: FeatureKind::Ha, value: String::new() };
    assert!(pool.order(&order).is_err());
    assert_eq!(pool.observe().unwrap(), before);
    assert!(pool.conditions().is_empty());
}
