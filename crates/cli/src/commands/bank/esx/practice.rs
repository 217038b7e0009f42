//! `lifeboat bank practice`: an image of an ESXi boot stick with a kind of damage, to learn and to test on.

use std::path::{Path, PathBuf};

use lifeboat_bank::esx::fixture::{Fixture, FixtureFile, FixtureLayout, FixtureShape};
use lifeboat_bank::fat::FatVolume;
use lifeboat_device::BlockFile;
use lifeboat_model::io::{ReadAt, WriteAt};
use serde::Serialize;

use crate::args::PracticeArgs;
use crate::commands::bank::errors::device_error;
use crate::error::{CliError, Kind};
use crate::output::Table;
use crate::random::random;
use crate::run::Ctx;
use crate::size::show_size;

/// A kind of damage, and what it is like in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Damage {
    Foreign,
    Ghost,
    Module,
    EmptyModule,
    Crosslink,
    Loop,
    Fat,
    Dirty,
    Active,
    HalfUpgraded,
}

const ALL: [(Damage, &str, &str); 10] = [
    (Damage::Foreign, "foreign", "files that a Mac left in both banks when the stick was mounted there"),
    (
        Damage::Ghost,
        "ghost",
        "bank B has entries that are neither files nor directories: nothing can delete them",
    ),
    (Damage::Module, "module", "a flipped bit in a module of bank B"),
    (
        Damage::EmptyModule,
        "empty-module",
        "a module of bank B has 0 bytes: the loader would boot on without it",
    ),
    (Damage::Crosslink, "crosslink", "two files of bank B share their clusters"),
    (Damage::Loop, "loop", "the chain of a file of bank B runs in a circle"),
    (Damage::Fat, "fat", "the first FAT of bank B is garbage, the second is whole"),
    (Damage::Dirty, "dirty", "bank A was not unmounted: only the dirty bit is set"),
    (Damage::Active, "active", "a flipped bit in the bank that boots; the other is whole"),
    (Damage::HalfUpgraded, "half-upgraded", "bank B is in the middle of an upgrade (bootstate 1)"),
];

impl Damage {
    fn of(word: &str) -> Result<Self, CliError> {
        let found = ALL.iter().find(|(_, name, _)| *name == word).map(|(damage, _, _)| *damage);
        found.ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|(_, name, _)| *name).collect();
            CliError::usage(format!("there is no kind of damage {word:?}"))
                .remedy(format!("choose among: {}", names.join(", ")))
        })
    }
}

#[derive(Serialize)]
struct Made {
    image: PathBuf,
    bytes: u64,
    damage: Vec<Damage>,
}

pub(in crate::commands::bank) fn run(ctx: &Ctx, args: &PracticeArgs) -> Result<(), CliError> {
    let (Some(path), false) = (&args.image, args.list) else { return list(ctx) };
    let damage = args.damage.iter().map(|word| Damage::of(word)).collect::<Result<Vec<_>, _>>()?;
    let layout = match args.layout {
        4 => FixtureLayout::V4,
        5 | 6 => FixtureLayout::V5To6,
        7 | 8 => FixtureLayout::V7To8,
        other => {
            return Err(CliError::usage(format!("there is no layout of ESXi {other} here"))
                .remedy("choose --layout 4, 5, 6, 7 or 8"));
        }
    };
    let mut fixture = Fixture::usual(layout);
    // An identity of its own, so that undo files of one image are not taken for those of another.
    fixture.seed = u64::from_le_bytes(random()?);
    // The older release is the smaller one, as in the field.
    if let Some(older) = fixture.banks.get_mut(1) {
        older.modules = 7;
    }
    fixture.shape = if args.real_size { FixtureShape::Real } else { FixtureShape::Small };
    if damage.contains(&Damage::Foreign) {
        for bank in &mut fixture.banks {
            bank.extra = mac_files();
        }
    }
    if damage.contains(&Damage::HalfUpgraded)
        && let [a, b] = fixture.banks.as_mut_slice()
    {
        (b.state, b.updated) = (1, a.updated + 1);
    }
    if ctx.dry_run {
        let made = Made { image: path.clone(), bytes: fixture.bytes(), damage };
        return ctx.out.object("practice", &made, &path.display().to_string(), || {
            format!("would make {}: {}\n", path.display(), show_size(made.bytes))
        });
    }
    let mut disk = BlockFile::create_image(path, fixture.bytes()).map_err(device_error)?;
    let made = fixture
        .write(&mut disk)
        .map_err(|cause| CliError::new(Kind::Failed, format!("making {}", path.display())).because(cause))
        .and_then(|()| damage.iter().try_for_each(|damage| harm(&mut disk, &fixture, *damage, path)));
    if let Err(error) = made {
        drop(std::fs::remove_file(path));
        return Err(error);
    }
    let made = Made { image: path.clone(), bytes: fixture.bytes(), damage };
    ctx.out.object("practice", &made, &path.display().to_string(), || {
        format!(
            "{}: {}, made up\nlook at it with: lifeboat bank check {}\n",
            path.display(),
            show_size(made.bytes),
            path.display()
        )
    })
}

