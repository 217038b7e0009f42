//! The power-loss proof of the ESXi banks: rebuild, set-next, import, clean, and the undo of each, in every state that a
//! cut may leave.

use lifeboat_bank::esx::change::{
    ChangePlan, Content, Fallback, KeepState, NextBy, NextRequest, NextState, RebuildRequest, apply,
    plan_clean, plan_import, plan_rebuild, plan_set_next,
};
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::esx::undo::{UndoFile, examine_undo, undo};
use lifeboat_model::io::WriteAt;

use crate::esx_image::{
    BANK, BANKS, Volume, bank_is_whole, boot, cfg, disk_with, files, is_eligible, read, short, state_tgz,
};
use crate::fixture::noise;
use crate::recorder::{Counts, Op, Recorder, State, each_state};

const UUID: [u8; 16] = *b"0123456789abcdef";

/// A is good and chosen; B is an older good bank.
fn two_good_banks() -> Vec<u8> {
    let a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    let b = Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2-0.0.1")));
    disk_with(&a, &b)
}

/// As I-09: B has an entry that is neither file nor directory, and one whose chain begins at a free cluster.
fn b_with_ghosts() -> Vec<u8> {
    let a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    let mut b = Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2-0.0.1")));
    b.entry(&short("STATE.123"), 0x58, 4000, 0);
    b.entry(&short("GHOST"), 0x10, 4100, 0);
    // The first module of B is damaged too.
    let at = b.bytes.windows(4).position(|bytes| bytes == [0x1f, 0x8b, 8, 0]).unwrap();
    b.bytes[at + 5000..at + 6000].fill(0);
    disk_with(&a, &b)
}

/// B is newer than A and chosen; both are good.
fn b_is_chosen() -> Vec<u8> {
    let a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    disk_with(&a, &Volume::of(0xbb, &files(20, &cfg(0, 9, "8.0.4-0.0.3"))))
}

fn rebuild_request(fallback: Fallback) -> RebuildRequest {
    RebuildRequest { bank: 'B', from: 'A', fallback, state: KeepState::Own, uuid: UUID, serial: 0x1234_5678 }
}

fn next_request(bank: char, by: NextBy, state: NextState) -> NextRequest {
    NextRequest { bank, by, state, content: Content::Whole, force: false }
}

/// A change that was carried out on a recorded disk.
struct Done {
    name: &'static str,
    /// The only bank that may be written.
    bank: usize,
    start: Vec<u8>,
    end: Vec<u8>,
    ops: Vec<Op>,
    undo: Vec<u8>,
}

fn carry_out(name: &'static str, start: &[u8], plan: &dyn Fn(&Vec<u8>) -> ChangePlan) -> Done {
    let plan = plan(&start.to_vec());
    assert!(!plan.is_empty(), "{name} writes nothing");
    let mut disk = Recorder::new(start.to_vec());
    let mut file = Vec::new();
    apply(&mut disk, &plan, &mut file, 1_800_000_000, &mut |_, _, _| {}).unwrap();
    let ops = disk.ops.borrow().clone();
    let bank = BANKS.iter().position(|base| *base as u64 == plan.place().offset).unwrap();
    Done { name, bank, start: start.to_vec(), end: disk.bytes, ops, undo: file }
}

/// Every state boots a whole bank; the bank that is written is whole whenever the loader could come to choose it, unless
/// it was damaged before (then, as soon as the first step is flushed); nothing beside it is written.
fn prove(done: &Done, start: &[u8], ops: &[Op]) -> Result<Counts, String> {
    let other = 1 - done.bank;
    let broken = |disk: &[u8]| is_eligible(disk, done.bank) && bank_is_whole(disk, done.bank).is_err();
    let first_flush =
        ops.windows(2).position(|pair| matches!(pair, [Op::Write { .. }, Op::Flush])).unwrap_or(0) + 1;
    let strict_from = if broken(&done.start) { first_flush + 1 } else { 0 };
    let undoing = start != done.start;
    let untouched = [0..BANKS[0], BANKS[other]..BANKS[other] + BANK, BANKS[1] + BANK..start.len()];
    each_state(start, ops, &mut |state: &State<'_>| {
        if untouched.iter().any(|range| state.disk[range.clone()] != done.start[range.clone()]) {
            return Err("something beside the bank was written".to_owned());
        }
        if state.at >= strict_from && broken(state.disk) && !(undoing && strict_from > 0) {
            return Err("the bank could be chosen, and is not whole".to_owned());
        }
        boot(state.disk).map(drop)
    })
}

