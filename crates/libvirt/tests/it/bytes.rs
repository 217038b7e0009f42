//! Encoding and decoding without a peer.

use lifeboat_libvirt::frame::{Assembler, FRAME_LIMIT, FrameError, Header, encode};
use lifeboat_libvirt::xdr::{Decoder, Encoder, STRING_LIMIT, XdrError};
use lifeboat_libvirt::{Procedure, Uuid};

#[test]
fn values_come_back_as_they_were() {
    let mut to = Encoder::new();
    to.int(-7);
    to.unsigned(7);
    to.hyper(i64::MIN);
    to.unsigned_hyper(u64::MAX);
    to.double(-0.5);
    to.flag(true);
    to.string("fünf");
    to.optional_string(None);
    to.optional_string(Some("x"));
    to.opaque(&[1, 2, 3]);
    to.fixed(&[9; 5]);
    let bytes = to.finish().unwrap();
    assert_eq!(bytes.len() % 4, 0);
    let mut from = Decoder::new(&bytes);
    assert_eq!(from.int(), Ok(-7));
    assert_eq!(from.unsigned(), Ok(7));
    assert_eq!(from.hyper(), Ok(i64::MIN));
    assert_eq!(from.unsigned_hyper(), Ok(u64::MAX));
    assert_eq!(from.double().map(f64::to_bits), Ok((-0.5_f64).to_bits()));
    assert_eq!(from.flag(), Ok(true));
    assert_eq!(from.string().as_deref(), Ok("fünf"));
    assert_eq!(from.optional(Decoder::string), Ok(None));
    assert_eq!(from.optional(Decoder::string), Ok(Some("x".to_owned())));
    assert_eq!(from.opaque("bytes", 3), Ok(&[1, 2, 3][..]));
    assert_eq!(from.array::<8>("bytes"), Ok([9, 9, 9, 9, 9, 0, 0, 0]));
    assert_eq!(from.finish(), Ok(()));
}

#[test]
fn lengths_are_refused_before_memory_is_taken() {
    let giant = u32::MAX.to_be_bytes();
    assert!(matches!(Decoder::new(&giant).string(), Err(XdrError::TooLong { limit: STRING_LIMIT, .. })));
    // Within the limit, and more than is there.
    let many = 16384_u32.to_be_bytes();
    let list = Decoder::new(&many).list("a list", 16384, 24, Decoder::string);
    assert!(matches!(list, Err(XdrError::Short { needed: 393_216, left: 0, .. })), "{list:?}");
    let more = 16385_u32.to_be_bytes();
    assert!(matches!(
        Decoder::new(&more).list("a list", 16384, 24, Decoder::string),
        Err(XdrError::TooLong { .. })
    ));
    let mut to = Encoder::new();
    to.string(&"x".repeat(STRING_LIMIT + 1));
    assert!(matches!(to.finish(), Err(XdrError::TooLong { .. })));
    let mut to = Encoder::new();
    to.string("a\0b");
    assert!(matches!(to.finish(), Err(XdrError::NotText { .. })));
    for bytes in [&[0, 0, 0, 1, 0xff, 0, 0, 0][..], &[0, 0, 0, 2, b'a', 0, 0, 0]] {
        assert!(matches!(Decoder::new(bytes).string(), Err(XdrError::NotText { at: 0 })));
    }
    assert!(matches!(
        Decoder::new(&[0, 0, 0, 2]).optional(Decoder::int),
        Err(XdrError::Unknown { value: 2, .. })
    ));
    assert!(matches!(Decoder::new(&[0]).finish(), Err(XdrError::Trailing { left: 1 })));
}

#[test]
fn frames_come_back_whole_however_they_are_cut() {
    let first = encode(&Header::call(1, 1), &[1, 2, 3, 4]).unwrap();
    let second = encode(&Header::keepalive(2), &[]).unwrap();
    let stream = [first, second].concat();
    for size in 1..=stream.len() {
        let (mut assembler, mut frames) = (Assembler::new(), Vec::new());
        for piece in stream.chunks(size) {
            assembler.push(piece);
            while let Some(frame) = assembler.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames.len(), 2, "in pieces of {size}");
        assert_eq!((frames[0].header, frames[0].payload.as_slice()), (Header::call(1, 1), &[1, 2, 3, 4][..]));
        assert_eq!((frames[1].header, frames[1].payload.len()), (Header::keepalive(2), 0));
    }
    assert!(matches!(encode(&Header::call(1, 1), &vec![0; FRAME_LIMIT]), Err(FrameError::TooLarge { .. })));
}

#[test]
fn uuids_are_read_as_libvirt_writes_them() {
    let text = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0";
    let uuid: Uuid = text.parse().unwrap();
    assert_eq!(uuid.to_string(), text);
    assert_eq!("4DEA22B31D52D8F32516782E98AB3FA0".parse(), Ok(uuid));
    for wrong in [
        "",
        "4dea22b3",
        &text[1..],
        "zdea22b3-1d52-d8f3-2516-782e98ab3fa0",
        &format!("{text}00"),
        &"-".repeat(40),
    ] {
        assert!(wrong.parse::<Uuid>().is_err(), "{wrong:?}");
    }
}

#[test]
fn no_two_procedures_have_a_number() {
    let mut numbers: Vec<i32> = Procedure::ALL.iter().map(|procedure| procedure.number).collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), all);
}
