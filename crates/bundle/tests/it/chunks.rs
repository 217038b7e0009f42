//! Releases cut by content: indexes, plans, seeds, deltas, assemblies.

use std::io::{self, Cursor};
use std::sync::Mutex;

use lifeboat_bundle::{
    Assembly, BundleBuilder, BundleError, Chunk, ChunkHash, ChunkIndex, ChunkedRelease, Chunker, DeltaBase,
    FetchPlan, ImageSeed, IndexError, Origin, PackId, PackSource, ReleaseSeed, Rules, Seed, Stored,
    full_runs, open, open_release, verify_all, write_bundle,
};
use lifeboat_model::image::{ImageSource, ImageTarget};

use crate::forge::{NOW, build, draft, key, noise, read_all, trust};

/// Memory that an image is written to; writes are looked at.
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: u64,
    pub(crate) torn: usize,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Self {
        Self { bytes: vec![0xA5; len], written: 0, torn: 0 }
    }
}

impl ImageTarget for Memory {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let end = at + data.len();
        let whole = at.is_multiple_of(4096) && (end.is_multiple_of(4096) || end == self.bytes.len());
        self.torn += usize::from(!whole);
        self.bytes[at..end].copy_from_slice(data);
        self.written += data.len() as u64;
        Ok(())
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        buf.copy_from_slice(&self.bytes[at..at + buf.len()]);
        Ok(())
    }
}

/// A pack source that remembers what was read.
struct Watched<'a> {
    inner: &'a dyn PackSource,
    reads: Mutex<Vec<(u64, u64)>>,
}

impl<'a> Watched<'a> {
    fn new(inner: &'a dyn PackSource) -> Self {
        Self { inner, reads: Mutex::new(Vec::new()) }
    }

    fn bytes(&self) -> u64 {
        self.reads.lock().unwrap().iter().map(|(_, len)| len).sum()
    }
}

impl PackSource for Watched<'_> {
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.reads.lock().unwrap().push((offset, buf.len() as u64));
        self.inner.read_at(pack, offset, buf)
    }
}

/// An image with noise, text, holes and repetitions.
pub(crate) fn image() -> Vec<u8> {
    let mut image = noise(3 << 20);
    image.extend(std::iter::repeat_n(0, 1_500_000));
    image.extend((0..1_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()));
    image.extend_from_slice(&noise(700_001));
    image
}

/// The same after an update: something changed, something grew.
fn updated() -> Vec<u8> {
    let mut image = image();
    image[1_000_000..1_000_100].fill(7);
    let insert = noise(10_000).iter().map(|byte| byte ^ 0x55).collect::<Vec<_>>();
    image.splice(6_000_000..6_000_000, insert);
    image
}

fn release(root: &[u8]) -> Vec<u8> {
    build(draft(), &[("kernel", b"kernel"), ("root", root)], &[&key(1)])
}

fn opened(bundle: &[u8]) -> lifeboat_bundle::Verified<lifeboat_bundle::Bundle<&[u8]>> {
    open(bundle, &trust(&[1]), &Rules::at(NOW)).unwrap()
}

fn assemble(
    release: &ChunkedRelease,
    packs: &dyn PackSource,
    seeds: Vec<&dyn Seed>,
    wanted: &[u8],
) -> lifeboat_bundle::AssemblyReport {
    let mut assembly = Assembly::new(release, "root", packs, seeds).unwrap();
    let mut target = Memory::new(wanted.len());
    assembly.write_to(&mut target, false).unwrap();
    assert!(target.bytes == wanted, "another image was written");
    assert_eq!(target.torn, 0, "a page was written in parts");
    assert_eq!(assembly.compare(&mut target).unwrap(), None);
    assembly.report().clone()
}

