//! What a reader remembers survives cuts, and damage to it is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_repo::{Floor, RepoError, TrustedRoot, load};
use tempfile::TempDir;

use crate::fixture::{Faulty, Lie, bundle, dir, files, init, now, push};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn a_state_torn_in_any_file_is_refused_and_never_taken_for_none() {
    let tmp = TempDir::new().unwrap();
    let place = dir(&tmp.path().join("repo"));
    let root = init(&place, now());
    let good = tmp.path().join("good");
    for serial in 1..=2 {
        push(&place, &root, &bundle(serial));
        load(&place, &TrustedRoot::new(root.clone(), Some(good.clone()))).unwrap();
    }
    let mut tried = 0;
    for file in walk(&good) {
        let name = file.strip_prefix(&good).unwrap().to_owned();
        if name == Path::new("lock") {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        let mut damages: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(vec![0; bytes.len()])];
        damages.extend(
            (1..bytes.len()).step_by(bytes.len() / 5 + 1).map(|len| bytes.get(..len).map(<[u8]>::to_vec)),
        );
        for damage in damages {
            let torn = TempDir::new().unwrap();
            copy(&good, torn.path());
            match damage {
                Some(bytes) => fs::write(torn.path().join(&name), bytes).unwrap(),
                None => fs::remove_file(torn.path().join(&name)).unwrap(),
            }
            let trusted = TrustedRoot::new(root.clone(), Some(torn.path().to_owned()));
            let error = load(&place, &trusted).unwrap_err();
            assert!(matches!(error, RepoError::Damaged { .. }), "{}: {error:?}", name.display());
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn what_a_cut_commit_leaves_is_the_old_state_or_the_new_one() {
    let tmp = TempDir::new().unwrap();
    let place = dir(&tmp.path().join("repo"));
    let root = init(&place, now());
    let state = tmp.path().join("state");
    let trusted = TrustedRoot::new(root.clone(), Some(state.clone()));
    push(&place, &root, &bundle(1));
    load(&place, &trusted).unwrap();
    let before = tmp.path().join("before");
    copy(&state, &before);
    let old = files(&*place).remove("metadata/timestamp.json").unwrap();
    push(&place, &root, &bundle(2));
    load(&place, &trusted).unwrap();
    let new_generation = walk(&state).into_iter().filter(|path| path.parent() != Some(state.as_path()));
    let lying = Faulty::new(&place).lie("metadata/timestamp.json", Lie::Bytes(old)).shared();
    // Cut before state.json was replaced: any part of the new generation lies beside the old state, also torn.
    for file in new_generation {
        for torn in [false, true] {
            let cut = TempDir::new().unwrap();
            copy(&before, cut.path());
            let to = cut.path().join(file.strip_prefix(&state).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let bytes = fs::read(&file).unwrap();
            fs::write(&to, if torn { bytes.get(..bytes.len() / 2).unwrap() } else { &bytes }).unwrap();
            fs::create_dir_all(cut.path().join("work")).unwrap();
            fs::write(cut.path().join("work/timestamp.json"), "torn").unwrap();
            let trusted = TrustedRoot::new(root.clone(), Some(cut.path().to_owned()));
            assert_eq!(load(&place, &trusted).unwrap().releases().len(), 2);
            assert!(matches!(load(&lying, &trusted).unwrap_err(), RepoError::RolledBack { .. }));
        }
    }
    // Cut after it, before the old generation was removed.
    let cut = TempDir::new().unwrap();
    copy(&before, cut.path());
    copy(&state, cut.path());
    let trusted = TrustedRoot::new(root, Some(cut.path().to_owned()));
    assert!(matches!(load(&lying, &trusted).unwrap_err(), RepoError::RolledBack { .. }));
    assert!(load(&place, &trusted).is_ok());
}

#[test]
fn a_state_is_used_by_one_process_at_a_time_and_for_one_repository() {
    let tmp = TempDir::new().unwrap();
    let place = dir(&tmp.path().join("repo"));
    let root = init(&place, now());
    let state = tmp.path().join("state");
    let trusted = TrustedRoot::new(root, Some(state.clone()));
    load(&place, &trusted).unwrap();
    let other = dir(&tmp.path().join("other"));
    // The same keys, another moment: another root.
    let other_root = init(&other, now() - 86400);
    let mixed = TrustedRoot::new(other_root, Some(state.clone()));
    assert!(matches!(load(&other, &mixed).unwrap_err(), RepoError::OtherRepository { .. }));
    let lock = fs::File::open(state.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(load(&place, &trusted).unwrap_err(), RepoError::Locked { .. }));
    drop(lock);
    assert!(load(&place, &trusted).unwrap().floor() > Floor::default());
}
