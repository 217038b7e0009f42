//! Storage as its users see it: tables, trees, JSON, names, refusals.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::Scratch;

const NAA: &str = "600508b1001c4d2e600508b1001c4d2e";

/// The files of a host: one disk behind a RAID controller, with one partition that is mounted.
fn host(root: &Path) {
    let dir = root.join("sys/devices/pci0000:00/0000:05:00.0/host0/target0:1:0/0:1:0:0");
    let disk = dir.join("block/sda");
    fs::create_dir_all(disk.join("sda1")).unwrap();
    for (name, text) in
        [("size", "209715200\n"), ("dev", "8:0\n"), ("sda1/size", "2048\n"), ("sda1/dev", "8:1\n")]
    {
        fs::write(disk.join(name), text).unwrap();
    }
    fs::write(disk.join("sda1/partition"), "1\n").unwrap();
    fs::write(dir.join("state"), "running\n").unwrap();
    let mut page = vec![0, 0x83, 0, 20, 1, 3, 0, 16];
    page.extend((0..16).map(|at| u8::from_str_radix(&NAA[at * 2..at * 2 + 2], 16).unwrap()));
    fs::write(dir.join("vpd_pg83"), page).unwrap();
    fs::create_dir_all(root.join("sys/block")).unwrap();
    let target = "../devices/pci0000:00/0000:05:00.0/host0/target0:1:0/0:1:0:0/block/sda";
    symlink(target, root.join("sys/block/sda")).unwrap();
    fs::create_dir_all(root.join("proc/self")).unwrap();
    fs::write(root.join("proc/self/mountinfo"), "36 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n").unwrap();
}

#[test]
fn a_host_is_told_as_table_tree_paths_and_json() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    host(&root);
    let root = root.to_str().unwrap();
    let run = |more: &[&str]| scratch.run(&[&["storage", "topology", "--root", root], more].concat());
    let table = run(&[]);
    table.done();
    let row = table.out.lines().nth(1).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    let identity = format!("naa.{NAA}");
    assert_eq!(words, ["host0", "target0:1:0", "0", "100.0", "GiB", &identity, "1/1", "sda", "/srv"]);
    let tree = run(&["--tree"]);
    assert!(tree.done().out.contains("└─ sda1  1.0 MiB  ext4  /srv"), "{}", tree.out);
    assert!(run(&["--paths"]).done().out.contains("0:1:0:0"));
    let json = run(&["-o", "json"]).done().json();
    assert_eq!(json["schema"], "lifeboat.storage-topology/1");
    assert_eq!(json["luns"][0]["identity"], format!("naa.{NAA}"));
    assert_eq!(json["luns"][0]["bytes"], 100_u64 << 30);
    assert_eq!(run(&["--lun", "/dev/sda1", "-o", "name"]).done().out, format!("naa.{NAA}\n"));
    run(&["--lun", "sdz"]).refused(6, &["sdz"]);
    run(&["--tree", "--paths"]).code.eq(&2).then_some(()).unwrap();
}

#[test]
fn i_14_a_name_of_another_driver_finds_the_partition() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    host(&root);
    let run = |name: &str, more: &[&str]| {
        scratch.run(&[&["storage", "resolve", name, "--root", root.to_str().unwrap()], more].concat())
    };
    let old = format!("/dev/disk/by-id/cciss-3{NAA}p1");
    assert_eq!(run(&old, &["-o", "name"]).done().out, "/dev/sda1\n");
    let json = run(&old, &["-o", "json"]).done().json();
    assert_eq!(json["schema"], "lifeboat.storage-names/1");
    assert_eq!((&json["device"]["how"], &json["durable"]), (&"identity".into(), &true.into()));
    let aliases = json["aliases"].as_array().unwrap();
    assert!(aliases.iter().any(|one| one["name"] == format!("/dev/disk/by-id/scsi-3{NAA}-part1")));
    run(&format!("scsi-3{NAA}-part2"), &[]).refused(6, &["no partition 2", "it has 1"]);
    run("/etc/../dev/sda", &[]).refused(2, &["upwards"]);
}

#[test]
fn a_saved_output_is_read_and_another_file_is_refused_with_what_is_known() {
    let scratch = Scratch::new();
    let file = scratch.path("mpath.txt");
    let text = format!(
        "mpatha (3{NAA}) dm-0 HP,LOGICAL VOLUME\nsize=100G features='0' hwhandler='0' wp=rw\n\
         `-+- policy='round-robin 0' prio=1 status=active\n  |- 0:1:0:0 sda 8:0 active ready running\n  \
         `- 1:1:0:0 sdb 8:16 failed faulty running\n"
    );
    fs::write(&file, text).unwrap();
    let answer = scratch.run(&["storage", "topology", "--from", file.to_str().unwrap()]);
    assert!(answer.done().out.contains("storage-path-down"), "{}", answer.out);
    assert!(answer.out.contains("1/2"), "{}", answer.out);
    fs::write(&file, "nothing of the kind\n").unwrap();
    scratch.run(&["storage", "topology", "--from", file.to_str().unwrap()]).refused(1, &["multipath -ll"]);
    scratch.run(&["storage", "topology", "--from", "gone.txt"]).refused(6, &["gone.txt"]);
}
