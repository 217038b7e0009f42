//! A snapshot of a root on btrfs, on a real file system in a loop device.

use std::fs;
use std::path::Path;
use std::process::Command;

use lifeboat_packages::{Ending, SnapshotKind};

use crate::common::{content, copy_root, guard, has, plan, run};
use crate::debs;

#[test]
fn a_root_on_btrfs_is_kept_as_a_read_only_snapshot_before_the_first_step() {
    if !has(debs::PEERS) || !has(&["mkfs.btrfs", "btrfs", "mount", "unshare"]) {
        return;
    }
    let case = debs::case("", "");
    let image = case.scratch.path().join("image");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    run(Command::new("mkfs.btrfs").arg("-q").arg(&image));
    let mount = case.scratch.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let script = format!(
        "mount -o loop {} {} && exec {} --exact btrfs::child_updates_on_btrfs --include-ignored --nocapture",
        image.display(),
        mount.display(),
        std::env::current_exe().unwrap().display()
    );
    let mut child = Command::new("unshare");
    child.args(["--mount", "sh", "-c", &script]).env("LIFEBOAT_CASE", case.scratch.path());
    let text = run(&mut child);
    assert!(text.contains("before 1, now 2"), "{text}");
}

#[test]
#[ignore = "started by the test above"]
fn child_updates_on_btrfs() {
    let scratch = std::env::var_os("LIFEBOAT_CASE").unwrap();
    let scratch = Path::new(&scratch);
    let root = scratch.join("mount/root");
    run(Command::new("btrfs").args(["subvolume", "create"]).arg(&root));
    copy_root(&scratch.join("root/."), &root);
    let plan = plan(&root, &scratch.join("new"));
    assert_eq!(plan.snapshot.as_ref().unwrap().kind, SnapshotKind::Btrfs);
    let outcome = guard(&root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    let kept = root.join(plan.snapshot.unwrap().place.trim_start_matches('/'));
    println!("before {}, now {}", content(&kept, "beta"), content(&root, "beta"));
    assert!(fs::write(kept.join("etc/x"), "").is_err(), "the snapshot can be written");
}
