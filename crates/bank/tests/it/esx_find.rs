//! Finding banks on whole disks.

use lifeboat_bank::esx::fixture::{CfgFile, Fixture, FixtureBank, FixtureLayout};
use lifeboat_bank::esx::select::WhyNot;
use lifeboat_bank::esx::{EsxDisk, EsxError, EsxLayout, EsxRole, EsxTable, find_banks};
use lifeboat_model::io::{ReadAt, WriteAt};

fn codes(disk: &EsxDisk) -> Vec<&'static str> {
    disk.findings.iter().map(|finding| finding.code).collect()
}

fn find(disk: &[u8]) -> EsxDisk {
    find_banks(&disk).unwrap()
}

#[test]
fn the_banks_of_every_layout_are_found_with_their_boot_cfg() {
    let layouts = [
        (FixtureLayout::V4, EsxLayout::V3, "4.1.0-348481"),
        (FixtureLayout::V5To6, EsxLayout::V5To6, "6.7.0-3.89.15160138"),
        (FixtureLayout::V7To8, EsxLayout::V7To8 { bank_bytes: 4 << 20 }, "8.0.2-0.0.22380479"),
    ];
    for (layout, words, build) in layouts {
        let fixture = Fixture::usual(layout);
        let found = find(&fixture.image().unwrap());
        assert_eq!(codes(&found), Vec::<&str>::new(), "{layout:?}");
        // A small disk of ESXi 4 has banks as small as those of 3.5.
        assert_eq!(found.layout, words);
        assert_eq!(found.banks.len(), 2);
        for (index, bank) in found.banks.iter().enumerate() {
            assert_eq!((bank.letter, bank.partition), (['A', 'B'][index], [5, 6][index]));
            assert_eq!((bank.offset, bank.bytes), fixture.bank_place(index));
            assert_eq!(bank.uuid, Some(fixture.bank_uuid(index)));
        }
        let cfg = found.banks[0].cfg.as_ref().unwrap();
        assert_eq!((cfg.values.build.as_str(), cfg.values.updated), (build, 6));
        let selection = found.selection();
        assert_eq!(selection.chosen, Some(0));
        let text = found.next_boot(&selection);
        assert!(text.starts_with("bank A (partition 5, `updated` 6)"), "{text}");
        assert!(text.contains("lower `updated` 5"), "{text}");
    }
}

#[test]
fn boot_cfg_lies_where_it_is_said_to_lie() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let image = fixture.image().unwrap();
    let at = usize::try_from(find(&image).banks[1].cfg_at.unwrap()).unwrap();
    assert!(image[at..].starts_with(b"bootstate=0\ntitle="));
}

#[test]
fn the_partitions_have_their_roles() {
    let found = find(&Fixture::usual(FixtureLayout::V7To8).image().unwrap());
    let roles: Vec<_> = found.partitions.iter().map(|part| (part.number, part.role)).collect();
    let expected = [(1, EsxRole::BootLoader), (5, EsxRole::Bank), (6, EsxRole::Bank), (7, EsxRole::OsData)];
    assert_eq!(roles, expected);
}

#[test]
fn a_bank_that_lost_its_mark_is_shown_at_its_place_and_not_chosen() {
    for layout in [FixtureLayout::V4, FixtureLayout::V5To6, FixtureLayout::V7To8] {
        let fixture = Fixture::usual(layout);
        let mut image = fixture.image().unwrap();
        let at = usize::try_from(fixture.bank_place(0).0).unwrap() + 512;
        image[at..at + 512].fill(0);
        let found = find(&image);
        assert_eq!(found.banks.len(), 2, "{layout:?}");
        assert_eq!(found.banks[0].uuid, None);
        assert!(found.banks[0].cfg.is_some());
        let selection = found.selection();
        assert_eq!(selection.chosen, Some(1));
        assert_eq!(selection.banks[0].why_not, [WhyNot::NoMagic]);
    }
}

#[test]
fn a_bank_without_a_readable_boot_cfg_is_shown_with_the_reason() {
    let mut fixture = Fixture::usual(FixtureLayout::V7To8);
    fixture.banks[0].has_cfg = CfgFile::Missing;
    let mut image = fixture.image().unwrap();
    let found = find(&image);
    assert!(found.banks[0].cfg_error.as_ref().unwrap().contains("no boot.cfg"));
    assert_eq!(found.selection().banks[0].why_not, [WhyNot::NoCfg]);
    let at = usize::try_from(fixture.bank_place(0).0).unwrap();
    image[at..at + 512].fill(0);
    let found = find(&image);
    assert!(found.banks[0].cfg_error.as_ref().unwrap().contains("zeros"));
    assert_eq!(found.selection().chosen, Some(1));
}

#[test]
fn a_signature_that_is_missing_does_not_hide_a_bank_from_the_loader() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    let at = usize::try_from(fixture.bank_place(0).0).unwrap();
    image[at + 510..at + 512].fill(0);
    assert_eq!(find(&image).selection().chosen, Some(0));
}

#[test]
fn with_only_the_backup_of_the_table_the_loader_sees_no_bank_and_we_do() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    image[512 + 60] ^= 1;
    let found = find(&image);
    assert_eq!(codes(&found), ["gpt-primary-bad"]);
    assert!(matches!(found.table, EsxTable::Gpt { primary_ok: false, backup_ok: true, .. }));
    assert_eq!(found.banks.len(), 2);
    let selection = found.selection();
    assert_eq!(selection.chosen, None);
    assert_eq!(selection.banks[0].why_not, [WhyNot::NoTable]);
}