/// The change, then its undo.
fn prove_both(done: &Done) -> Counts {
    let mut counts = prove(done, &done.start, &done.ops).unwrap_or_else(|why| panic!("{}: {why}", done.name));
    println!("{}: {counts}", done.name);
    let mut disk = Recorder::new(done.end.clone());
    let undone = undo(&mut disk, &UndoFile::open(&done.undo).unwrap(), false, &mut |_, _| {}).unwrap();
    assert!(undone.written > 0 && disk.bytes == done.start, "{}: undo leaves something", done.name);
    let ops = disk.ops.borrow().clone();
    let back = prove(done, &done.end, &ops).unwrap_or_else(|why| panic!("undo of {}: {why}", done.name));
    println!("undo of {}: {back}", done.name);
    counts += back;
    counts
}

fn rebuild(name: &'static str, start: &[u8], fallback: Fallback) -> Done {
    carry_out(name, start, &|disk| {
        plan_rebuild(disk, &find_banks(disk).unwrap(), &rebuild_request(fallback)).unwrap()
    })
}

fn set_next(name: &'static str, start: &[u8], request: &NextRequest) -> Done {
    carry_out(name, start, &|disk| plan_set_next(disk, &find_banks(disk).unwrap(), request).unwrap())
}

#[test]
fn every_state_that_a_cut_leaves_of_a_rebuild_boots_a_whole_bank() {
    let mut counts = Counts::default();
    for (name, start, fallback) in [
        ("rebuild of a bank with ghosts", b_with_ghosts(), Fallback::AfterNextUpdate),
        ("rebuild as a usable fall-back", two_good_banks(), Fallback::Usable),
        ("rebuild of the bank that is chosen", b_is_chosen(), Fallback::AfterNextUpdate),
    ] {
        let done = rebuild(name, &start, fallback);
        assert_eq!(bank_is_whole(&done.end, 1), Ok(()));
        assert_eq!(boot(&done.end), Ok(0));
        counts += prove_both(&done);
    }
    println!("power-loss proof of rebuild and its undo: {counts}");
    assert!(counts.states() > 6000 && counts.reordered > 2000 && counts.torn > 3000, "{counts}");
}

#[test]
fn every_state_that_a_cut_leaves_of_set_next_boots_a_whole_bank() {
    let start = two_good_banks();
    let mut counts = Counts::default();
    // A boot.cfg whose state the loader reads from another line than it writes, and one without a state.
    let twice = format!("{}bootstate=0\n", cfg(1, 6, "8.0.2"));
    let none = cfg(0, 6, "8.0.2").replace("bootstate=0\n", "");
    let loose = |text: &str| {
        let a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
        disk_with(&a, &Volume::of(0xbb, &files(20, text)))
    };
    let longer = {
        let a = Volume::of(0xaa, &files(10, &cfg(0, 9, "8.0.3-0.0.2")));
        disk_with(
            &a,
            &Volume::of(0xbb, &files(20, &cfg(0, 8, "8.0.2").replace("bootstate=0\ntitle", "title"))),
        )
    };
    for (name, start, request, chosen) in [
        ("set-next", start.clone(), next_request('B', NextBy::Counter, NextState::Valid), 1),
        ("set-next for one try", start.clone(), next_request('B', NextBy::Counter, NextState::Trial), 1),
        (
            "set-next by the other's digit",
            start.clone(),
            next_request('B', NextBy::OtherInvalid, NextState::Valid),
            1,
        ),
        (
            "set-next that makes boot.cfg longer",
            longer,
            next_request('B', NextBy::Counter, NextState::Valid),
            1,
        ),
        ("set-next with two states", loose(&twice), next_request('B', NextBy::Counter, NextState::Valid), 1),
        ("set-next without a state", loose(&none), next_request('B', NextBy::Counter, NextState::Valid), 1),
    ] {
        let done = set_next(name, &start, &request);
        assert_eq!(boot(&done.end), Ok(chosen), "{name}");
        counts += prove_both(&done);
    }
    println!("power-loss proof of set-next and its undo: {counts}");
    assert!(counts.states() > 150, "{counts}");
}

