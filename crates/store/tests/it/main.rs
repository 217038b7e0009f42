//! The journal keeps its promises on a real file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export;
mod salvage;

use std::path::Path;

use lifeboat_model::{
    EventKind, Figures, OperatorVerb, PLAN_SCHEMA, Plan, Policy, PoolName, ReleaseRef, ReleaseVersion,
    RollEnd, RollId, Sha256Hex, Timestamp,
};
use lifeboat_store::{Holder, RollRow, Store, StoreError, Tail};

fn plan(pool: &str) -> Plan {
    Plan {
        schema: PLAN_SCHEMA,
        pool: PoolName::new(pool).unwrap(),
        target: ReleaseRef {
            name: "host".to_owned(),
            version: ReleaseVersion("2".to_owned()),
            serial: 2,
            digest: Sha256Hex::of(b"2"),
        },
        policy: Policy::default(),
        coordinator: None,
        suspends: Vec::new(),
        steps: Vec::new(),
        unchanged: Vec::new(),
        blocked: Vec::new(),
        excluded: Vec::new(),
        placement: Vec::new(),
        figures: Figures::default(),
        notes: Vec::new(),
    }
}

fn roll(store: &mut Store, pool: &str, id: &str) -> Result<RollRow, StoreError> {
    let plan = plan(pool);
    let id = RollId::new(id).unwrap();
    store.create_roll(&id, &plan, &plan.hash().unwrap(), "{}", Timestamp(1))?;
    store.roll(&id)
}

fn controller() -> EventKind {
    EventKind::ControllerStarted { holder: "test".to_owned() }
}

fn ended(end: RollEnd) -> EventKind {
    EventKind::RollEnded { end }
}

fn holder() -> Holder {
    Holder { name: "this test".to_owned(), since: "today".to_owned() }
}

fn sqlite(path: &Path, sql: &str) {
    let changed = rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap();
    assert_eq!(changed, 1, "{sql}");
}

#[test]
fn what_was_appended_is_read_again_in_order_by_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut tail = Tail::of(&row, &[], 7);
    let written = store.append(&row, &mut tail, &[controller(), controller()], Timestamp(5), None).unwrap();
    let other = Store::open(&path).unwrap();
    let links = other.events(&row, 0).unwrap();
    let read: Vec<_> = links.iter().map(|link| link.event.clone()).collect();
    assert_eq!(read, written);
    assert_eq!(read.iter().map(|event| (event.seq, event.fence)).collect::<Vec<_>>(), [(1, 7), (2, 7)]);
    assert_eq!(other.events(&row, 1).unwrap().len(), 1);
    assert_eq!(Tail::of(&row, &links, 7), tail);
}

#[test]
fn a_controller_with_an_old_tail_cannot_append() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut stale = Tail::of(&row, &[], 1);
    let mut tail = stale.clone();
    store.append(&row, &mut tail, &[controller()], Timestamp(5), None).unwrap();
    let refused = store.append(&row, &mut stale, &[controller()], Timestamp(6), None);
    assert!(matches!(refused, Err(StoreError::Chain { seq: 1, .. })), "{refused:?}");
    assert_eq!(store.events(&row, 0).unwrap().len(), 1);
}

#[test]
fn an_altered_event_is_named_by_its_place() {
    let changes = [
        ("UPDATE event SET payload = replace(payload, 'test', 'tost') WHERE seq = 2", 2),
        ("DELETE FROM event WHERE seq = 2", 2),
        ("UPDATE event SET prev = hash WHERE seq = 3", 3),
        ("UPDATE event SET payload = '{}' WHERE seq = 1", 1),
    ];
    for (sql, place) in changes {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lifeboat.db");
        let mut store = Store::open(&path).unwrap();
        let row = roll(&mut store, "p", "r1").unwrap();
        let mut tail = Tail::of(&row, &[], 1);
        store
            .append(&row, &mut tail, &[controller(), controller(), controller()], Timestamp(5), None)
            .unwrap();
        drop(store);
        sqlite(&path, sql);
        let found = Store::open(&path).unwrap().events(&row, 0);
        assert!(matches!(&found, Err(StoreError::Chain { seq, .. }) if *seq == place), "{sql}: {found:?}");
    }
}