#[test]
fn cut_points_are_those_of_every_version() {
    let bytes = image();
    let mut lens = Vec::new();
    let chunker = Chunker::default();
    chunker
        .cut_all(&bytes[..], |chunk| {
            lens.push(chunk.len());
            Ok::<(), io::Error>(())
        })
        .unwrap();
    assert_eq!(lens.iter().sum::<usize>(), bytes.len());
    let (last, rest) = lens.split_last().unwrap();
    assert!(rest.iter().all(|len| (chunker.min as usize..=chunker.max as usize).contains(len)), "{lens:?}");
    assert!(*last <= chunker.max as usize);
    // If these change, every bank in the field stops being a seed for new releases.
    assert_eq!(&lens[..4], CUTS, "{lens:?}");
    assert_eq!(ChunkHash::of(&bytes).to_string(), IMAGE_HASH);
}

const CUTS: &[usize] = &[37531, 43334, 50544, 33500];
const IMAGE_HASH: &str = "1c54f92e920eb5f05033dc568ec54c145ecb7177814935f0c0db4e1741448bf6";

#[test]
fn an_image_is_assembled_from_packs_alone() {
    let root = image();
    let bundle = release(&root);
    let opened = opened(&bundle);
    verify_all(&opened, |_| {}).unwrap();
    let report = assemble(opened.chunked().unwrap(), &opened, Vec::new(), &root);
    assert_eq!(report.plan.total.bytes, root.len() as u64);
    assert!(report.plan.zeros.bytes > 1_000_000, "{report:?}");
    assert!(opened.is_full());
}

#[test]
fn an_update_fetches_what_changed_and_takes_the_rest_from_the_bank() {
    let (old, new) = (image(), updated());
    let (first, second) = (release(&old), release(&new));
    let (first, second) = (opened(&first), opened(&second));
    let index = first.chunked().unwrap().index("root").unwrap();
    let chunked = second.chunked().unwrap();
    let bank = ImageSeed::new("bank A", old.as_slice(), 0, index);
    let source = Watched::new(&second);
    let report = assemble(chunked, &source, vec![&bank], &new);
    assert_eq!(report.plan.download, source.bytes());
    let mut checked = 0;
    let assembly = Assembly::new(chunked, "root", &second, vec![&bank]).unwrap();
    assembly.check_source(&mut |bytes| checked = bytes).unwrap();
    let whole =
        FetchPlan::new(chunked.index("root").unwrap(), &[]).summary(chunked.index("root").unwrap(), &[]);
    assert!(checked >= whole.download, "also what the bank gives is checked in the bundle");
    assert!(source.bytes() < whole.download / 4, "{} of {}", source.bytes(), whole.download);
    assert_eq!(report.bad[0].chunks, 0);

    // Without an index the image is cut again and gives the same.
    let scanned = ImageSeed::scan("bank A", old.as_slice(), 0, old.len() as u64, &index.chunker).unwrap();
    assert_eq!(assemble(chunked, &second, vec![&scanned], &new).plan, report.plan);
    // So does the bundle of the first release.
    let bundle = ReleaseSeed::new("bank A", first.chunked().unwrap(), &first);
    assert_eq!(assemble(chunked, &second, vec![&bundle], &new).plan, report.plan);
}

#[test]
fn a_damaged_seed_is_noticed_and_its_chunks_are_fetched() {
    let (old, new) = (image(), updated());
    let (first, second) = (release(&old), release(&new));
    let (first, second) = (opened(&first), opened(&second));
    let index = first.chunked().unwrap().index("root").unwrap();
    for damage in [10, 2_000_000, old.len() - 1] {
        let mut rotten = old.clone();
        rotten[damage] ^= 1;
        let bank = ImageSeed::new("bank A", rotten.as_slice(), 0, index);
        let report = assemble(second.chunked().unwrap(), &second, vec![&bank], &new);
        assert_eq!(report.bad[0].chunks, 1, "byte {damage}");
    }
    // A seed that lies from beginning to end, and one that ends early.
    let nothing = vec![0xEE; old.len()];
    let bank = ImageSeed::new("bank A", nothing.as_slice(), 0, index);
    let report = assemble(second.chunked().unwrap(), &second, vec![&bank], &new);
    assert_eq!(report.bad[0], report.plan.seeds[0].share);
    let short = ImageSeed::new("bank A", &old[..2_000_000], 0, index);
    assemble(second.chunked().unwrap(), &second, vec![&short], &new);
}

