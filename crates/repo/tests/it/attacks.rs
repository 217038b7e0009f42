//! What a server that lies, or who took it over, cannot do to a reader.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use lifeboat_repo::{Owner, RepoError, Transport, TrustedRoot, View, load};
use tempfile::TempDir;

use crate::fixture::{
    Faulty, Lie, all_keys, bundle, dir, files, init, key, keys, makers, noise, now, push, roles, with,
};

const TIMESTAMP: &str = "metadata/timestamp.json";

/// A repository with release 1; then the files as they were, and release 2.
struct Two {
    _dir: TempDir,
    place: Arc<dyn Transport>,
    root: Vec<u8>,
    old: std::collections::BTreeMap<String, Vec<u8>>,
    state: std::path::PathBuf,
}

impl Two {
    fn new() -> Self {
        let tmp = TempDir::new().unwrap();
        let place = dir(&tmp.path().join("repo"));
        let root = init(&place, now());
        push(&place, &root, &bundle(1));
        let old = files(&*place);
        push(&place, &root, &bundle(2));
        let state = tmp.path().join("state");
        Self { _dir: tmp, place, root, old, state }
    }

    fn trusted(&self) -> TrustedRoot {
        TrustedRoot::new(self.root.clone(), Some(self.state.clone()))
    }

    fn visit(&self, place: &Arc<dyn Transport>) -> Result<View, RepoError> {
        load(place, &self.trusted())
    }

    fn lying(&self, lies: &[(&str, Lie)]) -> Arc<dyn Transport> {
        lies.iter().fold(Faulty::new(&self.place), |place, (key, lie)| place.lie(key, lie.clone())).shared()
    }

    fn was(&self, key: &str) -> Lie {
        Lie::Bytes(self.old.get(key).unwrap().clone())
    }
}

#[test]
fn an_old_timestamp_is_refused_by_a_reader_who_saw_a_newer_one() {
    let two = Two::new();
    let view = two.visit(&two.place).unwrap();
    assert_eq!(view.releases().len(), 2);
    let old = two.lying(&[(TIMESTAMP, two.was(TIMESTAMP))]);
    let error = two.visit(&old).unwrap_err();
    assert!(matches!(error, RepoError::RolledBack { .. }), "{error:?}");
    // The refusal changed nothing: the true one is still read.
    assert_eq!(two.visit(&two.place).unwrap().releases().len(), 2);
}

#[test]
fn an_old_snapshot_under_a_new_timestamp_is_refused() {
    let two = Two::new();
    let newest = two.place.list("metadata/").unwrap();
    let newest = newest.iter().rfind(|key| key.as_str().ends_with(".snapshot.json")).unwrap().to_string();
    let older = two.old.keys().rfind(|key| key.ends_with(".snapshot.json")).unwrap().clone();
    assert_ne!(newest, older);
    let mixed = two.lying(&[(&newest, two.was(&older))]);
    assert!(matches!(two.visit(&mixed).unwrap_err(), RepoError::Metadata { .. }));
}

#[test]
fn targets_of_another_version_do_not_fit_the_snapshot() {
    let two = Two::new();
    let mixed = two.lying(&[("metadata/3.targets.json", two.was("metadata/2.targets.json"))]);
    assert!(matches!(two.visit(&mixed).unwrap_err(), RepoError::Metadata { .. }));
}

#[test]
fn expired_metadata_is_refused_and_its_owner_can_renew_it() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    // A timestamp is good for two weeks.
    let root = init(&place, now() - 20 * 86400);
    let trusted = TrustedRoot::new(root, None);
    let error = load(&place, &trusted).unwrap_err();
    assert!(matches!(&error, RepoError::Expired { role, .. } if role == "timestamp"), "{error:?}");
    let online = keys(&[7]);
    Owner::open(&place, &trusted, &online, now()).unwrap().refresh(&mut |_| {}).unwrap();
    assert!(load(&place, &trusted).is_ok());
}