#[test]
fn an_image_whose_end_is_missing_is_looked_through_and_said_to_be_cut() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    image.truncate(usize::try_from(fixture.bank_place(1).0).unwrap() + 4096);
    let found = find(&image);
    assert_eq!(codes(&found), ["esx-disk-cut", "esx-bank-cut"]);
    assert_eq!(found.selection().chosen, Some(0));
    image.truncate(usize::try_from(fixture.bank_place(0).0).unwrap());
    assert!(find_banks(&image).is_ok_and(|found| found.selection().chosen.is_none()));
}

#[test]
fn the_dump_of_a_single_bank_is_recognised() {
    let fixture = Fixture::usual(FixtureLayout::V5To6);
    let image = fixture.image().unwrap();
    let (base, bytes) = fixture.bank_place(1);
    let (base, bytes) = (usize::try_from(base).unwrap(), usize::try_from(bytes).unwrap());
    let dump = image[base..base + bytes].to_vec();
    let found = find(&dump);
    assert_eq!(codes(&found), ["esx-single-bank"]);
    assert_eq!((found.table, found.layout), (EsxTable::Bare, EsxLayout::SingleBank));
    assert_eq!(found.banks[0].cfg.as_ref().unwrap().values.updated, 5);
}

#[test]
fn two_banks_with_one_identity_are_a_finding() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    let (a, b) = (fixture.bank_place(0), fixture.bank_place(1));
    let (from, len, to) =
        (usize::try_from(a.0).unwrap(), usize::try_from(a.1).unwrap(), usize::try_from(b.0).unwrap());
    image.copy_within(from..from + len, to);
    let found = find(&image);
    assert_eq!(codes(&found), ["esx-uuid-twice"]);
    // Equal `updated`: the lower partition number.
    let selection = found.selection();
    assert_eq!(selection.chosen, Some(0));
    assert!(found.next_boot(&selection).contains("same `updated`"));
}

#[test]
fn a_disk_without_a_bank_is_refused_with_what_it_is() {
    let error = find_banks(&vec![0_u8; 4 << 20]).unwrap_err();
    assert!(matches!(error, EsxError::NotADisk { .. }), "{error}");
    let mut fixture = Fixture::usual(FixtureLayout::V5To6);
    fixture.banks.clear();
    let error = find_banks(&fixture.image().unwrap()).unwrap_err();
    assert!(matches!(error, EsxError::NoBank { partitions: 5 }), "{error}");
    for len in [0, 1, 511, 512, 1024, 4096] {
        assert!(find_banks(&vec![0xff_u8; len]).is_err());
    }
}

#[test]
fn cutting_a_disk_anywhere_or_flipping_bits_in_it_never_ends_in_a_panic() {
    let fixture = Fixture::usual(FixtureLayout::V4);
    let image = fixture.image().unwrap();
    for cut in (0..image.len()).step_by(image.len() / 199) {
        let _ = find_banks(&image[..cut].to_vec()).map(|found| found.selection());
    }
    let (bank, _) = fixture.bank_place(0);
    let bank = usize::try_from(bank).unwrap();
    let mut flipped = image;
    for at in (0..512).chain(bank..bank + 1100) {
        for bit in [0, 3, 7] {
            flipped[at] ^= 1 << bit;
            let _ = find_banks(&flipped).map(|found| found.next_boot(&found.selection()));
            flipped[at] ^= 1 << bit;
        }
    }
}

#[test]
fn an_upgrade_that_waits_is_told_as_one() {
    let mut fixture = Fixture::usual(FixtureLayout::V7To8);
    fixture.banks[1] = FixtureBank::good(1, 7, "8.0.3-0.0.24022510");
    let found = find(&fixture.image().unwrap());
    let selection = found.selection();
    assert_eq!((selection.chosen, selection.upgrading), (Some(1), true));
    assert!(found.next_boot(&selection).contains("first boot of an upgrade"));
}

#[test]
fn a_chain_of_logical_partitions_that_leads_back_ends() {
    let fixture = Fixture::usual(FixtureLayout::V4);
    let mut image = fixture.image().unwrap();
    let record = usize::try_from(fixture.bank_place(1).0).unwrap() - 32 * 512;
    // The record of partition 6 says that the next is the first one, then itself.
    for target in [0_u32, u32::try_from((record - 512) / 512).unwrap()] {
        image[record + 446 + 16 + 8..record + 446 + 16 + 12].copy_from_slice(&target.to_le_bytes());
        assert_eq!(find(&image).banks.len(), 2);
    }
}

/// A disk of any size that keeps its first bytes and forgets the others.
struct Huge {
    bytes: u64,
    front: Vec<u8>,
}

impl ReadAt for Huge {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        if offset + buf.len() as u64 > self.bytes {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        for (at, byte) in (usize::try_from(offset).unwrap()..).zip(buf) {
            *byte = self.front.get(at).copied().unwrap_or(0);
        }
        Ok(())
    }
}

impl WriteAt for Huge {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        for (at, byte) in (usize::try_from(offset).unwrap()..).zip(data) {
            if let Some(to) = self.front.get_mut(at) {
                *to = *byte;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_image_of_100_gb_whose_table_claims_1_tb_is_looked_through_without_reading_it() {
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut disk = Huge { bytes: 1 << 40, front: vec![0; usize::try_from(fixture.bytes()).unwrap()] };
    fixture.write(&mut disk).unwrap();
    disk.bytes = 100 << 30;
    let found = find_banks(&disk).unwrap();
    assert_eq!(codes(&found), ["esx-disk-cut"]);
    assert_eq!(found.selection().chosen, Some(0));
}

#[test]
fn a_disk_with_large_sectors_is_named_as_one() {
    let mut image = vec![0_u8; 8 << 20];
    image[4096..4104].copy_from_slice(b"EFI PART");
    let error = find_banks(&image).unwrap_err().to_string();
    assert!(error.contains("4096"), "{error}");
}