#[test]
fn an_install_that_was_cut_is_continued_where_it_ended() {
    let root = image();
    let bundle = release(&root);
    let opened = opened(&bundle);
    let source = Watched::new(&opened);
    let mut assembly = Assembly::new(opened.chunked().unwrap(), "root", &source, Vec::new()).unwrap();
    let mut target = Memory::new(root.len());
    let half = root.len() / 2;
    target.bytes[..half].copy_from_slice(&root[..half]);
    target.bytes[1_000_000] ^= 1;
    assembly.write_to(&mut target, true).unwrap();
    assert!(target.bytes == root);
    assert_eq!(assembly.compare(&mut target).unwrap(), None);
    let report = assembly.report();
    assert!(report.plan.in_place.bytes > half as u64 - (1 << 20), "{report:?}");
    assert_eq!(source.bytes(), report.plan.download);
    assert!(target.written < (root.len() - half) as u64 + (1 << 20), "{} bytes written", target.written);
    // Everything is there: nothing is written.
    let before = target.written;
    assembly.write_to(&mut target, true).unwrap();
    assert_eq!(target.written, before);
}

#[test]
fn what_reads_back_differently_is_found_and_placed() {
    let root = image();
    let bundle = release(&root);
    let opened = opened(&bundle);
    let mut assembly = Assembly::new(opened.chunked().unwrap(), "root", &opened, Vec::new()).unwrap();
    for byte in [0, 1_234_567, root.len() - 1] {
        let mut target = Memory::new(root.len());
        target.bytes.copy_from_slice(&root);
        target.bytes[byte] ^= 0x80;
        let place = assembly.compare(&mut target).unwrap().unwrap();
        assert!(place.starts_with("chunk "), "{place}");
    }
}

#[test]
fn an_equal_piece_is_stored_and_fetched_once() {
    let piece = noise(40 << 20);
    let root = [&piece[..], &piece[..]].concat();
    let bundle = release(&root);
    assert!(bundle.len() < piece.len() + (1 << 20));
    let opened = opened(&bundle);
    let source = Watched::new(&opened);
    let report = assemble(opened.chunked().unwrap(), &source, Vec::new(), &root);
    assert!(report.plan.repeated.bytes > 39 << 20, "{report:?}");
    assert!(source.bytes() < (piece.len() as u64) + (2 << 20), "{}", source.bytes());
}

#[test]
fn a_delta_bundle_is_the_same_release_and_installs_over_its_base_only() {
    let (old, new) = (image(), updated());
    let first = release(&old);
    let first = opened(&first);
    let base = DeltaBase::new(first.chunked().unwrap()).unwrap();
    let build = |base: Option<&DeltaBase>| {
        let mut builder = BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
        builder.add_slot("kernel", &b"kernel"[..], 6).unwrap();
        builder.add_slot("root", new.as_slice(), new.len() as u64).unwrap();
        let mut out = Vec::new();
        let made = builder.finish_for(&[&key(1)], base, &mut out).unwrap();
        (made, out)
    };
    let ((whole, _), full) = build(None);
    let ((release, carried), delta) = build(Some(&base));
    assert_eq!(release, whole, "the release does not depend on how it is carried");
    assert!(carried.bytes < carried.of / 4 && delta.len() < full.len() / 4);

    let delta = opened(&delta);
    assert_eq!(delta.base(), Some(first.release()));
    assert!(!delta.is_full());
    verify_all(&delta, |_| {}).unwrap();
    assert_eq!(delta.slot_bytes("kernel", 100).unwrap(), b"kernel");
    let error = delta.slot_bytes("root", u64::MAX).unwrap_err();
    assert!(matches!(error, BundleError::NotCarried { .. }), "{error}");
    let error = Assembly::new(delta.chunked().unwrap(), "root", &delta, Vec::new()).unwrap_err();
    assert!(matches!(error, BundleError::NotCarried { chunks: 10.., .. }), "{error}");
    let index = first.chunked().unwrap().index("root").unwrap();
    let bank = ImageSeed::new("bank A", old.as_slice(), 0, index);
    assemble(delta.chunked().unwrap(), &delta, vec![&bank], &new);
}

