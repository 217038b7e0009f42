//! `lifeboat host install`

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use lifeboat_bank::efi::UefiBoot;
use lifeboat_bank::install::bootstrap;
use lifeboat_bank::layout::{DiskContent, Geometry, Layout, inspect};
use lifeboat_bank::rebuild::rebuild;
use lifeboat_bank::record::BankRecord;
use lifeboat_bundle::{Bundle, Rules, Verified, slot};
use lifeboat_device::{BlockFile, EFIVARFS, Force};
use lifeboat_model::io::{ReadAt as _, WriteAt as _};
use lifeboat_model::{Bank, ReleaseRef};
use serde::Serialize;

use super::{config, state};
use crate::args::HostInstallArgs;
use crate::commands::ask;
use crate::commands::bank::errors::{device_error, install_error};
use crate::commands::bank::init::{geometry_of, lay_out, words as geometry_words};
use crate::commands::bank::install::{Parts, words};
use crate::commands::bank::vars::Vars;
use crate::commands::release::{bundle_error, load_trust, now, open_bundle, verify_to_end};
use crate::error::{CliError, Kind, file_error};
use crate::files::FileAt;
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Done<'a> {
    disk: &'a Path,
    disk_guid: String,
    release: &'a ReleaseRef,
    host: Option<&'a str>,
    banks: [BankDone; 2],
    vars: Option<String>,
    entries: Vec<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct BankDone {
    bank: Bank,
    state: &'static str,
    kernel_line: String,
}

/// Everything that was decided and read before the first write.
struct Job<'a> {
    path: &'a Path,
    geometry: Geometry,
    new_image: Option<u64>,
    lost: Vec<String>,
    bundle: Verified<Bundle<FileAt>>,
    parts: Parts,
    agent: Option<(String, String)>,
    mke2fs: PathBuf,
    vars: Option<PathBuf>,
}

pub(super) fn install(ctx: &Ctx, args: &HostInstallArgs) -> Result<(), CliError> {
    let job = Job::prepare(args)?;
    let what = format!(
        "install {} on {} ({}): bank A boots it, bank B gets a copy",
        job.bundle.release(),
        job.path.display(),
        geometry_words(&job.geometry)
    );
    let lost = if job.lost.is_empty() { String::new() } else { format!("; lost: {}", job.lost.join("; ")) };
    if ctx.dry_run {
        let vars = job.vars.as_ref().map_or_else(
            || "no boot entries: firmware finds bank A by the removable-media path".to_owned(),
            |place| format!("boot entries in {}", place.display()),
        );
        let agent = job.agent.as_ref().map_or("no agent configuration", |_| "the agent's configuration");
        ctx.out.say(&format!("would {what}; {agent}; {vars}{lost}"));
        return Ok(());
    }
    if !job.lost.is_empty() {
        ask(ctx, &format!("{what}{lost}?"))?;
    }
    let done = job.run();
    if done.is_err() && job.new_image.is_some() {
        // The half-made image is ours and useless; the error that counts is the first one.
        drop(std::fs::remove_file(job.path));
    }
    report(ctx, &done?)
}

impl<'a> Job<'a> {
    /// Reads and checks everything; nothing is written.
    fn prepare(args: &'a HostInstallArgs) -> Result<Self, CliError> {
        let path = args.disk.as_path();
        let trust = load_trust(&args.trust)?;
        let rules = Rules { expected_arch: Some("x86_64".to_owned()), ..Rules::at(now()) };
        let bundle = open_bundle(&args.release, &trust, &rules)?;
        let fail = |cause| bundle_error(&args.release, cause);
        bundle.require_slots(&[slot::STUB, slot::KERNEL, slot::INITRD, slot::ROOT]).map_err(fail)?;
        let agent = config::agent_json(args.agent_config.as_deref(), args.name.as_deref())?;
        let mke2fs = state::find_mke2fs()?;
        let sizes = [args.boot_size, args.root_size, args.state_size];
        let (size, new_image, lost) = look(args, path)?;
        let geometry = geometry_of(sizes, size)?;
        fits(&geometry, &bundle)?;
        let vars = match &args.vars {
            Some(given) => Some(given.clone()),
            None => own_variables(path),
        };
        if let Some(place) = &vars {
            // Whether they can be read is found out now.
            Vars::open(place, true)?;
        }
        verify_to_end(&args.release, &bundle)?;
        let parts = Parts::read(&args.release, &bundle)?;
        Ok(Self { path, geometry, new_image, lost, bundle, parts, agent, mke2fs, vars })
    }

