//! Package releases: a folder of packages becomes a slot, and is shown again.
//!
//! Owns: the folder's form and the questions to `dpkg-deb` and `rpm`. Promises: a file that is none of the known ones is
//! named and not left out in silence; nothing is believed of a package's file name. Does not: install.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_bundle::{
    Bundle, PackageEntry, PackageFormat, PackageIndex, PackagesError, PackagesReader, RebootRule, Verified,
    slot,
};
use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{CliError, Kind, file_error};
use crate::files::{FileAt, read_text, read_toml};
use crate::output::Table;
use crate::run::Ctx;
use crate::size::show_size;

/// A folder of packages.
#[derive(Debug)]
pub(super) struct PackageFolder {
    dir: PathBuf,
    pub(super) index: PackageIndex,
    /// As `uname -m` says it.
    pub(super) arch: String,
}

/// The file `packages.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    #[serde(default)]
    reboot: RebootRule,
}

impl PackageFolder {
    /// Looks at every package of `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, CliError> {
        let (mut files, mut remove, mut settings) = (Vec::new(), Vec::new(), Settings::default());
        let entries = std::fs::read_dir(dir).map_err(|source| file_error("reading", dir, source))?;
        for entry in entries {
            let path = entry.map_err(|source| file_error("reading", dir, source))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let end = path.extension().and_then(|end| end.to_str());
            match (name.as_str(), end) {
                ("remove", _) => remove = removals(&path)?,
                ("packages.toml", _) => settings = read_toml(&path, "the settings of the packages")?,
                (_, Some("deb")) => files.push((PackageFormat::Deb, path)),
                (_, Some("rpm")) => files.push((PackageFormat::Rpm, path)),
                _ => {
                    return Err(CliError::new(Kind::Usage, format!("{} is not a package", path.display()))
                        .remedy("leave only .deb or .rpm files there, and `remove` and `packages.toml` if need be"));
                }
            }
        }
        files.sort_by(|one, other| one.1.cmp(&other.1));
        let Some(format) = files.first().map(|(format, _)| *format) else {
            return Err(CliError::new(Kind::NotFound, format!("{} has no packages", dir.display()))
                .remedy("put the .deb or .rpm files there that hosts are to have"));
        };
        if let Some((_, other)) = files.iter().find(|(other, _)| *other != format) {
            let what = format!("{} is of another package manager than the rest", other.display());
            return Err(CliError::new(Kind::Usage, what).remedy("build a release for each package manager"));
        }
        let packages = files.iter().map(|(format, path)| look_at(*format, path));
        let packages = packages.collect::<Result<Vec<_>, _>>()?;
        let arch = machine(&packages).map_err(|several| {
            CliError::new(Kind::Usage, format!("{} has packages of {several}", dir.display()))
                .remedy("build a release for each kind of machine")
        })?;
        let index = PackageIndex::new(format, settings.reboot, packages, remove)
            .map_err(|cause| refused(dir, cause))?;
        Ok(Self { dir: dir.to_owned(), index, arch })
    }

    pub(super) fn open(&self, entry: &PackageEntry) -> io::Result<File> {
        File::open(self.dir.join(&entry.file))
    }
}

fn refused(dir: &Path, cause: PackagesError) -> CliError {
    CliError::new(Kind::Usage, format!("the packages in {} make no release", dir.display()))
        .because(cause)
        .remedy("see docs/formats/package-release.md")
}

/// Names of packages, one a line; `#` begins a remark.
fn removals(path: &Path) -> Result<Vec<String>, CliError> {
    let text = read_text(path, "the list of removals", 1 << 20)?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn look_at(format: PackageFormat, path: &Path) -> Result<PackageEntry, CliError> {
    let (program, mut ask) = match format {
        PackageFormat::Deb => {
            let mut ask = Command::new("dpkg-deb");
            ask.args(["--showformat=${Package}\\t${Version}\\t${Architecture}", "--show"]);
            ("dpkg-deb", ask)
        }
        PackageFormat::Rpm => {
            let mut ask = Command::new("rpm");
            let form = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}";
            ask.args(["--query", "--package", "--nosignature", "--queryformat", form]);
            ("rpm", ask)
        }
    };
    let ran = ask.arg("--").arg(path).env("LC_ALL", "C").output().map_err(|cause| {
        CliError::new(Kind::NotFound, format!("{program} cannot be started, and looks into packages"))
            .because(cause)
            .remedy(format!("install it: apt-get install {}", if program == "rpm" { "rpm" } else { "dpkg" }))
    })?;
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let words: Vec<&str> = told.trim().split('\t').collect();
    let (true, [name, version, arch]) = (ran.status.success(), words.as_slice()) else {
        let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
        let cause = if said.is_empty() { ran.status.to_string() } else { said };
        return Err(CliError::new(Kind::Failed, format!("{} is not a package", path.display()))
            .because(cause)
            .remedy("fetch it again, or leave it out"));
    };
    let (sha256, size) = fingerprint(path).map_err(|source| file_error("reading", path, source))?;
    Ok(PackageEntry {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        arch: (*arch).to_owned(),
        size,
        sha256,
    })
}

fn fingerprint(path: &Path) -> io::Result<(Sha256Hex, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let got = file.read(&mut buffer)?;
        let bytes = buffer.get(..got).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((Sha256Hex(hash.finalize().into()), size));
        }
        hash.update(bytes);
        size += got as u64;
    }
}

