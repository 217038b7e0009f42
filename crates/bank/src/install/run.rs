//! The order of an install.

use std::io::Read;

use lifeboat_model::image::ImageSource;
use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState};

use super::error::InstallError;
use super::prepare::{Prepared, check_request};
use super::request::{Image, InstallRequest, Installed, Step};
use super::write::{Progress, Writer};
use crate::disk::load_record;
use crate::layout::Layout;
use crate::record::{BankRecord, write_record};

/// Where the root image comes from.
pub(super) enum Root<'a> {
    /// From its beginning to its end.
    Stream(&'a mut dyn Read),
    /// In pieces.
    Pieces(&'a mut dyn ImageSource),
    /// From the other bank of the disk.
    Bank {
        /// First byte of its root volume.
        offset: u64,
    },
}

impl Root<'_> {
    /// What is being done to the bank record, before and after.
    fn doing(&self) -> [&'static str; 2] {
        match self {
            Self::Stream(_) | Self::Pieces(_) => {
                ["writing the bank record before the install", "writing the bank record after the install"]
            }
            Self::Bank { .. } => {
                ["writing the bank record before the rebuild", "writing the bank record after the rebuild"]
            }
        }
    }
}

/// Installs a release into the alternate bank. Needs memory for the unified kernel image and a few MiB.
///
/// Before the first write everything that can be refused is refused. After an error later the target's state is
/// invalid, and installing again is all that is needed.
pub fn install(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    request: &InstallRequest<'_>,
    root: &mut dyn Read,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    install_root(disk, layout, request, Root::Stream(root), progress)
}

/// The same with a root image that comes in pieces. An install of the same release that did not end is continued: what
/// lies in the bank already and is right is not written again; all of it is read back as ever.
pub fn install_from(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    request: &InstallRequest<'_>,
    root: &mut dyn ImageSource,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    install_root(disk, layout, request, Root::Pieces(root), progress)
}

fn install_root(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    request: &InstallRequest<'_>,
    root: Root<'_>,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    let record = load(disk, layout)?;
    check_request(&record, request)?;
    let prepared = Prepared::new(layout, request.target, &request.image, record, BankState::Upgraded)?;
    run(disk, layout, prepared, root, progress)
}

/// Installs a release into `bank` of a disk on which nothing is installed yet, and calls it good: the caller vouches
/// for it, as there is no other bank to fall back to. The first boot of a provisioned host proves it.
pub fn bootstrap(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    image: &Image<'_>,
    root: &mut dyn Read,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    bootstrap_root(disk, layout, bank, image, Root::Stream(root), progress)
}

/// The same with a root image that comes in pieces.
pub fn bootstrap_from(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    image: &Image<'_>,
    root: &mut dyn ImageSource,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    bootstrap_root(disk, layout, bank, image, Root::Pieces(root), progress)
}

fn bootstrap_root(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    image: &Image<'_>,
    root: Root<'_>,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    let record = load(disk, layout)?;
    for there in Bank::BOTH {
        match record.bank(there).state {
            BankState::Empty | BankState::Invalid => {}
            state @ (BankState::Upgraded | BankState::Trying | BankState::Good | BankState::Failed) => {
                return Err(InstallError::NotNew { bank: there, state });
            }
        }
    }
    let prepared = Prepared::new(layout, bank, image, record, BankState::Good)?;
    run(disk, layout, prepared, root, progress)
}

fn load(disk: &mut dyn WriteAt, layout: &Layout) -> Result<BankRecord, InstallError> {
    let (record, _) = load_record(&*disk, layout).map_err(|source| InstallError::Record {
        doing: "reading the bank record before the install",
        source,
    })?;
    Ok(record)
}

/// Writes a bank: invalid first, then everything but its boot sectors, flushed and read back, then those, and at last the
/// record.
pub(super) fn run(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    mut prepared: Prepared,
    mut root: Root<'_>,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    if let Root::Pieces(source) = &root {
        prepared.keep_index(source.index());
    }
    let prepared = prepared;
    let fat = prepared.fat()?;
    let [before, after] = root.doing();
    let save = |disk: &mut dyn WriteAt, record: &BankRecord, doing: &'static str| {
        write_record(disk, layout, record).map_err(|source| InstallError::Record { doing, source })
    };

    progress(Step::Invalidate, 0, 1);
    save(disk, &prepared.record_during(), before)?;
    let mut writer = Writer::new(disk, prepared.bank, prepared.volumes, progress);
    writer.unseal()?;
    writer.progress(Step::Invalidate, 1, 1);

    let digest = prepared.entry_root();
    let total = prepared.entry.root_len;
    match &mut root {
        Root::Stream(source) => writer.write_root(*source, total, digest)?,
        Root::Pieces(source) => writer.write_image(*source, total, prepared.resumes())?,
        Root::Bank { offset } => writer.copy_root(*offset, total, digest)?,
    }
    writer.write_boot(&fat)?;
    writer.flush()?;
    match &mut root {
        Root::Stream(_) | Root::Bank { .. } => writer.verify_root(total, digest)?,
        Root::Pieces(source) => writer.compare_image(*source, total)?,
    }
    writer.verify_boot(&fat)?;
    writer.seal(&fat, prepared.entry.boot_len)?;
    let written = writer.written();

    progress(Step::Record, 0, 1);
    let record = prepared.record_after();
    save(disk, &record, after)?;
    progress(Step::Record, 1, 1);
    Ok(Installed {
        bank: prepared.bank,
        updated: prepared.entry.updated,
        boot_sha256: prepared.boot_sha256(),
        boot_len: prepared.entry.boot_len,
        kernel_line: prepared.kernel_line.clone(),
        record,
        written,
    })
}