#[test]
fn every_state_that_a_cut_leaves_of_an_import_boots_a_whole_bank_with_the_old_state_or_the_new() {
    let start = two_good_banks();
    let state = state_tgz(77, 12_345);
    let (mut counts, mut met) = (Counts::default(), [0, 0]);
    for (name, letter, bank) in
        [("import into the running bank", 'A', 0), ("import into the other bank", 'B', 1)]
    {
        let done = carry_out(name, &start, &|disk| {
            plan_import(disk, &find_banks(disk).unwrap(), letter, &state).unwrap()
        });
        let old = read(&start, bank, "state.tgz").unwrap();
        assert_eq!(read(&done.end, bank, "state.tgz").unwrap(), state);
        each_state(&start, &done.ops, &mut |cut: &State<'_>| {
            let now = read(cut.disk, bank, "state.tgz").ok_or("no state")?;
            let which = [&old, &state].iter().position(|wanted| **wanted == now).ok_or("a mixed state")?;
            met[which] += 1;
            Ok(())
        })
        .unwrap();
        counts += prove_both(&done);
    }
    println!("power-loss proof of import and its undo: {counts}; old state {}, new state {}", met[0], met[1]);
    assert!(counts.states() > 400 && met.iter().all(|count| *count > 10), "{counts}");
}

#[test]
fn every_state_that_a_cut_leaves_of_a_cleaning_boots_a_whole_bank() {
    let mut a = Volume::of(0xaa, &files(10, &cfg(0, 7, "8.0.3-0.0.2")));
    let b = Volume::of(0xbb, &files(20, &cfg(0, 6, "8.0.2-0.0.1")));
    let paths: Vec<String> = (0..60).map(|number| format!("FOREIGN.{number:03}")).collect();
    for path in &paths {
        a.add(path, &noise(5, 12_000));
    }
    let start = disk_with(&a, &b);
    let done = carry_out("clean of the running bank", &start, &|disk| {
        plan_clean(disk, &find_banks(disk).unwrap(), 'A', &paths).unwrap()
    });
    assert!(paths.iter().all(|path| read(&done.end, 0, path).is_none()));
    let counts = prove_both(&done);
    println!("power-loss proof of clean and its undo: {counts}");
    assert!(counts.states() > 150, "{counts}");
}

/// The disk after the first `end` operations.
fn cut_at(start: &[u8], ops: &[Op], end: usize) -> Vec<u8> {
    let mut disk = start.to_vec();
    for op in &ops[..end] {
        if let Op::Write { offset, data } = op {
            disk.write_at(*offset, data).unwrap();
        }
    }
    disk
}

