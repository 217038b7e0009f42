//! Promises of the streams, whatever the bytes are and however they come.

use proptest::prelude::*;

use super::*;
use crate::esx::fixture::{self, gzip, tar, visor_tar};

/// All that comes out of a file that is pushed in pieces of `piece` bytes: content, members, or the fault.
fn run(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<String>, u64), String> {
    let (mut gunzip, mut walk) = (Gunzip::new(1 << 20), TarWalk::new());
    let (mut content, mut members) = (Vec::new(), Vec::new());
    for part in bytes.chunks(piece.max(1)) {
        let pushed = gunzip.push(part, &mut |plain| {
            content.extend_from_slice(plain);
            walk.push(plain, &mut |event| {
                if let TarEvent::Member(member) = event {
                    members.push(member.path.clone());
                }
                Ok(())
            })
        });
        pushed.map_err(|error| error.to_string())?;
    }
    let (_, trailing) = gunzip.finish().map_err(|error| error.to_string())?;
    walk.finish().map_err(|error| error.to_string())?;
    Ok((content, members, trailing))
}

proptest! {
    #[test]
    fn the_size_of_the_pieces_changes_nothing(
        names in proptest::collection::vec("[a-z]{1,12}", 0..6),
        piece in 1_usize..700,
        plain in any::<bool>(),
    ) {
        let members: Vec<_> = names
            .iter()
            .map(|name| fixture::TarMember::new(name, name.repeat(300).into_bytes()))
            .collect();
        let packed = gzip(&if plain { tar(&members) } else { visor_tar(&members) });
        let whole = run(&packed, packed.len());
        prop_assert_eq!(&run(&packed, piece), &whole);
        let (_, found, _) = whole.unwrap_or_default();
        prop_assert_eq!(found, names);
    }

    #[test]
    fn any_bytes_behind_the_mark_of_gzip_end_in_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        piece in 1_usize..100,
    ) {
        let mut file = vec![0x1f, 0x8b, 8, 0];
        file.extend(bytes);
        let _ = run(&file, piece);
    }

    #[test]
    fn any_blocks_as_an_archive_end_in_an_answer(
        changes in proptest::collection::vec((0_usize..3000, any::<u8>()), 0..20),
        visor in any::<bool>(),
    ) {
        let members = [fixture::TarMember::new("a", vec![1; 600]), fixture::TarMember::new("b/", Vec::new())];
        let mut archive = if visor { visor_tar(&members) } else { tar(&members) };
        for (at, byte) in changes {
            if let Some(to) = archive.get_mut(at) {
                *to = byte;
            }
        }
        let _ = run(&gzip(&archive), 512);
    }
}

#[test]
fn names_and_comments_in_the_header_are_passed_over() {
    let good = gzip(b"hello");
    let (head, body) = good.split_at(10);
    // Extra field, name, comment and checksum of the header.
    let mut file = head.to_vec();
    if let Some(flags) = file.get_mut(3) {
        *flags = 4 | 8 | 16 | 2;
    }
    file.extend(b"\x03\0abcname\0comment\0\x12\x34");
    file.extend(body);
    for piece in [1, 2, 7, file.len()] {
        assert_eq!(run(&file, piece).map(|(content, ..)| content), Ok(b"hello".to_vec()));
    }
    let mut endless = head.to_vec();
    if let Some(flags) = endless.get_mut(3) {
        *flags = 8;
    }
    endless.extend(vec![b'x'; 100_000]);
    assert!(run(&endless, 1000).is_err());
}
