//! The check of ESXi banks: what is found, how much it weighs, and what mends it.

use lifeboat_bank::esx::archive::{Form, inspect};
use lifeboat_bank::esx::change::{ChangeError, Fallback, KeepState, RebuildRequest, plan_rebuild};
use lifeboat_bank::esx::check::{
    BankManifest, CheckOptions, CheckReport, Content, FileDigest, ReleaseSize, check,
};
use lifeboat_bank::esx::content::{Depth, Look, Role, survey};
use lifeboat_bank::esx::fixture::{CfgFile, Fixture, FixtureBank, FixtureFile, FixtureLayout};
use lifeboat_bank::esx::{EsxDisk, EsxFinding, EsxSeverity, find_banks};

fn usual() -> Fixture {
    Fixture::usual(FixtureLayout::V7To8)
}

fn look(image: &[u8], depth: Depth) -> CheckReport {
    check(&image, &find_banks(&image).unwrap(), &CheckOptions::new(depth))
}

fn codes(report: &CheckReport) -> Vec<(&'static str, Option<char>)> {
    report.findings.iter().map(|finding| (finding.code, finding.bank)).collect()
}

/// Findings beside the one that goes with every bank that cannot boot.
fn of_code<'a>(report: &'a CheckReport, code: &str) -> &'a EsxFinding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("{code} is not among {:#?}", codes(report)))
}

fn command(finding: &EsxFinding) -> String {
    finding.remedy.as_ref().map_or_else(String::new, |remedy| remedy.command("DISK"))
}

/// First byte of a file on the disk, by its 8.3 name.
fn place(disk: &[u8], found: &EsxDisk, bank: usize, name: &str) -> (usize, usize) {
    let bank = &found.banks[bank];
    let content = survey(&disk, bank);
    let file = content.by_short(name).unwrap();
    let chains = bank.volume.as_ref().unwrap().chains(&disk).unwrap();
    let extents = chains.extents(file.cluster, file.len).unwrap();
    (usize::try_from(extents[0].offset).unwrap(), usize::try_from(file.len).unwrap())
}

/// The directory entry of a file in the root of a bank.
fn entry(image: &[u8], fixture: &Fixture, bank: usize, name: &[u8; 11]) -> usize {
    let (base, bytes) = fixture.bank_place(bank);
    let (base, end) = (usize::try_from(base).unwrap(), usize::try_from(base + bytes).unwrap());
    let at = image[base..end].windows(11).position(|window| window == name).unwrap();
    base + at
}

#[test]
fn healthy_banks_of_every_layout_have_no_finding() {
    for layout in [FixtureLayout::V4, FixtureLayout::V5To6, FixtureLayout::V7To8] {
        let image = Fixture::usual(layout).image().unwrap();
        for depth in [Depth::Structure, Depth::Content] {
            let report = look(&image, depth);
            assert_eq!(report.findings, [], "{layout:?} {depth:?}");
        }
        let report = look(&image, Depth::Content);
        for content in &report.contents {
            assert!(content.belonging().count() >= 13);
            assert!(content.belonging().all(|file| matches!(file.look, Look::Whole(_))));
            assert_eq!(content.foreign().count(), 0);
        }
        serde_json::to_string(&report).unwrap();
    }
}

#[test]
fn i_05_what_a_mac_left_is_found_in_both_banks_by_the_banks_own_list() {
    let left = [".Spotlight-V100/Store", ".Trashes/x", "._.Trashes", ".fseventsd/no_log", "vacation.jpg"];
    let mut fixture = usual();
    for bank in &mut fixture.banks {
        bank.extra =
            left.iter().map(|name| FixtureFile { name: (*name).to_owned(), data: vec![1; 700] }).collect();
    }
    let image = fixture.image().unwrap();
    let report = look(&image, Depth::Structure);
    for bank in ['A', 'B'] {
        let found: Vec<&EsxFinding> =
            report.findings.iter().filter(|finding| finding.bank == Some(bank)).collect();
        assert!(found.iter().all(|finding| finding.code == "esx-file-foreign"), "{found:#?}");
        let mut paths: Vec<String> =
            found.iter().map(|finding| finding.path.as_ref().unwrap().to_ascii_lowercase()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["._.trashes", ".fseventsd", ".spotlight-v100", ".trashes", "vacation.jpg"]);
        assert_eq!(found.iter().filter(|finding| finding.text.contains("Mac")).count(), 4);
        assert!(found.iter().all(|finding| command(finding) == "lifeboat bank clean DISK"));
    }
    assert_eq!(report.worst(), Some(EsxSeverity::Error));
}

