//! Deep verification of a bank.

use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, Sha256Hex};
use serde::Serialize;

use super::stream::hash_extents;
use crate::fat::{Extent, FatVolume};
use crate::finding::Finding;
use crate::layout::{BankVolumes, Layout};
use crate::manifest::{BankManifest, MANIFEST_LIMIT, MANIFEST_PATH, UKI_PATH, parse_manifest};
use crate::record::{BankEntry, BankRecord};
use crate::uki::parse_uki;
use crate::verity::{Damage, Verity, check_image};

/// Largest kernel image that is taken into memory.
const UKI_LIMIT: u64 = 1 << 30;

/// What a bank really holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankCheck {
    /// The bank.
    pub bank: Bank,
    /// Manifest on the boot volume, when it can be read.
    pub manifest: Option<BankManifest>,
    /// Digest of the unified kernel image as it lies on the disk.
    pub boot_sha256: Option<Sha256Hex>,
    /// Digest of the root image as it lies on the disk.
    pub root_sha256: Option<Sha256Hex>,
    /// The hash tree of the root image that the bank's manifest tells of, and that the kernel line hands to the kernel.
    pub verity: Option<Verity>,
    /// What does not fit that tree's root hash.
    pub damage: Option<Damage>,
    /// What is wrong: `bank-without-content`, `bank-boot-unreadable`, `bank-manifest-bad`, `bank-manifest-differs`,
    /// `bank-uki-differs`, `bank-root-unreadable`, `bank-root-differs`,
    /// `bank-verity-differs` (with the damaged blocks), `bank-verity-line` (the kernel line names another tree).
    pub findings: Vec<Finding>,
}

impl BankCheck {
    /// Nothing was looked at yet.
    fn new(bank: Bank) -> Self {
        Self {
            bank,
            manifest: None,
            boot_sha256: None,
            root_sha256: None,
            verity: None,
            damage: None,
            findings: Vec::new(),
        }
    }

    /// Whether every byte is as it should be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, code: &'static str, text: String) {
        self.findings.push(Finding::new(code, text));
    }
}

/// What a bank should hold.
struct Wanted {
    boot: (Sha256Hex, u64),
    root: (Sha256Hex, u64),
}

/// Reads a bank back and hashes its root and its kernel image. With a record its digests count, without one those of
/// the bank's own manifest. An unreadable disk is a finding. A caller that wants the device's own bytes drops caches
/// before.
pub fn verify_bank(disk: &dyn ReadAt, layout: &Layout, record: Option<&BankRecord>, bank: Bank) -> BankCheck {
    let volumes = layout.volumes(bank);
    let entry = record.map(|record| record.bank(bank));
    let mut check = BankCheck::new(bank);
    let boot = volumes.boot;
    let volume = match FatVolume::open(disk, boot.offset(), boot.bytes()) {
        Ok(volume) => Some(volume),
        Err(error) => {
            check.find(
                "bank-boot-unreadable",
                format!("the boot volume of bank {bank} cannot be read: {error}"),
            );
            None
        }
    };
    if let Some(volume) = &volume {
        read_manifest(volume, entry, &mut check);
    }
    let wanted = match (entry, &check.manifest) {
        (Some(entry), _) => wanted_by_record(entry),
        (None, Some(manifest)) => Some(Wanted {
            boot: (manifest.boot_sha256, manifest.boot_len),
            root: (manifest.root_sha256, manifest.root_len),
        }),
        (None, None) => None,
    };
    let Some(wanted) = wanted else {
        let text = format!("nothing says what bank {bank} should hold");
        check.find("bank-without-content", text);
        return check;
    };
    if let Some(volume) = &volume {
        check_uki(disk, volume, wanted.boot, &mut check);
    }
    check_root(disk, volumes, wanted.root, &mut check);
    check_verity(disk, volumes, volume.as_ref(), &mut check);
    check
}

/// Whether firmware can load a bank and gets what was installed: its boot volume, manifest and kernel image, not its
/// root. Quick, for a boot that has to know why the other bank did not boot.
pub fn check_boot(disk: &dyn ReadAt, layout: &Layout, record: &BankRecord, bank: Bank) -> Vec<Finding> {
    let mut check = BankCheck::new(bank);
    let (boot, entry) = (layout.volumes(bank).boot, record.bank(bank));
    match FatVolume::open(disk, boot.offset(), boot.bytes()) {
        Ok(volume) => {
            read_manifest(&volume, Some(entry), &mut check);
            if let Some(wanted) = wanted_by_record(entry) {
                check_uki(disk, &volume, wanted.boot, &mut check);
            }
        }
        Err(error) => check
            .find("bank-boot-unreadable", format!("the boot volume of bank {bank} cannot be read: {error}")),
    }
    check.findings
}

