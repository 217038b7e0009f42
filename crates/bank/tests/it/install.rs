//! What an install does, and what it refuses.

use std::io::Cursor;

use lifeboat_bank::fat::FatVolume;
use lifeboat_bank::install::{InstallError, InstallRequest, Step, bootstrap, install, verify_bank};
use lifeboat_bank::layout::{Geometry, Layout, create_layout};
use lifeboat_bank::manifest::{MANIFEST_PATH, UKI_PATH, parse_manifest};
use lifeboat_bank::record::{read_record, write_record};
use lifeboat_bank::uki::parse_uki;
use lifeboat_model::{Bank, BankState, Sha256Hex};

use crate::fixture::{MIB, Release, guids, laid_out, provisioned, sparse};
use crate::peers::run;

#[test]
fn an_install_leaves_a_bank_that_says_what_it_holds() {
    use Step::{Flush, Invalidate, Record, Seal, VerifyBoot, VerifyRoot, WriteBoot, WriteRoot};
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    let mut steps: Vec<Step> = Vec::new();
    let done = install(
        &mut disk,
        &layout,
        &release.request(Bank::B),
        &mut Cursor::new(&release.root),
        &mut |step, done, total| {
            assert!(done <= total);
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        },
    )
    .unwrap();
    assert_eq!(steps, [Invalidate, WriteRoot, WriteBoot, Flush, VerifyRoot, VerifyBoot, Seal, Record]);
    assert_eq!((done.bank, done.updated), (Bank::B, 2));
    let read = read_record(&disk, &layout).unwrap();
    assert_eq!(read.record, done.record);
    assert_eq!(read.findings, []);
    let entry = read.record.bank(Bank::B);
    assert_eq!((entry.state, entry.root_len), (BankState::Upgraded, release.root.len() as u64));
    assert_eq!(entry.root_sha256, Some(Sha256Hex::of(&release.root)));

    let boot = layout.volumes(Bank::B).boot;
    let volume = FatVolume::open(&disk, boot.offset(), boot.bytes()).unwrap();
    let bytes = volume.read_file(UKI_PATH, 1 << 20).unwrap();
    let uki = parse_uki(&bytes).unwrap();
    let root = layout.volumes(Bank::B).root.guid;
    let line = format!(
        "lifeboat.bank=B root=PARTUUID={root} lifeboat.release=1.2 lifeboat.digest={} panic=5 console=ttyS0",
        release.name().digest
    );
    assert_eq!(done.kernel_line, line);
    assert!(bytes.windows(line.len()).any(|window| window == line.as_bytes()), "{uki:?}");
    let manifest = parse_manifest(&volume.read_file(MANIFEST_PATH, 4096).unwrap(), Bank::B).unwrap();
    assert_eq!((manifest.release, manifest.boot_sha256), (release.name(), Sha256Hex::of(&bytes)));
    let offset = usize::try_from(layout.volumes(Bank::B).root.offset()).unwrap();
    assert!(disk[offset..].starts_with(&release.root));
    for bank in Bank::BOTH {
        assert!(verify_bank(&disk, &layout, Some(&read.record), bank).is_whole());
    }
}

fn refused(disk: &[u8], layout: &Layout, request: &InstallRequest<'_>, root: &[u8]) -> InstallError {
    let mut target = disk.to_vec();
    let error = install(&mut target, layout, request, &mut Cursor::new(root), &mut |_, _, _| {}).unwrap_err();
    assert!(target == disk, "{error}: something was written");
    error
}

#[test]
fn what_must_not_be_installed_is_refused_before_the_first_write() {
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    let good = release.request(Bank::B);

    let error = refused(&disk, &layout, &InstallRequest { active: Bank::B, ..good.clone() }, &release.root);
    assert!(matches!(error, InstallError::TargetIsActive { bank: Bank::B }));
    let swapped = InstallRequest { active: Bank::B, target: Bank::A, ..good.clone() };
    let error = refused(&disk, &layout, &swapped, &release.root);
    assert!(matches!(error, InstallError::ActiveNotGood { active: Bank::B, state: BankState::Empty, .. }));

    let mut large = good.clone();
    large.image.root_len = layout.volumes(Bank::B).root.bytes() - 4095;
    assert!(matches!(
        refused(&disk, &layout, &large, &release.root),
        InstallError::TooLarge { capacity: 4190208, .. }
    ));
    let huge = vec![0_u8; 5 << 20];
    let mut large = good.clone();
    large.image.initrd = &huge;
    assert!(matches!(refused(&disk, &layout, &large, &release.root), InstallError::Fat { .. }));

    for words in ["lifeboat.bank=A", "quiet root=/dev/sda1", "panic=0", "a\u{1b}b"] {
        let mut bad = good.clone();
        bad.image.cmdline_extra = words;
        let error = refused(&disk, &layout, &bad, &release.root);
        assert!(matches!(error, InstallError::BadKernelLine { .. }), "{words:?}: {error}");
    }
    for version in ["", "1 2", "1\n2", "ü"] {
        let mut bad = good.clone();
        version.clone_into(&mut bad.image.release.version.0);
        assert!(matches!(refused(&disk, &layout, &bad, &release.root), InstallError::BadKernelLine { .. }));
    }
    let mut long = good.clone();
    long.image.release.name = "x".repeat(4000);
    assert!(matches!(refused(&disk, &layout, &long, &release.root), InstallError::Record { .. }));

    let mut record = read_record(&disk, &layout).unwrap().record;
    assert_eq!(record.floor, 1, "bootstrapping is blessing by the caller's word");
    record.floor = 3;
    write_record(&mut disk, &layout, &record).unwrap();
    let error = refused(&disk, &layout, &good, &release.root);
    assert!(matches!(error, InstallError::Downgrade { serial: 2, floor: 3 }), "{error}");

    record.floor = 1;
    record.remember_failure(release.name().digest, "health check 'storage' failed");
    write_record(&mut disk, &layout, &record).unwrap();
    let error = refused(&disk, &layout, &good, &release.root);
    assert!(error.to_string().contains("health check 'storage' failed"), "{error}");
    let retry = InstallRequest { retry: true, ..good.clone() };
    install(&mut disk.clone(), &layout, &retry, &mut Cursor::new(&release.root), &mut |_, _, _| {}).unwrap();

    record.failed.clear();
    record.banks.a.updated = u32::MAX;
    write_record(&mut disk, &layout, &record).unwrap();
    assert!(matches!(refused(&disk, &layout, &good, &release.root), InstallError::CounterSpent));
}