fn list(ctx: &Ctx) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Row {
        damage: &'static str,
        what: &'static str,
    }
    let rows: Vec<Row> = ALL.iter().map(|&(_, damage, what)| Row { damage, what }).collect();
    ctx.out.list(
        "damages",
        &rows,
        |row| row.damage.to_owned(),
        || {
            let mut table = Table::new().column("DAMAGE").flexible("WHAT IS WRONG");
            for row in &rows {
                table.row([row.damage, row.what]);
            }
            ctx.out.render(&table)
        },
    )
}

/// What macOS writes to every volume that it mounts for writing.
fn mac_files() -> Vec<FixtureFile> {
    let names: [(&str, usize); 6] = [
        (".Spotlight-V100/VolumeConfiguration.plist", 4096),
        (".Trashes/501/README", 100),
        (".fseventsd/fseventsd-uuid", 36),
        (".fseventsd/0000000000a1b2c3", 600),
        ("._.Trashes", 4096),
        ("._boot.cfg", 4096),
    ];
    names
        .into_iter()
        .map(|(name, len)| FixtureFile { name: name.to_owned(), data: vec![0x4d; len] })
        .collect()
}

/// Where the parts of a bank's FAT16 volume lie on the disk.
struct Parts {
    base: u64,
    len: u64,
    fat: u64,
    fat_bytes: u64,
    root: u64,
    root_bytes: u64,
}

impl Parts {
    fn of(disk: &dyn ReadAt, fixture: &Fixture, bank: usize) -> std::io::Result<Self> {
        let (base, len) = fixture.bank_place(bank);
        let mut boot = [0_u8; 512];
        disk.read_at(base, &mut boot)?;
        let word =
            |at: usize| boot.get(at..at + 2).map_or(0, |two| u64::from(two[0]) | u64::from(two[1]) << 8);
        let (reserved, fats, entries, per_fat) = (word(14), word(16) & 0xff, word(17), word(22));
        let fat = base + reserved * 512;
        let root = fat + fats * per_fat * 512;
        Ok(Self { base, len, fat, fat_bytes: per_fat * 512, root, root_bytes: entries * 32 })
    }

    /// Calls `change` with the root directory and writes it back.
    fn root(&self, disk: &mut dyn WriteAt, change: impl FnOnce(&mut [u8])) -> std::io::Result<()> {
        let mut root = vec![0_u8; usize::try_from(self.root_bytes).unwrap_or(0)];
        disk.read_at(self.root, &mut root)?;
        change(&mut root);
        disk.write_at(self.root, &root)
    }
}

fn harm(disk: &mut BlockFile, fixture: &Fixture, damage: Damage, path: &Path) -> Result<(), CliError> {
    let fail = |source| CliError::new(Kind::Failed, format!("damaging {}", path.display())).because(source);
    let bank = usize::from(!matches!(damage, Damage::Dirty | Damage::Active));
    let parts = Parts::of(disk, fixture, bank).map_err(fail)?;
    damage_bank(disk, &parts, damage).and_then(|()| disk.flush()).map_err(fail)
}

