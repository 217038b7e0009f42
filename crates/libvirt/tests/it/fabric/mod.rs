//! Private hosts with a real libvirtd each, in namespaces of their own.
//!
//! A test that needs them runs itself once more as the first process of new mount, network, process and IPC
//! namespaces; killing that process ends all that was started in them. The machine sees no bridge, mount or daemon.

pub(crate) mod guest;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lifeboat_libvirt::{ConnectOptions, Connection, Uri};

/// Set within the namespaces.
const INSIDE: &str = "LIFEBOAT_LIBVIRT_FABRIC";
/// Longest run of one test on a loaded machine.
const TEST_LIMIT: Duration = Duration::from_secs(420);
/// Longest wait for anything within a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The fabric's folder, a tmpfs over a folder that every machine has.
const BASE: &str = "/media";

/// Runs `body` with a fabric, in namespaces of its own.
pub(crate) fn in_fabric(test: &str, body: impl FnOnce(Fabric)) {
    if std::env::var_os(INSIDE).is_some() {
        return body(Fabric::build());
    }
    if let Some(reason) = missing() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", test.replace("::", "-")));
    let out = fs::File::create(&log).unwrap();
    let mut child = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("RUST_BACKTRACE", "0")
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let status = wait_for_end(&mut child, TEST_LIMIT);
    let said = fs::read_to_string(&log).unwrap_or_default();
    println!("{said}");
    let status = status.unwrap_or_else(|| panic!("{test} did not end within {TEST_LIMIT:?}"));
    assert!(status.success(), "{test} failed in its namespaces: {status}");
    assert!(said.contains("1 passed"), "{test} is not the full name of the test");
}

/// Names the calling test and runs it in a fabric.
macro_rules! fabric_test {
    ($(#[$attribute:meta])* fn $name:ident($fabric:ident) $body:block) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            let module = module_path!().split_once("::").map_or("", |(_, module)| module);
            let test = format!("{module}::{}", stringify!($name));
            crate::fabric::in_fabric(&test, |$fabric| $body);
        }
    };
}
pub(crate) use fabric_test;

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces with their own devices need root".to_owned());
    }
    let needed = [
        ("/usr/sbin/libvirtd", "libvirt-daemon-system"),
        ("/usr/bin/virsh", "libvirt-clients"),
        ("/usr/bin/virt-ssh-helper", "libvirt-daemon"),
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
        ("/usr/bin/qemu-img", "qemu-utils"),
        ("/usr/sbin/sshd", "openssh-server"),
        ("/usr/bin/ssh", "openssh-client"),
        ("/usr/bin/certtool", "gnutls-bin"),
        ("/usr/sbin/ip", "iproute2"),
    ];
    let lacks = needed.iter().find(|(path, _)| !Path::new(path).exists());
    if let Some((path, package)) = lacks {
        return Some(format!("{path} is missing; install {package}"));
    }
    let tried = Command::new("unshare").args(["--mount", "--net", "--pid", "--fork", "true"]).output();
    let works = tried.is_ok_and(|output| output.status.success());
    (!works).then(|| "this machine makes no namespaces".to_owned())
}

fn wait_for_end(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            // With it goes everything that it started.
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until this gives something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a program that must succeed, and gives its output.
pub(crate) fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} ended with {status}: {said}");
    String::from_utf8(stdout).unwrap()
}

/// Runs a line of shell that must succeed.
pub(crate) fn shell(line: &str) -> String {
    run(Command::new("sh").args(["-euc", line]))
}

/// The network that hosts stand in.
pub(crate) struct Fabric {
    hosts: usize,
    pki: bool,
    ssh: bool,
    folders: Vec<tempfile::TempDir>,
}

impl Fabric {
    fn build() -> Self {
        shell(&format!(
            "mount --make-rprivate / && mount -t tmpfs -o size=512m fabric {BASE} && mount -t tmpfs run /run
             ip link set lo up && ip link add lb0 type bridge && ip addr add 10.77.0.254/24 dev lb0
             ip link set lb0 up
             printf '127.0.0.1 localhost\n10.77.0.11 h1 alias\n10.77.0.12 h2\n' > {BASE}/hosts
             mount --bind {BASE}/hosts /etc/hosts
             mkdir {BASE}/home; touch {BASE}/settings"
        ));
        Self { hosts: 0, pki: false, ssh: false, folders: Vec::new() }
    }

    /// A folder that all hosts see, on a real file system: images need locks and direct I/O. Gone with the fabric.
    pub(crate) fn images(&mut self) -> PathBuf {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().to_owned();
        self.folders.push(folder);
        path
    }

    /// Settings of the daemons that start from now on.
    pub(crate) fn with_settings(lines: &str) {
        fs::write(Self::path("settings"), lines).unwrap();
    }

    /// Hosts that start from now on have certificates and listen to TLS.
    pub(crate) fn with_pki(&mut self) {
        let pki = Self::path("authority");
        fs::create_dir_all(&pki).unwrap();
        let name = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let info = format!("cn = pool {name}ca\ncert_signing_key\nexpiration_days = 2\n");
        fs::write(pki.join("ca.info"), info).unwrap();
        shell(&format!(
            "cd {} && certtool --generate-privkey --key-type rsa --bits 2048 --outfile cakey.pem 2>/dev/null
             certtool --generate-self-signed --load-privkey cakey.pem --template ca.info --outfile cacert.pem 2>/dev/null",
            pki.display()
        ));
        self.pki = true;
    }

