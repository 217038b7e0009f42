//! `lifeboat bank install`

use std::path::Path;

use lifeboat_bank::install::{Image, InstallError, InstallRequest, Installed, Step};
use lifeboat_bank::layout::Layout;
use lifeboat_bank::verity::Verity;
use lifeboat_bundle::{AssemblyReport, Bundle, Manifest, Rules, Slot, Verified, slot};
use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState, ReleaseRef};
use serde::Serialize;

use super::errors::install_error;
use super::firmware::predict;
use super::open::{self, Active, Disk, DryDisk};
use super::origin::Origin;
use super::root::Root;
use super::seeds::{Seeds, came_from};
use super::show::read_vars;
use crate::args::InstallArgs;
use crate::commands::ask;
use crate::commands::release::{bundle_error, load_trust, now, open_bundle};
use crate::error::{CliError, Kind};
use crate::files::FileAt;
use crate::output::ProgressLine;
use crate::run::Ctx;
use crate::size::show_size;

/// Largest part that is held in memory: kernel and initial RAM disk.
const PART_LIMIT: u64 = 1 << 30;

pub(super) fn install(ctx: &Ctx, args: &InstallArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let trust = load_trust(&args.trust)?;
    // Everything is decided on a disk that is open for reading, before a byte can be written.
    let looked = open::read(path)?;
    let (active, target) = decide(args, &looked)?;
    let rules = Rules {
        min_serial: Some(looked.record().floor),
        expected_name: line_of(&looked),
        expected_arch: Some("x86_64".to_owned()),
        ..Rules::at(now())
    };
    let fail = |cause| bundle_error(&args.bundle, cause);
    let origin = Origin::open(ctx, args, &trust, &rules)?;
    let needed = [slot::STUB, slot::KERNEL, slot::INITRD, slot::ROOT];
    needed.iter().try_for_each(|name| origin.manifest().require_slot(name)).map_err(fail)?;
    let given = args.seed.iter().map(|seed| open_seed(seed, &trust)).collect::<Result<Vec<_>, _>>()?;
    let seeds = if args.no_seed {
        Seeds::none()
    } else {
        let chunker = origin.chunked().and_then(|release| release.index(slot::ROOT).ok());
        Seeds::find(path, &looked, active.bank(), chunker.map(|index| index.chunker), &given)?
    };
    let parts = Parts::of(origin.manifest(), origin.release(), |name| {
        origin.slot_bytes(&args.bundle, name, PART_LIMIT)
    })?;
    let job = Job { active: active.bank(), target, retry: args.retry, parts: &parts };

    let mut root = origin.root(seeds.list()).map_err(fail)?;
    if let Some(bytes) = origin.checked_first() {
        let mut line = ProgressLine::bytes("verifying", bytes);
        root.check(&mut |done| line.set(done)).map_err(fail)?;
        line.finish();
    }
    // A rehearsal that ends at the first write: whatever can be refused is refused now.
    job.rehearse(path, &looked)?;
    let release = origin.release();
    let what = format!("install {release} into bank {target} of {}", path.display());
    let before = looked.record().bank(target);
    // Also a rehearsal finds out whether the disk could be had for writing.
    let mut disk = open::write(path, args.force || open::is_free(&looked, target))?;
    if ctx.dry_run {
        ctx.out.say(&format!("would {what}; {}", known(&active)));
        if let Some(report) = root.report() {
            ctx.out.say(&came_from(report));
        }
        return Ok(());
    }
    if !matches!(before.state, BankState::Empty | BankState::Invalid) {
        let held = before.release.as_ref().map_or_else(String::new, |release| format!(", {release}"));
        ask(ctx, &format!("{what}? It holds now: {}{held}", before.state))?;
    }
    let (disk, layout) = disk.parts();
    let mut line = ProgressLine::bytes("installing", 0);
    let mut tell = |step: Step, done: u64, total: u64| {
        line.step(format!("bank {target}: {}", words(step)), total);
        line.set(done);
    };
    let installed =
        job.run(disk, layout, &mut root, &mut tell).map_err(|cause| install_error(path, cause))?;
    line.finish();
    report(ctx, path, release, &active, &installed, root.report())
}