#[test]
fn a_file_that_the_bank_names_is_never_foreign_whatever_its_name() {
    let mut fixture = usual();
    let bank = &mut fixture.banks[0];
    bank.extra =
        vec![FixtureFile { name: "thumbs.db".to_owned(), data: lifeboat_bank::esx::fixture::gzip(b"x") }];
    bank.cfg =
        Some(String::from_utf8(bank.boot_cfg()).unwrap().replace("k.b00", "k.b00 --- thumbs.db").into());
    assert_eq!(look(&fixture.image().unwrap(), Depth::Content).findings, []);
}

#[test]
fn i_09_a_directory_that_nothing_can_delete_is_told_with_the_message_of_the_update() {
    let mut fixture = usual();
    fixture.banks[1].extra = vec![FixtureFile { name: "state.abc/x".to_owned(), data: vec![1; 100] }];
    let mut image = fixture.image().unwrap();
    // The directory leads to a cluster far behind everything, which is free.
    let at = entry(&image, &fixture, 1, b"STATE   ABC");
    image[at + 26..at + 28].copy_from_slice(&5000_u16.to_le_bytes());
    let report = look(&image, Depth::Content);
    let finding = of_code(&report, "fat-dir-ghost");
    assert_eq!((finding.bank, finding.severity), (Some('B'), EsxSeverity::Error));
    assert!(finding.next_upgrade.contains("Bad file descriptor"), "{}", finding.next_upgrade);
    assert_eq!(command(finding), "lifeboat bank rebuild DISK B --from A");
    // The ghost is not offered to be removed as a foreign file.
    assert!(report.findings.iter().all(|finding| finding.code != "esx-file-foreign"));
}

#[test]
fn a_dirty_bit_is_no_damage_but_is_said_to_fail_the_hosts_own_check() {
    let fixture = usual();
    let mut image = fixture.image().unwrap();
    let (base, _) = fixture.bank_place(1);
    let base = usize::try_from(base).unwrap();
    // Entry 1 of both FATs of FAT16: "not shut down cleanly".
    let per_fat = usize::from(u16::from_le_bytes([image[base + 22], image[base + 23]])) * 512;
    for copy in 0..2 {
        image[base + 1024 + copy * per_fat + 3] &= 0x7f;
    }
    let report = look(&image, Depth::Structure);
    assert_eq!(codes(&report), [("fat-dirty-table", Some('B'))]);
    let finding = &report.findings[0];
    assert_eq!(finding.severity, EsxSeverity::Error, "no damage, and it stops an upgrade");
    assert!(finding.next_upgrade.contains("no damage") && finding.next_upgrade.contains("refuses"));
    assert!(report.damage.iter().all(lifeboat_bank::esx::check::BankDamage::is_clean));
}

#[test]
fn a_module_with_one_flipped_bit_is_found_by_its_content_only() {
    let fixture = usual();
    let mut image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let (at, len) = place(&image, &found, 0, "S.V00");
    image[at + len / 2] ^= 0x10;
    assert_eq!(look(&image, Depth::Structure).findings, []);
    let report = look(&image, Depth::Content);
    assert_eq!(codes(&report), [("esx-next-damaged", Some('A')), ("esx-module-damaged", Some('A'))]);
    assert_eq!(command(&report.findings[0]), "lifeboat bank set-next DISK B");
    assert_eq!(command(&report.findings[1]), "lifeboat bank rebuild DISK A --from B");
    assert!(report.findings[1].next_upgrade.contains("nothing falls back"));
}

#[test]
fn no_flipped_bit_of_a_module_changes_its_content_unseen() {
    let mut fixture = usual();
    fixture.banks[0].module_bytes = 200;
    let mut image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let bank = &found.banks[0];
    let chains = bank.volume.as_ref().unwrap().chains(&image).unwrap();
    let file = survey(&image, bank).by_short("S.V00").unwrap().clone();
    let extents = chains.extents(file.cluster, file.len).unwrap();
    let at = usize::try_from(extents[0].offset).unwrap();
    let good = inspect(&image, &extents).unwrap();
    assert_eq!(good.form, Form::GzipVisorTar);
    let (mut seen, mut harmless) = (0, 0);
    for byte in 0..usize::try_from(file.len).unwrap() {
        for bit in 0..8 {
            image[at + byte] ^= 1 << bit;
            match inspect(&image, &extents) {
                Err(_) => seen += 1,
                // Without its mark the loader takes it for a plain file; the check says that.
                Ok(other) if other.form == Form::Plain => assert!(byte < 2),
                // Time and system in the header, codes that nothing uses: the content is the same, by its checksum.
                Ok(other) => {
                    harmless += 1;
                    assert_eq!(
                        (other.form, other.unpacked),
                        (good.form, good.unpacked),
                        "byte {byte} bit {bit}"
                    );
                }
            }
            image[at + byte] ^= 1 << bit;
        }
    }
    assert!(harmless * 10 < seen && seen > 1000, "{harmless} harmless, {seen} seen");
}

