//! What can be proved of a damaged journal is proved, and nothing else.

use std::path::{Path, PathBuf};

use lifeboat_model::{EventKind, RollId, Timestamp};
use lifeboat_store::{Salvage, Store, Tail};

use super::roll;

const EVENTS: u64 = 12;

fn journal(dir: &Path) -> PathBuf {
    let path = dir.join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut tail = Tail::of(&row, &[], 1);
    for at in 1..=EVENTS {
        let event = EventKind::Halted { reason: format!("reason {at}") };
        store.append(&row, &mut tail, &[event], Timestamp(at), None).unwrap();
    }
    path
}

/// The journal after these changes.
fn after(sql: &[&str]) -> Salvage {
    let dir = tempfile::tempdir().unwrap();
    let path = journal(dir.path());
    let db = rusqlite::Connection::open(&path).unwrap();
    for sql in sql {
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    }
    drop(db);
    Store::open(&path).unwrap().salvage(&RollId::new("r1").unwrap()).unwrap()
}

fn places(salvage: &Salvage) -> Vec<u64> {
    salvage.damage.iter().filter_map(|damage| damage.seq).collect()
}

fn doubted(salvage: &Salvage) -> Vec<u64> {
    salvage.events.iter().filter(|event| event.doubt.is_some()).map(|event| event.event.seq).collect()
}

#[test]
fn a_whole_journal_has_no_damage_and_every_event_is_proved() {
    let salvage = after(&["UPDATE roll SET context = '{}'"]);
    assert!(salvage.damage.is_empty(), "{:?}", salvage.damage);
    assert_eq!(salvage.proved() as u64, EVENTS);
    assert!(salvage.plan.is_some());
}

#[test]
fn an_altered_event_is_hearsay_and_all_others_stay_proved() {
    let salvage =
        after(&["UPDATE event SET payload = replace(payload, 'reason 5', 'reason 6') WHERE seq = 5"]);
    assert_eq!((places(&salvage), doubted(&salvage)), (vec![5], vec![5]));
    assert_eq!(salvage.proved() as u64, EVENTS - 1);
}

#[test]
fn an_event_whose_own_hashes_are_damaged_is_proved_by_its_neighbours() {
    for column in ["hash", "prev"] {
        for seq in [1, 5, EVENTS] {
            let salvage = after(&[&format!("UPDATE event SET {column} = 'rubbish' WHERE seq = {seq}")]);
            assert_eq!(places(&salvage), [seq], "{column} of {seq}");
            assert!(doubted(&salvage).is_empty(), "{column} of {seq}");
        }
    }
    // Both gone: the payload is between two proofs that do not reach it alone, but do together.
    let salvage = after(&["UPDATE event SET hash = '', prev = '' WHERE seq = 5"]);
    assert_eq!((places(&salvage), doubted(&salvage)), (vec![5], vec![]));
}

#[test]
fn missing_events_are_named_as_one_gap_also_at_the_end() {
    let salvage = after(&["DELETE FROM event WHERE seq IN (4, 5, 6)"]);
    assert_eq!(places(&salvage), [4]);
    assert_eq!(salvage.damage[0].reason, "events 4 to 6 are missing");
    let salvage = after(&["DELETE FROM event WHERE seq > 10"]);
    assert_eq!(places(&salvage), [11]);
    assert_eq!((salvage.damage[0].reason.as_str(), salvage.proved()), ("events 11 to 12 are missing", 10));
    let salvage = after(&["DELETE FROM event"]);
    assert_eq!((places(&salvage), salvage.events.len()), (vec![1], 0));
}

#[test]
fn swapped_events_are_proved_and_come_back_in_their_order() {
    let salvage = after(&[
        "UPDATE event SET seq = 99 WHERE seq = 5",
        "UPDATE event SET seq = 5 WHERE seq = 6",
        "UPDATE event SET seq = 6 WHERE seq = 99",
    ]);
    assert!(places(&salvage).contains(&5) && places(&salvage).contains(&6), "{:?}", salvage.damage);
    assert!(doubted(&salvage).is_empty());
    let order: Vec<u64> = salvage.events.iter().map(|event| event.event.seq).collect();
    assert_eq!(order, (1..=EVENTS).collect::<Vec<_>>());
}

#[test]
fn a_plan_that_was_altered_is_not_used_and_the_events_still_are() {
    let salvage = after(&[r#"UPDATE roll SET plan = replace(plan, '"serial":2', '"serial":3')"#]);
    assert!(salvage.plan.is_none());
    assert_eq!((salvage.damage.len(), salvage.proved() as u64), (1, EVENTS));
}

#[test]
fn bytes_that_are_no_text_and_rows_of_rubbish_do_not_stop_it() {
    let salvage = after(&[
        "UPDATE event SET payload = CAST(x'fffe00' AS TEXT) WHERE seq = 3",
        "UPDATE event SET payload = '' WHERE seq = 7",
        "UPDATE event SET prev = CAST(x'ff' AS TEXT) WHERE seq = 9",
        "UPDATE tail SET seq = 9223372036854775807",
    ]);
    assert_eq!(doubted(&salvage), Vec::<u64>::new());
    assert_eq!(salvage.proved() as u64, EVENTS - 2);
    assert!([3, 7, 9, 13].iter().all(|seq| places(&salvage).contains(seq)), "{:?}", salvage.damage);
}

#[test]
fn torn_pages_never_make_a_wrong_event_a_proved_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = journal(dir.path());
    let whole = std::fs::read(&path).unwrap();
    let (mut read, mut proved) = (0, 0);
    for at in (0..whole.len()).step_by(509) {
        let mut torn = whole.clone();
        for byte in torn.iter_mut().skip(at).take(48) {
            *byte ^= 0x5a;
        }
        std::fs::write(&path, &torn).unwrap();
        let Ok(salvage) = Store::open(&path).and_then(|store| store.salvage(&RollId::new("r1").unwrap()))
        else {
            continue;
        };
        read += 1;
        for event in salvage.events.iter().filter(|event| event.doubt.is_none()) {
            let expected = format!("reason {}", event.event.seq);
            assert_eq!(event.event.what, EventKind::Halted { reason: expected });
            proved += 1;
        }
    }
    assert!(read > 5 && proved > 50, "{read} files could be opened, {proved} events were proved");
}

#[test]
fn the_copy_of_a_damaged_file_is_byte_for_byte_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = journal(dir.path());
    let store = Store::open(&path).unwrap();
    let kept = store.keep_copy("damaged-r1").unwrap();
    assert_eq!(std::fs::read(&kept[0]).unwrap(), std::fs::read(&path).unwrap());
    assert!(store.keep_copy("damaged-r1").is_err());
}

#[test]
fn the_state_of_a_roll_is_read_without_its_plan() {
    let dir = tempfile::tempdir().unwrap();
    let path = journal(dir.path());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE roll SET plan = 'not a plan'", []).unwrap();
    drop(db);
    let store = Store::open(&path).unwrap();
    let id = RollId::new("r1").unwrap();
    assert!(store.roll(&id).is_err());
    assert!(store.rolls().is_err(), "a roll that may be taken up is not hidden");
    assert_eq!(store.state(&id).unwrap(), (lifeboat_store::RollState::Active, EVENTS));
    assert_eq!(store.heads().unwrap()[0].id, id);
    store.end_unread(&id).unwrap();
    assert_eq!(store.state(&id).unwrap().0, lifeboat_store::RollState::Ended);
    // Once it has ended it stands in nobody's way, and is still named by itself.
    assert!(store.rolls().unwrap().is_empty());
    assert!(store.roll(&id).is_err());
}
