//! Repositories on real servers: nginx, docker-registry, moto's S3 (which checks signatures).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_bundle::Rules;
use lifeboat_repo::{
    Body, Cache, Credentials, Key, Location, NetSettings, Owner, Put, PutMode, Transport, TransportError,
    TrustedRoot, connect, load, open_release,
};
use tempfile::TempDir;

use crate::fixture::{all_keys, bundle, dir, init, makers, noise, now, opened, push};

/// A server process; ended by its id when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) ports: Vec<u16>,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that is here, or a skip that says so.
fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin"])
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        let reason = format!("{program} is not here; install {package}");
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(mut command: Command, ports: Vec<u16>, dir: TempDir) -> Server {
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut server = Server { child, ports, dir };
    let deadline = Instant::now() + Duration::from_secs(60);
    for port in server.ports.clone() {
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "the server did not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    server
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// nginx over a directory: port 0 with ranges, port 1 without, port 2 with TLS by the authority in `ca.pem`.
pub(crate) fn nginx(root: &Path, tls: bool) -> Option<Server> {
    let nginx = find("nginx", "nginx-light")?;
    let tmp = TempDir::new().unwrap();
    let at = tmp.path().display().to_string();
    let ports = vec![free_port(), free_port(), free_port()];
    let mut ssl = String::new();
    if tls {
        let openssl = find("openssl", "openssl")?;
        run(Command::new(&openssl).current_dir(&tmp).args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]));
        run(Command::new(&openssl).current_dir(&tmp).args([
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "site.key",
            "-out",
            "site.csr",
        ]));
        fs::write(tmp.path().join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        run(Command::new(&openssl).current_dir(&tmp).args([
            "x509",
            "-req",
            "-in",
            "site.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "ext",
            "-out",
            "site.pem",
        ]));
        fs::copy(tmp.path().join("ca.pem"), root.join("ca.pem")).unwrap();
        ssl = format!(
            "server {{ listen 127.0.0.1:{} ssl; ssl_certificate {at}/site.pem; ssl_certificate_key {at}/site.key; root {}; }}",
            ports.get(2).unwrap(),
            root.display()
        );
    }
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/{name}; "))
        .concat();
    let config = format!(
        "{user} daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
         events {{}}\nhttp {{ access_log off; {temps}\n\
         server {{ listen 127.0.0.1:{}; root {root}; }}\n\
         server {{ listen 127.0.0.1:{}; root {root}; max_ranges 0; }}\n{ssl}\n}}\n",
        ports.first().unwrap(),
        ports.get(1).unwrap(),
        root = root.display()
    );
    fs::write(tmp.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-p").arg(tmp.path()).arg("-c").arg(tmp.path().join("nginx.conf"));
    let ports = if tls { ports } else { ports.into_iter().take(2).collect() };
    Some(start(command, ports, tmp))
}

fn settings() -> NetSettings {
    NetSettings { first_wait: Duration::from_millis(5), ..NetSettings::default() }
}

fn place(address: &str, settings: &NetSettings) -> Arc<dyn Transport> {
    connect(&Location::parse(address).unwrap(), settings).unwrap()
}

/// What every place that can be written must do.
fn keeps_files(place: &dyn Transport) {
    let key = |text: &str| Key::new(text).unwrap();
    let bytes = noise(9, 300_000);
    let body = Body::bytes(&bytes);
    assert!(place.get(&key("a/b"), 10).unwrap_err().is_not_found());
    assert_eq!(place.stat(&key("a/b")).unwrap(), None);
    assert_eq!(place.put(&key("a/b"), &body, PutMode::IfAbsent).unwrap(), Put::Stored);
    let other = noise(10, 1000);
    assert_eq!(place.put(&key("a/b"), &Body::bytes(&other), PutMode::IfAbsent).unwrap(), Put::Existed);
    assert_eq!(place.get(&key("a/b"), 1 << 20).unwrap(), bytes);
    assert_eq!(place.stat(&key("a/b")).unwrap(), Some(300_000));
    let mut part = vec![0; 1000];
    place.read_at(&key("a/b"), 123_456, &mut part).unwrap();
    assert_eq!(part, bytes.get(123_456..124_456).unwrap());
    let mut all = Vec::new();
    assert_eq!(place.stream(&key("a/b"), 1 << 20, &mut all).unwrap(), 300_000);
    assert_eq!(all, bytes);
    assert!(matches!(place.get(&key("a/b"), 1000), Err(TransportError::TooLong { .. })));
    assert!(place.read_at(&key("a/b"), 299_999, &mut part).is_err(), "beyond the end");
    // The same bytes under several names, and names that are not like each other's.
    let long = format!("a/{}", "long_name-".repeat(20));
    let names = ["a/c_d", "a/c+d", "b", &long];
    for name in names {
        place.put(&key(name), &Body::bytes(&other), PutMode::Replace).unwrap();
    }
    let mut expected: Vec<Key> =
        names.iter().filter(|name| name.starts_with("a/")).map(|name| key(name)).collect();
    expected.push(key("a/b"));
    expected.sort();
    assert_eq!(place.list("a/").unwrap(), expected);
    place.put(&key("b"), &body, PutMode::Replace).unwrap();
    assert_eq!(place.get(&key("b"), 1 << 20).unwrap(), bytes);
    place.delete(&key("a/c_d")).unwrap();
    place.delete(&key("a/c_d")).unwrap();
    assert_eq!(place.get(&key("a/c+d"), 1 << 20).unwrap(), other);
    for name in ["a/b", "a/c+d", "b", &long] {
        place.delete(&key(name)).unwrap();
    }
    assert!(place.list("").unwrap().is_empty());
}

/// A whole life: made, two releases, read by a reader, pruned.
fn carries_a_repository(place: &Arc<dyn Transport>) {
    let root = init(place, now());
    push(place, &root, &bundle(1));
    push(place, &root, &bundle(2));
    let tmp = TempDir::new().unwrap();
    let trusted = TrustedRoot::new(root.clone(), Some(tmp.path().join("state")));
    reads_a_release(place, &trusted, tmp.path());
    let keys = all_keys();
    let owner = Owner::open(place, &trusted, &keys, now()).unwrap();
    let pruned = owner.prune(1, 0, &mut |_| {}).unwrap();
    assert!(pruned.deleted >= 4 && pruned.waiting == 0, "{pruned:?}");
    let view = load(place, &trusted).unwrap();
    assert_eq!(view.releases().len(), 1);
    reads_a_release(place, &trusted, &tmp.path().join("again"));
}

/// The newest release, whole and as its maker made it.
fn reads_a_release(place: &Arc<dyn Transport>, trusted: &TrustedRoot, tmp: &Path) {
    let release = open_release(place, "lab", None, trusted, tmp.join("scratch")).unwrap();
    let chunked = release.release(&makers(), &Rules::at(now())).unwrap();
    assert_eq!(chunked.slot_bytes("root", 1 << 30, &release.source, &[]).unwrap(), crate::fixture::image(2));
    let cache = Cache::new(tmp.join("cache"));
    let fetched = cache.fetch(&release, &[], &mut |_| {}).unwrap();
    assert!(fetched.fetched > 5_000_000);
    let mut whole = Vec::new();
    let runs = lifeboat_bundle::full_runs(chunked.manifest());
    let mut read = |pack: &lifeboat_bundle::PackId, at: u64, buf: &mut [u8]| {
        lifeboat_bundle::PackSource::read_at(&cache, pack, at, buf)
    };
    lifeboat_bundle::write_bundle(&release.parts, None, &runs, &mut read, &mut whole).unwrap();
    assert_eq!(whole, bundle(2), "the bundle that its maker built");
    opened(&whole);
}

#[test]
fn a_directory_carries_a_repository() {
    let tmp = TempDir::new().unwrap();
    let place = dir(tmp.path());
    keeps_files(&*place);
    carries_a_repository(&place);
}

#[test]
fn nginx_gives_out_a_repository_with_ranges_without_and_over_tls() {
    let tmp = TempDir::new().unwrap();
    let local = dir(tmp.path());
    let root = init(&local, now());
    push(&local, &root, &bundle(1));
    push(&local, &root, &bundle(2));
    let Some(server) = nginx(tmp.path(), true) else { return };
    let port = |number: usize| *server.ports.get(number).unwrap();
    let trusted = TrustedRoot::new(root, None);
    let ranges = place(&format!("http://127.0.0.1:{}", port(0)), &settings());
    let work = TempDir::new().unwrap();
    reads_a_release(&ranges, &trusted, &work.path().join("ranges"));
    // Without ranges: the pack is fetched once, whole, and the reader is told.
    let whole = place(&format!("http://127.0.0.1:{}", port(1)), &settings());
    let release = open_release(&whole, "lab", None, &trusted, work.path().join("scratch")).unwrap();
    let chunked = release.release(&makers(), &Rules::at(now())).unwrap();
    let before = whole.traffic().unwrap().received();
    assert_eq!(chunked.slot_bytes("root", 1 << 30, &release.source, &[]).unwrap(), crate::fixture::image(2));
    assert!(release.source.without_ranges());
    let pack = chunked.manifest().packs.first().unwrap().len;
    let received = whole.traffic().unwrap().received() - before;
    assert!(received < pack + pack / 2, "{received} bytes for a pack of {pack}");
    // TLS: our own authority is trusted if it is named, and not otherwise.
    let address = format!("https://localhost:{}", port(2));
    let ours = NetSettings { ca: Some(tmp.path().join("ca.pem")), ..settings() };
    reads_a_release(&place(&address, &ours), &trusted, &work.path().join("tls"));
    if Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        let strangers = NetSettings { tries: 1, ..settings() };
        assert!(load(&place(&address, &strangers), &trusted).is_err());
    }
    // A web server cannot be pushed to, and says so.
    let keys = all_keys();
    let owner = Owner::open(&ranges, &trusted, &keys, now()).unwrap();
    let error = owner.refresh(&mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("can only be read"), "{error}");
}

#[test]
fn a_registry_carries_a_repository() {
    let Some(registry) = find("docker-registry", "docker-registry") else { return };
    let tmp = TempDir::new().unwrap();
    let port = free_port();
    // User "lab", password "pass word": bcrypt, as the registry wants it.
    fs::write(tmp.path().join("users"), "lab:$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.\n")
        .unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {at}/data}}, delete: {{enabled: true}}}}\n\
         auth: {{htpasswd: {{realm: test, path: {at}/users}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
        at = tmp.path().display()
    );
    fs::write(tmp.path().join("config.yml"), config).unwrap();
    let mut command = Command::new(registry);
    command.arg("serve").arg(tmp.path().join("config.yml"));
    let _server = start(command, vec![port], tmp);
    let files = place(&format!("oci://lab:pass%20word@127.0.0.1:{port}/test/files"), &settings());
    keeps_files(&*files);
    carries_a_repository(&place(&format!("oci://lab:pass%20word@127.0.0.1:{port}/lab-host"), &settings()));
    let stranger = place(&format!("oci://127.0.0.1:{port}/lab-host"), &settings());
    assert!(matches!(stranger.list(""), Err(TransportError::Denied { .. })));
}

/// moto's S3 server, which lets four unsigned requests in: user, key, policy, bucket. Then it checks signatures.
fn moto() -> Option<(Server, Credentials)> {
    let program =
        match std::env::var_os("LIFEBOAT_S3_SERVER").map(PathBuf::from).filter(|path| path.is_file()) {
            Some(path) => path,
            None => find(
                "moto_server",
                "moto (pip install 'moto[s3]' flask flask-cors), or name it in LIFEBOAT_S3_SERVER",
            )?,
        };
    let tmp = TempDir::new().unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.env("INITIAL_NO_AUTH_ACTION_COUNT", "4").args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let server = start(command, vec![port], tmp);
    let iam = |query: &str| unsigned(port, "POST / HTTP/1.1", "iam", query);
    iam("Action=CreateUser&UserName=lab&Version=2010-05-08");
    let key = iam("Action=CreateAccessKey&UserName=lab&Version=2010-05-08");
    let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A*%22%2C%22Resource%22%3A%22*%22%7D%5D%7D";
    iam(&format!(
        "Action=PutUserPolicy&UserName=lab&PolicyName=all&Version=2010-05-08&PolicyDocument={policy}"
    ));
    unsigned(port, "PUT /releases HTTP/1.1", "s3", "");
    let between = |open: &str, close: &str| {
        key.split_once(open)
            .and_then(|(_, rest)| rest.split_once(close))
            .map(|(value, _)| value.to_owned())
            .unwrap()
    };
    let credentials = Credentials {
        access_key: between("<AccessKeyId>", "</AccessKeyId>"),
        secret_key: between("<SecretAccessKey>", "</SecretAccessKey>"),
        token: None,
    };
    Some((server, credentials))
}

fn unsigned(port: u16, line: &str, service: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let auth = format!(
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    write!(
        stream,
        "{line}\r\nhost: 127.0.0.1\r\nauthorization: {auth}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[test]
fn a_bucket_carries_a_repository_and_every_request_is_signed_right() {
    let Some((server, credentials)) = moto() else { return };
    let port = *server.ports.first().unwrap();
    let address =
        |below: &str| format!("s3://releases/{below}?endpoint=http://127.0.0.1:{port}&region=us-east-1");
    let signed = NetSettings { s3: Some(credentials.clone()), ..settings() };
    keeps_files(&*place(&address("test/files"), &signed));
    carries_a_repository(&place(&address("lab"), &signed));
    // The server does look at signatures.
    let wrong = Credentials { secret_key: "wrong".into(), ..credentials };
    let forged = NetSettings { s3: Some(wrong), ..settings() };
    match place(&address("lab"), &forged).list("") {
        Err(TransportError::Denied { .. }) => {}
        other => panic!("{other:?}"),
    }
}