    fn run(&self) -> Result<Done<'_>, CliError> {
        let path = self.path;
        let mut disk = match self.new_image {
            Some(size) => BlockFile::create_image(path, size),
            // --force is about content; a disk that the system uses is refused all the same.
            None => BlockFile::open_write(path, Force::No),
        }
        .map_err(device_error)?;
        let layout = lay_out(&mut disk, path, &self.geometry)?;
        disk.flush().map_err(|source| file_error("flushing", path, source))?;
        // mke2fs opens the disk by itself.
        drop(disk);
        let text = self.agent.as_ref().map(|(_, text)| text.as_str());
        state::make(&self.mke2fs, path, layout.state, text)?;
        let mut disk = BlockFile::open_write(path, Force::No).map_err(device_error)?;
        let (banks, record) = self.write_banks(&mut disk, &layout)?;
        disk.flush().map_err(|source| file_error("flushing", path, source))?;
        let (vars, entries) = self.write_entries(&layout, &record)?;
        let mut notes = vec![
            "bank A is taken for good, since there was nothing before it: its first boot proves it"
                .to_owned(),
            "bank B holds a copy: a firmware that cannot load bank A boots it, as a trial".to_owned(),
        ];
        if vars.is_none() {
            notes.push("no boot entries were written; the agent makes them at its first boot".to_owned());
        }
        if self.agent.is_none() {
            notes.push(
                "no agent configuration was given: the host boots, and reports to nobody (agent.json on its \
                 state volume)"
                    .to_owned(),
            );
        }
        Ok(Done {
            disk: path,
            disk_guid: layout.disk_guid.to_string(),
            release: self.bundle.release(),
            host: self.agent.as_ref().map(|(host, _)| host.as_str()),
            banks,
            vars,
            entries,
            notes,
        })
    }

    fn write_banks(
        &self,
        disk: &mut BlockFile,
        layout: &Layout,
    ) -> Result<([BankDone; 2], BankRecord), CliError> {
        let path = self.path;
        let mut line = ProgressLine::bytes("installing", 0);
        let fail = |cause| bundle_error(path, cause);
        let mut root = self.bundle.slot(slot::ROOT).map_err(fail)?;
        let mut tell = |step, done, total| {
            line.step(format!("bank A: {}", words(step)), total);
            line.set(done);
        };
        let a = bootstrap(disk, layout, Bank::A, &self.parts.image(), &mut root, &mut tell)
            .map_err(|cause| install_error(path, cause))?;
        let mut tell = |step, done, total| {
            line.step(format!("bank B: {}", words(step)), total);
            line.set(done);
        };
        let b = rebuild(disk, layout, Bank::A, Bank::B, &mut tell).map_err(|cause| {
            CliError::new(Kind::Failed, format!("copying bank A of {} to bank B", path.display()))
                .because(cause)
                .remedy("look at the disk's health (dmesg, smartctl); then run this again with --force")
        })?;
        line.finish();
        let done =
            |bank, kernel_line| BankDone { bank, state: b.record.bank(bank).state.word(), kernel_line };
        let banks = [done(Bank::A, a.kernel_line), done(Bank::B, b.kernel_line.clone())];
        Ok((banks, b.record))
    }

    fn write_entries(
        &self,
        layout: &Layout,
        record: &BankRecord,
    ) -> Result<(Option<String>, Vec<String>), CliError> {
        let Some(place) = &self.vars else { return Ok((None, Vec::new())) };
        let vars = Vars::open(place, false)?;
        let place = vars.place();
        let failed = |cause| {
            CliError::new(Kind::Failed, format!("making the boot entries in {place}"))
                .because(cause)
                .remedy("the disk boots without them, by the removable-media path; the agent makes them then")
        };
        let mut boot = UefiBoot::of_layout(vars, layout);
        let entries = boot.ensure_entries().map_err(failed)?;
        boot.commit(Bank::A).map_err(failed)?;
        boot.describe(record).map_err(failed)?;
        Ok((Some(place), entries.changes))
    }
}

