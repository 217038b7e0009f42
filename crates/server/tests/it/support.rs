//! Processes of `lifeboatd` and of agents, each in a folder of its own.

use std::fs;
use std::io::{BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_model::agent::{AgentCommand, AgentMessage, AgentOutcome, ControllerMessage, Fence, MAX_LINE};
use lifeboat_wire::{
    Heard, HubAnswer, HubClient, HubEventKind, HubHost, HubRequest, Identity, Order, TlsStream, dial,
    host_config, parse_line, read_line, write_line,
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The agent's program: the one that `LIFEBOAT_TEST_AGENT` names, or the one of this workspace.
pub(crate) fn agent_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            if let Some(path) = std::env::var_os("LIFEBOAT_TEST_AGENT") {
                return path.into();
            }
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--locked", "--quiet", "--package", "lifeboat-agent"]);
            assert!(build.status().unwrap().success(), "the agent has to be built");
            Path::new(env!("CARGO_BIN_EXE_lifeboatd")).with_file_name("lifeboat-agent")
        })
        .clone()
}

/// Waits until `done` gives something.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process that is killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        Self(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        drop(self.0.kill());
        self.0.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn exit(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A controller.
pub(crate) struct Daemon {
    pub(crate) root: PathBuf,
    process: Option<Process>,
    pub(crate) address: String,
}

impl Daemon {
    /// A new authority in `root`, with these lines of settings, running.
    pub(crate) fn new(root: &Path, settings: &str) -> Self {
        fs::create_dir_all(root).unwrap();
        fs::write(root.join("lifeboatd.toml"), settings).unwrap();
        let mut daemon = Self { root: root.to_owned(), process: None, address: String::new() };
        let made = daemon.command().args(["init", "--name", "localhost,127.0.0.1"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        daemon.start();
        daemon
    }

    /// The controller of a folder that was made before.
    pub(crate) fn of(root: &Path) -> Self {
        let mut daemon = Self { root: root.to_owned(), process: None, address: String::new() };
        daemon.start();
        daemon
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboatd"));
        command.arg("--config").arg(self.root.join("lifeboatd.toml"));
        command.arg("--dir").arg(self.root.join("controller"));
        command.arg("--socket").arg(self.socket());
        command
    }

    /// Starts it, on the port that it had before.
    pub(crate) fn start(&mut self) {
        let port = self.root.join("port");
        drop(fs::remove_file(&port));
        let listen = if self.address.is_empty() { "127.0.0.1:0" } else { &self.address };
        let mut command = self.command();
        command.args(["run", "--listen", listen, "--port-file"]).arg(&port);
        let mut process = Process::start(&mut command, &self.log());
        self.address = wait_for("lifeboatd to listen", || {
            assert!(process.exit().is_none(), "lifeboatd ended: {}", self.log_text());
            fs::read_to_string(&port).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        });
        self.process = Some(process);
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().pid()
    }

    fn log(&self) -> PathBuf {
        self.root.join("lifeboatd.log")
    }

    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("socket")
    }

    pub(crate) fn hub(&self) -> HubClient {
        wait_for("the control socket", || HubClient::connect(&self.socket()).ok()).with_patience(PATIENCE)
    }

    pub(crate) fn host(&self, name: &str) -> HubHost {
        self.hub().hosts().unwrap().into_iter().find(|host| host.host == name).unwrap()
    }

    /// A token for a host.
    pub(crate) fn token(&self, host: &str, secs: u64) -> String {
        match self.hub().request(&HubRequest::AddHost { host: host.to_owned(), token_secs: secs }).unwrap() {
            HubAnswer::Token { token, .. } => token,
            other => unreachable!("{other:?}"),
        }
    }

    /// A host with its certificate, whose agent does not run yet.
    pub(crate) fn enrolled(&self, host: &str) -> Agent {
        let agent = Agent::new(&self.root.join(host));
        let token = self.token(host, 600);
        let (good, told) = agent.enroll(&self.address, &token, &[]);
        assert!(good, "{told}");
        agent
    }

    /// A host whose agent runs and is connected.
    pub(crate) fn connected(&self, host: &str) -> Agent {
        let mut agent = self.enrolled(host);
        agent.start();
        self.wait_connected(host);
        agent
    }

    pub(crate) fn wait_connected(&self, host: &str) {
        wait_for("the host to connect", || self.host(host).connected_since);
    }
}

/// A host without banks.
pub(crate) struct Agent {
    pub(crate) root: PathBuf,
    pub(crate) process: Option<Process>,
}

impl Agent {
    pub(crate) fn new(root: &Path) -> Self {
        fs::create_dir_all(root.join("etc/lifeboat")).unwrap();
        fs::create_dir_all(root.join("state")).unwrap();
        let reboot = root.join("reboot");
        // One line for each boot that was ordered; another boot begins when the identity is replaced.
        let script = "#!/bin/sh\nset -e\ncd \"$(dirname \"$0\")\"\nn=$(cat boot_id)\necho \"$n\" >> reboots\n\
                      echo $((n + 1)) > boot_id.new\nmv boot_id.new boot_id\n";
        fs::write(&reboot, script).unwrap();
        fs::set_permissions(&reboot, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join("boot_id"), "1\n").unwrap();
        let config = serde_json::json!({
            "schema": 1, "host": "", "controller": "", "banks": false,
            "boot_id_file": root.join("boot_id"), "reboot_command": [reboot],
        });
        fs::write(root.join("state/agent.json"), config.to_string()).unwrap();
        Self { root: root.to_owned(), process: None }
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(agent_program());
        command.arg(verb).arg("--state").arg(self.root.join("state"));
        command
    }

    pub(crate) fn enroll(&self, server: &str, token: &str, more: &[&str]) -> (bool, String) {
        let mut command = self.command("enroll");
        command.args(["--server", server, "--token", token]).args(more);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts this program as its agent.
    pub(crate) fn start_program(&mut self, program: &Path) {
        let mut command = Command::new(program);
        command.args(["run", "--state"]).arg(self.root.join("state"));
        command.arg("--etc").arg(self.root.join("etc/lifeboat"));
        self.process = Some(Process::start(&mut command, &self.root.join("agent.log")));
    }

    pub(crate) fn start(&mut self) {
        let mut command = self.command("run");
        command.arg("--etc").arg(self.root.join("etc/lifeboat"));
        self.process = Some(Process::start(&mut command, &self.root.join("agent.log")));
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.root.join("agent.log")).unwrap_or_default()
    }

    pub(crate) fn wait_log(&self, word: &str) {
        wait_for(&format!("{word:?} in the agent's log"), || self.log_text().contains(word).then_some(()));
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("state/pki")
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::read(&self.pki()).unwrap().unwrap()
    }

    /// Boots that were ordered.
    pub(crate) fn reboots(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.root.join("reboots")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    pub(crate) fn boot_id(&self) -> String {
        fs::read_to_string(self.root.join("boot_id")).unwrap().trim().to_owned()
    }
}

pub(crate) fn order(host: &str, key: &str, command: AgentCommand) -> Order {
    Order { host: host.to_owned(), key: key.to_owned(), fence: None, command }
}

pub(crate) fn fenced(host: &str, key: &str, number: u64) -> Order {
    let fence = Some(Fence { pool: "p".to_owned(), number });
    Order { fence, ..order(host, key, AgentCommand::SaveState) }
}

/// How the command with this key ended, as the stream of events tells it.
pub(crate) fn outcome_of(hub: &mut HubClient, key: &str) -> AgentOutcome {
    wait_for("an outcome", || match hub.next_event(Duration::from_millis(200)).unwrap() {
        Some(Heard::Event(event)) => match event.what {
            HubEventKind::Outcome { key: of, outcome } if of == key => Some(outcome),
            _ => None,
        },
        _ => None,
    })
}

/// A connection that says what it likes.
pub(crate) struct Raw {
    stream: TlsStream,
    reader: BufReader<lifeboat_wire::TlsReader>,
}

impl Raw {
    pub(crate) fn connect(address: &str, identity: &Identity) -> std::io::Result<Self> {
        Self::with(address, host_config(identity).unwrap())
    }

    pub(crate) fn with(address: &str, config: rustls::ClientConfig) -> std::io::Result<Self> {
        let socket = dial(address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let stream = TlsStream::connect(socket, address, Arc::new(config))?;
        let reader = BufReader::new(stream.reader());
        Ok(Self { stream, reader })
    }

    pub(crate) fn say(&mut self, message: &AgentMessage) {
        write_line(&mut self.stream.writer(), message).unwrap();
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.writer().write_all(bytes)
    }

    pub(crate) fn hear(&mut self) -> std::io::Result<Option<ControllerMessage>> {
        let line = read_line(&mut self.reader, MAX_LINE)?;
        Ok(line.map(|line| parse_line(&line).unwrap()))
    }

    /// The rest of what comes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.reader, &mut bytes).unwrap();
        bytes
    }
}