#[test]
fn a_root_that_only_its_forger_signed_is_refused() {
    let two = Two::new();
    // The forger's own repository has a root 2 by keys 21 to 24.
    let tmp = TempDir::new().unwrap();
    let other = dir(tmp.path());
    let foreign = with(roles(), |roles, role| {
        roles.root = role(&[21], 1);
        roles.targets = role(&[22], 1);
    });
    let forged = keys(&[21, 22, 6, 7]);
    let owner = Owner::init(&other, &foreign, &forged, now(), &mut |_| {}).unwrap();
    let trusted = TrustedRoot::new(owner.view().root_file().unwrap(), None);
    Owner::open(&other, &trusted, &forged, now()).unwrap().rotate(&foreign, &mut |_| {}).unwrap();
    let forged = files(&*other).get("metadata/2.root.json").unwrap().clone();
    let error = two.visit(&two.lying(&[("metadata/2.root.json", Lie::Bytes(forged))])).unwrap_err();
    assert!(matches!(&error, RepoError::NotSigned { role, .. } if role == "root"), "{error:?}");
}

#[test]
fn a_root_signed_by_too_few_of_its_keys_is_refused() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    let enough = keys(&[1, 2, 4, 5, 6, 7]);
    let owner = Owner::init(&place, &crate::fixture::many(), &enough, now(), &mut |_| {}).unwrap();
    let trusted = TrustedRoot::new(owner.view().root_file().unwrap(), None);
    // One of two signatures: it is only staged. Who puts it into place by hand convinces nobody.
    let one = keys(&[3]);
    let owner = Owner::open(&place, &trusted, &one, now()).unwrap();
    owner.rotate(&crate::fixture::many(), &mut |_| {}).unwrap();
    let staged = files(&*place).get("staging/root.json").unwrap().clone();
    let lying = Faulty::new(&place).lie("metadata/2.root.json", Lie::Bytes(staged)).shared();
    assert!(matches!(load(&lying, &trusted).unwrap_err(), RepoError::NotSigned { .. }));
    assert!(load(&place, &trusted).is_ok());
}

#[test]
fn metadata_that_its_key_did_not_sign_is_refused_in_every_role() {
    let two = Two::new();
    for (name, bytes) in files(&*two.place) {
        if !name.starts_with("metadata/") || name.contains("root") || name.starts_with("metadata/1.") {
            continue;
        }
        // A later date, the old signature.
        let text = String::from_utf8(bytes).unwrap();
        let year = jiff::Timestamp::now().strftime("\"expires\":\"%Y").to_string();
        let next = "\"expires\":\"2199";
        let altered = if text.contains(&year) {
            text.replace(&year, next)
        } else {
            text.replace("\"expires\":\"20", "\"expires\":\"21")
        };
        assert_ne!(altered, text);
        let view = two.visit(&two.lying(&[(&name, Lie::Bytes(altered.into_bytes()))]));
        let current = ["metadata/timestamp.json", "metadata/4.snapshot.json", "metadata/3.targets.json"];
        assert_eq!(view.is_err(), current.contains(&name.as_str()), "{name}: {view:?}");
    }
}

#[test]
fn huge_metadata_is_refused_without_reading_it_whole() {
    let two = Two::new();
    let huge = vec![b' '; 20 << 20];
    for name in ["metadata/2.root.json", TIMESTAMP, "metadata/4.snapshot.json", "metadata/3.targets.json"] {
        let error = two.visit(&two.lying(&[(name, Lie::Bytes(huge.clone()))])).unwrap_err();
        assert!(matches!(error, RepoError::Metadata { .. }), "{name}: {error:?}");
    }
}

#[test]
fn metadata_cut_at_any_place_is_refused() {
    let two = Two::new();
    let all = files(&*two.place);
    for name in [TIMESTAMP, "metadata/4.snapshot.json", "metadata/3.targets.json"] {
        let bytes = all.get(name).unwrap();
        for len in (0..bytes.len()).step_by(37) {
            let cut = Lie::Bytes(bytes.get(..len).unwrap().to_vec());
            assert!(load(&two.lying(&[(name, cut)]), &TrustedRoot::new(two.root.clone(), None)).is_err());
        }
    }
}

#[test]
fn a_newer_root_cannot_be_hidden_by_breaking_its_connection() {
    let two = Two::new();
    let error = two.visit(&two.lying(&[("metadata/2.root.json", Lie::Fails)])).unwrap_err();
    assert!(matches!(error, RepoError::Metadata { .. }), "{error:?}");
}