/// Size of the disk, of a new image if there is to be one, and what would be lost.
fn look(args: &HostInstallArgs, path: &Path) -> Result<(u64, Option<u64>, Vec<String>), CliError> {
    let there = path.symlink_metadata().is_ok();
    match (there, args.size) {
        (false, Some(size)) => return Ok((size, Some(size), Vec::new())),
        (false, None) => {
            return Err(CliError::new(Kind::NotFound, format!("there is no {}", path.display()))
                .remedy("give --size to make a new image file, for example --size 8G"));
        }
        (true, Some(_)) => {
            return Err(CliError::new(Kind::Conflict, format!("{} is there already", path.display()))
                .remedy("leave --size out to install on it as it is, or choose another name"));
        }
        (true, None) => {}
    }
    let disk = BlockFile::open_read(path).map_err(device_error)?;
    let lost = match inspect(&disk).map_err(|source| file_error("reading", path, source))? {
        DiskContent::Empty => Vec::new(),
        DiskContent::Ours(_) => {
            vec!["the banks of a Lifeboat disk (lifeboat bank show tells what they hold)".to_owned()]
        }
        DiskContent::Foreign { what } => what,
    };
    if !lost.is_empty() && !args.force {
        return Err(CliError::new(
            Kind::Conflict,
            format!("{} is not empty: {}", path.display(), lost.join("; ")),
        )
        .remedy("name another disk, or give --force to lose all that"));
    }
    let size = disk.size();
    drop(disk);
    // Also a rehearsal finds out whether the disk could be had.
    BlockFile::open_write(path, Force::No).map(drop).map_err(device_error)?;
    Ok((size, None, lost))
}

/// Whether the release fits, before anything is lost. Kernel images are a little larger than their parts.
fn fits(geometry: &Geometry, bundle: &Verified<Bundle<FileAt>>) -> Result<(), CliError> {
    let len = |name| bundle.manifest().slot(name).map_or(0, |slot| slot.len);
    let boot = len(slot::KERNEL) + len(slot::INITRD) + len(slot::STUB) + (1 << 20);
    for (what, needs, has, option) in [
        ("boot", boot, geometry.boot, "--boot-size"),
        ("root", len(slot::ROOT) + 4096, geometry.root, "--root-size"),
    ] {
        if needs > has {
            return Err(CliError::new(
                Kind::Blockers,
                format!(
                    "the release needs {what} volumes of {}, planned are {}",
                    show_size(needs),
                    show_size(has)
                ),
            )
            .remedy(format!("give {option}, or use a larger disk")));
        }
    }
    Ok(())
}

/// The variables of this machine if `path` is one of its fixed disks: a stick or an image is for another machine.
fn own_variables(path: &Path) -> Option<PathBuf> {
    let metadata = path.metadata().ok()?;
    if !metadata.file_type().is_block_device() {
        return None;
    }
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    let removable = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/removable")).ok()?;
    let place = PathBuf::from(EFIVARFS);
    (removable.trim() == "0" && place.join("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c").exists())
        .then_some(place)
}

fn report(ctx: &Ctx, done: &Done<'_>) -> Result<(), CliError> {
    ctx.out.object("host-installed", done, &done.disk_guid, || {
        let mut text = format!("{}: {} is installed", done.disk.display(), done.release);
        if let Some(host) = done.host {
            text.push_str(&format!(" for {host}"));
        }
        text.push('\n');
        for bank in &done.banks {
            text.push_str(&format!("  bank {}: {}\n", bank.bank, bank.state));
        }
        for line in done.entries.iter().chain(&done.notes) {
            text.push_str(&format!("  {line}\n"));
        }
        text
    })
}
