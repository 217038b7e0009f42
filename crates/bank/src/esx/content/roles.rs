//! What each file of a bank is for.

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::foreign::Leaver;
use super::look::Look;
use crate::esx::EsxBank;
use crate::esx::bootcfg::BootCfg;
use crate::fat::{FatCode, FatNode, FatReport, examine};

/// Names that belong to every bank although its `boot.cfg` may not name them: the file itself, the list of what is
/// installed, the host's saved state, the state that takes its place on the first boot of a copied image, and of ESXi
/// before 5 the list of packages and the copy of the loader's partition. A name too many keeps a file that nobody
/// needs; one too few offers to remove a file that somebody does.
pub const FIXED_NAMES: [&str; 6] =
    ["boot.cfg", "imgdb.tgz", "state.tgz", "onetime.tgz", "pkgdb.tgz", "bootpart.gz"];

/// How deep a check looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// File systems, `boot.cfg`, names and sizes.
    Structure,
    /// Every byte of every file of the bank, too.
    Content,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Role {
    /// `boot.cfg`.
    Config,
    /// The kernel that `boot.cfg` names.
    Kernel,
    /// A module that `boot.cfg` names.
    Module,
    /// The host's saved state.
    State,
    /// One of [`FIXED_NAMES`] that `boot.cfg` does not name.
    Fixed,
    /// Named by nobody.
    Foreign {
        /// Who left it there, by its name.
        leaver: Leaver,
    },
    /// Nothing can be said: the bank has no readable `boot.cfg`, or an entry before it has the same name.
    Unclaimed,
}

impl Role {
    /// Whether the bank needs or keeps the file.
    #[must_use]
    pub const fn belongs(self) -> bool {
        match self {
            Self::Config | Self::Kernel | Self::Module | Self::State | Self::Fixed => true,
            Self::Foreign { .. } | Self::Unclaimed => false,
        }
    }
}

/// A file or directory of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankFile {
    /// Path as `fat::examine` gives it.
    pub path: String,
    /// 8.3 name, which the loader reads.
    pub short: String,
    /// Bytes by the directory.
    pub len: u64,
    /// First cluster.
    pub cluster: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Whether a driver cannot remove it.
    pub ghost: bool,
    /// Whether its chain fits its size and is its own.
    pub whole: bool,
    /// What it is for. What lies in a foreign directory is foreign.
    pub role: Role,
    /// What its content turned out to be.
    pub look: Look,
}

/// Whether the loader finds a file under the name in `boot.cfg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// There is no such file.
    Absent,
    /// A file has the name as its long name only; the loader reads 8.3 names.
    LongOnly,
    /// The name leads into a directory; the loader reads the root only.
    Below,
    /// It is a directory.
    Directory,
}

/// A file that `boot.cfg` names and that the loader does not find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Name as `boot.cfg` has it, without a leading `/`.
    pub name: String,
    /// Kernel or module.
    pub role: Role,
    /// Why it is not found.
    pub naming: Naming,
}

/// What is on a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankContent {
    /// The bank.
    pub letter: char,
    /// Its file system.
    pub fat: FatReport,
    /// Files and directories, depth first.
    pub files: Vec<BankFile>,
    /// Files that it names and lacks.
    pub missing: Vec<Missing>,
}

impl BankContent {
    /// Files that the bank needs or keeps.
    pub fn belonging(&self) -> impl Iterator<Item = &BankFile> {
        self.files.iter().filter(|file| file.role.belongs())
    }

    /// Whether no other file owns a part of this one, and its chain fits its size. When the two FATs differ that cannot
    /// be said of any file; then the loader's own reading, by the first FAT, and the content's checksum decide.
    #[must_use]
    pub fn owns(&self, file: &BankFile) -> bool {
        file.whole || self.fat.has(FatCode::CopiesDiffer)
    }

    /// Files in the root that look like modules, and that boot.cfg does not name: a line of it may be lost.
    pub fn unnamed(&self) -> impl Iterator<Item = &BankFile> {
        self.files.iter().filter(|file| file.role == Role::Unclaimed && looks_like_a_module(file))
    }

    /// Foreign files and directories of the root directory; what lies in such a directory goes with it.
    pub fn foreign(&self) -> impl Iterator<Item = &BankFile> {
        self.files.iter().filter(|file| matches!(file.role, Role::Foreign { .. }) && !file.path.contains('/'))
    }

    /// The file that is read under an 8.3 name of the root directory.
    #[must_use]
    pub fn by_short(&self, name: &str) -> Option<&BankFile> {
        self.files.iter().find(|file| !file.path.contains('/') && file.short.eq_ignore_ascii_case(name))
    }
}

