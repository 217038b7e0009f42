//! Damaged answers, and daemons that mean harm.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use lifeboat_libvirt::{
    CloseReason, ConnectError, ConnectOptions, Connection, DomainFilter, Error, Event, EventKind, Uri,
};

use crate::golden::{From, Recording, frame, guest_xml, session};

/// What one damaged conversation may take: far less than the timeouts of calls add up to.
const PATIENCE: Duration = Duration::from_millis(150);

/// Serves one client as this does, while that one talks.
fn against<T>(serve: impl FnOnce(UnixStream) + Send + 'static, talk: impl FnOnce(&Uri) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("daemon");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let uri = Uri::parse(&format!("qemu+unix:///system?socket={}", socket.display())).unwrap();
    let heard = talk(&uri);
    server.join().unwrap();
    heard
}

fn options() -> ConnectOptions {
    let (connect_timeout, call_timeout) = (PATIENCE, PATIENCE);
    ConnectOptions { keepalive: None, connect_timeout, call_timeout, ..ConnectOptions::default() }
}

/// Plays the recording with one frame of the daemon replaced; then ends.
fn play(frames: &[(From, Vec<u8>)], at: usize, damaged: &[u8], mut client: UnixStream) {
    for (index, (from, bytes)) in frames.iter().enumerate() {
        let bytes = if index == at { damaged } else { bytes };
        let goes_on = match from {
            From::Client => frame(&mut client).is_some(),
            From::Daemon => client.write_all(bytes).is_ok(),
        };
        if !goes_on {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
}

/// A frame of the same header and another payload.
fn with_payload(frame: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame[..28].to_vec();
    bytes.extend_from_slice(payload);
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

/// Ways in which a frame may be damaged.
fn damages(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let payload = &frame[28..];
    // Payloads that end too early or too late, in frames of the right length.
    let step = (payload.len() / 12).max(1);
    all.extend((0..payload.len()).step_by(step).map(|len| with_payload(frame, &payload[..len])));
    all.push(with_payload(frame, &[payload, &[0; 4]].concat()));
    // Frames that end in their middle.
    all.extend(
        [0, 3, 4, 10, 27, frame.len() / 2, frame.len() - 1]
            .map(|len| frame[..len.min(frame.len() - 1)].to_vec()),
    );
    // Words that claim too much, or mean nothing.
    let words = frame.len() / 4;
    let step = (words / 12).max(1);
    for word in (0..words).step_by(step) {
        for value in [u32::MAX, 0x7fff_ffff, 0x0100_0000, 0] {
            let mut bytes = frame.to_vec();
            bytes[word * 4..word * 4 + 4].copy_from_slice(&value.to_be_bytes());
            all.push(bytes);
        }
    }
    // Single bits.
    for bit in (0..frame.len() * 8).step_by((frame.len() * 8 / 24).max(1)) {
        let mut bytes = frame.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        all.push(bytes);
    }
    all
}

#[test]
fn damaged_answers_end_in_errors_and_never_in_panics_or_hangs() {
    let recording = Recording::read("session");
    let xml = guest_xml();
    let (mut tried, mut failed, mut slowest) = (0, 0, Duration::ZERO);
    let mut seen = Vec::new();
    for (at, (from, bytes)) in recording.frames.iter().enumerate() {
        // One of each procedure, kind and status is enough.
        let sort = [&bytes[12..20], &bytes[24..28]].concat();
        if *from == From::Client || seen.contains(&sort) {
            continue;
        }
        seen.push(sort);
        for damaged in damages(bytes) {
            let frames = recording.frames.clone();
            let begin = Instant::now();
            let heard = against(
                move |client| play(&frames, at, &damaged, client),
                |uri| {
                    let connection = Connection::open_with(uri, &options())?;
                    let facts = session(&connection, &xml, PATIENCE);
                    let closed = connection.closed();
                    assert!(
                        !format!("{closed:?}").contains("the thread of the connection failed"),
                        "frame {at} made the thread panic"
                    );
                    facts
                },
            );
            tried += 1;
            failed += usize::from(heard.is_err());
            slowest = slowest.max(begin.elapsed());
        }
    }
    println!("{tried} damaged conversations, {failed} ended in errors, the slowest took {slowest:?}");
    assert!(tried > 1500 && failed > tried / 2, "{failed} of {tried}");
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
}

/// Answers the first frame with these bytes and then waits for the client to go.
fn answer_with(bytes: Vec<u8>) -> impl FnOnce(UnixStream) + Send {
    move |mut client: UnixStream| {
        frame(&mut client).unwrap();
        // The client may be gone before all is sent.
        client.write_all(&bytes).ok();
        while frame(&mut client).is_some() {}
    }
}

fn reason(bytes: Vec<u8>) -> CloseReason {
    match against(answer_with(bytes), |uri| Connection::open_with(uri, &options()).unwrap_err()) {
        Error::Connect { source: ConnectError::Ended { reason }, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A header with these words.
fn header(length: u32, words: [u32; 6]) -> Vec<u8> {
    [length].into_iter().chain(words).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn a_peer_that_breaks_the_protocol_is_left_at_once_with_the_reason() {
    const REMOTE: u32 = 0x2000_8086;
    for (bytes, words) in [
        (header(u32::MAX, [REMOTE, 1, 66, 1, 1, 0]), "a frame of 4294967295 bytes"),
        (header(33_554_437, [REMOTE, 1, 66, 1, 1, 0]), "a frame of 33554437 bytes"),
        (header(27, [REMOTE, 1, 66, 1, 1, 0]), "a frame of 27 bytes"),
        (header(28, [REMOTE, 2, 66, 1, 1, 0]), "a version that is not spoken here"),
        (header(28, [7, 1, 66, 1, 1, 0]), "a program that is not known here"),
        (header(28, [REMOTE, 1, 66, 1, 99, 0]), "an answer that nobody asked for"),
        (header(28, [REMOTE, 1, 66, 0, 1, 0]), "a frame of a kind not asked for"),
        (header(28, [REMOTE, 1, 66, 5, 1, 0]), "a frame of a kind not asked for"),
        (header(28, [REMOTE, 1, 66, 1, 1, 9]), "a header that cannot be read"),
        (header(28, [REMOTE, 1, 318, 2, 0, 0]), "an event that cannot be read"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec(), "a frame of 1397966893 bytes"),
    ] {
        let reason = reason(bytes);
        assert!(
            matches!(&reason, CloseReason::Protocol { detail } if detail.contains(words)),
            "{words}: {reason}"
        );
    }
}

#[test]
fn a_peer_that_says_nothing_costs_the_time_given_and_no_more() {
    let begin = Instant::now();
    let error = against(
        |mut client| while frame(&mut client).is_some() {},
        |uri| Connection::open_with(uri, &options()).unwrap_err(),
    );
    assert!(matches!(error, Error::Connect { source: ConnectError::TimedOut { .. }, .. }), "{error:?}");
    assert!(begin.elapsed() >= PATIENCE && begin.elapsed() < PATIENCE * 20);
}

#[test]
fn a_long_frame_that_never_comes_takes_no_memory() {
    const ALONE: &str = "LIFEBOAT_LIBVIRT_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // In a process of its own: other tests take memory as well.
        let test = "damage::a_long_frame_that_never_comes_takes_no_memory";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", test]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    // It announces the longest frame there is and sends little of it.
    let mut bytes = header(33_554_436, [0x2000_8086, 1, 66, 1, 1, 0]);
    bytes.resize(4096, 0);
    let before = peak();
    let error = against(answer_with(bytes), |uri| Connection::open_with(uri, &options()).unwrap_err());
    assert!(matches!(error, Error::Connect { source: ConnectError::TimedOut { .. }, .. }), "{error:?}");
    let grown = peak() - before;
    assert!(grown < 4 << 10, "{grown} KiB more at the peak");
}

/// Most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Opens the door and registers anything; answers are numbers.
fn open_door(client: &mut UnixStream, calls: usize) {
    for _ in 0..calls {
        let asked = frame(client).unwrap();
        let mut answer = asked.clone();
        answer.truncate(28);
        // A reply; a list of no authentication, nothing for the rest, a number for registrations.
        answer[16..20].copy_from_slice(&1_u32.to_be_bytes());
        let payload: &[u8] = match u32::from_be_bytes(asked[12..16].try_into().unwrap()) {
            66 | 316 => &[0; 4],
            _ => &[],
        };
        client.write_all(&with_payload(&answer, payload)).unwrap();
    }
}

#[test]
fn a_flood_of_events_is_counted_for_a_slow_listener() {
    const EVENTS: usize = 6000;
    let recording = Recording::read("session");
    let is_event = |bytes: &[u8]| bytes[12..16] == 318_u32.to_be_bytes();
    let event = recording.frames.iter().find(|(_, bytes)| is_event(bytes)).unwrap().1.clone();
    let (sent, wait) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    against(
        move |mut client| {
            open_door(&mut client, 3);
            for _ in 0..EVENTS {
                client.write_all(&event).unwrap();
            }
            // An answer behind them shows that all were taken.
            let mut asked = frame(&mut client).unwrap();
            asked[16..20].copy_from_slice(&1_u32.to_be_bytes());
            client.write_all(&with_payload(&asked, &[0; 8])).unwrap();
            sent.send(()).unwrap();
            may_go_on.recv().unwrap();
            client.write_all(&event).unwrap();
            while frame(&mut client).is_some() {}
        },
        |uri| {
            let connection =
                Connection::open_with(uri, &options()).unwrap().with_timeout(Duration::from_secs(60));
            let events = connection.subscribe(&[EventKind::Lifecycle]).unwrap();
            assert_eq!(connection.domains(DomainFilter::ALL).unwrap(), []);
            wait.recv().unwrap();
            let kept = events.try_iter().filter(|event| matches!(event, Event::Lifecycle { .. })).count();
            assert_eq!(kept, 4096);
            go_on.send(()).unwrap();
            let next = events.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!(next, Event::Missed((EVENTS - 4096) as u64));
            assert!(matches!(events.recv_timeout(Duration::from_secs(60)).unwrap(), Event::Lifecycle { .. }));
        },
    );
}
