//! The hash tree: as `veritysetup` makes it, checked from the root hash down, in a bank and beside one.

use std::cmp::Ordering;
use std::process::Command;

use lifeboat_bank::install::verify_bank;
use lifeboat_bank::record::read_record;
use lifeboat_bank::verity::{
    BLOCK, Verity, VerityError, build_tree, check_block, check_image, tree_bytes, uuid_of,
};
use lifeboat_model::Sha256Hex;
use lifeboat_model::io::WriteAt as _;
use lifeboat_model::{Bank, BankState};

use crate::fixture::{Release, noise, provisioned};
use crate::peers;

const SALT: Sha256Hex = Sha256Hex([0x5a; 32]);

/// Image, padding, superblock and tree, as a root slot has them.
pub(crate) fn protected(mut image: Vec<u8>) -> (Vec<u8>, Verity) {
    let mut tree = vec![0_u8; tree_bytes(image.len() as u64).unwrap() as usize];
    let verity = build_tree(&image, image.len() as u64, SALT, &mut tree, &mut |_, _| {}).unwrap();
    image.resize(verity.hash_offset as usize, 0);
    image.extend_from_slice(&tree);
    assert_eq!(image.len() as u64, verity.end().unwrap());
    (image, verity)
}

/// Lengths around every edge of the tree: one block, one and two levels, pieces of 256 blocks, odd ends.
const LENGTHS: [u64; 12] = [
    1,
    BLOCK,
    BLOCK + 1,
    127 * BLOCK,
    128 * BLOCK,
    129 * BLOCK - 5,
    256 * BLOCK,
    257 * BLOCK,
    128 * 128 * BLOCK,
    (128 * 128 + 1) * BLOCK,
    3_333_333,
    70_000_001,
];

#[test]
fn the_tree_is_byte_for_byte_that_of_veritysetup_which_verifies_ours() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours");
    let theirs = folder.path().join("theirs");
    let program = if Command::new("veritysetup").arg("--version").output().is_ok() {
        "veritysetup"
    } else {
        "/sbin/veritysetup"
    };
    let uuid: Vec<String> = uuid_of(&SALT).iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid =
        [&uuid[..4], &uuid[4..6], &uuid[6..8], &uuid[8..10], &uuid[10..]].map(<[String]>::concat).join("-");
    for len in LENGTHS {
        let (image, verity) = protected(noise(len, len as usize));
        std::fs::write(&ours, &image).unwrap();
        std::fs::write(&theirs, &image[..verity.hash_offset as usize]).unwrap();
        let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());
        let offset = format!("--hash-offset={}", verity.hash_offset);
        let blocks = format!("--data-blocks={}", verity.data_blocks);
        let arguments = [
            "format",
            theirs,
            theirs,
            &offset,
            &blocks,
            &format!("--salt={SALT}"),
            &format!("--uuid={uuid}"),
        ];
        let Some((good, text)) = peers::run(program, &arguments) else { return };
        assert!(good, "{text}");
        assert!(text.contains(&verity.root.to_string()), "{len}: {verity} {text}");
        assert!(std::fs::read(theirs).unwrap() == image, "{len}: the bytes differ");
        let root = verity.root.to_string();
        let (good, text) = peers::run(program, &["verify", ours, ours, &root, &offset]).unwrap();
        assert!(good, "{len}: {text}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named_and_a_good_image_is_not_blamed() {
    let (image, verity) = protected(noise(9, 300 * BLOCK as usize + 77));
    assert!(check_image(&image, 0, &verity, &mut |_, _| {}).unwrap().is_none());
    let tree_at = verity.hash_offset / BLOCK;
    // Data, then the tree (301 blocks need three blocks of hashes and one above them).
    for block in (0..verity.data_blocks).step_by(37).chain(tree_at..tree_at + 5) {
        let mut hurt = image.clone();
        hurt[(block * BLOCK) as usize + 13] ^= 4;
        let damage = check_image(&hurt, 0, &verity, &mut |_, _| {}).unwrap();
        match block.cmp(&tree_at) {
            Ordering::Less => {
                assert_eq!((damage.data, damage.data_count, damage.tree_count), (vec![block], 1, 0));
                assert!(!check_block(&hurt, 0, &verity, block).unwrap());
                assert!(check_block(&hurt, 0, &verity, (block + 1) % verity.data_blocks).unwrap());
            }
            Ordering::Equal => {
                assert!(damage.superblock && damage.data_count == 0 && damage.tree_count == 0);
            }
            // A digest that changed in the block above makes the block below it suspect, too.
            Ordering::Greater => {
                assert!(damage.tree.contains(&(block - tree_at)) && !damage.superblock);
            }
        }
    }
    for block in 0..verity.data_blocks {
        assert!(check_block(&image, 0, &verity, block).unwrap());
    }
    assert!(matches!(check_block(&image, 0, &verity, 301), Err(VerityError::NoBlock { .. })));
}