/// A release that lies here and may give chunks. It may have expired.
fn open_seed(path: &Path, trust: &lifeboat_bundle::TrustStore) -> Result<Verified<Bundle<FileAt>>, CliError> {
    open_bundle(path, trust, &Rules { allow_expired: true, ..Rules::at(now()) })
}

/// Which bank is in use, and which is written.
fn decide(args: &InstallArgs, disk: &Disk) -> Result<(Active, Bank), CliError> {
    let path = &args.disk;
    open::check_given(args.active, disk.layout())?;
    let foreign = &disk.layout().foreign;
    if !foreign.is_empty() && !args.force {
        return Err(CliError::new(
            Kind::Conflict,
            format!("{} has partitions that are not ours: {}", path.display(), foreign.join(", ")),
        )
        .remedy("they are never written; give --force if this is the right disk"));
    }
    let running = open::running_bank(disk.layout()).is_some();
    let (_, boot) = read_vars(path, args.vars.as_deref(), disk, running)?;
    let next = predict(disk.disk(), disk.layout(), disk.record(), boot.as_ref());
    let active = Active::of(args.active, disk, &next, boot.is_some());
    let target = match &active {
        Active::Known { bank, .. } => args.bank.unwrap_or(bank.other()),
        Active::New => args.bank.unwrap_or(Bank::A),
        Active::Unknown => {
            return Err(CliError::new(
                Kind::NotFound,
                format!("which bank of {} is in use cannot be known from the disk alone", path.display()),
            )
            .remedy("say it with --active A or --active B, or give the firmware variables with --vars"));
        }
    };
    Ok((active, target))
}

/// The product line that the disk holds, if any.
fn line_of(disk: &Disk) -> Option<String> {
    let good = |bank: &Bank| disk.record().bank(*bank).state == BankState::Good;
    let line = |bank: Bank| disk.record().bank(bank).release.as_ref().map(|release| release.name.clone());
    Bank::BOTH.into_iter().find(good).and_then(line)
}

fn known(active: &Active) -> String {
    match active {
        Active::Known { bank, by } => format!("bank {bank} is in use, known by {by}"),
        Active::New => "nothing is installed yet".to_owned(),
        Active::Unknown => "which bank is in use is not known".to_owned(),
    }
}

/// The parts of a release that go into memory.
pub(in crate::commands) struct Parts {
    release: ReleaseRef,
    cmdline: String,
    stub: Vec<u8>,
    kernel: Vec<u8>,
    initrd: Vec<u8>,
    osrel: String,
    root: (u64, lifeboat_model::Sha256Hex),
    verity: Option<Verity>,
}

impl Parts {
    pub(in crate::commands) fn read(
        path: &Path,
        bundle: &Verified<Bundle<FileAt>>,
    ) -> Result<Self, CliError> {
        let part =
            |name: &str| bundle.slot_bytes(name, PART_LIMIT).map_err(|cause| bundle_error(path, cause));
        Self::of(bundle.manifest(), bundle.release(), part)
    }

    /// The parts, each brought by `part`.
    fn of(
        manifest: &Manifest,
        release: &ReleaseRef,
        part: impl Fn(&str) -> Result<Vec<u8>, CliError>,
    ) -> Result<Self, CliError> {
        let root = manifest.slot(slot::ROOT).map(|slot| (slot.len, slot.sha256));
        let osrel = if manifest.slot(slot::OSREL).is_some() {
            String::from_utf8_lossy(&part(slot::OSREL)?).into_owned()
        } else {
            // os-release(5): what a release without one says of itself.
            format!("ID={}\nNAME={}\nVERSION_ID={}\n", release.name, release.name, release.version)
        };
        Ok(Self {
            release: release.clone(),
            cmdline: manifest.cmdline.clone(),
            stub: part(slot::STUB)?,
            kernel: part(slot::KERNEL)?,
            initrd: part(slot::INITRD)?,
            osrel,
            verity: manifest.slot(slot::ROOT).and_then(verity_of),
            root: root.ok_or_else(|| CliError::new(Kind::Verification, "the release has no root image"))?,
        })
    }