#[test]
fn what_boot_cfg_names_has_to_be_there_with_content_and_compressed() {
    let mut fixture = usual();
    let bank = &mut fixture.banks[1];
    bank.extra = vec![
        FixtureFile { name: "empty.v00".to_owned(), data: Vec::new() },
        FixtureFile { name: "plain.v00".to_owned(), data: b"not compressed".to_vec() },
        FixtureFile { name: "a_long_name.v00".to_owned(), data: lifeboat_bank::esx::fixture::gzip(b"x") },
    ];
    let more = "k.b00 --- gone.v00 --- empty.v00 --- plain.v00 --- a_long_name.v00 --- dir/x.v00";
    bank.cfg = Some(String::from_utf8(bank.boot_cfg()).unwrap().replace("k.b00", more).into());
    let report = look(&fixture.image().unwrap(), Depth::Content);
    let got: Vec<(&str, Option<&str>)> =
        report.findings.iter().map(|finding| (finding.code, finding.path.as_deref())).collect();
    let got: Vec<_> = got.iter().map(|(code, path)| (*code, path.map(str::to_ascii_lowercase))).collect();
    let expected = [
        ("esx-module-missing", Some("gone.v00")),
        ("esx-module-name", Some("a_long_name.v00")),
        ("esx-module-name", Some("dir/x.v00")),
        ("esx-module-empty", Some("empty.v00")),
        ("esx-module-plain", Some("plain.v00")),
    ]
    .map(|(code, path)| (code, path.map(str::to_owned)));
    assert_eq!(got, expected);
    assert!(report.findings.iter().all(|finding| finding.bank == Some('B')));
}

#[test]
fn a_bank_that_is_only_marked_by_formatting_is_not_seen_by_the_loader() {
    let fixture = usual();
    let mut image = fixture.image().unwrap();
    let at = usize::try_from(fixture.bank_place(0).0).unwrap() + 512;
    image[at..at + 512].fill(0);
    let report = look(&image, Depth::Structure);
    assert_eq!(codes(&report), [("esx-no-fallback", None), ("esx-mark-missing", Some('A'))]);
    assert_eq!(command(&report.findings[1]), "lifeboat bank rebuild DISK A --from B");
}

#[test]
fn without_boot_cfg_nothing_is_called_foreign() {
    let mut fixture = usual();
    fixture.banks[1].has_cfg = CfgFile::Missing;
    fixture.banks[1].extra = vec![FixtureFile { name: ".Trashes".to_owned(), data: vec![0; 10] }];
    let report = look(&fixture.image().unwrap(), Depth::Content);
    assert_eq!(codes(&report), [("esx-no-fallback", None), ("esx-cfg-unreadable", Some('B'))]);
    assert!(report.contents[1].files.iter().all(|file| file.role == Role::Unclaimed));
}

#[test]
fn the_situation_of_the_two_banks_is_told() {
    let cases: &[(u8, u32, u8, u32, &[&str])] = &[
        (0, 6, 0, 5, &[]),
        (0, 6, 1, 7, &["esx-upgrade-waits"]),
        (0, 6, 2, 7, &["esx-upgrade-unproven", "esx-no-fallback"]),
        (0, 6, 3, 7, &["esx-rolled-back", "esx-no-fallback"]),
        (0, 6, 3, 5, &["esx-no-fallback"]),
        (0, 6, 0, 6, &["esx-updated-equal"]),
        (3, 6, 3, 5, &["esx-nothing-boots"]),
        (0, u32::MAX, 0, 5, &["esx-updated-last"]),
    ];
    for (state_a, a, state_b, b, expected) in cases {
        let mut fixture = usual();
        fixture.banks[0] = FixtureBank::good(*state_a, *a, "8.0.2-1");
        fixture.banks[1] = FixtureBank::good(*state_b, *b, "8.0.3-1");
        let report = look(&fixture.image().unwrap(), Depth::Structure);
        let got: Vec<&str> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(got, *expected, "{state_a} {a} {state_b} {b}");
    }
}

