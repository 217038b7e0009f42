//! A pool of real hosts with libvirt, upgraded with its guests running: controller, agents, banks, a roll by the program.
//!
//! The hosts are namespaces of this machine; their disks, banks, agents, certificates, libvirt and guests are real. Each
//! guest writes a count for every second that it lives: whoever reads that knows whether it was interrupted.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_kvmlab::{CarrierProgram, GuestSpec, HostKind, KvmLab, LabOptions, LifeWatch, check_peers};
use serde_json::Value;

use crate::common::{Answer, Scratch};
use crate::lab::AGENT;

const PATIENCE: Duration = Duration::from_secs(180);

/// A pool of banked hosts with its controller and guests; everything ends with it.
struct Pool {
    scratch: Scratch,
    folder: tempfile::TempDir,
    lab: KvmLab,
    controller: Option<Child>,
    daemon: PathBuf,
    guests: Vec<String>,
    watch: LifeWatch,
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(mut child) = self.controller.take() {
            // A child that ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
        drop(KvmLab::down(self.folder.path()));
    }
}

/// `lifeboatd`: the one that `LIFEBOAT_TEST_DAEMON` names, or one that is built beside the program that is tested.
fn daemon() -> PathBuf {
    if let Some(path) = std::env::var_os("LIFEBOAT_TEST_DAEMON") {
        return path.into();
    }
    let target = PathBuf::from(env!("CARGO_BIN_EXE_lifeboat")).parent().unwrap().to_owned();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--package", "lifeboat-server", "--bin", "lifeboatd", "--target-dir"]);
    assert!(build.arg(target.parent().unwrap()).status().unwrap().success(), "lifeboatd cannot be built");
    target.join("lifeboatd")
}

