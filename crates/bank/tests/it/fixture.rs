//! A small pool host's disk: 4 MiB boot volumes, 4 MiB root volumes, 1 MiB of state.

use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::path::Path;

use lifeboat_bank::install::{Image, InstallRequest, Installed, bootstrap, install};
use lifeboat_bank::layout::{Geometry, Layout, LayoutGuids, create_layout};
use lifeboat_bank::uki::minimal_stub;
use lifeboat_bank::verity::Verity;
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, ReleaseRef, ReleaseVersion, Sha256Hex};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GEOMETRY: Geometry = Geometry { boot: 4 * MIB, root: 4 * MIB, state: MIB };

pub(crate) fn guids() -> LayoutGuids {
    LayoutGuids::from_random(&std::array::from_fn(|index| u8::try_from(index * 37 % 251).unwrap()))
}

/// A release with everything that an install needs.
pub(crate) struct Release {
    pub(crate) serial: u64,
    pub(crate) stub: Vec<u8>,
    pub(crate) kernel: Vec<u8>,
    pub(crate) initrd: Vec<u8>,
    pub(crate) root: Vec<u8>,
    pub(crate) verity: Option<Verity>,
}

/// Bytes that differ everywhere and between seeds.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

impl Release {
    pub(crate) fn new(serial: u64) -> Self {
        Self {
            serial,
            stub: minimal_stub(),
            kernel: noise(serial, 150_001),
            initrd: noise(serial + 100, 70_003),
            root: noise(serial + 200, 3 * (1 << 20) + 777),
            verity: None,
        }
    }

    pub(crate) fn name(&self) -> ReleaseRef {
        ReleaseRef {
            name: "lab-host".to_owned(),
            version: ReleaseVersion(format!("1.{}", self.serial)),
            serial: self.serial,
            digest: Sha256Hex::of(&self.serial.to_le_bytes()),
        }
    }

    pub(crate) fn image(&self) -> Image<'_> {
        Image {
            release: self.name(),
            cmdline_extra: "console=ttyS0",
            stub: &self.stub,
            kernel: &self.kernel,
            initrd: &self.initrd,
            osrel: "ID=lab-host\n",
            root_len: self.root.len() as u64,
            root_sha256: Sha256Hex::of(&self.root),
            verity: self.verity,
        }
    }

    pub(crate) fn request(&self, target: Bank) -> InstallRequest<'_> {
        InstallRequest { active: target.other(), target, image: self.image(), retry: false }
    }

    pub(crate) fn install(
        &self,
        disk: &mut dyn WriteAt,
        layout: &Layout,
        target: Bank,
    ) -> Result<Installed, lifeboat_bank::install::InstallError> {
        install(disk, layout, &self.request(target), &mut Cursor::new(&self.root), &mut |_, _, _| {})
    }

    pub(crate) fn bootstrap(
        &self,
        disk: &mut dyn WriteAt,
        layout: &Layout,
    ) -> Result<Installed, lifeboat_bank::install::InstallError> {
        bootstrap(disk, layout, Bank::A, &self.image(), &mut Cursor::new(&self.root), &mut |_, _, _| {})
    }
}

/// An empty disk with our layout.
pub(crate) fn laid_out() -> (Vec<u8>, Layout) {
    let mut disk = vec![0_u8; usize::try_from(GEOMETRY.disk_bytes()).unwrap()];
    let layout = create_layout(&mut disk, &GEOMETRY, &guids()).unwrap();
    (disk, layout)
}

/// A disk on which release 1 is good in bank A.
pub(crate) fn provisioned() -> (Vec<u8>, Layout) {
    let (mut disk, layout) = laid_out();
    Release::new(1).bootstrap(&mut disk, &layout).unwrap();
    (disk, layout)
}

/// A sparse file as a disk.
pub(crate) struct FileDisk(pub(crate) File, pub(crate) u64);

impl ReadAt for FileDisk {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

impl WriteAt for FileDisk {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn sparse(path: &Path, bytes: u64) -> FileDisk {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
    FileDisk(file, bytes)
}
