//! `lifeboat host backup`, `lifeboat host show-backup`, and what all commands about state need.

use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_bank::layout::read_layout;
use lifeboat_bank::record::read_record;
use lifeboat_device::BlockFile;
use lifeboat_hoststate::devices::{Devices, MachineDevices, NoDevices};
use lifeboat_hoststate::facts::Package;
use lifeboat_hoststate::form::{
    BankFact, FormError, HostFacts, Index, LeftOut, Made, PathLine, Product, SectionInfo,
};
use lifeboat_hoststate::root::RootError;
use lifeboat_hoststate::{Backup, BackupError, BackupRequest, Root, back_up as make};
use lifeboat_model::Bank;
use lifeboat_topology::{RealTree, read_linux};
use serde::Serialize;

use crate::args::{HostBackupArgs, HostPlaceArgs, HostShowBackupArgs};
use crate::commands::bank::errors::device_error;
use crate::error::{CliError, Kind, file_error};
use crate::output::Table;
use crate::run::Ctx;
use crate::size::show_size;

/// The host that a command is about, and the machine that it is in.
pub(super) struct Place {
    pub(super) root: Root,
    devices: Box<dyn Devices>,
    sys: PathBuf,
    banks: Vec<BankFact>,
    is_this: bool,
}

impl Place {
    pub(super) fn open(ctx: &Ctx, args: &HostPlaceArgs) -> Result<Self, CliError> {
        let root = Root::open(&args.root).map_err(root_error)?;
        let topology = read_linux(&RealTree::new(&args.machine)).map_err(|cause| {
            CliError::new(Kind::Failed, "reading the devices of this machine").because(cause)
        });
        let devices: Box<dyn Devices> = match topology {
            Ok(topology) => Box::new(MachineDevices::new(&topology)),
            Err(error) => {
                ctx.out.say(&format!("note: {}: no device is known by its identity", error.line()));
                Box::new(NoDevices)
            }
        };
        let banks = args.bank_disk.as_deref().map(read_banks).transpose()?.unwrap_or_default();
        let is_this = args.root == Path::new("/");
        Ok(Self { root, devices, sys: args.machine.join("sys"), banks, is_this })
    }

    pub(super) fn request(&self) -> BackupRequest<'_> {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        BackupRequest {
            sys: &self.sys,
            devices: self.devices.as_ref(),
            made: made_now(),
            kernel: self.is_this.then(|| text(uname.release())),
            arch: Some(text(uname.machine())),
            banks: self.banks.clone(),
            live: Vec::new(),
            packages: rpm_packages(&self.root),
        }
    }
}

pub(super) fn made_now() -> Made {
    let now = jiff::Timestamp::now();
    // Without fractions: people compare it.
    let time = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
    Made { at: now.as_second(), time, by: concat!("lifeboat ", env!("CARGO_PKG_VERSION")).to_owned() }
}

fn read_banks(disk: &Path) -> Result<Vec<BankFact>, CliError> {
    let failed = |what: &str| CliError::new(Kind::Failed, format!("reading {what} of {}", disk.display()));
    let file = BlockFile::open_read(disk).map_err(device_error)?;
    let layout = read_layout(&file).map_err(|cause| {
        failed("the banks")
            .because(cause)
            .remedy("give the disk that holds the host's banks: lifeboat bank show DISK")
    })?;
    let record =
        read_record(&file, &layout).map_err(|cause| failed("the bank record").because(cause))?.record;
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let running =
        |bank: Bank| line.split_ascii_whitespace().any(|word| word == format!("lifeboat.bank={bank}"));
    Ok(Bank::BOTH
        .into_iter()
        .map(|bank| {
            let entry = record.bank(bank);
            BankFact {
                bank: bank.to_string(),
                state: entry.state.word().to_owned(),
                release: entry.release.as_ref().map(ToString::to_string),
                active: running(bank),
            }
        })
        .collect())
}

/// The packages of a host with rpm; its database is read by nobody but rpm. None: dpkg's is text, and read as such.
fn rpm_packages(root: &Root) -> Vec<Package> {
    let there =
        ["var/lib/rpm", "usr/lib/sysimage/rpm"].iter().any(|folder| root.path().join(folder).is_dir());
    let dpkg = root.path().join("var/lib/dpkg/status").is_file();
    if !there || dpkg {
        return Vec::new();
    }
    let form = "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n";
    let asked = Command::new("rpm").arg("--root").arg(root.path()).args(["-qa", "--qf", form]).output();
    let Ok(output) = asked else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut packages: Vec<Package> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Package { name, version, arch, state: "installed".to_owned() })
        })
        .collect();
    packages.sort();
    packages
}

pub(super) fn back_up(ctx: &Ctx, args: &HostBackupArgs) -> Result<(), CliError> {
    let place = Place::open(ctx, &args.place)?;
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would write the state of {} to {}",
            place.root.path().display(),
            args.out.display()
        ));
        return Ok(());
    }
    let index =
        make(&place.root, &place.request(), &args.out).map_err(|error| backup_error(error, &args.out))?;
    let name = args.out.display().to_string();
    report(ctx, &args.out, &index, None, &name)
}

pub(super) fn show(ctx: &Ctx, args: &HostShowBackupArgs) -> Result<(), CliError> {
    let backup = open(&args.file)?;
    let paths = if args.paths { Some(backup.paths().map_err(form_error)?) } else { None };
    let name = args.file.display().to_string();
    report(ctx, &args.file, backup.index(), paths.as_deref(), &name)
}