impl Pool {
    fn up(hosts: u8, guests: usize) -> Option<Self> {
        let missing = check_peers().err().map(|error| error.to_string());
        let missing =
            missing.or_else(|| (!PathBuf::from(AGENT).exists()).then(|| format!("{AGENT} is not built")));
        if let Some(missing) = missing {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{missing}");
            println!("skipped: {missing}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = LabOptions::new(folder.path(), CarrierProgram::find().unwrap())
            .hosts(hosts)
            .memory_mib(64)
            .kind(HostKind::Banks)
            .watchdog_secs(60)
            .agent(AGENT);
        let lab = KvmLab::up(&options, &mut |line| println!("{line}")).unwrap();
        let watch = lab.watch(&[]).unwrap();
        let mut pool = Self {
            scratch: Scratch::new(),
            folder,
            lab,
            controller: None,
            daemon: daemon(),
            guests: Vec::new(),
            watch,
        };
        let home = pool.home();
        pool.tool(&["init", "--dir", &home, "--name", "controller,10.77.0.254", "--pool", "kvm"]);
        pool.start_controller();
        for host in pool.lab.host_names() {
            pool.enrol(&host);
        }
        pool.await_agents();
        let names = pool.lab.host_names();
        for number in 0..guests {
            let name = format!("g{}", number + 1);
            let spec = GuestSpec { autostart: number == 0, ..GuestSpec::tick(&name) };
            pool.lab.start_guest(&names[number % names.len()], &spec).unwrap();
            pool.guests.push(name);
        }
        pool.watch = pool.lab.watch(&pool.guests).unwrap();
        let mut words = vec!["pool".to_owned(), "add-kvm".to_owned(), "kvm".to_owned()];
        words.extend(["--controller".to_owned(), pool.socket()]);
        for host in &names {
            let uri = pool.lab.uri(host).unwrap();
            words.extend([
                "--host".to_owned(),
                format!("{host}={uri},peer=qemu+tcp://{host}/system,memory=64M"),
            ]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        pool.scratch.run(&words).done();
        Some(pool)
    }

    fn home(&self) -> String {
        self.folder.path().join("controller").display().to_string()
    }

    fn socket(&self) -> String {
        self.folder.path().join("d.sock").display().to_string()
    }

    /// Runs a verb of `lifeboatd` where the hosts can be reached.
    fn tool(&self, words: &[&str]) -> String {
        let output = self.lab.command(&self.daemon).unwrap().args(words).output().unwrap();
        assert!(output.status.success(), "lifeboatd {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts `lifeboatd` where the hosts reach it; its number there is kept, so that it alone can be killed.
    fn start_controller(&mut self) {
        let script = r#"echo $$ > "$0"; exec "$@""#;
        let mut command = self.lab.command("/bin/sh").unwrap();
        command.args(["-c", script, &self.pid_file()]).arg(&self.daemon);
        command.args(["run", "--dir", &self.home(), "--listen", "0.0.0.0:7443", "--socket", &self.socket()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains("listening on"), "{first}");
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| println!("lifeboatd: {line}"));
        });
        self.controller = Some(child);
    }

    fn pid_file(&self) -> String {
        self.folder.path().join("d.pid").display().to_string()
    }

    fn enrol(&self, host: &str) {
        let told = self.tool(&["host", "add", host, "--socket", &self.socket(), "-o", "json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let token = told["token"].as_str().unwrap();
        let words = [
            "/usr/bin/lifeboat-agent",
            "enroll",
            "--server",
            "10.77.0.254:7443",
            "--token",
            token,
            "--name",
            host,
        ];
        println!("{}", self.lab.run_in(host, &words).unwrap());
    }

    fn hosts(&self) -> Vec<Value> {
        let told = self.tool(&["host", "list", "--socket", &self.socket(), "-o", "json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        told["hosts"].as_array().unwrap().clone()
    }

    fn await_agents(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let hosts = self.hosts();
            if hosts.iter().all(|host| host["connected_since"].is_u64() && host["status"].is_object()) {
                return;
            }
            let logs = || {
                let names = self.lab.host_names();
                names
                    .iter()
                    .map(|name| self.lab.agent_log(name).unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert!(Instant::now() < until, "not every agent is connected: {hosts:#?}\n{}", logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn bundle(&self, version: &str) -> String {
        let releases = self.lab.releases().unwrap();
        let found = releases.iter().find(|(release, _)| release.version.0 == version);
        found.unwrap_or_else(|| panic!("no release {version}: {releases:?}")).1.display().to_string()
    }

    fn plan(&self, version: &str, more: &[&str]) -> String {
        let (bundle, keys) = (self.bundle(version), self.lab.trusted_keys().display().to_string());
        let words = ["plan", "create", "kvm", "--release", &bundle, "--trust", &keys, "-o", "name"];
        let made = self.scratch.run(&[words.as_slice(), more].concat());
        made.done().out.trim().to_owned()
    }

    fn world(&self) -> Value {
        self.scratch.run(&["pool", "show", "kvm", "-o", "json"]).done().json()
    }

    /// Versions that the hosts run, in the order of their names.
    fn versions(&self) -> Vec<String> {
        let world = self.world();
        let hosts = find(&world, "hosts").as_array().unwrap();
        hosts.iter().map(|host| host["version"].as_str().unwrap_or("?").to_owned()).collect()
    }

    /// Every guest runs once, was never restarted, and missed no count; prints the longest gap of each.
    fn assert_whole(&self) {
        for report in self.watch.report() {
            println!("{}: {}, longest gap {:?} ms", report.guest, report.life.words(), report.max_gap_ms);
            assert!(report.life.is_whole(), "{}: {}", report.guest, report.life.words());
        }
        for guest in &self.guests {
            assert_eq!(self.lab.where_runs(guest).unwrap().len(), 1, "{guest}");
        }
    }

    /// Starts a roll and kills its controller with SIGKILL when it says so.
    fn kill_after(&self, plan: &str, word: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.env("LIFEBOAT_STATE_DIR", self.scratch.path("state")).args(["roll", "start", plan, "--yes"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.any(|line| {
            let line = line.unwrap();
            println!("{line}");
            line.contains(word)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(said, "it never said {word}");
    }

    /// The agents' controller is killed with SIGKILL and started again.
    fn restart_controller(&mut self) {
        let pid = std::fs::read_to_string(self.pid_file()).unwrap();
        self.lab.run(&["/bin/kill", "-9", pid.trim()]).unwrap();
        let mut child = self.controller.take().unwrap();
        assert!(!child.wait().unwrap().success(), "it was killed");
        self.start_controller();
    }

    fn start(&self, plan: &str) -> Answer {
        let answer = self.scratch.run(&["roll", "start", plan, "--yes"]);
        println!("{}\n{}", answer.out, answer.err);
        answer
    }
}

/// The first value of this name, however deep.
fn find<'v>(value: &'v Value, name: &str) -> &'v Value {
    match value {
        Value::Object(fields) => fields
            .get(name)
            .or_else(|| fields.values().map(|field| find(field, name)).find(|found| !found.is_null()))
            .unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

#[test]
fn a_pool_is_upgraded_under_six_guests_though_its_controllers_die_and_a_sick_release_is_left() {
    let Some(mut pool) = Pool::up(3, 6) else { return };
    assert_eq!(pool.versions(), ["1", "1", "1"]);
    let checked = pool.scratch.run(&[
        "check",
        "run",
        "kvm",
        "--release",
        &pool.bundle("2"),
        "--trust",
        &pool.lab.trusted_keys().display().to_string(),
    ]);
    println!("{}\n{}", checked.out, checked.err);
    checked.done();

    // Both controllers die in the middle: what drives the roll while h1 is being upgraded, then the agents' own.
    let plan = pool.plan("2", &[]);
    pool.kill_after(&plan, "h1 staged");
    pool.restart_controller();
    let resumed = pool.scratch.run(&["roll", "resume"]);
    println!("{}\n{}", resumed.out, resumed.err);
    resumed.done();
    assert_eq!(pool.versions(), ["2", "2", "2"]);
    pool.assert_whole();
    // Guests are where the plan says.
    let shown = pool.scratch.run(&["plan", "show", &plan, "-o", "json"]).done().json();
    let world = pool.world();
    for (guest, host) in last_places(&shown) {
        let guests = find(&world, "guests").as_array().unwrap().clone();
        let there = guests.iter().find(|view| view["id"] == Value::String(guest.clone())).unwrap();
        assert_eq!(there["host"], Value::String(host), "{guest}");
    }
    let marks = pool.scratch.path("state/pools/kvm/maintenance.json");
    let marks: Value = serde_json::from_slice(&std::fs::read(marks).unwrap()).unwrap();
    assert_eq!(marks["hosts"], serde_json::json!({}), "no host is left in maintenance");

    // A release that fails its health check: one host falls back by itself, no other is begun.
    let plan = pool.plan("3-sick", &[]);
    let answer = pool.start(&plan);
    assert_ne!(answer.code, 0, "{answer:?}");
    assert_eq!(pool.versions(), ["2", "2", "2"]);
    pool.assert_whole();
    let status = pool.scratch.run(&["roll", "status"]);
    assert!(status.out.contains("rolled back") || status.err.contains("rolled back"), "{status:?}");
}

/// Where the last move of each guest ends.
fn last_places(plan: &Value) -> Vec<(String, String)> {
    let mut places = std::collections::BTreeMap::new();
    let steps = find(plan, "steps").as_array().cloned().unwrap_or_default();
    for step in &steps {
        for moved in step["moves"].as_array().into_iter().flatten() {
            let text = |name: &str| moved[name].as_str().unwrap_or_default().to_owned();
            places.insert(text("guest"), text("to"));
        }
    }
    assert!(!places.is_empty(), "the plan moves nothing: {plan}");
    places.into_iter().collect()
}
