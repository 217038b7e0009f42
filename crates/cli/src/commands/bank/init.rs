//! `lifeboat bank init`

use std::path::Path;

use lifeboat_bank::layout::{
    DiskContent, Geometry, Layout, LayoutError, LayoutGuids, create_layout, inspect,
};
use lifeboat_bank::record::{BankRecord, write_record};
use lifeboat_device::{BlockFile, Force};
use lifeboat_model::Bank;
use lifeboat_model::io::ReadAt as _;

use super::errors::device_error;
use crate::args::InitArgs;
use crate::commands::ask;
use crate::error::{CliError, Kind, file_error};
use crate::random::random;
use crate::run::Ctx;
use crate::size::show_size;

const MIB: u64 = 1 << 20;

pub(super) fn init(ctx: &Ctx, args: &InitArgs) -> Result<(), CliError> {
    let path = &args.disk;
    match (path.symlink_metadata(), args.size) {
        (Ok(_), Some(_)) => {
            Err(CliError::new(Kind::Conflict, format!("{} is there already", path.display()))
                .remedy("leave --size out to partition it as it is, or choose another name"))
        }
        (Ok(_), None) => existing(ctx, args, path),
        (Err(error), Some(size)) if error.kind() == std::io::ErrorKind::NotFound => {
            new_image(ctx, args, path, size)
        }
        (Err(error), None) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CliError::new(Kind::NotFound, format!("there is no {}", path.display()))
                .remedy("give --size to make a new image file, for example --size 4G"))
        }
        (Err(error), _) => Err(file_error("looking at", path, error)),
    }
}

fn new_image(ctx: &Ctx, args: &InitArgs, path: &Path, size: u64) -> Result<(), CliError> {
    let geometry = geometry(args, size)?;
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would make {} of {}, with {}",
            path.display(),
            show_size(size),
            words(&geometry)
        ));
        return Ok(());
    }
    let mut disk = BlockFile::create_image(path, size).map_err(device_error)?;
    let made = partition(ctx, &mut disk, path, &geometry);
    if made.is_err() {
        // The half-made image is ours and useless; the error that counts is the first one.
        drop(std::fs::remove_file(path));
    }
    made
}

fn existing(ctx: &Ctx, args: &InitArgs, path: &Path) -> Result<(), CliError> {
    let looked = BlockFile::open_read(path).map_err(device_error)?;
    let geometry = geometry(args, looked.size())?;
    let content = inspect(&looked).map_err(|source| file_error("reading", path, source))?;
    let found = match &content {
        DiskContent::Empty => Vec::new(),
        DiskContent::Ours(_) => {
            vec!["the banks of a Lifeboat disk (lifeboat bank show tells what they hold)".to_owned()]
        }
        DiskContent::Foreign { what } => what.clone(),
    };
    drop(looked);
    if !found.is_empty() && !args.force {
        return Err(CliError::new(
            Kind::Conflict,
            format!("{} is not empty: {}", path.display(), found.join("; ")),
        )
        .remedy("name another disk, or give --force to lose all that"));
    }
    let what = format!("partition {} ({})", path.display(), words(&geometry));
    if ctx.dry_run {
        let lost =
            if found.is_empty() { String::new() } else { format!("; lost would be: {}", found.join("; ")) };
        ctx.out.say(&format!("would {what}{lost}"));
        return Ok(());
    }
    if !found.is_empty() {
        ask(ctx, &format!("{what}? Lost will be: {}", found.join("; ")))?;
    }
    // --force is about content; a disk that the system uses is refused all the same.
    let mut disk = BlockFile::open_write(path, Force::No).map_err(|cause| {
        let error = device_error(cause);
        if error.kind() == Kind::Conflict {
            error.remedy("unmount it or stop what uses it, then run this again")
        } else {
            error
        }
    })?;
    partition(ctx, &mut disk, path, &geometry)
}

fn partition(ctx: &Ctx, disk: &mut BlockFile, path: &Path, geometry: &Geometry) -> Result<(), CliError> {
    let layout = lay_out(disk, path, geometry)?;
    told(ctx, path, &layout)
}

/// Partitions a disk for two banks, with fresh identities and an empty record.
pub(in crate::commands) fn lay_out(
    disk: &mut BlockFile,
    path: &Path,
    geometry: &Geometry,
) -> Result<Layout, CliError> {
    let random = random::<96>()?;
    let fail = |cause: LayoutError| layout_error(path, cause);
    let layout = create_layout(disk, geometry, &LayoutGuids::from_random(&random)).map_err(fail)?;
    write_record(disk, &layout, &BankRecord::empty()).map_err(|cause| {
        CliError::new(Kind::Failed, format!("writing the bank record of {}", path.display())).because(cause)
    })?;
    Ok(layout)
}

