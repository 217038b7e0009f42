//! What the wire may do: servers that lie, dribble, redirect and fail for a while.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lifeboat_repo::{Key, Location, NetSettings, Transport, TransportError, connect};

use crate::fixture::noise;
use crate::proxy::{Question, serve};

fn quick() -> NetSettings {
    NetSettings {
        tries: 3,
        first_wait: Duration::from_millis(1),
        patience: Duration::from_millis(400),
        ..NetSettings::default()
    }
}

fn at(port: u16) -> Arc<dyn Transport> {
    connect(&Location::parse(&format!("http://127.0.0.1:{port}/r/")).unwrap(), &quick()).unwrap()
}

fn file() -> Key {
    Key::new("packs/x").unwrap()
}

fn says(question: &Question, text: &str) -> bool {
    question.iter().any(|line| line.contains(text))
}

#[test]
fn an_answer_without_end_is_refused_at_its_limit() {
    let port = serve(|_, client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while client.write_all(&[b'x'; 8192]).is_ok() {}
    });
    let place = at(port);
    assert!(matches!(place.get(&file(), 1 << 20), Err(TransportError::TooLong { limit: 1_048_576, .. })));
    let received = place.traffic().unwrap().received();
    assert!(received < 2 << 20, "{received}");
}

#[test]
fn an_announced_length_above_the_limit_is_refused_before_its_body() {
    let port = serve(|_, client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nxxxx");
    });
    assert!(matches!(at(port).get(&file(), 1000), Err(TransportError::TooLong { .. })));
}

#[test]
fn a_server_that_stops_sending_is_given_up_in_time() {
    let port = serve(|_, client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nxxxx");
        std::thread::sleep(Duration::from_secs(20));
    });
    let started = Instant::now();
    assert!(matches!(at(port).get(&file(), 1000), Err(TransportError::Network { tries: 3, .. })));
    assert!(started.elapsed() < Duration::from_secs(10), "three times its patience, not twenty seconds");
}

#[test]
fn a_server_that_dribbles_is_given_up_though_it_never_stops() {
    let port = serve(|_, client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n");
        while client.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let place = at(port);
    assert!(matches!(place.get(&file(), 200_000), Err(TransportError::Network { .. })));
    assert!(place.traffic().unwrap().received() < 5000);
}

#[test]
fn a_part_that_is_not_the_one_asked_for_is_refused() {
    for said in ["bytes 1-10/100", "bytes 0-99/100", "bytes 0-5/6", "bytes 0-9/5", "", "nonsense"] {
        let port = serve(move |_, client| {
            let head =
                format!("HTTP/1.1 206 x\r\ncontent-range: {said}\r\ncontent-length: 10\r\n\r\n0123456789");
            let _ = client.write_all(head.as_bytes());
        });
        let mut buf = [0; 10];
        let answer = at(port).read_at(&file(), 0, &mut buf);
        assert!(matches!(answer, Err(TransportError::BadAnswer { .. })), "{said:?}: {answer:?}");
    }
}

#[test]
fn a_server_without_ranges_is_told_apart_from_a_broken_one() {
    let port = serve(|_, client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789");
    });
    let mut part = [0; 4];
    assert!(matches!(at(port).read_at(&file(), 3, &mut part), Err(TransportError::NoRanges { .. })));
    // The whole file is a part that every server can give.
    let mut whole = [0; 10];
    at(port).read_at(&file(), 0, &mut whole).unwrap();
    assert_eq!(&whole, b"0123456789");
}

#[test]
fn redirects_are_followed_a_few_times_and_not_for_ever() {
    let port = serve(|question, client| {
        let answer = if says(question, "get /r/") {
            "HTTP/1.1 302 x\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        let _ = client.write_all(answer.as_bytes());
    });
    assert_eq!(at(port).get(&file(), 10).unwrap(), b"ok");
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let port = serve(move |_, client| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = client.write_all(b"HTTP/1.1 302 x\r\nlocation: /r/packs/x\r\ncontent-length: 0\r\n\r\n");
    });
    assert!(matches!(at(port).get(&file(), 10), Err(TransportError::BadAnswer { .. })));
    assert!(turns.load(Ordering::SeqCst) <= 7);
}