#[test]
fn i_10_a_rebuild_that_was_cut_leaves_the_target_invalid_and_is_finished_by_rebuilding_again_or_undone() {
    let start = b_with_ghosts();
    let done = rebuild("rebuild", &start, Fallback::AfterNextUpdate);
    let file = UndoFile::open(&done.undo).unwrap();
    let (mut invalid, mut again) = (0, 0);
    for end in 0..=done.ops.len() {
        let disk = cut_at(&start, &done.ops, end);
        assert_eq!(boot(&disk), Ok(0), "cut at {end}");
        let esx = find_banks(&disk).unwrap();
        let target = esx.bank('B').unwrap();
        let is_invalid = target.cfg.as_ref().is_none_or(|cfg| cfg.values.bootstate == 3);
        let nothing_yet = disk == start;
        assert!(is_invalid || nothing_yet, "cut at {end}: the target is not invalid");
        invalid += usize::from(is_invalid);

        let plan = plan_rebuild(&disk, &esx, &rebuild_request(Fallback::AfterNextUpdate)).unwrap();
        let mut finished = disk.clone();
        apply(&mut finished, &plan, &mut Vec::new(), 1, &mut |_, _, _| {}).unwrap();
        assert_eq!((boot(&finished), bank_is_whole(&finished, 1)), (Ok(0), Ok(())), "cut at {end}");
        again += 1;

        let mut back = disk.clone();
        undo(&mut back, &file, false, &mut |_, _| {}).unwrap();
        assert!(back == start, "cut at {end}: undo leaves something");
        // Once more: nothing is left to do.
        assert_eq!(undo(&mut back, &file, false, &mut |_, _| {}).unwrap().written, 0);
    }
    println!(
        "I-10: {} cuts, target invalid in {invalid}, rebuilt again and undone {again} times",
        done.ops.len()
    );
    assert!(again > 10 && invalid + 2 >= again);
}

#[test]
fn a_second_cut_while_a_cut_rebuild_is_repeated_does_no_harm_either() {
    let start = b_is_chosen();
    let request = rebuild_request(Fallback::AfterNextUpdate);
    let done = rebuild("rebuild", &start, Fallback::AfterNextUpdate);
    let mut cuts = 0;
    for first in 0..=done.ops.len() {
        let disk = cut_at(&start, &done.ops, first);
        let plan = plan_rebuild(&disk, &find_banks(&disk).unwrap(), &request).unwrap();
        let mut second = Recorder::new(disk.clone());
        let mut file = Vec::new();
        apply(&mut second, &plan, &mut file, 1, &mut |_, _, _| {}).unwrap();
        let ops = second.ops.borrow().clone();
        for end in 0..=ops.len() {
            let cut = cut_at(&disk, &ops, end);
            boot(&cut).unwrap_or_else(|why| panic!("cut at {first}, then at {end}: {why}"));
            // The second undo file leads back to the first cut, the first one from there to the start.
            let mut back = cut;
            undo(&mut back, &UndoFile::open(&file).unwrap(), false, &mut |_, _| {}).unwrap();
            undo(&mut back, &UndoFile::open(&done.undo).unwrap(), false, &mut |_, _| {}).unwrap();
            assert!(back == start, "cut at {first}, then at {end}: undo leaves something");
            cuts += 1;
        }
    }
    println!("{cuts} pairs of cuts");
    assert!(cuts > 200);
}

#[test]
fn an_undo_is_possible_from_every_state_of_a_cut_rebuild_and_import_and_leads_back_to_the_first_byte() {
    let start = two_good_banks();
    let state = state_tgz(78, 3_000);
    let changes = [
        rebuild("rebuild", &b_with_ghosts(), Fallback::AfterNextUpdate),
        rebuild("usable rebuild", &start, Fallback::Usable),
        set_next("set-next", &start, &next_request('B', NextBy::Counter, NextState::Valid)),
        carry_out("import", &start, &|disk| {
            plan_import(disk, &find_banks(disk).unwrap(), 'A', &state).unwrap()
        }),
    ];
    let mut undone = 0;
    for done in &changes {
        let file = UndoFile::open(&done.undo).unwrap();
        let mut number = 0;
        each_state(&done.start, &done.ops, &mut |cut: &State<'_>| {
            number += 1;
            // All of the small changes, a spread of the large ones.
            if done.ops.len() > 12 && number % 5 != 0 {
                return Ok(());
            }
            let found = examine_undo(cut.disk, &file).map_err(|error| error.to_string())?;
            if found.differing_sectors > 0 {
                return Err(format!("{found:?}"));
            }
            let mut disk = cut.disk.clone();
            undo(&mut disk, &file, false, &mut |_, _| {}).map_err(|error| error.to_string())?;
            undone += 1;
            if disk == done.start { Ok(()) } else { Err(format!("not as before; {found:?}")) }
        })
        .unwrap_or_else(|why| panic!("{}: {why}", done.name));
    }
    println!("{undone} cut states undone to the first byte");
    assert!(undone > 500);
}