fn damage_bank(disk: &mut BlockFile, parts: &Parts, damage: Damage) -> std::io::Result<()> {
    match damage {
        Damage::Foreign | Damage::HalfUpgraded => Ok(()),
        Damage::Ghost => parts.root(disk, ghosts),
        Damage::Module | Damage::Active => flip(disk, parts),
        Damage::EmptyModule => parts.root(disk, |root| {
            if let Some(size) =
                module_entries(root).into_iter().last().and_then(|at| root.get_mut(at + 28..at + 32))
            {
                size.fill(0);
            }
        }),
        Damage::Crosslink => parts.root(disk, |root| {
            if let [first, second, ..] = module_entries(root).as_slice() {
                root.copy_within(first + 26..first + 28, second + 26);
            }
        }),
        Damage::Loop => {
            let mut start = 0_u16;
            parts.root(disk, |root| {
                let at = module_entries(root).into_iter().next().unwrap_or(0);
                start = root.get(at + 26..at + 28).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
            })?;
            for copy in 0..2 {
                let at = parts.fat + copy * parts.fat_bytes + u64::from(start) * 2;
                put(disk, at + 2, &start.to_le_bytes())?;
            }
            Ok(())
        }
        Damage::Fat => {
            let garbage: Vec<u8> =
                (0..512_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] | 1).collect();
            disk.write_at(parts.fat, &garbage)
        }
        Damage::Dirty => {
            for copy in 0..2 {
                let at = parts.fat + copy * parts.fat_bytes + 3;
                put(disk, at, &[0x7f])?;
            }
            Ok(())
        }
    }
}

/// Two entries that no driver can remove: a directory in a cluster that is free, and what is neither file nor directory.
fn ghosts(root: &mut [u8]) {
    let free = (0..root.len()).step_by(32).find(|&at| root.get(at) == Some(&0)).unwrap_or(0);
    let mut entry = |number: usize, name: &[u8; 11], attribute: u8, cluster: u16| {
        if let Some(place) = root.get_mut(free + number * 32..free + (number + 1) * 32) {
            place.fill(0);
            place[..11].copy_from_slice(name);
            place[11] = attribute;
            place[26..28].copy_from_slice(&cluster.to_le_bytes());
        }
    };
    entry(0, b"STATE   123", 0x10, 0x0f00);
    entry(1, b"LOCAL   TGZ", 0xd8, 0);
}

/// Offsets of the entries of modules: files that are none of the few with a fixed name.
fn module_entries(root: &[u8]) -> Vec<usize> {
    let is_module = |entry: &[u8]| {
        let file = entry.get(11).is_some_and(|attribute| *attribute == 0 || *attribute == 0x20);
        file && entry.get(8) == Some(&b'V')
    };
    root.chunks(32).enumerate().filter(|(_, entry)| is_module(entry)).map(|(number, _)| number * 32).collect()
}

/// One bit in the middle of the first module.
fn flip(disk: &mut BlockFile, parts: &Parts) -> std::io::Result<()> {
    let wrong = |cause| std::io::Error::other(format!("{cause}"));
    let place = {
        let volume = FatVolume::open(&*disk, parts.base, parts.len).map_err(wrong)?;
        let entries = volume.list("").map_err(wrong)?;
        let module = entries.iter().find(|entry| entry.name.to_ascii_lowercase().contains(".v"));
        let name = module.map(|entry| entry.name.clone()).unwrap_or_default();
        volume
            .locate(&name, u64::from(u32::MAX))
            .map_err(wrong)?
            .extents
            .first()
            .map(|run| run.offset + run.len / 2)
    };
    let at = place.ok_or_else(|| std::io::Error::other("the made-up bank has no module"))?;
    let mut byte = [0_u8];
    disk.read_at(at, &mut byte)?;
    put(disk, at, &[byte[0] ^ 0x10])
}

/// Writes some bytes, whole sectors at a time.
fn put(disk: &mut BlockFile, at: u64, bytes: &[u8]) -> std::io::Result<()> {
    let start = at / 512 * 512;
    let mut sectors = [0_u8; 1024];
    let within = usize::try_from(at - start).unwrap_or(0);
    let len = if within + bytes.len() > 512 { 1024 } else { 512 };
    let sectors = sectors.get_mut(..len).unwrap_or(&mut []);
    disk.read_at(start, sectors)?;
    if let Some(place) = sectors.get_mut(within..within + bytes.len()) {
        place.copy_from_slice(bytes);
    }
    disk.write_at(start, sectors)
}