#[test]
fn a_tree_that_leaves_its_volume_is_refused_before_it_is_read() {
    let (image, verity) = protected(noise(3, 9999));
    for len in 0..image.len() {
        if len % 512 == 0 || len + 1 == image.len() {
            assert!(check_image(&image[..len].to_vec(), 0, &verity, &mut |_, _| {}).is_err());
        }
    }
    for lie in [u64::MAX, 1 << 50, 1 << 40, 0] {
        let lying = Verity { data_blocks: lie, ..verity };
        assert!(check_image(&image, 0, &lying, &mut |_, _| {}).is_err());
        assert!(check_block(&image, 0, &lying, 0).is_err());
        let lying = Verity { hash_offset: lie, ..verity };
        assert!(check_image(&image, 0, &lying, &mut |_, _| {}).is_err(), "{lie}");
    }
}

/// A release whose root ends with its tree.
pub(crate) fn verity_release(serial: u64) -> (Release, Verity) {
    let mut release = Release::new(serial);
    let (root, verity) = protected(std::mem::take(&mut release.root));
    release.root = root;
    release.verity = Some(verity);
    (release, verity)
}

#[test]
fn a_bank_with_a_tree_carries_it_on_its_kernel_line_and_a_check_names_the_damaged_block() {
    let (mut disk, layout) = provisioned();
    let (release, verity) = verity_release(2);
    let installed = release.install(&mut disk, &layout, Bank::B).unwrap();
    assert!(
        installed.kernel_line.contains(&format!(" lifeboat.verity={verity} ")),
        "{}",
        installed.kernel_line
    );
    let record = read_record(&disk, &layout).unwrap().record;
    assert_eq!(record.bank(Bank::B).state, BankState::Upgraded);
    let check = verify_bank(&disk, &layout, Some(&record), Bank::B);
    assert!(check.is_whole(), "{:?}", check.findings);
    assert_eq!(check.verity, Some(verity));
    let at = layout.volumes(Bank::B).root.offset() + 100 * BLOCK + 5;
    disk.write_at(at, &[disk[at as usize] ^ 1]).unwrap();
    let check = verify_bank(&disk, &layout, Some(&record), Bank::B);
    let codes: Vec<&str> = check.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["bank-root-differs", "bank-verity-differs"]);
    assert_eq!(check.damage.unwrap().data, [100]);
}

#[test]
fn an_install_refuses_a_tree_that_does_not_end_with_its_image() {
    let (disk, layout) = provisioned();
    let (mut release, verity) = verity_release(2);
    for lie in [
        Verity { hash_offset: verity.hash_offset + BLOCK, ..verity },
        Verity { data_blocks: verity.data_blocks - 1, ..verity },
        Verity { data_blocks: u64::MAX, ..verity },
    ] {
        // One block less may leave the tree as long as it is; then the digests say no when it is verified.
        release.verity = Some(lie);
        let mut tried = disk.clone();
        match release.install(&mut tried, &layout, Bank::B) {
            Err(error) => assert!(tried == disk, "{error}"),
            Ok(_) => assert!(!verify_bank(&tried, &layout, None, Bank::B).is_whole()),
        }
    }
}
