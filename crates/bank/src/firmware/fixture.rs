//! A disk with two banks, for the tests of this folder.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifeboat_model::Bank;
use lifeboat_model::io::WriteAt;

use crate::efi::{MemVars, UefiBoot};
use crate::fat::{FatFile, FatImage};
use crate::layout::{Geometry, Layout, LayoutGuids, create_layout, read_layout};
use crate::uki::{build_uki, minimal_stub};

pub(super) const MIB: u64 = 1 << 20;

/// The image of a bank: its kernel line names it, and so does its kernel.
pub(super) fn uki_of(stub: &[u8], bank: Bank) -> Vec<u8> {
    let cmdline = format!("lifeboat.bank={bank} panic=5");
    build_uki(stub, &cmdline, "ID=lifeboat\n", bank.to_string().as_bytes(), b"i").unwrap()
}

/// Writes a boot volume that holds `uki`.
pub(super) fn put_bank(disk: &mut Vec<u8>, layout: &Layout, bank: Bank, uki: &[u8]) {
    let boot = layout.volumes(bank).boot;
    let files = [FatFile { path: "EFI/BOOT/BOOTX64.EFI", data: uki }];
    let image = FatImage::new(boot.bytes(), 7, b"LIFEBOAT   ", &files).unwrap();
    for piece in image.body() {
        let mut bytes = piece.data.to_vec();
        bytes.resize(usize::try_from(piece.len).unwrap(), 0);
        disk.write_at(boot.offset() + piece.offset, &bytes).unwrap();
    }
    for (offset, sector) in image.boot_sectors() {
        disk.write_at(boot.offset() + offset, sector).unwrap();
    }
}

/// A disk with both banks, and variables by which bank A boots.
pub(super) fn host() -> (Vec<u8>, Layout, MemVars) {
    let geometry = Geometry { boot: 5 * MIB, root: MIB, state: MIB };
    let mut disk = vec![0; usize::try_from(geometry.disk_bytes()).unwrap()];
    let mut random = [0; 96];
    for (byte, value) in random.iter_mut().zip(1..) {
        *byte = value;
    }
    create_layout(&mut disk, &geometry, &LayoutGuids::from_random(&random)).unwrap();
    let layout = read_layout(&disk).unwrap();
    for bank in Bank::BOTH {
        put_bank(&mut disk, &layout, bank, &uki_of(&minimal_stub(), bank));
    }
    let mut boot = UefiBoot::of_layout(MemVars::new(), &layout);
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    (disk, layout, boot.into_vars())
}

/// Zeros the first sector of a bank's boot volume, as an installation does first.
pub(super) fn invalidate(disk: &mut Vec<u8>, layout: &Layout, bank: Bank) {
    disk.write_at(layout.volumes(bank).boot.offset(), &[0; 512]).unwrap();
}