fn told(ctx: &Ctx, path: &Path, layout: &Layout) -> Result<(), CliError> {
    ctx.out.object("layout", layout, &layout.disk_guid.to_string(), || {
        let volumes = layout.volumes(Bank::A);
        format!(
            "{}: partitioned for two banks: boot volumes of {}, root volumes of {}, state volume of {}\n\
             next: lifeboat bank install {} BUNDLE --trust KEY\n",
            path.display(),
            show_size(volumes.boot.bytes()),
            show_size(volumes.root.bytes()),
            show_size(layout.state.bytes()),
            path.display()
        )
    })
}

fn layout_error(path: &Path, cause: LayoutError) -> CliError {
    let kind = match &cause {
        LayoutError::BadGeometry { .. } => Kind::Usage,
        LayoutError::Table { .. }
        | LayoutError::NotOurs { .. }
        | LayoutError::BadPartition { .. }
        | LayoutError::Io { .. } => Kind::Failed,
    };
    let error = CliError::new(kind, format!("{}", path.display())).because(cause);
    if kind == Kind::Usage { error.remedy("see: lifeboat bank init --help") } else { error }
}

pub(in crate::commands) fn words(geometry: &Geometry) -> String {
    format!(
        "boot volumes of {}, root volumes of {}, state volume of {}",
        show_size(geometry.boot),
        show_size(geometry.root),
        show_size(geometry.state)
    )
}

/// Sizes that were asked for, and sensible ones for the rest: boot volumes of an eighth of the disk (4 MiB to
/// 512 MiB), an eighth for state, root volumes of at most 32 GiB; what is left goes to state.
fn geometry(args: &InitArgs, disk: u64) -> Result<Geometry, CliError> {
    geometry_of([args.boot_size, args.root_size, args.state_size], disk)
}

/// As `geometry`: sizes of boot, root and state volume, as far as they were asked for.
pub(in crate::commands) fn geometry_of(
    [boot_size, root_size, state_size]: [Option<u64>; 3],
    disk: u64,
) -> Result<Geometry, CliError> {
    let given = [boot_size, root_size, state_size];
    if let Some(odd) = given.into_iter().flatten().find(|size| size % MIB != 0 || *size == 0) {
        return Err(CliError::usage(format!("a volume of {odd} bytes is not a multiple of 1 MiB")));
    }
    let whole = disk / MIB;
    let boot = boot_size.map_or((whole / 8).clamp(4, 512), |size| size / MIB);
    let small = || {
        CliError::usage(format!("a disk of {} is too small for these volumes", show_size(disk)))
            .remedy("use a larger disk (at least 32 MiB), or smaller volumes")
    };
    let room = whole.checked_sub(2 + 2 * boot).ok_or_else(small)?;
    let (root, state) = match (root_size, state_size) {
        (Some(root), Some(state)) => (root / MIB, state / MIB),
        (Some(root), None) => (root / MIB, room.checked_sub(2 * (root / MIB)).ok_or_else(small)?),
        (None, Some(state)) => {
            let state = state / MIB;
            ((room.checked_sub(state).ok_or_else(small)? / 2).min(32 << 10), state)
        }
        (None, None) => {
            let root = (room.saturating_sub(room / 8) / 2).min(32 << 10);
            (root, room - 2 * root)
        }
    };
    let fits = 2 + 2 * boot + 2 * root + state <= whole;
    if !fits || root < 1 || state < 1 {
        return Err(small());
    }
    Ok(Geometry { boot: boot * MIB, root: root * MIB, state: state * MIB })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn args(boot: Option<u64>, root: Option<u64>, state: Option<u64>) -> InitArgs {
        let size = |mib: Option<u64>| mib.map(|mib| mib * MIB);
        InitArgs {
            disk: "x".into(),
            size: None,
            boot_size: size(boot),
            root_size: size(root),
            state_size: size(state),
            force: false,
        }
    }

    #[test]
    fn the_volumes_always_fit_the_disk() {
        for mib in (0..200).chain([1024, 4096, 1 << 20]) {
            for sizes in
                [(None, None, None), (Some(8), None, None), (None, Some(16), None), (None, None, Some(8))]
            {
                if let Ok(geometry) = geometry(&args(sizes.0, sizes.1, sizes.2), mib * MIB) {
                    assert!(geometry.disk_bytes() <= mib * MIB, "{mib} {sizes:?} {geometry:?}");
                }
            }
        }
        let large = geometry(&args(None, None, None), 1 << 40).unwrap();
        assert_eq!(large.root, 32 << 30);
    }

    #[test]
    fn a_disk_that_is_too_small_is_a_usage_error() {
        assert_eq!(geometry(&args(None, Some(600), None), 1 << 30).unwrap_err().kind(), Kind::Usage);
        assert_eq!(geometry(&args(None, None, None), 0).unwrap_err().kind(), Kind::Usage);
    }
}