/// Looks at the file system and the names of a bank, and at no content.
#[must_use]
pub fn survey(disk: &dyn ReadAt, bank: &EsxBank) -> BankContent {
    let fat = examine(disk, bank.offset, bank.bytes);
    let mut files: Vec<BankFile> = fat.nodes.iter().map(file_of).collect();
    let Some(cfg) = &bank.cfg else {
        return BankContent { letter: bank.letter, fat, files, missing: Vec::new() };
    };
    for file in &mut files {
        file.role = Role::Foreign { leaver: Leaver::of(&file.path) };
    }
    let mut claims = Vec::new();
    let kernel = !cfg.values.kernel.is_empty();
    for (index, name) in cfg.files().into_iter().enumerate() {
        claims.push((name, if kernel && index == 0 { Role::Kernel } else { Role::Module }));
    }
    let mut missing = Vec::new();
    for (name, role) in claims {
        let role = if name.eq_ignore_ascii_case("state.tgz") { Role::State } else { role };
        if let Err(naming) = claim(&mut files, &name, role) {
            missing.push(Missing { name, role, naming });
        }
    }
    for name in FIXED_NAMES {
        let role = match name {
            "boot.cfg" => Role::Config,
            "state.tgz" => Role::State,
            _ => Role::Fixed,
        };
        let named = files.iter().any(|file| file.role.belongs() && file.short.eq_ignore_ascii_case(name));
        if !named {
            // Not there is fine: nobody named it.
            let _ = claim(&mut files, name, role);
        }
    }
    disclaim(cfg, &mut files);
    BankContent { letter: bank.letter, fat, files, missing }
}

/// Takes back the word "foreign" where it may rest on a boot.cfg that lost a line: from everything, if it names no
/// kernel, no module, or a folder; else from files that look like modules. What is foreign may be removed, and the
/// modules of a bank must never be.
fn disclaim(cfg: &BootCfg, files: &mut [BankFile]) {
    let values = &cfg.values;
    let kernel = files.iter().any(|file| file.role == Role::Kernel);
    let trusted = cfg.refused.is_none() && kernel && !values.modules.is_empty() && values.prefix.is_empty();
    for file in files.iter_mut().filter(|file| matches!(file.role, Role::Foreign { .. })) {
        if !trusted || looks_like_a_module(file) {
            file.role = Role::Unclaimed;
        }
    }
}

/// Whether the installer gives such names: eight characters, a letter and two digits; or one of the packed archives.
fn looks_like_a_module(file: &BankFile) -> bool {
    let (name, extension) = file.short.rsplit_once('.').unwrap_or((&file.short, ""));
    let numbered = match extension.as_bytes() {
        [letter, tens, ones] => {
            letter.is_ascii_alphabetic() && tens.is_ascii_digit() && ones.is_ascii_digit()
        }
        _ => false,
    };
    let packed = extension.eq_ignore_ascii_case("gz") || extension.eq_ignore_ascii_case("tgz");
    !file.is_dir && !file.path.contains('/') && !name.is_empty() && (numbered || packed) && !file.ghost
}

fn file_of(node: &FatNode) -> BankFile {
    BankFile {
        path: node.path.clone(),
        short: node.short.clone(),
        len: node.len,
        cluster: node.cluster,
        is_dir: node.is_dir,
        ghost: node.ghost,
        whole: node.whole,
        role: Role::Unclaimed,
        look: Look::NotLooked,
    }
}

/// Gives `role` to the file that the loader would read as `name`.
fn claim(files: &mut [BankFile], name: &str, role: Role) -> Result<(), Naming> {
    if name.contains('/') {
        // Kept, so that nobody removes it; the loader of a bank reads the root directory only.
        if let Some(file) = files.iter_mut().find(|file| file.path.eq_ignore_ascii_case(name)) {
            file.role = role;
        }
        return Err(Naming::Below);
    }
    let mut same =
        files.iter_mut().filter(|file| !file.path.contains('/') && file.short.eq_ignore_ascii_case(name));
    if let Some(file) = same.next() {
        if file.is_dir {
            return Err(Naming::Directory);
        }
        // A module may be named twice.
        if !file.role.belongs() {
            file.role = role;
        }
        for later in same {
            later.role = Role::Unclaimed;
        }
        return Ok(());
    }
    match files.iter_mut().find(|file| file.path.eq_ignore_ascii_case(name)) {
        Some(file) => {
            file.role = role;
            Err(Naming::LongOnly)
        }
        None => Err(Naming::Absent),
    }
}