#[test]
fn a_reader_with_the_first_root_follows_every_rotation() {
    let two = Two::new();
    two.visit(&two.place).unwrap();
    let trusted = TrustedRoot::new(two.root.clone(), None);
    // Other timestamp key, other targets key, other root key: one after the other.
    let steps: [(&[u8], &[u8], &[u8]); 3] =
        [(&[1], &[4], &[17]), (&[1], &[14], &[17]), (&[11], &[14], &[17])];
    let mut held: Vec<u8> = vec![1, 4, 6, 7];
    for (root, targets, timestamp) in steps {
        let roles = with(roles(), |roles, role| {
            roles.root = role(root, 1);
            roles.targets = role(targets, 1);
            roles.timestamp = role(timestamp, 1);
        });
        held.extend([root, targets, timestamp].concat());
        let keys = keys(&held);
        let owner = Owner::open(&two.place, &trusted, &keys, now()).unwrap();
        owner.rotate(&roles, &mut |_| {}).unwrap();
        assert_eq!(two.visit(&two.place).unwrap().releases().len(), 2);
        assert_eq!(load(&two.place, &trusted).unwrap().releases().len(), 2);
    }
    assert_eq!(two.visit(&two.place).unwrap().floor().root, 4);
    // The old keys count no more.
    let old = all_keys();
    let owner = Owner::open(&two.place, &trusted, &old, now()).unwrap();
    assert!(matches!(owner.refresh(&mut |_| {}), Err(RepoError::MoreSignatures { .. })));
}

#[test]
fn after_a_rotation_old_metadata_is_refused_by_a_reader_who_still_gives_the_first_root() {
    let two = Two::new();
    let held = keys(&[1, 4, 6, 7, 17]);
    let rotated = with(roles(), |roles, role| roles.timestamp = role(&[17], 1));
    let trusted = TrustedRoot::new(two.root.clone(), None);
    Owner::open(&two.place, &trusted, &held, now()).unwrap().rotate(&rotated, &mut |_| {}).unwrap();
    two.visit(&two.place).unwrap();
    let old = files(&*two.place).remove(TIMESTAMP).unwrap();
    Owner::open(&two.place, &trusted, &held, now()).unwrap().refresh(&mut |_| {}).unwrap();
    two.visit(&two.place).unwrap();
    // The same key signed both: only the memory of versions protects.
    let error = two.visit(&two.lying(&[(TIMESTAMP, Lie::Bytes(old))])).unwrap_err();
    assert!(matches!(error, RepoError::RolledBack { .. }), "{error:?}");
    // An older root is no way around it.
    let error = two.visit(&two.lying(&[("metadata/2.root.json", Lie::Missing)]));
    assert_eq!(error.unwrap().floor().root, 2, "the newer root is remembered");
}

#[test]
fn a_floor_kept_elsewhere_holds_without_a_state() {
    let two = Two::new();
    let floor = two.visit(&two.place).unwrap().floor();
    let trusted = TrustedRoot { floor: Some(floor), ..TrustedRoot::new(two.root.clone(), None) };
    assert!(load(&two.place, &trusted).is_ok());
    let old = two.lying(&[(TIMESTAMP, two.was(TIMESTAMP))]);
    assert!(matches!(load(&old, &trusted).unwrap_err(), RepoError::RolledBack { .. }));
}

#[test]
fn files_of_a_release_that_were_altered_are_refused() {
    let two = Two::new();
    let view = two.visit(&two.place).unwrap();
    let entry = view.find("lab", None).unwrap();
    assert_eq!(entry.serial, 2);
    for prefix in ["releases/", "indexes/"] {
        for key in two.place.list(prefix).unwrap() {
            let other = two.place.get(&key, 1 << 24).unwrap();
            for lie in [noise(5, other.len()), noise(5, other.len() + 1), Vec::new()] {
                let place = two.lying(&[(key.as_str(), Lie::Bytes(lie))]);
                let view = two.visit(&place).unwrap();
                let opened = view.open(entry.clone(), Path::new("/nowhere").to_owned());
                let needed = key.as_str().contains("lab.2.") || prefix == "indexes/";
                if let Ok(opened) = opened {
                    // Only what belongs to the other release may go unnoticed.
                    assert!(!key.as_str().contains("lab.2."), "{key} {needed}");
                    opened.release(&makers(), &lifeboat_bundle::Rules::at(now())).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_key_without_a_role_signs_nothing() {
    let two = Two::new();
    let stranger = vec![key(99)];
    let owner = Owner::open(&two.place, &two.trusted(), &stranger, now()).unwrap();
    match owner.refresh(&mut |_| {}) {
        Err(RepoError::MoreSignatures { have: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
}