#[test]
fn passing_trouble_is_waited_out_and_a_refusal_is_not_repeated() {
    for (status, asked) in [(503, 3), (429, 3), (500, 3), (404, 1), (403, 1), (400, 1)] {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let port = serve(move |_, client| {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 3\r\n\r\nwhy");
            let _ = client.write_all(answer.as_bytes());
        });
        let error = at(port).get(&file(), 10).unwrap_err();
        assert_eq!(turns.load(Ordering::SeqCst), asked, "{status}");
        assert!(status == 404 || error.to_string().contains("why"), "{error}");
    }
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let port = serve(move |_, client| {
        let good = counted.fetch_add(1, Ordering::SeqCst) == 2;
        let answer =
            if good { "200 OK\r\ncontent-length: 2\r\n\r\nok" } else { "502 x\r\ncontent-length: 0\r\n\r\n" };
        let _ = client.write_all(format!("HTTP/1.1 {answer}").as_bytes());
    });
    assert_eq!(at(port).get(&file(), 10).unwrap(), b"ok");
}

#[test]
fn a_registry_that_wants_a_token_is_given_one_and_nobody_else_is() {
    // The token server and the registry are one here.
    let port = serve(move |question, client| {
        let first = question.first().cloned().unwrap_or_default();
        let answer = if first.starts_with("get /token?") {
            let right = first.contains("scope=repository%3alab%3apull")
                && first.contains("service=reg")
                && says(question, "authorization: basic dtpw");
            if right {
                "200 OK\r\ncontent-length: 15\r\n\r\n{\"token\":\"t0k\"}"
            } else {
                "403 x\r\ncontent-length: 0\r\n\r\n"
            }
        } else if says(question, "authorization: bearer t0k") {
            "200 OK\r\ncontent-length: 14\r\n\r\n{\"tags\":[\"a\"]}"
        } else {
            ""
        };
        let text = if answer.is_empty() {
            let port = client.local_addr().unwrap().port();
            format!(
                "401 x\r\nwww-authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"reg\",scope=\"repository:lab:pull\"\r\ncontent-length: 0\r\n\r\n"
            )
        } else {
            answer.to_owned()
        };
        let _ = client.write_all(format!("HTTP/1.1 {text}").as_bytes());
    });
    let place = |login: &str| {
        let address = format!("oci://{login}127.0.0.1:{port}/lab");
        connect(&Location::parse(&address).unwrap(), &quick()).unwrap()
    };
    // "u:p" is dTpw in base 64.
    assert!(place("u:p@").list("").is_ok());
    assert!(matches!(place("").list(""), Err(TransportError::Denied { .. })));
    assert!(matches!(place("u:wrong@").list(""), Err(TransportError::Denied { .. })));
}

#[test]
fn a_body_that_is_cut_is_taken_up_at_its_byte() {
    let whole = noise(3, 1 << 20);
    let served = whole.clone();
    let port = serve(move |question, client| {
        let range = question.iter().find_map(|line| line.strip_prefix("range: bytes=")).unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let part = served.get(first..=last).unwrap();
        let head = format!(
            "HTTP/1.1 206 x\r\ncontent-range: bytes {first}-{last}/{}\r\ncontent-length: {}\r\n\r\n",
            served.len(),
            part.len()
        );
        let _ = client.write_all(head.as_bytes());
        // Never more than 100 000 bytes.
        let _ = client.write_all(part.get(..part.len().min(100_000)).unwrap());
    });
    let place = at(port);
    let mut buf = vec![0; whole.len()];
    place.read_at(&file(), 0, &mut buf).unwrap();
    assert_eq!(buf, whole);
    let traffic = place.traffic().unwrap();
    assert_eq!(traffic.received(), whole.len() as u64, "no byte twice");
    assert!(traffic.retries() == 0 || traffic.requests() >= 11);
}