#[test]
fn an_undo_that_was_cut_anywhere_is_finished_by_undoing_again() {
    let start = b_with_ghosts();
    let done = rebuild("rebuild", &start, Fallback::AfterNextUpdate);
    let file = UndoFile::open(&done.undo).unwrap();
    let mut disk = Recorder::new(done.end.clone());
    undo(&mut disk, &file, false, &mut |_, _| {}).unwrap();
    let ops = disk.ops.borrow().clone();
    let mut number = 0;
    let mut resumed = 0;
    each_state(&done.end, &ops, &mut |cut: &State<'_>| {
        number += 1;
        if number % 3 != 0 {
            return Ok(());
        }
        let mut disk = cut.disk.clone();
        undo(&mut disk, &file, false, &mut |_, _| {}).map_err(|error| error.to_string())?;
        resumed += 1;
        if disk == start { Ok(()) } else { Err("not as before".to_owned()) }
    })
    .unwrap();
    println!("{resumed} cut undos finished");
    assert!(resumed > 300);
}

/// Bugs that were made on purpose: the proof must see each of them.
#[test]
fn the_proof_fails_for_a_change_with_a_wrong_order_or_without_flushes() {
    let usable = rebuild("rebuild", &two_good_banks(), Fallback::Usable);
    let chosen = rebuild("rebuild", &b_is_chosen(), Fallback::AfterNextUpdate);
    let import = carry_out("import", &two_good_banks(), &|disk| {
        plan_import(disk, &find_banks(disk).unwrap(), 'A', &state_tgz(77, 12_345)).unwrap()
    });
    let fails = |bug: &str, done: &Done, ops: &[Op]| {
        let Err(why) = prove(done, &done.start, ops) else { panic!("nobody noticed: {bug}") };
        println!("{bug}: {why}");
        why
    };
    let without_flush =
        |done: &Done| -> Vec<Op> { done.ops.iter().filter(|op| !matches!(op, Op::Flush)).cloned().collect() };
    fails("rebuild without a flush", &chosen, &without_flush(&chosen));
    fails("usable rebuild without a flush", &usable, &without_flush(&usable));
    fails("import without a flush", &import, &without_flush(&import));

    // Neither marked invalid nor unsealed: the content goes under a bank that is chosen.
    let from = chosen.ops.iter().enumerate().filter(|(_, op)| matches!(op, Op::Flush)).nth(2).unwrap().0;
    fails("rebuild that does not invalidate first", &chosen, &chosen.ops[from..]);

    // Boot sector and the digit of the state before the content.
    let writes: Vec<usize> = usable
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| matches!(op, Op::Write { .. }))
        .map(|(index, _)| index)
        .collect();
    let mut early = usable.ops.clone();
    let (release, seal) = (early.remove(writes[writes.len() - 1]), early.remove(writes[writes.len() - 2]));
    let meta_end = writes[writes.len() - 4];
    early.splice(meta_end..meta_end, [seal, release]);
    let why = fails("boot sector and boot.cfg before the modules", &usable, &early);
    assert!(why.contains("could be chosen"), "{why}");

    // A write into the other bank.
    let mut strayed = usable.ops.clone();
    strayed.push(Op::Write { offset: BANKS[0] as u64 + 4096, data: vec![1; 512] });
    let why = fails("a write into the source", &usable, &strayed);
    assert!(why.contains("beside the bank"), "{why}");
}
