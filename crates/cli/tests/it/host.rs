//! From a bare disk to a host that boots, in one command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::lab::{
    AgentEvent, Fault, LabError, LabParts, LabRelease, Listener, Machine, build_lab_release,
};
use lifeboat_model::{Bank, BankState};

use crate::common::Scratch;

const AGENT: &str = r#"{"schema":1,"host":"somebody","controller":"10.0.2.2:1","token":"secret"}"#;

/// Whether mke2fs is here; the command cannot do without.
fn has_mke2fs() -> bool {
    let there = ["/usr/sbin/mke2fs", "/sbin/mke2fs"].iter().any(|path| Path::new(path).exists());
    if !there {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "mke2fs is required");
        println!("skipped: mke2fs is not installed");
    }
    there
}

fn words<'a>(disk: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["host", "install", disk, "--release", "r1.lfb", "--trust", "k.pub"], more].concat()
}

#[test]
fn a_bare_disk_gets_both_banks_state_and_boot_entries_in_one_command() {
    if !has_mke2fs() {
        return;
    }
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    scratch.write("agent.json", AGENT);
    scratch.write("vars.json", "{}");
    let with = ["--size", "64M", "--agent-config", "agent.json", "--name", "host-1", "--vars", "vars.json"];
    let dry = scratch.run(&[words("disk.img", &with), vec!["--dry-run"]].concat());
    dry.done();
    assert!(dry.err.contains("would install box 1.0"), "{dry:?}");
    assert!(!scratch.path("disk.img").exists() && scratch.read("vars.json") == b"{}");
    let done = scratch.run(&[words("disk.img", &with), vec!["-o", "json"]].concat());
    let json = done.done().json();
    let data = json.to_string();
    assert!(data.contains("\"host\":\"host-1\"") && data.contains("lifeboat.verity=sha256:"), "{data}");

    let shown = scratch.run(&["bank", "show", "disk.img", "--vars", "vars.json", "-o", "json"]).done().json();
    let text = shown.to_string();
    assert!(text.contains("\"state\":\"good\"") && text.contains("\"state\":\"upgraded\""), "{text}");
    assert!(text.contains("rebuilt from bank A"), "{text}");
    assert!(text.contains("\"data_blocks\":367"), "bank show knows the hash tree: {text}");
    assert!(!text.contains("boot-entry-missing") && !text.contains("boot-order"), "{text}");

    // The state volume is what e2fsprogs calls clean, and holds the agent's configuration with the name given.
    let disk = lifeboat_device::BlockFile::open_read(&scratch.path("disk.img")).unwrap();
    let state = lifeboat_bank::layout::read_layout(&disk).unwrap().state;
    let bytes = scratch.read("disk.img");
    let (from, len) = (usize::try_from(state.offset()).unwrap(), usize::try_from(state.bytes()).unwrap());
    scratch.write("state.img", &bytes[from..from + len]);
    let image = scratch.path("state.img");
    let checked = Command::new("/usr/sbin/e2fsck").args(["-f", "-n"]).arg(&image).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let cat = Command::new("/usr/sbin/debugfs").args(["-R", "cat agent.json"]).arg(&image).output().unwrap();
    assert!(String::from_utf8_lossy(&cat.stdout).contains(r#""host":"host-1""#), "{cat:?}");
}

#[test]
fn what_can_be_refused_is_refused_before_anything_is_written() {
    if !has_mke2fs() {
        return;
    }
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.key("other");
    scratch.release(1);
    scratch.write("agent.json", AGENT);
    let run = |more: &[&str]| scratch.run(&words("disk.img", more));
    run(&[]).refused(6, &["there is no disk.img"]);
    run(&["--size", "64M", "--name", "x"]).refused(2, &["--name"]);
    scratch.write("bad.json", r#"{"schema":1,"host":"x"}"#);
    run(&["--size", "64M", "--agent-config", "bad.json"]).refused(1, &["controller"]);
    run(&["--size", "16M"]).refused(2, &["too small"]);
    run(&["--size", "64M", "--root-size", "1M"]).refused(3, &["root volumes"]);
    run(&["--size", "64M", "--vars", "none.json"]).refused(6, &["none.json"]);
    let key = ["host", "install", "disk.img", "--release", "r1.lfb", "--trust", "other.pub", "--size", "64M"];
    scratch.run(&key).refused(10, &["trusted"]);
    assert!(!scratch.path("disk.img").exists());
    // Foreign content is named, and stays without --force and a yes.
    let mut foreign = vec![0_u8; 64 << 20];
    foreign[1080..1082].copy_from_slice(&[0x53, 0xef]);
    scratch.write("disk.img", &foreign);
    run(&[]).refused(7, &["ext2, ext3 or ext4", "--force"]);
    run(&["--force"]).refused(2, &["needs a yes"]);
    assert!(scratch.read("disk.img") == foreign);
    run(&["--force", "--yes"]).done();
    run(&[]).refused(7, &["banks of a Lifeboat disk"]);
}

/// Why there can be no machine here; `None` if there can.
fn missing() -> Option<String> {
    let needed = [
        "/usr/bin/qemu-system-x86_64",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "/usr/bin/mkfs.erofs",
        "/usr/bin/busybox",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/x86_64-unknown-linux-gnu/agent/lifeboat-agent"),
    ];
    let absent = needed.into_iter().find(|path| !Path::new(path).exists())?;
    Some(format!("{absent} is missing; ./test installs and builds what the machine needs"))
}

struct Off<'a>(&'a Machine);

impl Drop for Off<'_> {
    fn drop(&mut self) {
        drop(self.0.cut_power());
    }
}

/// Waits until the agent says something that fits.
fn wait_for(
    listener: &Listener,
    machine: &Machine,
    what: &str,
    fits: impl Fn(&lifeboat_model::agent::AgentStatus) -> bool,
) -> Box<lifeboat_model::agent::AgentStatus> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(600) {
        if let Some(AgentEvent::Status(status)) = listener.next(Duration::from_secs(1))
            && fits(&status)
        {
            return status;
        }
    }
    let console = std::fs::read(machine.console()).unwrap_or_default();
    panic!("{what}: {}", String::from_utf8_lossy(&console));
}

