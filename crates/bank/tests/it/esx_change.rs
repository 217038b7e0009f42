//! What the changes of an ESXi bank do and refuse, and what an undo file is trusted with.

use lifeboat_bank::esx::bootcfg::BootCfg;
use lifeboat_bank::esx::change::{
    ChangeError, ChangePlan, Content, Fallback, KeepState, NextBy, NextRequest, NextState, RebuildRequest,
    Step, apply, check_content, plan_clean, plan_import, plan_rebuild, plan_set_next, read_removed,
};
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::esx::undo::{UndoError, UndoFile, examine_undo, undo};
use lifeboat_bank::fat::{FatVolume, examine};
use lifeboat_model::io::{ReadAt, WriteAt};
use proptest::prelude::*;

use crate::esx_image::{
    BANK, BANKS, File, Volume, bank_is_whole, boot, cfg, disk_with, files, gzip, read, state_tgz,
};
use crate::fixture::noise;
use crate::peers::run as peer;

fn two_banks(a: &str, b: &str) -> Vec<u8> {
    disk_with(&Volume::of(0xaa, &files(10, a)), &Volume::of(0xbb, &files(20, b)))
}

fn usual() -> Vec<u8> {
    two_banks(&cfg(0, 7, "8.0.3-0.0.2"), &cfg(0, 6, "8.0.2-0.0.1"))
}

fn request(from: char, bank: char) -> RebuildRequest {
    RebuildRequest {
        bank,
        from,
        fallback: Fallback::AfterNextUpdate,
        state: KeepState::Own,
        uuid: [0x5a; 16],
        serial: 7,
    }
}

fn next(bank: char) -> NextRequest {
    NextRequest { bank, by: NextBy::Counter, state: NextState::Valid, content: Content::Whole, force: false }
}

fn rebuild(disk: &dyn ReadAt, request: &RebuildRequest) -> Result<ChangePlan, ChangeError> {
    plan_rebuild(disk, &find_banks(disk).unwrap(), request)
}

fn set_next(disk: &dyn ReadAt, request: &NextRequest) -> Result<ChangePlan, ChangeError> {
    plan_set_next(disk, &find_banks(disk).unwrap(), request)
}

fn run(disk: &mut Vec<u8>, plan: &ChangePlan) -> Vec<u8> {
    let mut file = Vec::new();
    apply(disk, plan, &mut file, 1_234_567, &mut |_, _, _| {}).unwrap();
    file
}

fn cfg_of(disk: &[u8], bank: usize) -> BootCfg {
    BootCfg::read(&read(disk, bank, "boot.cfg").unwrap()).unwrap()
}

fn why(result: Result<ChangePlan, ChangeError>) -> String {
    match result.unwrap_err() {
        ChangeError::Refused { why, remedy, .. } => format!("{why}; {remedy}"),
        error => panic!("{error}"),
    }
}

fn bank_bytes(disk: &[u8], bank: usize) -> &[u8] {
    &disk[BANKS[bank]..BANKS[bank] + BANK]
}

#[test]
fn a_rebuilt_bank_has_a_new_identity_and_the_files_that_belong_to_it_and_no_foreign_one() {
    let mut all = files(10, &cfg(0, 7, "8.0.3-0.0.2"));
    all.push(File { name: "FOREIGN.TXT", data: noise(1, 9000) });
    let mut disk = disk_with(&Volume::of(0xaa, &all), &Volume::of(0xbb, &files(20, &cfg(2, 6, "8.0.2"))));
    let source = bank_bytes(&disk, 0).to_vec();
    let own = read(&disk, 1, "state.tgz").unwrap();
    let plan = rebuild(&disk, &request('A', 'B')).unwrap();
    let steps: Vec<Step> = plan.steps().iter().map(|step| step.step).collect();
    assert_eq!(steps, [Step::Invalidate, Step::Unseal, Step::Content, Step::Seal]);
    assert!(plan.notes().iter().any(|note| note.contains("bank B's own")), "{:?}", plan.notes());
    run(&mut disk, &plan);

    assert!(bank_bytes(&disk, 0) == source, "the source was written");
    let esx = find_banks(&disk).unwrap();
    assert_eq!(
        esx.banks.iter().map(|bank| bank.uuid).collect::<Vec<_>>(),
        [Some([0xaa; 16]), Some([0x5a; 16])]
    );
    let rebuilt = cfg_of(&disk, 1);
    assert_eq!((rebuilt.values.bootstate, rebuilt.values.updated), (3, 6));
    assert_eq!(rebuilt.traps, []);
    assert_eq!((boot(&disk), bank_is_whole(&disk, 1)), (Ok(0), Ok(())));
    assert_eq!(read(&disk, 1, "state.tgz").unwrap(), own);
    for file in &all[1..4] {
        assert_eq!(read(&disk, 1, file.name).as_ref(), Some(&file.data), "{}", file.name);
    }
    assert_eq!(read(&disk, 1, "FOREIGN.TXT"), None);
    let report = examine(&disk, BANKS[1] as u64, BANK as u64);
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.nodes.len(), 5);
}