#[test]
fn an_altered_plan_is_not_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    roll(&mut store, "p", "r1").unwrap();
    sqlite(&path, r#"UPDATE roll SET plan = replace(plan, '"serial":2', '"serial":3')"#);
    let found = store.roll(&RollId::new("r1").unwrap());
    assert!(
        matches!(&found, Err(StoreError::Damaged { reason, .. }) if reason.contains("approved")),
        "{found:?}"
    );
}

#[test]
fn a_second_roll_of_a_pool_is_refused_until_the_first_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("lifeboat.db")).unwrap();
    let first = roll(&mut store, "p", "r1").unwrap();
    let refused = roll(&mut store, "p", "r2");
    assert!(matches!(&refused, Err(StoreError::Active { roll, .. }) if roll.as_str() == "r1"), "{refused:?}");
    roll(&mut store, "q", "r3").unwrap();
    let mut tail = Tail::of(&first, &[], 1);
    let stop = ended(RollEnd::Stopped { reason: "test".to_owned() });
    store.append(&first, &mut tail, &[controller(), stop], Timestamp(5), None).unwrap();
    roll(&mut store, "p", "r4").unwrap();
    // The stopped one was replaced: it cannot come back beside the new one.
    let back = store.append(&first, &mut tail, &[controller()], Timestamp(6), None);
    assert!(matches!(&back, Err(StoreError::Active { roll, .. }) if roll.as_str() == "r4"), "{back:?}");
    assert_eq!(store.events(&first, 0).unwrap().len(), 2);
}

#[test]
fn one_controller_at_a_time_and_each_has_a_higher_number() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("lifeboat.db")).unwrap();
    let pool = PoolName::new("p").unwrap();
    let first = store.lease(&pool, holder()).unwrap();
    let refused = store.lease(&pool, holder());
    assert!(matches!(&refused, Err(StoreError::Held { holder, .. }) if holder == "this test"), "{refused:?}");
    assert_eq!(store.holder(&pool), Some(holder()));
    let fence = first.fence;
    drop(first);
    assert_eq!(store.holder(&pool), None);
    assert!(store.lease(&pool, holder()).unwrap().fence > fence);
}

#[test]
fn an_order_is_taken_over_together_with_its_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("lifeboat.db")).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    store.request(&row.id, &OperatorVerb::Pause, "root", Timestamp(3)).unwrap();
    let orders = store.requests(&row.id).unwrap();
    assert_eq!(orders.len(), 1);
    let order = orders.into_iter().next().unwrap();
    let event = EventKind::Operator { verb: order.verb, who: order.who };
    let mut tail = Tail::of(&row, &[], 1);
    store.append(&row, &mut tail, &[event], Timestamp(4), Some(order.id)).unwrap();
    assert!(store.requests(&row.id).unwrap().is_empty());
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    std::fs::write(&path, "these are my notes, not a database; please keep them\n".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(&path);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let path = dir.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let path = dir.path().join("newer.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 99, .. })));
}

#[test]
fn a_torn_page_is_found_and_not_read_as_if_it_were_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut tail = Tail::of(&row, &[], 1);
    for _ in 0..200 {
        store.append(&row, &mut tail, &[controller()], Timestamp(5), None).unwrap();
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(997) {
        let mut torn = whole.clone();
        for byte in torn.iter_mut().skip(at).take(64) {
            *byte ^= 0x55;
        }
        std::fs::write(&path, &torn).unwrap();
        let read = Store::open(&path).and_then(|store| {
            let row = store.roll(&row.id)?;
            store.events(&row, 0)
        });
        match read {
            // Free space of a page may change unseen; the events may not.
            Ok(links) => assert!(links.len() == 200, "{at}: {} events and no error", links.len()),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 10, "only {noticed} damages were noticed");
}
