//! A host with two banks, in folders.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use lifeboat_model::{Bank, Sha256Hex};
use tempfile::TempDir;

use super::{Brought, KeepError, bring_up, carry};

struct Rig {
    dir: TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self { dir: tempfile::tempdir().unwrap() };
        for version in 1..=3 {
            let root = rig.root(version);
            fs::create_dir_all(root.join("etc/host")).unwrap();
            fs::create_dir_all(root.join("etc/lifeboat/migrations")).unwrap();
            fs::write(root.join("etc/host/motd"), format!("default {version}\n")).unwrap();
            let declared = format!(r#"{{"schema":1,"version":{version},"keep":["/etc/host"]}}"#);
            fs::write(root.join("etc/lifeboat/state.json"), declared).unwrap();
        }
        let steps =
            r#"{"schema":1,"steps":[{"rename":{"from":"etc/host/motd","to":"etc/host/sub/greeting"}}]}"#;
        for version in [2, 3] {
            fs::write(rig.root(version).join("etc/lifeboat/migrations/1-2.json"), steps).unwrap();
        }
        let program = rig.root(3).join("etc/lifeboat/migrations/2-3");
        fs::write(&program, "#!/bin/sh\necho three >> \"$1/etc/host/sub/greeting\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        rig
    }

    fn root(&self, version: u32) -> PathBuf {
        self.dir.path().join(format!("root{version}"))
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Boots release `version` in `bank`.
    fn boot(&self, bank: Bank, version: u32) -> Result<Brought, KeepError> {
        let root = self.root(version);
        let digest = digest(version);
        Ok(bring_up(&self.state(), &root.join("etc/lifeboat"), &root, bank, digest)?.unwrap())
    }

    /// A file of what is kept, as `bank` sees it in its last boot.
    fn kept(brought: &Brought, name: &str) -> String {
        fs::read_to_string(brought.binds[0].1.join(name)).unwrap_or_default()
    }

    fn snapshot(&self, bank: Bank) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap_or_default()));
                }
            }
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(self.state().join("saved")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap().to_string_lossy().starts_with(&format!("{bank}.")) {
                walk(&path, &mut found);
            }
        }
        found.sort();
        found
    }
}

fn digest(version: u32) -> Sha256Hex {
    Sha256Hex::of(&version.to_le_bytes())
}