#[test]
fn the_fall_back_is_never_recycled_while_the_active_bank_is_unproven() {
    let (mut disk, layout) = provisioned();
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    for state in [BankState::Upgraded, BankState::Trying, BankState::Failed, BankState::Invalid] {
        let mut record = read_record(&disk, &layout).unwrap().record;
        record.bank_mut(Bank::B).state = state;
        write_record(&mut disk, &layout, &record).unwrap();
        let release = Release::new(3);
        let error = refused(&disk, &layout, &release.request(Bank::A), &release.root);
        assert!(matches!(error, InstallError::ActiveNotGood { active: Bank::B, .. }), "{error}");
    }
}

#[test]
fn a_source_that_is_short_long_or_wrong_leaves_the_target_invalid() {
    let release = Release::new(2);
    let (cut, long) = (&release.root[..release.root.len() - 1], [&release.root[..], b"x"].concat());
    let mut wrong = release.root.clone();
    wrong[1_500_000] ^= 1;
    for (root, code) in [(cut, "length"), (&long[..], "length"), (&wrong[..], "digest"), (&[][..], "length")]
    {
        let (mut disk, layout) = provisioned();
        let request = release.request(Bank::B);
        let error =
            install(&mut disk, &layout, &request, &mut Cursor::new(root), &mut |_, _, _| {}).unwrap_err();
        match code {
            "length" => assert!(matches!(error, InstallError::SourceLength { .. }), "{error}"),
            _ => assert!(matches!(error, InstallError::SourceDigest { .. }), "{error}"),
        }
        let record = read_record(&disk, &layout).unwrap().record;
        assert_eq!(record.bank(Bank::B).state, BankState::Invalid);
        assert_eq!(record.bank(Bank::A).state, BankState::Good);
        let boot = layout.volumes(Bank::B).boot;
        assert!(
            FatVolume::open(&disk, boot.offset(), boot.bytes()).is_err(),
            "an unfinished bank could be booted"
        );
    }
}

#[test]
fn a_bank_of_the_usual_size_has_a_fat32_boot_volume_that_others_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("disk.img");
    let geometry = Geometry { boot: 512 * MIB, root: 1024 * MIB, state: 64 * MIB };
    let mut disk = sparse(&path, geometry.disk_bytes());
    let layout = create_layout(&mut disk, &geometry, &guids()).unwrap();
    let release = Release::new(2);
    Release::new(1).bootstrap(&mut disk, &layout).unwrap();
    for _ in 0..2 {
        let done = release.install(&mut disk, &layout, Bank::B).unwrap();
        assert!(done.written < 8 * MIB, "{} bytes are written for a small release", done.written);
        assert!(verify_bank(&disk, &layout, Some(&done.record), Bank::B).is_whole());
    }
    let volume = format!("{}@@{}", path.display(), layout.volumes(Bank::B).boot.offset());
    let Some((ok, text)) = run("mdir", &["-i", &volume, "-/", "-b", "::/"]) else { return };
    assert!(
        ok && text.contains("::/EFI/BOOT/BOOTX64.EFI") && text.contains("::/lifeboat/bank.json"),
        "{text}"
    );
    let (ok, text) = run("mtype", &["-i", &volume, "::/lifeboat/bank.json"]).unwrap();
    assert!(ok);
    assert_eq!(parse_manifest(text.as_bytes(), Bank::B).unwrap().release, release.name());
}

#[test]
fn a_disk_is_provisioned_once() {
    let (mut disk, layout) = laid_out();
    let release = Release::new(5);
    let done = release.bootstrap(&mut disk, &layout).unwrap();
    assert_eq!((done.updated, done.record.floor), (1, 5));
    assert_eq!(done.record.bank(Bank::A).state, BankState::Good);
    assert_eq!(done.record.bank(Bank::B).state, BankState::Empty);
    let again = bootstrap(
        &mut disk,
        &layout,
        Bank::B,
        &release.image(),
        &mut Cursor::new(&release.root),
        &mut |_, _, _| {},
    );
    assert!(matches!(again, Err(InstallError::NotNew { bank: Bank::A, state: BankState::Good })));
}