#[test]
fn a_saved_state_that_is_not_whole_is_replaced_by_the_source_s_and_the_plan_says_so() {
    let mut b = files(20, &cfg(0, 6, "8.0.2"));
    b[4].data[5000] ^= 1;
    let mut disk = disk_with(&Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3"))), &Volume::of(0xbb, &b));
    let plan = rebuild(&disk, &request('A', 'B')).unwrap();
    let told = |note: &String| note.contains("of bank A") && note.contains("B's own is not whole");
    assert!(plan.notes().iter().any(told), "{:?}", plan.notes());
    run(&mut disk, &plan);
    assert_eq!(read(&disk, 1, "state.tgz"), read(&disk, 0, "state.tgz"));
}

#[test]
fn a_usable_fall_back_boots_when_the_source_is_marked_invalid() {
    let mut disk = usual();
    let plan = rebuild(&disk, &RebuildRequest { fallback: Fallback::Usable, ..request('A', 'B') }).unwrap();
    assert_eq!(plan.steps().last().unwrap().step, Step::Release);
    run(&mut disk, &plan);
    assert_eq!(boot(&disk), Ok(0));
    let by = NextRequest { by: NextBy::OtherInvalid, ..next('B') };
    let plan = set_next(&disk, &by).unwrap();
    run(&mut disk, &plan);
    assert_eq!(boot(&disk), Ok(1));
    // A counter of 1 leaves no room below it.
    let first = two_banks(&cfg(0, 1, "8.0.3"), &cfg(3, 1, "8.0.2"));
    let refused = rebuild(&first, &RebuildRequest { fallback: Fallback::Usable, ..request('A', 'B') });
    assert!(why(refused).contains("no value below it"));
    let plan = rebuild(&first, &request('A', 'B')).unwrap();
    let mut disk = first.clone();
    run(&mut disk, &plan);
    assert_eq!((cfg_of(&disk, 1).values.updated, boot(&disk)), (0, Ok(0)));
}

#[test]
fn a_rebuild_is_refused_before_anything_is_written_when_it_could_not_end_well() {
    let disk = usual();
    assert!(why(rebuild(&disk, &request('A', 'A'))).contains("onto itself"));
    assert!(why(rebuild(&disk, &request('A', 'C'))).contains("no bank C"));
    // One flipped bit, an empty module.
    for spoil in [0, 1] {
        let mut a = files(10, &cfg(0, 7, "8.0.3"));
        if spoil == 0 {
            a[2].data[60_000] ^= 1;
        } else {
            a[2].data.clear();
        }
        let disk = disk_with(&Volume::of(0xaa, &a), &Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2"))));
        let refused = why(rebuild(&disk, &request('A', 'B')));
        assert!(refused.contains("not whole (S.V00"), "{refused}");
        let esx = find_banks(&disk).unwrap();
        assert!(matches!(check_content(&disk, &esx.banks[0]), Content::Damaged { .. }));
        assert_eq!(check_content(&disk, &esx.banks[1]), Content::Whole);
    }
    // The source is invalid: without the target nothing would boot.
    let only = two_banks(&cfg(3, 7, "8.0.3"), &cfg(0, 6, "8.0.2"));
    assert!(why(rebuild(&only, &request('A', 'B'))).contains("no bank to boot"));
    // A file that boot.cfg names is missing.
    let mut lost = files(10, &cfg(0, 7, "8.0.3"));
    lost.remove(2);
    let disk = disk_with(&Volume::of(0xaa, &lost), &Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2"))));
    let refused = why(rebuild(&disk, &request('A', 'B')));
    assert!(refused.contains("s.v00, which boot.cfg names, cannot be loaded"), "{refused}");
}

#[test]
fn a_bank_whose_file_system_is_lost_is_rebuilt_with_a_usual_one() {
    let mut disk = usual();
    disk[BANKS[1]..BANKS[1] + 100_000].fill(0xee);
    let plan = rebuild(&disk, &request('A', 'B')).unwrap();
    assert!(plan.notes().iter().any(|note| note.contains("cannot be marked invalid")), "{:?}", plan.notes());
    let file = run(&mut disk, &plan);
    assert_eq!((boot(&disk), bank_is_whole(&disk, 1)), (Ok(0), Ok(())));
    assert!(examine(&disk, BANKS[1] as u64, BANK as u64).is_sound());
    undo(&mut disk, &UndoFile::open(&file).unwrap(), false, &mut |_, _| {}).unwrap();
    assert!(disk[BANKS[1]..BANKS[1] + 100_000].iter().all(|byte| *byte == 0xee));
}

#[test]
fn the_next_bank_gets_the_largest_counter_and_a_strict_boot_cfg() {
    let mut disk = two_banks(
        &cfg(0, 99, "8.0.3"),
        "build=8.0.2\nkernel=b.b00\nmodules=s.v00 --- imgdb.tgz --- state.tgz\nunknown=kept\nupdated=6\nquickboot=1\n",
    );
    assert_eq!(boot(&disk), Ok(0));
    let plan = set_next(&disk, &next('B')).unwrap();
    run(&mut disk, &plan);
    assert_eq!(boot(&disk), Ok(1));
    let now = cfg_of(&disk, 1);
    assert_eq!((now.values.bootstate, now.values.updated, now.values.quickboot), (0, 100, 0));
    assert_eq!(now.traps, []);
    assert!(String::from_utf8_lossy(&now.bytes).contains("unknown=kept\n"));
    assert!(set_next(&disk, &next('B')).unwrap().is_empty(), "choosing the chosen bank writes");
    // And back.
    let plan = set_next(&disk, &next('A')).unwrap();
    run(&mut disk, &plan);
    assert_eq!((boot(&disk), cfg_of(&disk, 0).values.updated), (Ok(0), 101));
}

#[test]
fn one_try_falls_back_to_the_other_bank_when_it_does_not_come_to_its_end() {
    let mut disk = usual();
    let plan = set_next(&disk, &NextRequest { state: NextState::Trial, ..next('B') }).unwrap();
    run(&mut disk, &plan);
    let esx = find_banks(&disk).unwrap();
    let selection = esx.selection();
    assert_eq!((selection.chosen, selection.upgrading), (Some(1), true));
    // The loader writes its state before the kernel runs; the kernel hangs; the machine is reset.
    let patch = selection.banks[1].write.unwrap();
    let at = esx.banks[1].cfg_at.unwrap() + patch.offset as u64;
    disk.write_at(at, &[patch.new]).unwrap();
    assert_eq!(boot(&disk), Ok(0));
}

#[test]
fn set_next_refuses_a_counter_that_would_wrap_a_damaged_bank_and_one_without_boot_cfg() {
    let disk = two_banks(&cfg(0, u32::MAX, "8.0.3"), &cfg(0, 6, "8.0.2"));
    assert!(why(set_next(&disk, &next('B'))).contains("4294967295"));
    let mut by_digit = disk.clone();
    let plan = set_next(&disk, &NextRequest { by: NextBy::OtherInvalid, ..next('B') }).unwrap();
    assert_eq!(plan.bytes(), 512);
    run(&mut by_digit, &plan);
    assert_eq!(boot(&by_digit), Ok(1));
    let changed = disk.iter().zip(&by_digit).filter(|(a, b)| a != b).count();
    assert_eq!(changed, 1, "more than one digit was changed");

    let disk = usual();
    let damaged = Content::Damaged { why: "b.b00 is damaged".to_owned() };
    let bad = NextRequest { content: damaged, ..next('B') };
    assert!(why(set_next(&disk, &bad)).contains("again and again"));
    let plan = set_next(&disk, &NextRequest { force: true, ..bad }).unwrap();
    assert!(plan.notes().iter().any(|note| note.contains("forced")));
    assert!(
        why(set_next(&disk, &NextRequest { content: Content::Unchecked, ..next('B') }))
            .contains("not checked")
    );
    let without = disk_with(&Volume::of(1, &files(10, &cfg(0, 7, "8.0.3"))), &Volume::of(2, &[]));
    assert!(why(set_next(&without, &next('B'))).contains("no boot.cfg"));
}

#[test]
fn an_imported_state_replaces_the_old_one_and_gives_its_clusters_free() {
    let mut disk = usual();
    for len in [1, 500, 40_000, 100] {
        let before = examine(&disk, BANKS[0] as u64, BANK as u64);
        let old = read(&disk, 0, "state.tgz").unwrap().len().div_ceil(512);
        let state = state_tgz(len as u64, len);
        let plan = plan_import(&disk, &find_banks(&disk).unwrap(), 'A', &state).unwrap();
        run(&mut disk, &plan);
        assert_eq!(read(&disk, 0, "state.tgz").unwrap(), state);
        let report = examine(&disk, BANKS[0] as u64, BANK as u64);
        assert!(report.is_sound(), "{:?}", report.findings);
        let (before, after) = (before.free_clusters as usize, report.free_clusters as usize);
        assert_eq!(before + old, after + state.len().div_ceil(512));
    }
    // A bank without a saved state gets an entry for it.
    let mut none = files(10, &cfg(0, 7, "8.0.3"));
    none.pop();
    let mut disk = disk_with(&Volume::of(1, &none), &Volume::of(2, &files(20, &cfg(0, 6, "8.0.2"))));
    let plan = plan_import(&disk, &find_banks(&disk).unwrap(), 'A', &state_tgz(1, 5)).unwrap();
    run(&mut disk, &plan);
    assert_eq!(read(&disk, 0, "state.tgz").unwrap(), state_tgz(1, 5));
    assert!(examine(&disk, BANKS[0] as u64, BANK as u64).is_sound());
}

#[test]
fn an_import_is_refused_without_room_and_into_a_damaged_volume() {
    let disk = usual();
    let esx = find_banks(&disk).unwrap();
    let refused = why(plan_import(&disk, &esx, 'A', &state_tgz(1, BANK - 100_000)));
    assert!(refused.contains("no room") && refused.contains("bytes are missing"), "{refused}");
    assert!(why(plan_import(&disk, &esx, 'A', &[])).contains("1 to"));
    assert!(why(plan_import(&disk, &esx, 'A', &gzip(b"no archive"))).contains("no saved state"));
    let mut b = Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2")));
    b.entry(b"GHOST      ", 0x10, 4000, 0);
    let disk = disk_with(&Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3"))), &b);
    let refused = why(plan_import(&disk, &find_banks(&disk).unwrap(), 'B', &state_tgz(1, 5)));
    assert!(refused.contains("damaged") && refused.contains("rebuild"), "{refused}");
}

#[test]
fn cleaning_keeps_a_copy_for_the_caller_and_refuses_what_the_bank_needs() {
    let mut a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    a.add("FOREIGN.TXT", b"a person's file");
    let mut disk = disk_with(&a, &Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2"))));
    let esx = find_banks(&disk).unwrap();
    for needed in ["boot.cfg", "S.V00", "state.tgz", ""] {
        assert!(
            why(plan_clean(&disk, &esx, 'A', &[needed.to_owned()])).contains("no foreign file"),
            "{needed}"
        );
    }
    let plan = plan_clean(&disk, &esx, 'A', &["FOREIGN.TXT".to_owned()]).unwrap();
    let mut copy = Vec::new();
    let mut keep = |bytes: &[u8]| {
        copy.extend_from_slice(bytes);
        Ok(())
    };
    assert_eq!(read_removed(&disk, &plan, "FOREIGN.TXT", &mut keep).unwrap(), 15);
    assert_eq!(copy, b"a person's file");
    let start = disk.clone();
    let file = run(&mut disk, &plan);
    assert_eq!(read(&disk, 0, "FOREIGN.TXT"), None);
    assert!(examine(&disk, BANKS[0] as u64, BANK as u64).is_sound());
    undo(&mut disk, &UndoFile::open(&file).unwrap(), false, &mut |_, _| {}).unwrap();
    assert!(disk == start);
}

#[test]
fn a_plan_is_not_carried_out_on_a_disk_that_changed_meanwhile() {
    let mut disk = usual();
    let rebuild = rebuild(&disk, &request('A', 'B')).unwrap();
    let next = set_next(&disk, &next('B')).unwrap();
    // The loader or a running host rewrote the state of B, then a file of A.
    let at = find_banks(&disk).unwrap().banks[1].cfg_at.unwrap();
    disk.write_at(at + 10, b"3").unwrap();
    let before = disk.clone();
    let error = apply(&mut disk, &next, &mut Vec::new(), 1, &mut |_, _, _| {}).unwrap_err();
    assert!(matches!(error, ChangeError::DiskChanged { .. }) && disk == before, "{error}");
    let volume = FatVolume::open(&disk, BANKS[0] as u64, BANK as u64).unwrap();
    let module = volume.locate("s.v00", 1 << 20).unwrap().extents[0].offset;
    let mut changed = usual();
    changed.write_at(module + 777, b"XXXX").unwrap();
    let error = apply(&mut changed, &rebuild, &mut Vec::new(), 1, &mut |_, _, _| {}).unwrap_err();
    assert!(matches!(error, ChangeError::SourceChanged { .. }), "{error}");
    assert_eq!(find_banks(&changed).unwrap().selection().chosen, Some(0), "the target was released");
}

#[test]
fn fsck_finds_nothing_on_a_bank_that_was_rebuilt_filled_chosen_and_cleaned() {
    let mut a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    a.add("FOREIGN.TXT", &noise(3, 70_000));
    let mut disk = disk_with(&a, &Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2"))));
    let plan = rebuild(&disk, &request('A', 'B')).unwrap();
    run(&mut disk, &plan);
    let esx = |disk: &Vec<u8>| find_banks(disk).unwrap();
    for bank in ['A', 'B'] {
        let plan = plan_import(&disk, &esx(&disk), bank, &state_tgz(9, 30_000)).unwrap();
        run(&mut disk, &plan);
    }
    let plan = plan_clean(&disk, &esx(&disk), 'A', &["FOREIGN.TXT".to_owned()]).unwrap();
    run(&mut disk, &plan);
    let plan = set_next(&disk, &next('B')).unwrap();
    run(&mut disk, &plan);
    assert_eq!((boot(&disk), bank_is_whole(&disk, 0)), (Ok(1), Ok(())));
    let scratch = tempfile::tempdir().unwrap();
    for bank in 0..2 {
        let path = scratch.path().join("bank.img");
        std::fs::write(&path, bank_bytes(&disk, bank)).unwrap();
        let Some((clean, text)) = peer("fsck.fat", &["-n", "-V", path.to_str().unwrap()]) else { return };
        assert!(clean, "bank {bank}: {text}");
    }
}

/// A disk whose write with this number is spoilt, or fails.
struct Bad {
    bytes: Vec<u8>,
    at: usize,
    writes: usize,
    fails: bool,
}

impl ReadAt for Bad {
    fn size(&self) -> u64 {
        self.bytes.size()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.bytes.read_at(offset, buf)
    }
}

impl WriteAt for Bad {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.writes += 1;
        let mut data = data.to_vec();
        if self.writes == self.at {
            if self.fails {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let middle = data.len() / 2;
            data[middle] ^= 1;
        }
        self.bytes.write_at(offset, &data)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_spoils_or_refuses_any_write_is_noticed_and_the_good_bank_still_boots() {
    let start = usual();
    let plan = rebuild(&start, &RebuildRequest { fallback: Fallback::Usable, ..request('A', 'B') }).unwrap();
    let mut noticed = 0;
    for fails in [false, true] {
        for at in 1..100 {
            let mut disk = Bad { bytes: start.clone(), at, writes: 0, fails };
            let mut file = Vec::new();
            let result = apply(&mut disk, &plan, &mut file, 1, &mut |_, _, _| {});
            if disk.writes < at {
                result.unwrap();
                break;
            }
            let error = result.unwrap_err();
            let expected = matches!(error, ChangeError::ReadBack { .. } | ChangeError::Io { .. });
            assert!(expected, "write {at}: {error}");
            assert_eq!(boot(&disk.bytes), Ok(0), "write {at}");
            noticed += 1;
            // The way back is open; a byte that nobody wrote has to be forced.
            let file = UndoFile::open(&file).unwrap();
            undo(&mut disk.bytes, &file, true, &mut |_, _| {}).unwrap();
            assert!(disk.bytes == start, "write {at}");
        }
    }
    println!("{noticed} bad writes noticed");
    assert!(noticed > 20);
}

#[test]
fn an_undo_file_that_cannot_be_kept_stops_the_change_before_its_first_write() {
    struct Full(usize, bool);
    impl lifeboat_bank::esx::undo::UndoSink for Full {
        fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(())
        }
        fn seal(&mut self) -> std::io::Result<()> {
            if self.1 { Ok(()) } else { Err(std::io::ErrorKind::Other.into()) }
        }
    }
    let start = usual();
    let plan = rebuild(&start, &request('A', 'B')).unwrap();
    for (room, seals) in [(0, true), (100, true), (60_000, true), (1 << 30, false)] {
        let mut disk = start.clone();
        let error = apply(&mut disk, &plan, &mut Full(room, seals), 1, &mut |_, _, _| {}).unwrap_err();
        assert!(matches!(error, ChangeError::Undo { .. }), "{error}");
        assert!(disk == start);
    }
}

#[test]
fn an_undo_file_tells_what_when_and_where_and_belongs_to_one_disk() {
    let mut disk = usual();
    let plan = set_next(&disk, &next('B')).unwrap();
    let start = disk.clone();
    let bytes = run(&mut disk, &plan);
    let file = UndoFile::open(&bytes).unwrap();
    assert_eq!((file.what(), file.created()), ("making bank B the next to boot", 1_234_567));
    assert_eq!((file.place().letter, file.place().partition, file.place().offset), ('B', 6, BANKS[1] as u64));
    assert_eq!(file.disk().bytes, start.len() as u64);

    let mut other = disk.clone();
    let header = 512 + 56;
    other[header..header + 16].fill(9);
    let crc_of = |disk: &mut Vec<u8>| {
        disk[512 + 16..512 + 20].fill(0);
        let crc = crc32fast::hash(&disk[512..512 + 92]).to_le_bytes();
        disk[512 + 16..512 + 20].copy_from_slice(&crc);
    };
    crc_of(&mut other);
    assert!(matches!(examine_undo(&other, &file), Err(UndoError::OtherDisk { .. })));
    let mut longer = disk.clone();
    longer.extend([0; 512]);
    assert!(matches!(undo(&mut longer, &file, true, &mut |_, _| {}), Err(UndoError::OtherDisk { .. })));

    // Somebody wrote into the bank since.
    let at = find_banks(&disk).unwrap().banks[1].cfg_at.unwrap();
    let mut changed = disk.clone();
    changed.write_at(at + 100, b"???").unwrap();
    let before = changed.clone();
    let error = undo(&mut changed, &file, false, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, UndoError::Changed { letter: 'B', count: 1, first } if first == at), "{error}");
    assert!(changed == before);
    undo(&mut changed, &file, true, &mut |_, _| {}).unwrap();
    assert!(changed == start);
}

#[test]
fn an_undo_file_cut_at_any_length_or_with_any_bit_flipped_is_refused() {
    let mut disk = usual();
    let plan = set_next(&disk, &next('B')).unwrap();
    let bytes = run(&mut disk, &plan);
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    for len in 0..bytes.len() {
        UndoFile::open(&&bytes[..len]).map(drop).unwrap_err();
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        UndoFile::open(&flipped).map(drop).unwrap_err();
    }
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert!(matches!(UndoFile::open(&newer), Err(UndoError::Newer { found: 2, .. })));
}

/// Puts the right digest onto a forged file.
fn forge(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let end = bytes.len() - 32;
    let digest: [u8; 32] = Sha256::digest(&bytes[..end]).into();
    bytes[end..].copy_from_slice(&digest);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_forged_undo_file_never_writes_outside_of_its_bank_and_never_panics(
        hits in proptest::collection::vec((0_usize..700, any::<u8>()), 1..6),
    ) {
        let mut disk = usual();
        let plan = set_next(&disk, &next('B')).unwrap();
        let mut bytes = run(&mut disk, &plan);
        for (at, byte) in hits {
            bytes[at] = byte;
        }
        let bytes = forge(bytes);
        if let Ok(file) = UndoFile::open(&bytes) {
            let place = *file.place();
            let before = disk.clone();
            if undo(&mut disk, &file, true, &mut |_, _| {}).is_ok() {
                let changed = disk.iter().zip(&before).enumerate().filter(|(_, (a, b))| a != b);
                for (at, _) in changed {
                    let at = at as u64;
                    prop_assert!(at >= place.offset && at < place.offset + place.bytes);
                }
            }
        }
    }
}