/// The machine that the packages are for, as `uname -m` says it; what fits every machine is built for this one.
fn machine(packages: &[PackageEntry]) -> Result<String, String> {
    let mut machines: Vec<&str> = packages
        .iter()
        .filter_map(|package| match package.arch.as_str() {
            "all" | "noarch" => None,
            "amd64" | "x86_64" => Some("x86_64"),
            "arm64" => Some("aarch64"),
            other => Some(other),
        })
        .collect();
    machines.sort_unstable();
    machines.dedup();
    // Machines of 64 bits take packages of 32.
    if machines.contains(&"x86_64") {
        machines.retain(|machine| !matches!(*machine, "i386" | "i486" | "i586" | "i686"));
    }
    match machines.as_slice() {
        [] => Ok(std::env::consts::ARCH.to_owned()),
        [one] => Ok((*one).to_owned()),
        several => Err(several.join(", ")),
    }
}

/// The index of a bundle's packages; none if it is for hosts with banks.
pub(super) fn index_of(
    path: &Path,
    bundle: &Verified<Bundle<FileAt>>,
) -> Result<Option<PackageIndex>, CliError> {
    reader_of(path, bundle).map(|reader| reader.map(|reader| reader.index().clone()))
}

/// Reads the packages of a bundle to their end.
pub(super) fn verify(
    path: &Path,
    bundle: &Verified<Bundle<FileAt>>,
) -> Result<Option<PackageIndex>, CliError> {
    let Some(mut reader) = reader_of(path, bundle)? else { return Ok(None) };
    reader.verify().map_err(|cause| not_packages(path, cause))?;
    Ok(Some(reader.index().clone()))
}

type Reader<'b> = PackagesReader<lifeboat_bundle::SlotReader<'b, FileAt>>;

fn reader_of<'b>(path: &Path, bundle: &'b Verified<Bundle<FileAt>>) -> Result<Option<Reader<'b>>, CliError> {
    if !bundle.manifest().is_packages() {
        return Ok(None);
    }
    let slot = bundle.slot(slot::PACKAGES).map_err(|cause| super::bundle_error(path, cause))?;
    let len = slot.len();
    PackagesReader::open(slot, len).map(Some).map_err(|cause| not_packages(path, cause))
}

fn not_packages(path: &Path, cause: PackagesError) -> CliError {
    CliError::new(Kind::Verification, format!("release {} is refused", path.display()))
        .because(cause)
        .remedy("ask its maker for another one")
}

/// All packages, for people.
pub(super) fn text(ctx: &Ctx, index: &PackageIndex) -> String {
    let mut table =
        Table::new().column("PACKAGE").column("VERSION").column("ARCH").number("SIZE").column("SHA-256");
    for package in &index.packages {
        let (name, version, arch) = (package.name.clone(), package.version.clone(), package.arch.clone());
        table.row([name, version, arch, show_size(package.size), package.sha256.short()]);
    }
    let mut text = ctx.out.render(&table);
    if !index.remove.is_empty() {
        text.push_str(&format!("removes   {}\n", index.remove.join(", ")));
    }
    text.push_str(&format!(
        "{} packages ({}), {}; reboot {}\n",
        index.packages.len(),
        index.format.word(),
        show_size(index.package_bytes()),
        index.reboot.word()
    ));
    text
}

/// One package in two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PackageDiff {
    name: String,
    arch: String,
    /// None if it is new.
    from: Option<String>,
    /// None if the second release has it no more.
    to: Option<String>,
    /// Whether the version is the same and the file is not.
    rebuilt: bool,
    /// Whether the second release removes it from hosts.
    removed: bool,
}

/// What changed between two releases, by name.
pub(super) fn compare(from: Option<&PackageIndex>, to: &PackageIndex) -> Vec<PackageDiff> {
    let by_name = |index: &PackageIndex| -> BTreeMap<(String, String), PackageEntry> {
        let key = |package: &PackageEntry| (package.name.clone(), package.arch.clone());
        index.packages.iter().map(|package| (key(package), package.clone())).collect()
    };
    let (before, after) = (from.map(by_name).unwrap_or_default(), by_name(to));
    let mut names: Vec<&(String, String)> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut diffs = Vec::new();
    for key in names {
        let (old, new) = (before.get(key), after.get(key));
        if old.map(|old| old.sha256) == new.map(|new| new.sha256) {
            continue;
        }
        let version = |entry: Option<&PackageEntry>| entry.map(|entry| entry.version.clone());
        diffs.push(PackageDiff {
            name: key.0.clone(),
            arch: key.1.clone(),
            rebuilt: old.is_some() && version(old) == version(new),
            removed: to.remove.contains(&key.0),
            from: version(old),
            to: version(new),
        });
    }
    diffs
}

/// The same, for people.
pub(super) fn diff_text(ctx: &Ctx, diffs: &[PackageDiff]) -> String {
    if diffs.is_empty() {
        return "\nthe packages are the same\n".to_owned();
    }
    let mut table = Table::new().column("PACKAGE").column("FROM").column("TO").flexible("CHANGE");
    for diff in diffs {
        let change = match (&diff.from, &diff.to) {
            (None, _) => "new",
            (Some(_), None) if diff.removed => "removed from hosts",
            (Some(_), None) => "no longer in the release; hosts keep it",
            (Some(_), Some(_)) if diff.rebuilt => "another file of the same version",
            (Some(_), Some(_)) => "another version",
        };
        let word = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
        table.row([diff.name.clone(), word(&diff.from), word(&diff.to), change.to_owned()]);
    }
    format!("\n{}", ctx.out.render(&table))
}