    pub(in crate::commands) fn image(&self) -> Image<'_> {
        Image {
            release: self.release.clone(),
            cmdline_extra: &self.cmdline,
            stub: &self.stub,
            kernel: &self.kernel,
            initrd: &self.initrd,
            osrel: &self.osrel,
            root_len: self.root.0,
            root_sha256: self.root.1,
            verity: self.verity,
        }
    }
}

/// The hash tree at the end of a slot, as the bank wants it said.
fn verity_of(slot: &Slot) -> Option<Verity> {
    slot.verity.as_ref().map(|tree| Verity {
        data_blocks: tree.data_blocks,
        hash_offset: tree.hash_offset,
        salt: tree.salt,
        root: tree.root,
    })
}

/// What is to be done.
struct Job<'a> {
    active: Option<Bank>,
    target: Bank,
    retry: bool,
    parts: &'a Parts,
}

impl Job<'_> {
    fn run(
        &self,
        disk: &mut dyn WriteAt,
        layout: &Layout,
        root: &mut Root<'_>,
        tell: &mut dyn FnMut(Step, u64, u64),
    ) -> Result<Installed, InstallError> {
        let image = self.parts.image();
        match self.active {
            Some(active) => {
                let request = InstallRequest { active, target: self.target, image, retry: self.retry };
                root.install(disk, layout, &request, tell)
            }
            None => root.bootstrap(disk, layout, self.target, &image, tell),
        }
    }

    /// Runs until the first write, which does not happen.
    fn rehearse(&self, path: &Path, disk: &Disk) -> Result<(), CliError> {
        let mut dry = DryDisk::new(disk.disk());
        let result = self.run(&mut dry, disk.layout(), &mut Root::nothing(), &mut |_, _, _| {});
        match result {
            Err(cause) if !dry.reached() => Err(install_error(path, cause)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

pub(in crate::commands) fn words(step: Step) -> &'static str {
    match step {
        Step::Invalidate => "marking invalid",
        Step::WriteRoot => "writing root",
        Step::WriteBoot => "writing boot",
        Step::Flush => "flushing",
        Step::VerifyRoot => "verifying root",
        Step::VerifyBoot => "verifying boot",
        Step::Seal => "sealing",
        Step::Record => "recording",
    }
}

fn report(
    ctx: &Ctx,
    path: &Path,
    release: &ReleaseRef,
    active: &Active,
    installed: &Installed,
    origin: Option<&AssemblyReport>,
) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Done<'a> {
        disk: &'a Path,
        bank: Bank,
        state: BankState,
        active: Option<Bank>,
        release: &'a ReleaseRef,
        updated: u32,
        written: u64,
        kernel_line: &'a str,
        /// Where the bytes of the root image came from; not known of a release of format 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        root: Option<&'a AssemblyReport>,
    }
    let bank = installed.bank;
    let state = installed.record.bank(bank).state;
    let done = Done {
        disk: path,
        bank,
        state,
        active: active.bank(),
        release,
        updated: installed.updated,
        written: installed.written,
        kernel_line: &installed.kernel_line,
        root: origin,
    };
    ctx.out.object("bank-installed", &done, &bank.to_string(), || {
        let next = match active {
            Active::Known { .. } => {
                format!("next: lifeboat bank activate {} --bank {bank}\n", path.display())
            }
            Active::New | Active::Unknown => {
                "it is the first one on this disk: its first boot proves it\n".to_owned()
            }
        };
        let size = show_size(installed.written);
        let origin = origin.map_or_else(String::new, |origin| format!("{}\n", came_from(origin)));
        format!(
            "bank {bank} holds {release}, state {state}: {size} written, read back and equal\n{origin}{next}"
        )
    })
}