/// The root image against its hash tree, from the root hash down: names the damaged blocks, and finds a tree that
/// never fitted its image, which a digest over both cannot.
fn check_verity(
    disk: &dyn ReadAt,
    volumes: &BankVolumes,
    volume: Option<&FatVolume<'_>>,
    check: &mut BankCheck,
) {
    let bank = check.bank;
    let Some(manifest) = &check.manifest else { return };
    let (tree, root_len) = (manifest.verity, manifest.root_len);
    if let Some(volume) = volume {
        let line = read_line(volume);
        let said = line.as_deref().and_then(|line| word_of(line, "lifeboat.verity="));
        if line.is_some() && said != tree.map(|tree| tree.to_string()).as_deref() {
            let text = format!(
                "the kernel line of bank {bank} and its manifest name different hash trees; install a release into it"
            );
            check.find("bank-verity-line", text);
        }
    }
    let Some(tree) = tree else { return };
    check.verity = Some(tree);
    let fits =
        tree.check().is_ok() && tree.end().is_ok_and(|end| end <= root_len.min(volumes.root_capacity()));
    if !fits {
        let text =
            format!("the manifest of bank {bank} tells of a hash tree that lies outside its root image");
        check.find("bank-verity-differs", text);
        return;
    }
    match check_image(disk, volumes.root.offset(), &tree, &mut |_, _| {}) {
        Ok(damage) => {
            if !damage.is_none() {
                let text = format!(
                    "the root image of bank {bank} does not fit its hash tree: {}; the kernel refuses these blocks",
                    damage.words()
                );
                check.find("bank-verity-differs", text);
            }
            check.damage = Some(damage);
        }
        Err(error) => {
            let text = format!("the root image of bank {bank} cannot be checked by its hash tree: {error}");
            check.find("bank-root-unreadable", text);
        }
    }
}

/// The kernel line in the bank's kernel image; none if the image cannot be read, which is found elsewhere.
fn read_line(volume: &FatVolume<'_>) -> Option<String> {
    let image = volume.read_file(UKI_PATH, UKI_LIMIT).ok()?;
    parse_uki(&image).ok().map(|uki| uki.cmdline)
}

fn word_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key))
}

fn wanted_by_record(entry: &BankEntry) -> Option<Wanted> {
    Some(Wanted { boot: (entry.boot_sha256?, entry.boot_len), root: (entry.root_sha256?, entry.root_len) })
}

fn read_manifest(volume: &FatVolume<'_>, entry: Option<&BankEntry>, check: &mut BankCheck) {
    let bank = check.bank;
    let parsed = match volume.read_file(MANIFEST_PATH, MANIFEST_LIMIT) {
        Ok(bytes) => parse_manifest(&bytes, bank).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let manifest = match parsed {
        Ok(manifest) => manifest,
        Err(reason) => {
            check.find("bank-manifest-bad", format!("the manifest of bank {bank} cannot be used: {reason}"));
            return;
        }
    };
    if let Some(entry) = entry {
        let same = entry.release.as_ref() == Some(&manifest.release)
            && entry.updated == manifest.updated
            && entry.boot_sha256 == Some(manifest.boot_sha256)
            && entry.root_sha256 == Some(manifest.root_sha256);
        if !same {
            let text = format!(
                "the manifest of bank {bank} tells of {} (install {}), the bank record of another content",
                manifest.release, manifest.updated
            );
            check.find("bank-manifest-differs", text);
        }
    }
    check.manifest = Some(manifest);
}

fn check_uki(disk: &dyn ReadAt, volume: &FatVolume<'_>, wanted: (Sha256Hex, u64), check: &mut BankCheck) {
    let bank = check.bank;
    let (digest, len) = wanted;
    let span = match volume.locate(UKI_PATH, u64::from(u32::MAX)) {
        Ok(span) => span,
        Err(error) => {
            check.find(
                "bank-boot-unreadable",
                format!("the kernel image of bank {bank} cannot be read: {error}"),
            );
            return;
        }
    };
    match hash_extents(disk, &span.extents) {
        Err(error) => {
            check.find(
                "bank-boot-unreadable",
                format!("the kernel image of bank {bank} cannot be read: {error}"),
            );
        }
        Ok(got) => {
            check.boot_sha256 = Some(got);
            if got != digest || span.len != len {
                let text = format!("the kernel image of bank {bank} has digest {got}; {digest} is right");
                check.find("bank-uki-differs", text);
            }
        }
    }
}

fn check_root(disk: &dyn ReadAt, volumes: &BankVolumes, wanted: (Sha256Hex, u64), check: &mut BankCheck) {
    let bank = check.bank;
    let (digest, len) = wanted;
    if len > volumes.root_capacity() {
        let text =
            format!("the root image of bank {bank} should have {len} bytes, which its volume cannot hold");
        check.find("bank-root-differs", text);
        return;
    }
    match hash_extents(disk, &[Extent { offset: volumes.root.offset(), len }]) {
        Err(error) => {
            let text = format!("the root volume of bank {bank} cannot be read: {error}");
            check.find("bank-root-unreadable", text);
        }
        Ok(got) => {
            check.root_sha256 = Some(got);
            if got != digest {
                let text = format!("the root image of bank {bank} has digest {got}; {digest} is right");
                check.find("bank-root-differs", text);
            }
        }
    }
}