#[test]
fn the_only_bank_that_can_boot_and_is_damaged_forbids_an_upgrade() {
    let mut fixture = usual();
    fixture.banks[1].state = 3;
    let mut image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let (at, len) = place(&image, &found, 0, "VIM.V00");
    image[at + len - 6] ^= 1;
    let report = look(&image, Depth::Content);
    let finding = of_code(&report, "esx-only-bank-damaged");
    assert!(
        finding.next_upgrade.contains("refused") && finding.text.contains("VIM")
            || finding.text.contains("vim")
    );
    // The other one is whole, though invalid: it can be made the next.
    assert_eq!(command(of_code(&report, "esx-next-damaged")), "lifeboat bank set-next DISK B");
}

#[test]
fn a_damaged_state_is_found_also_in_the_archive_inside() {
    let mut fixture = usual();
    fixture.banks[0].host = None;
    let broken = lifeboat_bank::esx::fixture::tar(&[lifeboat_bank::esx::fixture::TarMember::new(
        "local.tgz",
        lifeboat_bank::esx::fixture::gzip(b"no archive")[..20].to_vec(),
    )]);
    let data = lifeboat_bank::esx::fixture::gzip(&broken);
    fixture.banks[0].extra = vec![FixtureFile { name: "state.tgz".to_owned(), data }];
    let report = look(&fixture.image().unwrap(), Depth::Content);
    assert_eq!(codes(&report), [("esx-next-damaged", Some('A')), ("esx-state-damaged", Some('A'))]);
}

#[test]
fn a_file_of_another_release_is_found_by_its_digest() {
    let image = usual().image().unwrap();
    let found = find_banks(&image).unwrap();
    let whole = look(&image, Depth::Content);
    let mut manifest: BankManifest = whole.contents[0]
        .belonging()
        .filter_map(|file| match &file.look {
            Look::Whole(seen) => {
                let digest = FileDigest { len: Some(file.len), sha256: seen.sha256.clone() };
                Some((file.short.to_ascii_lowercase(), digest))
            }
            Look::NotLooked | Look::Broken { .. } => None,
        })
        .collect();
    let good = [('A', manifest.clone())];
    let options = CheckOptions { manifests: &good, ..CheckOptions::new(Depth::Content) };
    assert_eq!(check(&image, &found, &options).findings, []);
    manifest.get_mut("s.v00").unwrap().sha256 = "0".repeat(64);
    let other = [('A', manifest)];
    let options = CheckOptions { manifests: &other, ..CheckOptions::new(Depth::Content) };
    assert_eq!(codes(&check(&image, &found, &options)), [("esx-module-differs", Some('A'))]);
}

#[test]
fn a_release_that_does_not_fit_is_told_before_anything_is_staged() {
    let mut fixture = usual();
    fixture.banks[1].extra = vec![FixtureFile { name: "big.iso".to_owned(), data: vec![0; 2_500_000] }];
    let image = fixture.image().unwrap();
    let found = find_banks(&image).unwrap();
    let run = |files: Vec<u64>| {
        let release = ReleaseSize { name: "8.0.3".to_owned(), files };
        let options = CheckOptions { release: Some(&release), ..CheckOptions::new(Depth::Structure) };
        let report = check(&image, &found, &options);
        report
            .findings
            .iter()
            .map(|finding| finding.code)
            .filter(|code| code.starts_with("esx-space"))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(vec![500_000, 500_000]), Vec::<&str>::new());
    assert_eq!(run(vec![2_000_000]), ["esx-space-foreign"]);
    assert_eq!(run(vec![3_000_000, 3_000_000]), ["esx-space-bank"]);
    // Clusters count, not bytes: 9,000 files of one byte need 9,000 clusters.
    assert_eq!(run(vec![1; 9000]), ["esx-space-bank"]);
}

#[test]
fn equal_banks_are_noted() {
    let mut fixture = usual();
    fixture.banks[1] = FixtureBank { updated: 5, ..fixture.banks[0].clone() };
    let report = look(&fixture.image().unwrap(), Depth::Content);
    assert_eq!(codes(&report), [("esx-banks-equal", None)]);
    assert_eq!(report.worst(), Some(EsxSeverity::Note));
}

#[test]
fn the_traps_of_boot_cfg_are_told_with_their_lines() {
    let mut fixture = usual();
    let bank = &mut fixture.banks[1];
    let text = String::from_utf8(bank.boot_cfg()).unwrap();
    bank.cfg = Some(text.replace("updated=5", "u=5\nbootstate=0").into_bytes());
    let report = look(&fixture.image().unwrap(), Depth::Structure);
    assert_eq!(codes(&report), [("cfg-key-shortened", Some('B')), ("cfg-state-twice", Some('B'))]);
    assert!(report.findings[0].text.starts_with("line 9: "), "{}", report.findings[0].text);
}

