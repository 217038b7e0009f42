//! A real systemd, as the first process of namespaces of its own: callers are quiesced and restored, reboots are held.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use lifeboat_packages::{Ending, Guard, Policy, Roots, Systemctl};

use crate::common::{BLOCK, has, hasty, plan, run, unblock, versions, wait_blocked, wait_for, words};
use crate::debs::{self, NEW, OLD};

const PEERS: &[&str] = &["/lib/systemd/systemd", "systemctl", "nsenter", "unshare", "mount"];

/// Unit files: what is at work, what is stopped, what an administrator masked.
const UNITS: &[(&str, &str)] = &[
    ("lab.target", "[Unit]\nDescription=lab\nWants=packagekit.service apt-daily.timer goferd.service\n"),
    ("packagekit.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    // In /run, where a mask cannot be laid over it.
    ("goferd.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("puppet.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("apt-daily.timer", "[Timer]\nOnActiveSec=1h\n"),
    (
        "apt-daily.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'while [ ! -e /run/go ]; do sleep 0.1; done'\n",
    ),
    ("dnf-makecache.timer", "[Timer]\nOnActiveSec=1h\n"),
];

/// A systemd; it ends with this value.
struct Machine {
    unshare: Child,
    init: String,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

impl Machine {
    fn boot(folder: &Path) -> Self {
        let units = folder.join("units");
        fs::create_dir(&units).unwrap();
        for (name, text) in UNITS {
            let text = if name.ends_with(".target") {
                (*text).to_owned()
            } else {
                format!("[Unit]\nDefaultDependencies=no\n{text}")
            };
            fs::write(units.join(name), text).unwrap();
        }
        let script = format!(
            "set -e; mount --make-rprivate /; umount -R /sys/fs/cgroup || true; mount -t cgroup2 none /sys/fs/cgroup
             mount -t tmpfs none /run; mount -t tmpfs none /usr/local/lib
             mkdir -p /run/systemd/system /usr/local/lib/systemd/system; cp {}/* /usr/local/lib/systemd/system
             mv /usr/local/lib/systemd/system/goferd.service /run/systemd/system/
             ln -s /dev/null /run/systemd/system/dnf-automatic.timer
             mount -t tmpfs none /etc/systemd/system; mount --bind /dev/null /dev/console
             export container=lifeboat SYSTEMD_LOG_TARGET=null
             exec /lib/systemd/systemd --system --unit=lab.target",
            units.display()
        );
        let unshare = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--ipc",
                "--uts",
                "--cgroup",
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
            ])
            .args(["sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let init = wait_for("the first process is there", || {
            let text = fs::read_to_string(&children).unwrap_or_default();
            text.split_whitespace().next().map(str::to_owned)
        });
        let machine = Self { unshare, init };
        wait_for("systemd is up", || {
            let output = machine.systemctl(&[
                "is-active",
                "lab.target",
                "packagekit.service",
                "apt-daily.timer",
                "goferd.service",
            ]);
            output.status.success().then_some(())
        });
        machine
    }

    /// A command that enters the machine.
    fn enter(&self) -> [&str; 5] {
        ["nsenter", "--target", &self.init, "--all", "systemctl"]
    }

    fn systemctl(&self, arguments: &[&str]) -> Output {
        let enter = self.enter();
        Command::new(enter[0]).args(&enter[1..]).args(arguments).output().unwrap()
    }

    /// What is known about the units that matter.
    fn states(&self) -> String {
        let mut show = vec!["show", "--property=Id,ActiveState,UnitFileState,LoadState"];
        show.extend(UNITS.iter().map(|(name, _)| *name).filter(|name| *name != "apt-daily.service"));
        show.extend(["dnf-automatic.timer", "reboot.target", "poweroff.target"]);
        let output = self.systemctl(&show);
        assert!(output.status.success(), "{}", words(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn is_up(&self) -> bool {
        Path::new("/proc").join(&self.init).join("stat").exists()
            && !fs::read_to_string(format!("/proc/{}/stat", self.init)).unwrap_or_default().contains(") Z ")
    }

    fn guard(&self, root: &Path, policy: Policy) -> Guard {
        Guard::open(Roots::at(root))
            .unwrap()
            .with_services(Box::new(Systemctl::through(&self.enter())))
            .with_policy(policy)
    }
}

#[test]
fn callers_are_quiet_during_a_transaction_and_exactly_as_before_after_it() {
    if !has(debs::PEERS) || !has(PEERS) {
        return;
    }
    let case = debs::case("", BLOCK);
    let machine = Machine::boot(case.scratch.path());
    let before = machine.states();
    let plan = machine.guard(&case.root, hasty()).plan(&request(&case.new)).unwrap();
    let named = |name: &str| plan.callers.iter().any(|caller| caller.name == name && caller.quiesced);
    assert!(named("packagekit.service") && named("apt-daily.timer"), "{:?}", plan.callers);
    thread::scope(|scope| {
        let work = scope.spawn(|| machine.guard(&case.root, hasty()).apply(&plan, &mut |_| {}).unwrap());
        wait_blocked(&case.root);
        let quiet = machine.states();
        let start = machine.systemctl(&["start", "packagekit.service"]);
        // Before anything is asserted: a script that stands still would never let the test end.
        unblock(&case.root);
        assert_eq!(work.join().unwrap().ending, Ending::Done);
        for unit in ["packagekit.service", "apt-daily.timer"] {
            assert!(quiet.contains(&format!("Id={unit}\nLoadState=masked\nActiveState=inactive")), "{quiet}");
        }
        assert!(quiet.contains("Id=goferd.service\nLoadState=loaded\nActiveState=inactive"), "{quiet}");
        assert!(!start.status.success(), "a masked unit was started");
    });
    assert_eq!(machine.states(), before);
    assert_eq!(versions(&case.root), NEW);
}

#[test]
fn callers_of_an_incomplete_host_stay_quiet_and_are_restored_by_the_rollback() {
    if !has(debs::PEERS) || !has(PEERS) {
        return;
    }
    let case = debs::case("", "exit 3");
    let machine = Machine::boot(case.scratch.path());
    let before = machine.states();
    let plan = plan(&case.root, &case.new);
    let outcome = machine.guard(&case.root, hasty()).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Incomplete);
    let status = machine.guard(&case.root, hasty()).status().unwrap();
    assert!(status.quiesced.iter().any(|unit| unit == "packagekit.service"), "{:?}", status.quiesced);
    assert!(status.findings.iter().any(|finding| finding.code == "package-caller-left"));
    assert_eq!(status.hold, Some(true));
    let back = machine.guard(&case.root, hasty()).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    assert_eq!(machine.states(), before);
    assert_eq!(versions(&case.root), OLD);
}

#[test]
fn a_service_at_work_is_waited_for_and_never_ended() {
    if !has(debs::PEERS) || !has(PEERS) {
        return;
    }
    let case = debs::case("", "");
    let machine = Machine::boot(case.scratch.path());
    run(Command::new("nsenter").args(&machine.enter()[1..]).args([
        "start",
        "--no-block",
        "apt-daily.service",
    ]));
    wait_for("the service is at work", || {
        words(&machine.systemctl(&["is-active", "apt-daily.service"])).contains("activating").then_some(())
    });
    let before = machine.states();
    let plan = plan(&case.root, &case.new);
    let short = Policy { quiesce_wait: std::time::Duration::from_secs(1), ..hasty() };
    let error = machine.guard(&case.root, short).apply(&plan, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("apt-daily.service is still at work"), "{error}");
    assert!(words(&machine.systemctl(&["is-active", "apt-daily.service"])).contains("activating"));
    assert_eq!(machine.states(), before, "what was quiesced before it gave up is restored");
    assert_eq!(versions(&case.root), OLD);
    run(Command::new("nsenter").args(["--target", &machine.init, "--all", "touch", "/run/go"]));
    let outcome = machine.guard(&case.root, hasty()).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
}

#[test]
fn i_08_systemd_refuses_an_ordinary_reboot_while_the_host_is_incomplete() {
    if !has(debs::PEERS) || !has(PEERS) {
        return;
    }
    let case = debs::case("", "exit 3");
    // Without the hold an order to reboot is carried out: the machine goes down.
    let unheld = tempfile::tempdir().unwrap();
    let machine = Machine::boot(unheld.path());
    let _ = machine.systemctl(&["--no-block", "reboot"]);
    wait_for("a machine without a hold goes down", || (!machine.is_up()).then_some(()));
    drop(machine);

    let machine = Machine::boot(case.scratch.path());
    let plan = plan(&case.root, &case.new);
    let outcome = machine.guard(&case.root, hasty()).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Incomplete);
    for order in ["reboot", "poweroff", "halt", "kexec"] {
        let output = machine.systemctl(&["--no-block", order]);
        assert!(!output.status.success(), "{order}: {}", words(&output));
    }
    let output = machine.systemctl(&["start", "reboot.target"]);
    assert!(words(&output).contains("masked"), "{}", words(&output));
    // Nothing was stopped by the refused orders.
    assert!(machine.is_up());
    assert!(machine.systemctl(&["is-active", "lab.target"]).status.success());
    let back = machine.guard(&case.root, hasty()).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    let _ = machine.systemctl(&["--no-block", "reboot"]);
    wait_for("the machine may go down again", || (!machine.is_up()).then_some(()));
}

fn request(folder: &Path) -> lifeboat_packages::Request {
    lifeboat_packages::Request { packages: vec![folder.to_owned()], ..lifeboat_packages::Request::default() }
}