/// What did not change packs so small that a reader reads over it: such gaps must be in the bundle.
#[test]
fn a_delta_bundle_carries_the_small_gaps_that_its_reader_bridges() {
    let make = |changed: u8| {
        let mut image = Vec::new();
        for part in noise(150 * 41_500).chunks(41_500) {
            let (changing, kept) = part.split_at(40_000);
            image.extend(changing.iter().map(|byte| byte ^ changed));
            // A short piece again and again: some of them have a place where the chunker cuts, so that it finds the
            // same chunks in both images; and what it cuts there packs to less than two thousand bytes.
            image.extend(kept.iter().cycle().take(60_000));
        }
        image
    };
    let (old, new) = (make(0), make(0x5A));
    let first = release(&old);
    let first = opened(&first);
    let base = DeltaBase::new(first.chunked().unwrap()).unwrap();
    let mut builder = BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
    builder.add_slot("kernel", &b"kernel"[..], 6).unwrap();
    builder.add_slot("root", new.as_slice(), new.len() as u64).unwrap();
    let mut delta = Vec::new();
    let (_, carried) = builder.finish_for(&[&key(1)], Some(&base), &mut delta).unwrap();
    assert!(carried.bytes < carried.of, "{carried:?}");
    let delta = opened(&delta);
    verify_all(&delta, |_| {}).unwrap();
    let bank = ImageSeed::new("bank A", old.as_slice(), 0, first.chunked().unwrap().index("root").unwrap());
    let source = Watched::new(&delta);
    let report = assemble(delta.chunked().unwrap(), &source, vec![&bank], &new);
    assert!(report.plan.seeds[0].share.chunks > 3 && report.plan.download > 150 * 40_000, "{report:?}");
}

#[test]
fn a_bundle_taken_apart_is_put_together_to_the_same_bytes() {
    let bundle = release(&image());
    let opened = opened(&bundle);
    let parts = opened.parts().unwrap().clone();
    let mut again = Vec::new();
    let mut read = |pack: &PackId, offset: u64, buf: &mut [u8]| opened.read_at(pack, offset, buf);
    write_bundle(&parts, None, &full_runs(opened.manifest()), &mut read, &mut again).unwrap();
    assert!(again == bundle);

    // The same files without a container.
    let mut indexes = parts.indexes.clone().into_iter();
    let apart = open_release(&parts.manifest, &parts.signatures, &trust(&[1]), &Rules::at(NOW), |_, _| {
        Ok(indexes.next().unwrap())
    })
    .unwrap();
    assert_eq!(apart.release(), opened.release());
    assert_eq!(apart.slot_bytes("kernel", 10, &opened, &[]).unwrap(), b"kernel");
    let mut wrong = parts.indexes.clone();
    wrong[1][70] ^= 1;
    let mut wrong = wrong.into_iter();
    let error = open_release(&parts.manifest, &parts.signatures, &trust(&[1]), &Rules::at(NOW), |_, _| {
        Ok(wrong.next().unwrap())
    })
    .unwrap_err();
    assert!(matches!(error, BundleError::IndexAltered { ref slot, .. } if slot == "root"), "{error}");
    let error = open_release(&parts.manifest, &parts.signatures, &trust(&[2]), &Rules::at(NOW), |_, _| {
        unreachable!("an index was asked for before the signature was good")
    })
    .unwrap_err();
    assert!(matches!(error, BundleError::UnknownKey { .. }), "{error}");
}