#[test]
fn random_damage_anywhere_gives_an_answer_in_bounded_time() {
    let fixture = usual();
    let good = fixture.image().unwrap();
    let (base, _) = fixture.bank_place(0);
    let base = usize::try_from(base).unwrap();
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most as u64).unwrap()
    };
    for round in 0..60 {
        let mut image = good.clone();
        for _ in 0..20 {
            // Boot sector, FATs and root directory, most of all.
            let at = base + random(if round % 2 == 0 { 60_000 } else { 1_000_000 });
            image[at] = u8::try_from(random(256)).unwrap();
        }
        if let Ok(found) = find_banks(&image) {
            let report = check(&image, &found, &CheckOptions::new(Depth::Content));
            serde_json::to_string(&report).unwrap();
        }
    }
}

#[test]
fn foreign_files_on_a_damaged_file_system_go_by_a_rebuild_and_not_one_by_one() {
    let mut fixture = usual();
    fixture.banks[0].extra = vec![
        FixtureFile { name: "left.txt".to_owned(), data: vec![1; 100] },
        FixtureFile { name: "state.abc/x".to_owned(), data: vec![1; 100] },
    ];
    let mut image = fixture.image().unwrap();
    let at = entry(&image, &fixture, 0, b"STATE   ABC");
    image[at + 26..at + 28].copy_from_slice(&5000_u16.to_le_bytes());
    let report = look(&image, Depth::Structure);
    let finding = of_code(&report, "esx-file-foreign");
    assert_eq!(command(finding), "lifeboat bank rebuild DISK A --from B");
    // A is the newer one: its remedy changes the release that the host runs, and that is said.
    assert!(finding.next_upgrade.contains("7.0.3-0.50.20036589"), "{}", finding.next_upgrade);
}

#[test]
fn a_label_that_differs_is_a_note() {
    let fixture = usual();
    let mut image = fixture.image().unwrap();
    let at = usize::try_from(fixture.bank_place(0).0).unwrap();
    image[at + 43..at + 54].copy_from_slice(b"BOOTBANK1  ");
    let report = look(&image, Depth::Structure);
    assert!(report.worst().is_none_or(|worst| worst == EsxSeverity::Note), "{:#?}", report.findings);
}

#[test]
fn a_boot_cfg_that_lost_a_line_makes_no_module_foreign_and_its_bank_is_not_copied() {
    let whole = usual().banks[0].boot_cfg();
    let whole = String::from_utf8(whole).unwrap();
    let modules = whole.lines().find(|line| line.starts_with("modules=")).unwrap();
    let (half, _) = modules.split_at(modules.rfind(" --- vim").unwrap());
    for (was, now) in [
        (modules, "modules="),
        (modules, half),
        ("kernel=b.b00", "kernel="),
        ("kernel=b.b00", ""),
        ("prefix=", "prefix=sub"),
    ] {
        let mut fixture = usual();
        fixture.banks[0].cfg = Some(whole.replacen(was, now, 1).into_bytes());
        let image = fixture.image().unwrap();
        let report = look(&image, Depth::Structure);
        let foreign: Vec<_> = report.contents[0].foreign().map(|file| &file.path).collect();
        assert_eq!(foreign, Vec::<&String>::new(), "{now:?}: what may be removed");
        assert!(
            matches!(report.damage[0].content, Content::Damaged { .. }),
            "{now:?}: {:?}",
            report.damage[0]
        );
        assert_eq!(report.worst(), Some(EsxSeverity::Error), "{now:?}");
        let request = RebuildRequest {
            bank: 'B',
            from: 'A',
            fallback: Fallback::AfterNextUpdate,
            state: KeepState::Own,
            uuid: [7; 16],
            serial: 7,
        };
        let refused = plan_rebuild(&image, &find_banks(&image).unwrap(), &request);
        assert!(matches!(refused, Err(ChangeError::Refused { .. })), "{now:?}: {refused:?}");
    }
}

#[test]
fn files_that_share_clusters_are_not_whole_and_not_copied() {
    let fixture = usual();
    let mut image = fixture.image().unwrap();
    let (one, other) =
        (entry(&image, &fixture, 1, b"VIM     V00"), entry(&image, &fixture, 1, b"SB      V00"));
    image.copy_within(one + 26..one + 32, other + 26);
    let report = look(&image, Depth::Content);
    assert!(matches!(report.damage[1].content, Content::Damaged { .. }), "{:?}", report.damage[1]);
    assert_eq!(command(of_code(&report, "fat-cross-link")), "lifeboat bank rebuild DISK B --from A");
}
