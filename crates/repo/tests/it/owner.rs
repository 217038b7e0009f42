//! What an owner does is whole or has not happened.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use lifeboat_repo::{Outcome, Owner, RepoError, Transport, TrustedRoot, load};
use tempfile::TempDir;

use crate::fixture::{
    Faulty, all_keys, bundle, bundle_of, dir, files, image, init, keys, many, now, opened, push,
};

fn trusted(root: &[u8]) -> TrustedRoot {
    TrustedRoot::new(root.to_vec(), None)
}

#[test]
fn a_push_cut_at_any_upload_leaves_the_old_repository_and_can_be_repeated() {
    let (one, two) = (bundle(1), bundle(2));
    let two = opened(&two);
    let mut cuts = 0;
    for answer_lost in [false, true] {
        for puts in 0.. {
            let tmp = TempDir::new().unwrap();
            let place = dir(&tmp.path().join("repo"));
            let root = init(&place, now());
            push(&place, &root, &one);
            let faulty: Arc<dyn Transport> =
                Arc::new(Faulty { puts_left: AtomicI64::new(puts), answer_lost, ..Faulty::new(&place) });
            let keys = all_keys();
            let owner = Owner::open(&faulty, &trusted(&root), &keys, now()).unwrap();
            let pushed = owner.push(two.parts().unwrap(), &two, &mut |_| {});
            let seen = load(&place, &trusted(&root)).unwrap().releases().len();
            if pushed.is_ok() {
                assert_eq!(seen, 2);
                break;
            }
            cuts += 1;
            // Only the last put, that of the timestamp, makes it visible.
            let timestamp_is_there = answer_lost && seen == 2;
            assert!(seen == 1 || timestamp_is_there, "cut at put {puts}");
            let again = push(&place, &root, &bundle(2));
            assert!(again.outcome != Outcome::Unchanged || timestamp_is_there);
            assert_eq!(load(&place, &trusted(&root)).unwrap().releases().len(), 2);
        }
    }
    println!("{cuts} cuts");
    assert!(cuts >= 14, "{cuts}: a push has at least seven uploads");
}

#[test]
fn only_what_is_missing_is_uploaded() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let root = init(&place, now());
    let first = push(&place, &root, &bundle(1));
    assert_eq!(first.kept, 0);
    let again = push(&place, &root, &bundle(1));
    assert_eq!((again.outcome, again.uploaded), (Outcome::Unchanged, 0));
    // The same content as another release: its pack is there.
    let same = push(&place, &root, &bundle_of(7, "7.0", &image(1)));
    assert!(same.kept > 5_000_000 && same.uploaded < 100_000, "{same:?}");
}

