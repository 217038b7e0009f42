//! The state of a host as a file: kept, compared, refused, restored, taken back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Answer, Scratch};

const PLACE: [&str; 4] = ["--root", "root", "--machine", "machine"];

fn host(scratch: &Scratch) {
    scratch
        .write("root/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\n");
    scratch.write("root/etc/hostname", "kvm-1\n");
    scratch.write("root/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    scratch.write("root/etc/motd", "welcome\n");
    scratch.write("root/etc/shadow", "root:secret:1::::::\n");
    fs::set_permissions(scratch.path("root/etc/shadow"), fs::Permissions::from_mode(0o600)).unwrap();
    scratch.write("root/etc/network/interfaces", "auto lo\n");
    fs::create_dir_all(scratch.path("machine/sys/block")).unwrap();
    scratch.write("machine/sys/class/dmi/id/product_uuid", "4c4c4544-0042-3510-8048-b4c04f473432\n");
}

fn run(scratch: &Scratch, words: &[&str]) -> Answer {
    scratch.run(&[&["host"], words, &PLACE].concat())
}

fn backed_up() -> Scratch {
    let scratch = Scratch::new();
    host(&scratch);
    let made = run(&scratch, &["backup", "--out", "b.lfhs", "-o", "json"]).done().json();
    let text = made.to_string();
    assert!(
        text.contains("\"schema\":\"lifeboat.host-backup/1\"") && text.contains("\"version\":\"12\""),
        "{text}"
    );
    scratch
}

#[test]
fn a_host_is_backed_up_compared_restored_and_the_restore_is_taken_back() {
    let scratch = backed_up();
    let shown = scratch.run(&["host", "show-backup", "b.lfhs", "--paths"]);
    assert!(shown.done().out.contains("state of kvm-1, debian 12"), "{shown:?}");
    assert!(shown.out.contains("etc/network/interfaces") && shown.out.contains("not in it:"), "{shown:?}");
    let same = run(&scratch, &["diff", "b.lfhs"]);
    assert!(same.done().out.contains("no difference"), "{same:?}");

    scratch.write("root/etc/motd", "changed\n");
    scratch.write("root/etc/shadow", "root:other:1::::::\n");
    scratch.write("root/etc/mine", "only here\n");
    fs::remove_file(scratch.path("root/etc/network/interfaces")).unwrap();
    let diff = run(&scratch, &["diff", "b.lfhs"]);
    assert!(diff.done().out.contains("-welcome") && diff.out.contains("+changed"), "{diff:?}");
    assert!(!diff.out.contains("secret"), "{diff:?}");
    let names = run(&scratch, &["diff", "b.lfhs", "-o", "name"]);
    assert_eq!(names.done().out, "etc/mine\netc/motd\netc/network/interfaces\netc/shadow\n");

    let dry = run(&scratch, &["restore", "b.lfhs", "--dry-run", "-o", "json"]).done().json();
    assert_eq!(dry["decisions"].as_array().unwrap().len(), 4, "{dry}");
    assert!(!scratch.path("root/var").exists() && scratch.read("root/etc/motd") == b"changed\n");
    run(&scratch, &["restore", "b.lfhs"]).refused(2, &["this needs a yes", "write 3 paths of kvm-1"]);

    let done = run(&scratch, &["restore", "b.lfhs", "--yes"]);
    assert!(done.done().out.contains("only on the host") && done.out.contains("--undo"), "{done:?}");
    assert_eq!(scratch.read("root/etc/motd"), b"welcome\n");
    assert_eq!(scratch.read("root/etc/mine"), b"only here\n");
    run(&scratch, &["restore", "--resume", "--yes"]).refused(6, &["no restore"]);
    let undone = run(&scratch, &["restore", "--undo", "--yes"]);
    assert!(undone.done().out.contains("the state before the restore is there again"), "{undone:?}");
    assert_eq!(scratch.read("root/etc/motd"), b"changed\n");
    assert!(!scratch.path("root/etc/network/interfaces").exists());
    run(&scratch, &["restore", "--undo", "--yes"]).refused(6, &["no restore"]);
}

#[test]
fn another_version_and_another_host_end_with_blockers_and_both_names() {
    let scratch = backed_up();
    scratch.write("root/etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n");
    let refused = run(&scratch, &["restore", "b.lfhs", "--yes"]);
    refused.refused(3, &["other-version", "--accept-version 12"]);
    assert!(refused.out.contains("made by debian 12, and the target runs debian 13"), "{refused:?}");
    let json = run(&scratch, &["restore", "b.lfhs", "--yes", "-o", "json"]);
    assert_eq!((json.code, json.json()["blockers"][0]["code"].as_str()), (3, Some("other-version")));
    let accepted = run(
        &scratch,
        &["restore", "b.lfhs", "--yes", "--accept-version", "12", "--only", "network,identity"],
    );
    assert!(accepted.done().out.contains("already"), "{accepted:?}");
    let wrong = run(&scratch, &["restore", "b.lfhs", "--only", "disks"]);
    assert!(wrong.code == 2 && wrong.err.contains("there are: identity"), "{wrong:?}");

    scratch.write("root/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    scratch.write("machine/sys/class/dmi/id/product_uuid", "11112222-3333-4444-5555-666677778888\n");
    run(&scratch, &["restore", "b.lfhs", "--yes"]).refused(3, &["other-host", "--as-other-host"]);
}

#[test]
fn a_damaged_backup_ends_with_the_code_of_a_failed_verification() {
    let scratch = backed_up();
    let mut bytes = scratch.read("b.lfhs");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    scratch.write("b.lfhs", &bytes);
    run(&scratch, &["restore", "b.lfhs", "--yes"]).refused(10, &["damaged", "digest"]);
    scratch.write("b.lfhs", "something else");
    run(&scratch, &["diff", "b.lfhs"]).refused(6, &["not a backup"]);
    run(&scratch, &["diff", "nothing.lfhs"]).refused(6, &["nothing.lfhs"]);
}