#[test]
fn what_was_changed_on_the_old_bank_is_on_the_new_one_migrated_and_the_old_one_keeps_its_own() {
    let rig = Rig::new();
    let a = rig.boot(Bank::A, 1).unwrap();
    assert_eq!(Rig::kept(&a, "motd"), "default 1\n");
    let place = a.binds[0].1.clone();
    fs::write(place.join("motd"), "mine\n").unwrap();
    fs::create_dir(place.join("keys")).unwrap();
    fs::write(place.join("keys/id"), "secret").unwrap();
    fs::set_permissions(place.join("keys/id"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("../motd", place.join("keys/link")).unwrap();
    let before = rig.snapshot(Bank::A);

    assert!(carry(&rig.state(), Bank::A, None, digest(3)).unwrap().unwrap().contains("version 1"));
    let b = rig.boot(Bank::B, 3).unwrap();
    assert_eq!((b.version, Rig::kept(&b, "sub/greeting").as_str()), (3, "mine\nthree\n"));
    assert_eq!((Rig::kept(&b, "motd").as_str(), Rig::kept(&b, "keys/id").as_str()), ("", "secret"));
    let mode = fs::metadata(b.binds[0].1.join("keys/id")).unwrap().permissions().mode();
    assert_eq!(
        (mode & 0o777, fs::read_link(b.binds[0].1.join("keys/link")).unwrap()),
        (0o600, "../motd".into())
    );
    assert!(b.notes.iter().any(|note| note.contains("migrated from version 1 to 3")), "{:?}", b.notes);
    // A second boot changes nothing; what the new bank writes is its own.
    fs::write(b.binds[0].1.join("new"), "b").unwrap();
    let again = rig.boot(Bank::B, 3).unwrap();
    assert_eq!((Rig::kept(&again, "new").as_str(), again.notes.len()), ("b", 0));
    assert_eq!(rig.snapshot(Bank::A), before);
    let back = rig.boot(Bank::A, 1).unwrap();
    assert_eq!((Rig::kept(&back, "motd").as_str(), Rig::kept(&back, "new").as_str()), ("mine\n", ""));
}

#[test]
fn a_migration_that_fails_or_is_missing_leaves_no_state_and_the_old_one_as_it_was() {
    let rig = Rig::new();
    let a = rig.boot(Bank::A, 1).unwrap();
    fs::write(a.binds[0].1.join("motd"), "mine\n").unwrap();
    let before = rig.snapshot(Bank::A);
    carry(&rig.state(), Bank::A, None, digest(3)).unwrap();
    let folder = rig.root(3).join("etc/lifeboat/migrations");
    fs::write(folder.join("2-3"), "#!/bin/sh\necho no room; exit 1\n").unwrap();
    let error = lifeboat_model::chain(&rig.boot(Bank::B, 3).unwrap_err());
    assert!(error.contains("from version 2 to 3") && error.contains("no room"), "{error}");
    fs::remove_file(folder.join("2-3")).unwrap();
    assert!(matches!(rig.boot(Bank::B, 3), Err(KeepError::NoMigration { from: 2, to: 3 })));
    assert_eq!(rig.snapshot(Bank::A), before);
    assert!(super::place::live(&rig.state(), Bank::B).unwrap().is_none());
    // A link on the way of a step could lead out of the tree.
    let steps = r#"{"schema":1,"steps":[{"rename":{"from":"etc/host/motd","to":"etc/host/out/x"}}]}"#;
    fs::write(folder.join("1-2.json"), steps).unwrap();
    symlink("/", a.binds[0].1.join("out")).unwrap();
    carry(&rig.state(), Bank::A, None, digest(3)).unwrap();
    let error = lifeboat_model::chain(&rig.boot(Bank::B, 3).unwrap_err());
    assert!(error.contains("out is no folder"), "{error}");
}

#[test]
fn the_way_back_is_the_state_that_the_older_version_last_had() {
    let rig = Rig::new();
    let a = rig.boot(Bank::A, 1).unwrap();
    fs::write(a.binds[0].1.join("motd"), "of version 1\n").unwrap();
    carry(&rig.state(), Bank::A, None, digest(2)).unwrap();
    let b = rig.boot(Bank::B, 2).unwrap();
    fs::write(b.binds[0].1.join("sub/greeting"), "of version 2\n").unwrap();
    // An older release again, now beside the newer one: what it gets is never the newer state.
    let mut other = digest(1);
    other.0[0] ^= 1;
    carry(&rig.state(), Bank::B, None, other).unwrap();
    let root = rig.root(1);
    let back = bring_up(&rig.state(), &root.join("etc/lifeboat"), &root, Bank::A, other).unwrap().unwrap();
    assert_eq!((back.version, Rig::kept(&back, "motd").as_str()), (1, "of version 1\n"));
    assert!(back.notes.iter().any(|note| note.contains("newer than this release knows")), "{:?}", back.notes);
    // With nothing kept it begins with its defaults, and says so.
    fs::remove_dir_all(rig.state().join("saved/kept")).unwrap();
    other.0[0] ^= 2;
    carry(&rig.state(), Bank::B, None, other).unwrap();
    let none = bring_up(&rig.state(), &root.join("etc/lifeboat"), &root, Bank::A, other).unwrap().unwrap();
    assert_eq!(Rig::kept(&none, "motd"), "default 1\n");
    assert!(none.notes.iter().any(|note| note.contains("none that it knows was kept")), "{:?}", none.notes);
}

#[test]
fn a_release_installed_while_the_host_lay_still_takes_the_state_of_the_other_bank() {
    let rig = Rig::new();
    let a = rig.boot(Bank::A, 1).unwrap();
    fs::write(a.binds[0].1.join("motd"), "mine\n").unwrap();
    // An archive for another release lies there from an earlier install.
    carry(&rig.state(), Bank::A, None, digest(9)).unwrap();
    fs::write(a.binds[0].1.join("motd"), "newer\n").unwrap();
    let b = rig.boot(Bank::B, 2).unwrap();
    assert_eq!(Rig::kept(&b, "sub/greeting"), "newer\n");
}

#[test]
fn what_a_power_cut_left_half_made_is_never_taken() {
    let rig = Rig::new();
    let a = rig.boot(Bank::A, 1).unwrap();
    fs::write(a.binds[0].1.join("motd"), "mine\n").unwrap();
    let saved = rig.state().join("saved");
    carry(&rig.state(), Bank::A, None, digest(2)).unwrap();
    let archive = fs::read(saved.join("B.carried")).unwrap();
    // Cut while the archive was written: the one before it counts.
    for len in 0..archive.len() {
        fs::write(saved.join("B.new"), &archive[..len]).unwrap();
        if len % 40 == 0 {
            let b = rig.boot(Bank::B, 2).unwrap();
            assert_eq!(Rig::kept(&b, "sub/greeting"), "mine\n");
            fs::remove_dir_all(saved.join("B.1")).unwrap();
        }
    }
    // Cut while the state was made: a folder without its name is thrown away.
    fs::create_dir_all(saved.join("B.1.new/tree/etc/host")).unwrap();
    fs::write(saved.join("B.1.new/tree/etc/host/half"), "half").unwrap();
    let b = rig.boot(Bank::B, 2).unwrap();
    assert_eq!((Rig::kept(&b, "half").as_str(), Rig::kept(&b, "sub/greeting").as_str()), ("", "mine\n"));
    // Damage in the archive: a bank without a state is not given half of one; a bank with its own goes on.
    for at in (0..archive.len()).step_by(7) {
        let mut hurt = archive.clone();
        hurt[at] ^= 0x10;
        fs::write(saved.join("B.carried"), &hurt).unwrap();
        assert_eq!(Rig::kept(&rig.boot(Bank::B, 2).unwrap(), "sub/greeting"), "mine\n");
    }
    fs::remove_dir_all(saved.join("B.1")).unwrap();
    assert!(matches!(rig.boot(Bank::B, 2), Err(KeepError::State { .. })));
    assert!(super::place::live(&rig.state(), Bank::B).unwrap().is_none());
}

#[test]
fn a_release_that_declares_nothing_keeps_nothing() {
    let rig = Rig::new();
    fs::remove_file(rig.root(1).join("etc/lifeboat/state.json")).unwrap();
    let root = rig.root(1);
    let brought = bring_up(&rig.state(), &root.join("etc/lifeboat"), &root, Bank::A, digest(1)).unwrap();
    assert!(brought.is_none() && !rig.state().exists());
    assert!(carry(&rig.state(), Bank::A, None, digest(2)).unwrap().is_none());
}