/// Opens a backup, verified to its last byte.
pub(super) fn open(path: &Path) -> Result<Backup, CliError> {
    Backup::open(path).map_err(form_error)
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    bytes: u64,
    form: &'a str,
    product: &'a Product,
    host: &'a HostFacts,
    banks: &'a [BankFact],
    made: &'a Made,
    sections: &'a [SectionInfo],
    left_out: &'a [LeftOut],
    left_out_more: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<&'a [PathLine]>,
}

fn report(
    ctx: &Ctx,
    file: &Path,
    index: &Index,
    paths: Option<&[PathLine]>,
    name: &str,
) -> Result<(), CliError> {
    let bytes = file.metadata().map_err(|source| file_error("looking at", file, source))?.len();
    let shown = Shown {
        file,
        bytes,
        form: &index.schema,
        product: &index.product,
        host: &index.host,
        banks: &index.banks,
        made: &index.made,
        sections: &index.sections,
        left_out: &index.left_out,
        left_out_more: index.left_out_more,
        paths,
    };
    ctx.out.object("host-backup", &shown, name, || people(ctx, &shown))
}

fn people(ctx: &Ctx, shown: &Shown<'_>) -> String {
    let index = shown;
    let host = index.host.hostname.as_deref().unwrap_or("a host without a name");
    let mut text = format!(
        "{}: state of {host}, {} ({}), {}, {}\n",
        shown.file.display(),
        index.product,
        index.product.name,
        index.made.time,
        show_size(shown.bytes)
    );
    for bank in index.banks {
        let release = bank.release.as_deref().unwrap_or("no release");
        let active = if bank.active { ", running" } else { "" };
        text.push_str(&format!("bank {}: {release}, {}{active}\n", bank.bank, bank.state));
    }
    let mut table =
        Table::new().column("SECTION").number("ENTRIES").number("CONTENT").number("STORED").column("SHA-256");
    for section in index.sections {
        table.row([
            section.name.clone(),
            section.entries.to_string(),
            show_size(section.content),
            show_size(section.stored),
            section.sha256.short(),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    for line in shown.paths.unwrap_or_default() {
        text.push_str(&format!(
            "{:13} {:04o} {:>5}:{:<5} {}\n",
            line.section, line.mode, line.uid, line.gid, line.path
        ));
    }
    if !index.left_out.is_empty() {
        text.push_str("not in it:\n");
    }
    for left in index.left_out {
        text.push_str(&format!("  {}: {}\n", left.path, left.why));
    }
    if index.left_out_more > 0 {
        text.push_str(&format!("  and {} more\n", index.left_out_more));
    }
    text
}

/// A failure of a backup file, with the exit code that it deserves.
pub(super) fn form_error(error: FormError) -> CliError {
    let (kind, remedy) = match &error {
        FormError::Io { source, path, doing } => {
            let source = std::io::Error::new(source.kind(), source.to_string());
            return file_error(doing, path, source);
        }
        FormError::NotABackup { .. } => (Kind::NotFound, "give a file that lifeboat host backup made"),
        FormError::Newer { .. } => (Kind::Failed, "use the Lifeboat that wrote it, or a later one"),
        FormError::Damaged { .. } | FormError::Json { .. } => {
            (Kind::Verification, "do not use it; take another copy of the backup")
        }
        FormError::Refused { .. }
        | FormError::Path(_)
        | FormError::TooLarge { .. }
        | FormError::NoSection { .. } => {
            (Kind::Verification, "do not use it; make another one with lifeboat host backup")
        }
    };
    CliError::new(kind, error.to_string()).because(error).remedy(remedy)
}

pub(super) fn root_error(error: RootError) -> CliError {
    let (kind, remedy) = match error {
        RootError::Open { path, source } => return file_error("opening the root", &path, source),
        RootError::Form(error) => return form_error(error),
        RootError::OldKernel => (Kind::Failed, "run it under Linux 5.6 or later"),
        RootError::Changing { .. } => (Kind::Failed, "wait until nobody writes it, and run it again"),
        RootError::ThroughALink { .. } => (Kind::Conflict, "put a folder in the place of the link"),
        RootError::At { ref source, .. } => match source.kind() {
            std::io::ErrorKind::PermissionDenied => (Kind::Failed, "run it as root, for example with sudo"),
            std::io::ErrorKind::StorageFull => (Kind::Failed, "free space, then run the command again"),
            _ => (Kind::Failed, "look at the file named above, then run the command again"),
        },
        RootError::Path(_) => (Kind::Failed, "look at the names in the root"),
    };
    CliError::new(kind, error.to_string()).because(error).remedy(remedy)
}

pub(super) fn backup_error(error: BackupError, out: &Path) -> CliError {
    match error {
        BackupError::Root(error) => root_error(error),
        BackupError::Form(error) => form_error(error),
        BackupError::NoProduct { .. } => CliError::new(Kind::Failed, error.to_string()).remedy(
            "give the root of an installed host with --root: a backup carries the version that made it",
        ),
        BackupError::Document { .. } => CliError::new(Kind::Failed, format!("writing {}", out.display()))
            .because(error)
            .remedy("run it again"),
    }
}