#[test]
fn a_machine_boots_from_the_disk_and_from_its_copy_when_bank_a_is_lost() {
    if let Some(reason) = missing() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let scratch = Scratch::new();
    scratch.key("k");
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let agent = target.join("x86_64-unknown-linux-gnu/agent/lifeboat-agent");
    let parts = match LabParts::find(&target.join("tmp/lab-kernel"), &agent) {
        Ok(parts) => parts,
        Err(error @ LabError::NoKernel { .. }) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{error}");
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let release = LabRelease { version: "1".to_owned(), serial: 1, fault: Fault::None };
    build_lab_release(&release, &parts, &scratch.read("k.pub"), &scratch.path("r1")).unwrap();
    let build = [
        "release",
        "build",
        "r1",
        "--out",
        "r1.lfb",
        "--name",
        "lab-host",
        "--version",
        "1",
        "--serial",
        "1",
    ];
    scratch.run(&[build.as_slice(), &["--key", "k"]].concat()).done();
    let tokens = BTreeMap::from([("host-7".to_owned(), "secret".to_owned())]);
    let listener = Listener::open(0, tokens).unwrap();
    let config = AGENT.replace(":1\"", &format!(":{}\"", listener.port()));
    scratch.write("agent.json", config);
    let machine = Machine::new("bare", &format!("host-{}", std::process::id()), scratch.path("m"), 256);
    std::fs::create_dir_all(machine.folder()).unwrap();
    // No boot entries: a new machine's firmware finds the removable-media path by itself.
    let disk = machine.disk().display().to_string();
    let with = ["--size", "320M", "--boot-size", "48M", "--agent-config", "agent.json", "--name", "host-7"];
    scratch.run(&words(&disk, &with)).done();
    machine.reset_variables().unwrap();
    machine.start().unwrap();
    let _off = Off(&machine);
    let status = wait_for(&listener, &machine, "bank A boots", |status| !status.on_trial);
    assert_eq!((status.host.as_str(), status.active, status.version.as_str()), ("host-7", Bank::A, "1"));
    assert_eq!(status.bank(Bank::B).map(|bank| bank.state), Some(BankState::Upgraded));

    // Bank A cannot be loaded any more: the copy boots, proves itself, and is blessed.
    machine.cut_power().unwrap();
    let looked = lifeboat_device::BlockFile::open_read(Path::new(&disk)).unwrap();
    let boot = lifeboat_bank::layout::read_layout(&looked).unwrap().volumes(Bank::A).boot;
    drop(looked);
    let file = std::fs::OpenOptions::new().write(true).open(&disk).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 512], boot.offset()).unwrap();
    machine.start().unwrap();
    let status = wait_for(&listener, &machine, "bank B boots", |status| {
        status.active == Bank::B && status.bank(Bank::B).is_some_and(|bank| bank.state == BankState::Good)
    });
    assert_eq!((status.active, status.default), (Bank::B, Some(Bank::B)));
}