    /// A certificate and key of this name.
    pub(crate) fn certify(name: &str, address: &str, folder: &Path) {
        let pki = Self::path("authority");
        fs::create_dir_all(folder).unwrap();
        let info = format!(
            "organization = pool\ncn = {name}\ndns_name = {name}\nip_address = {address}\ntls_www_server\n\
             tls_www_client\nencryption_key\nsigning_key\nexpiration_days = 2\n"
        );
        fs::write(folder.join("info"), info).unwrap();
        shell(&format!(
            "cd {folder} && certtool --generate-privkey --key-type rsa --bits 2048 --outfile serverkey.pem 2>/dev/null
             certtool --generate-certificate --load-privkey serverkey.pem --load-ca-certificate {pki}/cacert.pem \
             --load-ca-privkey {pki}/cakey.pem --template info --outfile servercert.pem 2>/dev/null
             cp serverkey.pem clientkey.pem; cp servercert.pem clientcert.pem; cp {pki}/cacert.pem .",
            folder = folder.display(),
            pki = pki.display()
        ));
    }

    /// Hosts that start from now on have an SSH server on port 2222 for the key `{BASE}/home/key`.
    pub(crate) fn with_ssh(&mut self) {
        shell(&format!(
            "cd {BASE}/home && ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N '' -f host
             printf '[h1]:2222 %s\n' \"$(cut -d' ' -f1,2 host.pub)\" > known_hosts"
        ));
        self.ssh = true;
    }

    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new(BASE).join(name)
    }

    /// Starts the next host and waits until its daemon answers.
    pub(crate) fn host(&mut self) -> Host {
        self.hosts += 1;
        let (number, name) = (self.hosts, format!("h{}", self.hosts));
        let base = Self::path(&name);
        let address = format!("10.77.0.{}", 10 + number);
        shell(&format!(
            "mkdir -p {base}/dev {base}/etc {base}/work {base}/run {base}/lib {base}/cache {base}/log
             ip netns add {name} && ip link add v{name} type veth peer name eth0 netns {name}
             ip link set v{name} master lb0 up
             ip -n {name} addr add {address}/24 dev eth0 && ip -n {name} link set eth0 up
             ip -n {name} link set lo up",
            base = base.display()
        ));
        if self.pki {
            Self::certify(&name, &address, &base.join("pki"));
        }
        if self.ssh {
            let config = format!(
                "Port 2222\nHostKey {BASE}/home/host\nAuthorizedKeysFile {BASE}/home/key.pub\nStrictModes no\n\
                 UsePAM no\nPermitRootLogin yes\nPidFile none\n"
            );
            fs::write(base.join("sshd_config"), config).unwrap();
        }
        let script = base.join("host.sh");
        fs::File::create(&script).unwrap().write_all(include_bytes!("host.sh")).unwrap();
        let console = fs::File::create(base.join("console")).unwrap();
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{name}"))
            .args([
                "unshare",
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
                "--cgroup",
                "--fork",
                "--kill-child=KILL",
            ])
            .args(["--mount-proc", "sh"])
            .arg(&script)
            .args([&name, BASE, &format!("00000000-0000-4000-8000-0000000000{number:02}")])
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let mut host = Host { name, base, child };
        let begin = Instant::now();
        until("libvirtd to answer", || {
            let ended = host.child.try_wait().unwrap();
            assert!(ended.is_none(), "the host ended: {}", host.console());
            host.open().ok()
        });
        println!("{} is up after {:?}", host.name, begin.elapsed());
        host
    }
}

/// A host with its daemon.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) base: PathBuf,
    child: Child,
}

impl Host {
    /// Its daemon's socket, as the test reaches it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.base.join("run/libvirt/libvirt-sock")
    }

    pub(crate) fn unix(&self) -> Uri {
        Uri::parse(&format!("qemu+unix:///system?socket={}", self.socket().display())).unwrap()
    }

    pub(crate) fn tcp(&self) -> Uri {
        Uri::parse(&format!("qemu+tcp://{}/system", self.name)).unwrap()
    }

    fn open(&self) -> Result<Connection, lifeboat_libvirt::Error> {
        let options =
            ConnectOptions { connect_timeout: Duration::from_secs(30), ..ConnectOptions::default() };
        Connection::open_with(&self.unix(), &options)
    }

    pub(crate) fn connect(&self) -> Connection {
        self.open().unwrap()
    }

    /// What `virsh` says on this host.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> String {
        run(Command::new("virsh")
            .args(["-q", "-c", &self.tcp().to_string()])
            .args(arguments)
            .env("LC_ALL", "C"))
    }

    /// The one process of this name on it; the kernel keeps 15 bytes of a name.
    pub(crate) fn process(&self, name: &str) -> u32 {
        let own = self.namespace().unwrap();
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let space = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
            (comm.trim() == name && space == own).then_some(pid)
        });
        let all: Vec<u32> = found.collect();
        *all.first().unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    fn namespace(&self) -> Option<PathBuf> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        fs::read_link(format!("/proc/{}/ns/pid", children.split_whitespace().next()?)).ok()
    }

    /// Sends a signal to a process on it. A killed daemon is started again.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        run(Command::new("kill").args([format!("-{signal}"), self.process(name).to_string()]));
    }

    fn console(&self) -> String {
        fs::read_to_string(self.base.join("console")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.base.join("log/libvirtd.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            println!("{}: {}", self.name, self.console());
            for line in tail.iter().rev() {
                println!("{}: {line}", self.name);
            }
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