#[test]
fn a_published_release_is_never_replaced_by_another() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let root = init(&place, now());
    push(&place, &root, &bundle(1));
    let keys = all_keys();
    for (serial, version) in [(1, "1.1"), (2, "1.0")] {
        let other = bundle_of(serial, version, &image(3));
        let other = opened(&other);
        let owner = Owner::open(&place, &trusted(&root), &keys, now()).unwrap();
        match owner.push(other.parts().unwrap(), &other, &mut |_| {}) {
            Err(RepoError::Conflict { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn two_owners_at_once_do_not_lose_each_others_release() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let root = init(&place, now());
    let keys = all_keys();
    let slow = Owner::open(&place, &trusted(&root), &keys, now()).unwrap();
    push(&place, &root, &bundle(1));
    let two = bundle(2);
    let two = opened(&two);
    match slow.push(two.parts().unwrap(), &two, &mut |_| {}) {
        Err(RepoError::Raced { .. }) => {}
        other => panic!("{other:?}"),
    }
    push(&place, &root, &bundle(2));
    assert_eq!(load(&place, &trusted(&root)).unwrap().releases().len(), 2);
}

#[test]
fn with_a_threshold_a_release_waits_for_the_second_signature() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let founders = keys(&[1, 2, 4, 5, 6, 7]);
    let owner = Owner::init(&place, &many(), &founders, now(), &mut |_| {}).unwrap();
    let root = owner.view().root_file().unwrap();
    let release = bundle(1);
    let release = opened(&release);
    let first = keys(&[4, 6, 7]);
    let owner = Owner::open(&place, &trusted(&root), &first, now()).unwrap();
    let pushed = owner.push(release.parts().unwrap(), &release, &mut |_| {}).unwrap();
    assert_eq!(pushed.outcome, Outcome::Staged { role: "targets".into(), have: 1, need: 2 });
    assert!(load(&place, &trusted(&root)).unwrap().releases().is_empty(), "nobody sees it");
    // The second maker has no online keys: it stays staged, with both signatures.
    let second = keys(&[5]);
    let owner = Owner::open(&place, &trusted(&root), &second, now()).unwrap();
    let change = owner.staged().unwrap().unwrap();
    assert_eq!((change.added.len(), change.removed.len()), (1, 0));
    let signed = owner.sign_staged(&mut |_| {}).unwrap();
    assert!(matches!(signed, Outcome::Staged { ref role, .. } if role == "snapshot"), "{signed:?}");
    let online = keys(&[6, 7]);
    let owner = Owner::open(&place, &trusted(&root), &online, now()).unwrap();
    assert!(matches!(owner.sign_staged(&mut |_| {}).unwrap(), Outcome::Published { .. }));
    assert_eq!(load(&place, &trusted(&root)).unwrap().releases().len(), 1);
    let owner = Owner::open(&place, &trusted(&root), &online, now()).unwrap();
    assert!(matches!(owner.sign_staged(&mut |_| {}), Err(RepoError::NothingStaged { .. })));
}

#[test]
fn a_root_of_two_of_three_rotates_when_the_second_owner_signs() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let founders = keys(&[1, 2, 4, 5, 6, 7]);
    let owner = Owner::init(&place, &many(), &founders, now(), &mut |_| {}).unwrap();
    let root = owner.view().root_file().unwrap();
    let changed = crate::fixture::with(many(), |roles, role| {
        roles.root = role(&[1, 2, 13], 2);
        roles.timestamp = role(&[17], 1);
    });
    let one = keys(&[1]);
    let owner = Owner::open(&place, &trusted(&root), &one, now()).unwrap();
    assert_eq!(
        owner.rotate(&changed, &mut |_| {}).unwrap(),
        Outcome::Staged { role: "root".into(), have: 1, need: 2 }
    );
    let two = keys(&[2]);
    let owner = Owner::open(&place, &trusted(&root), &two, now()).unwrap();
    let waits = owner.sign_staged_root(&mut |_| {}).unwrap();
    assert!(matches!(waits, Outcome::Staged { ref role, .. } if role == "timestamp"), "{waits:?}");
    let online = keys(&[7, 17]);
    let owner = Owner::open(&place, &trusted(&root), &online, now()).unwrap();
    assert!(matches!(owner.sign_staged_root(&mut |_| {}).unwrap(), Outcome::Published { .. }));
    assert_eq!(load(&place, &trusted(&root)).unwrap().floor().root, 2);
}

#[test]
fn a_rotation_cut_at_any_upload_never_locks_readers_out() {
    for puts in 0.. {
        let tmp = TempDir::new().unwrap();
        let place = dir(tmp.path());
        let root = init(&place, now());
        push(&place, &root, &bundle(1));
        let faulty: Arc<dyn Transport> =
            Arc::new(Faulty { puts_left: AtomicI64::new(puts), ..Faulty::new(&place) });
        let held = keys(&[1, 4, 6, 7, 11, 14, 16, 17]);
        let all_new = crate::fixture::with(crate::fixture::roles(), |roles, role| {
            roles.root = role(&[11], 1);
            roles.targets = role(&[14], 1);
            roles.snapshot = role(&[16], 1);
            roles.timestamp = role(&[17], 1);
        });
        let owner = Owner::open(&faulty, &trusted(&root), &held, now()).unwrap();
        let rotated = owner.rotate(&all_new, &mut |_| {});
        assert_eq!(load(&place, &trusted(&root)).unwrap().releases().len(), 1, "cut at put {puts}");
        if rotated.is_ok() {
            assert!(puts >= 4, "targets, snapshot, timestamp, root");
            break;
        }
        let owner = Owner::open(&place, &trusted(&root), &held, now()).unwrap();
        owner.rotate(&all_new, &mut |_| {}).unwrap();
        assert_eq!(load(&place, &trusted(&root)).unwrap().floor().root, 2);
    }
}

#[test]
fn a_prune_keeps_what_live_releases_need_and_waits_for_readers() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let root = init(&place, now());
    push(&place, &root, &bundle(1));
    push(&place, &root, &bundle(2));
    // Release 3 has the pack of release 1.
    push(&place, &root, &bundle_of(3, "3.0", &image(1)));
    let keys = all_keys();
    let prune = |at: u64| {
        let owner = Owner::open(&place, &trusted(&root), &keys, at).unwrap();
        owner.prune(1, 3600, &mut |_| {}).unwrap()
    };
    let reader = load(&place, &trusted(&root)).unwrap();
    let first = prune(now());
    assert_eq!((first.removed.len(), first.deleted), (2, 0));
    assert!(first.waiting > 0);
    assert_eq!(load(&place, &trusted(&root)).unwrap().releases().len(), 1);
    // Who began before can finish.
    let old = reader.find("lab", Some("2.0")).unwrap();
    reader.open(old, tmp.path().to_owned()).unwrap();
    let packs = place.list("packs/").unwrap().len();
    assert_eq!(packs, 2);
    let second = prune(now() + 3601);
    assert!(second.deleted >= first.waiting, "{second:?}");
    assert_eq!(place.list("packs/").unwrap().len(), 1);
    let view = load(&place, &trusted(&root)).unwrap();
    let entry = view.find("lab", None).unwrap();
    assert_eq!(entry.serial, 3);
    view.open(entry, tmp.path().to_owned()).unwrap();
    assert_eq!(prune(now() + 7300).deleted, 0);
    assert!(files(&*place).contains_key("metadata/1.root.json"));
}

#[test]
fn a_repository_is_not_made_where_one_is() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    init(&place, now());
    let keys = all_keys();
    let again = Owner::init(&place, &crate::fixture::roles(), &keys, now(), &mut |_| {});
    assert!(matches!(again, Err(RepoError::Exists { .. })));
    // One that was cut before its timestamp can be made again.
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    for puts in 0..4 {
        let faulty: Arc<dyn Transport> =
            Arc::new(Faulty { puts_left: AtomicI64::new(puts), ..Faulty::new(&place) });
        assert!(Owner::init(&faulty, &crate::fixture::roles(), &keys, now(), &mut |_| {}).is_err());
    }
    let root = init(&place, now());
    assert!(load(&place, &trusted(&root)).is_ok());
}