#[test]
fn a_chunk_that_was_altered_is_refused_before_it_is_decoded_and_names_its_place() {
    let root = image();
    let mut bundle = release(&root);
    let last = bundle.len() - 1;
    bundle[last] ^= 0x10;
    let opened = opened(&bundle);
    let mut target = Memory::new(root.len());
    let mut assembly = Assembly::new(opened.chunked().unwrap(), "root", &opened, Vec::new()).unwrap();
    let error = assembly.check_source(&mut |_| ()).unwrap_err();
    assert!(matches!(error, BundleError::ChunkAltered { ref slot, .. } if slot == "root"), "{error}");
    let error = assembly.write_to(&mut target, false).unwrap_err();
    let error = error.downcast::<BundleError>().unwrap();
    assert!(matches!(error, BundleError::ChunkAltered { ref slot, .. } if slot == "root"), "{error}");
    assert!(verify_all(&opened, |_| {}).is_err());
    assert!(read_all(&bundle, &trust(&[1]), &Rules::at(NOW)).is_err());
}

#[test]
fn a_source_or_a_target_that_fails_ends_the_install_with_its_error() {
    struct Failing;
    impl PackSource for Failing {
        fn read_at(&self, _: &PackId, offset: u64, _: &mut [u8]) -> io::Result<()> {
            if offset > 2_500_000 { Err(io::Error::other("the line is dead")) } else { Ok(()) }
        }
    }
    struct Full(u64);
    impl ImageTarget for Full {
        fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
            if offset + data.len() as u64 > self.0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let root = image();
    let bundle = release(&root);
    let opened = opened(&bundle);
    let chunked = opened.chunked().unwrap();
    let mut dead = Assembly::new(chunked, "root", &Failing, Vec::new()).unwrap();
    assert!(dead.write_to(&mut Memory::new(root.len()), false).is_err());
    let mut good = Assembly::new(chunked, "root", &opened, Vec::new()).unwrap();
    let error = good.write_to(&mut Full(3_000_000), false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(good.compare(&mut Full(0)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(good.write_to(&mut Full(0), true).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

fn small_index() -> ChunkIndex {
    let bundle = build(draft(), &[("root", &image()[2 << 20..5 << 20])], &[&key(1)]);
    opened(&bundle).chunked().unwrap().index("root").unwrap().clone()
}

#[test]
fn an_index_cut_or_flipped_anywhere_is_refused_or_says_what_it_says() {
    let index = small_index();
    let bytes = index.encode();
    let packs = [1 << 30];
    assert_eq!(ChunkIndex::parse(&bytes, Some(&packs)).unwrap(), index);
    for len in 0..bytes.len() {
        assert!(ChunkIndex::parse(&bytes[..len], Some(&packs)).is_err(), "cut at {len}");
    }
    let mut flipped = bytes.clone();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            // What is still an index has one byte form: nothing was skipped.
            if let Ok(read) = ChunkIndex::parse(&flipped, Some(&packs)) {
                assert!(read.encode() == flipped, "bit {bit} of byte {at}");
            }
            flipped[at] ^= 1 << bit;
        }
    }
}

#[test]
fn an_index_with_absurd_claims_is_refused_at_once() {
    let index = small_index();
    let good = index.encode();
    let with = |at: usize, bytes: &[u8]| {
        let mut wrong = good.clone();
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        ChunkIndex::parse(&wrong, Some(&[1 << 30])).unwrap_err()
    };
    assert!(matches!(with(28, &u32::MAX.to_le_bytes()), IndexError::Length { .. }));
    assert!(matches!(with(32, &u64::MAX.to_le_bytes()), IndexError::Sum { .. }));
    assert!(matches!(with(8, &2_u32.to_le_bytes()), IndexError::Unknown { what: "version", .. }));
    assert!(matches!(with(12, &9_u32.to_le_bytes()), IndexError::Unknown { what: "chunker", .. }));
    assert!(matches!(with(24, &u32::MAX.to_le_bytes()), IndexError::Head { .. }));
    assert!(matches!(with(40, &[1]), IndexError::Head { .. }));
    let entry = 64;
    assert!(matches!(with(entry + 48, &u32::MAX.to_le_bytes()), IndexError::Chunk { chunk: 0, .. }));
    assert!(matches!(with(entry + 48, &0_u32.to_le_bytes()), IndexError::Chunk { chunk: 0, .. }));
    assert!(matches!(with(entry + 52, &u32::MAX.to_le_bytes()), IndexError::Chunk { chunk: 0, .. }));
    // Before the head of the pack, behind its end, in a pack that is not there, by a codec that is not known.
    assert!(matches!(with(entry + 56, &[0, 0, 0, 0, 0, 0, 0]), IndexError::Chunk { .. }));
    assert!(matches!(with(entry + 56, &[0xFF; 6]), IndexError::Chunk { .. }));
    assert!(matches!(with(entry + 62, &[1]), IndexError::Chunk { .. }));
    assert!(matches!(with(entry + 63, &[7]), IndexError::Unknown { what: "codec", found: 7 }));
}

#[test]
fn a_bomb_in_a_chunk_costs_one_chunk() {
    // 64 MiB of zeros in a frame that the index calls 1,000 bytes long; its check is right.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    let mut pack = b"LFPACK01\x01\0\0\0\0\0\0\0".to_vec();
    pack.extend_from_slice(&bomb);
    let location = lifeboat_bundle::Location {
        pack: 0,
        offset: 16,
        len: u32::try_from(bomb.len()).unwrap(),
        codec: lifeboat_bundle::ChunkCodec::Zstd,
        check: lifeboat_bundle::StoredCheck::of(&bomb),
    };
    let chunk = Chunk { hash: ChunkHash::of(&[0; 1000]), len: 1000, stored: Stored::At(location) };
    let index = ChunkIndex { chunker: Chunker::default(), slot_len: 1000, chunks: vec![chunk] };
    let bundle = crate::forge::one_chunked(&index, &pack, &[0; 1000]);
    let opened = opened(&bundle);
    let mut assembly = Assembly::new(opened.chunked().unwrap(), "root", &opened, Vec::new()).unwrap();
    let error =
        assembly.write_to(&mut Memory::new(1000), false).unwrap_err().downcast::<BundleError>().unwrap();
    assert!(matches!(error, BundleError::ChunkWrong { chunk: 0, .. }), "{error}");
    assert!(matches!(opened.slot_bytes("root", 1000), Err(BundleError::ChunkWrong { .. })));
}

#[test]
fn a_maker_whose_hash_does_not_fit_its_chunk_is_found_by_verification_and_by_reading_back() {
    let pack = [&b"LFPACK01\x01\0\0\0\0\0\0\0"[..], b"content"].concat();
    let location = lifeboat_bundle::Location {
        pack: 0,
        offset: 16,
        len: 7,
        codec: lifeboat_bundle::ChunkCodec::Plain,
        check: lifeboat_bundle::StoredCheck::of(b"content"),
    };
    let chunk = Chunk { hash: ChunkHash::of(b"another"), len: 7, stored: Stored::At(location) };
    let index = ChunkIndex { chunker: Chunker::default(), slot_len: 7, chunks: vec![chunk] };
    let bundle = crate::forge::one_chunked(&index, &pack, b"content");
    let opened = opened(&bundle);
    assert!(matches!(verify_all(&opened, |_| {}), Err(BundleError::ChunkWrong { .. })));
    let mut assembly = Assembly::new(opened.chunked().unwrap(), "root", &opened, Vec::new()).unwrap();
    let mut target = Memory::new(7);
    assembly.write_to(&mut target, false).unwrap();
    assert!(assembly.compare(&mut target).unwrap().is_some());
}

#[test]
fn a_plan_names_one_origin_for_every_chunk_and_reads_neighbours_at_once() {
    let root = image();
    let bundle = release(&root);
    let opened = opened(&bundle);
    let index = opened.chunked().unwrap().index("root").unwrap();
    let plan = FetchPlan::new(index, &[]);
    assert_eq!(plan.origins.len(), index.chunks.len());
    let fetched = plan.origins.iter().filter(|origin| matches!(origin, Origin::Pack(_))).count();
    let ranges = plan.ranges();
    assert!(ranges.len() < fetched / 4, "{} reads for {fetched} chunks", ranges.len());
    assert!(ranges.iter().all(|range| range.len() <= 2 << 20 && !range.is_empty()));
}
