//! rpm as a [`Manager`].
//!
//! Owns: its calls. Promises: the same call finishes a transaction that was cut off, because rpm installs again
//! (`--replacepkgs`) and then removes what the new version replaces. Does not: wait or lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_model::Finding;

use super::query::{
    INSTALLED, PACKAGE, duplicates, is_side_by_side, parse_installed, parse_package, parse_verify,
};
use crate::cache::find_files;
use crate::codes::finding;
use crate::command::ask;
use crate::conffiles::{Conffile, ConffileFate};
use crate::error::PackageError;
use crate::holders::find_holders;
use crate::manager::{Defect, Installed, Manager, ManagerKind, PackageFile, fingerprint};
use crate::plan::{Change, Step, WayBack};
use crate::reboot_need::compare_versions;
use crate::roots::Roots;

/// rpm of one host.
#[derive(Debug)]
pub(crate) struct Rpm {
    roots: Roots,
    /// As this program sees it.
    database: PathBuf,
    /// As the host names it.
    named: String,
}

/// Where the database may be.
const PLACES: &[&str] = &["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/root/.rpmdb"];
/// Files that make a folder a database.
const SIGNS: &[&str] = &["rpmdb.sqlite", "Packages", "Packages.db"];

impl Rpm {
    /// rpm, if the host has a database of it.
    pub(crate) fn find(roots: &Roots) -> Option<Self> {
        let is_database =
            |place: &&&str| SIGNS.iter().any(|sign| roots.host_path(place).join(sign).is_file());
        let named = PLACES.iter().find(is_database)?;
        Some(Self { roots: roots.clone(), database: roots.host_path(named), named: (*named).to_owned() })
    }

    fn rpm(&self) -> Command {
        let mut rpm = Command::new("rpm");
        if !self.roots.is_host() {
            rpm.arg("--root").arg(&self.roots.root);
        }
        rpm.arg("--dbpath").arg(&self.named).env("LC_ALL", "C");
        rpm
    }

    fn new_folder(folder: &Path, old: bool) -> PathBuf {
        folder.join(if old { "old" } else { "new" })
    }

    /// Whether the database is a Berkeley one with an environment.
    fn environment(&self) -> Vec<PathBuf> {
        find_files(&self.database, "__db.", "")
    }

    fn is_done(&self, files: &[String], old: bool, changes: &[Change]) -> Result<bool, PackageError> {
        let all = self.installed()?;
        let done = |file: &String| {
            let fits =
                |change: &&Change| if old { old_name(change) == *file } else { change.file_name() == *file };
            let Some(change) = changes.iter().find(fits) else { return false };
            let wanted = if old { change.from.as_deref().unwrap_or_default() } else { &change.to };
            let same = |package: &&Installed| package.name == change.name && package.arch == change.arch;
            let mut versions = all.iter().filter(same);
            if is_side_by_side(&change.name) {
                return versions.any(|package| package.version == wanted);
            }
            versions.next().is_some_and(|package| package.version == wanted && package.whole)
        };
        Ok(files.iter().all(done))
    }
}

/// File name of the old version in the transaction's folder.
fn old_name(change: &Change) -> String {
    let version = change.from.as_deref().unwrap_or_default().replace(':', "%3a");
    format!("{}-{version}.{}.rpm", change.name, change.arch)
}

impl Manager for Rpm {
    fn kind(&self) -> ManagerKind {
        ManagerKind::Rpm
    }

    fn database(&self) -> &Path {
        &self.database
    }

    fn ending(&self) -> &'static str {
        ".rpm"
    }

    fn installed(&self) -> Result<Vec<Installed>, PackageError> {
        Ok(parse_installed(&ask(self.rpm().args(["-qa", "--queryformat", INSTALLED]))?))
    }

    fn inspect(&self, path: &Path) -> Result<PackageFile, PackageError> {
        let unreadable = || PackageError::Unreadable {
            what: path.display().to_string(),
            why: "rpm's answer does not fit".to_owned(),
        };
        let text =
            ask(Command::new("rpm").args(["-qp", "--nosignature", "--queryformat", PACKAGE]).arg(path))?;
        let mut file = parse_package(&text).ok_or_else(unreadable)?;
        path.clone_into(&mut file.path);
        (file.sha256, file.bytes) = fingerprint(path)?;
        Ok(file)
    }

    fn audit(&self) -> Result<Vec<Defect>, PackageError> {
        let mut defects = match self.installed() {
            Ok(all) => duplicates(&all),
            Err(PackageError::Program { tail, .. }) => vec![Defect {
                code: "package-db-damaged".to_owned(),
                subject: self.named.clone(),
                evidence: tail,
            }],
            Err(error) => return Err(error),
        };
        for path in find_files(&self.roots.host_path("/var/lib/yum"), "transaction-all.", "") {
            defects.push(Defect {
                code: "packages-half-installed".to_owned(),
                subject: "yum".to_owned(),
                evidence: format!("{} names a transaction that did not end", self.roots.as_host(&path)),
            });
        }
        Ok(defects)
    }

    fn order(&self, files: &[PackageFile]) -> Result<(Vec<Step>, Vec<Finding>), PackageError> {
        let mut findings = Vec::new();
        let mut test = self.rpm();
        test.args(["-U", "--test", "--replacepkgs", "--oldpackage"])
            .args(files.iter().map(|file| &file.path));
        if let Err(error) = ask(&mut test) {
            match error {
                PackageError::Program { tail, .. } if tail.contains("transaction lock") => {
                    findings.push(finding("package-db-held", &self.named, "rpm could not test the packages"));
                }
                PackageError::Program { tail, .. } => {
                    let words: Vec<&str> =
                        tail.lines().map(str::trim).filter(|line| !line.starts_with("rpm: ")).collect();
                    findings.push(finding("package-not-closed", "the packages", words.join("; ")));
                }
                other => return Err(other),
            }
        }
        let mut steps = Vec::new();
        for beside in [false, true] {
            let group = files.iter().filter(|file| is_side_by_side(&file.name) == beside);
            let names: Vec<String> = group
                .filter_map(|file| Some(file.path.file_name()?.to_string_lossy().into_owned()))
                .collect();
            if !names.is_empty() {
                steps.push(Step::Upgrade { files: names, old: false });
            }
        }
        Ok((steps, findings))
    }

    fn order_back(&self, changes: &[Change], _folder: &Path) -> Result<Vec<Step>, PackageError> {
        let old: Vec<String> = changes.iter().filter(|change| change.from.is_some()).map(old_name).collect();
        let new: Vec<String> = changes
            .iter()
            .filter(|change| change.from.is_none())
            .map(|change| format!("{}-{}", change.name, change.to.rsplit(':').next().unwrap_or(&change.to)))
            .collect();
        let mut steps = vec![Step::Repair];
        // They may need what is about to become older: rpm would refuse the old versions while they are there.
        if !new.is_empty() {
            steps.push(Step::Remove { names: new });
        }
        if !old.is_empty() {
            steps.push(Step::Upgrade { files: old, old: true });
        }
        Ok(steps)
    }

    fn mend(&self, _folder: &Path) -> Result<Vec<Step>, PackageError> {
        let mut steps = vec![Step::Repair];
        let Ok(all) = self.installed() else { return Ok(steps) };
        // Of two versions the older one goes: its files that the newer one owns too stay where they are.
        let mut older = Vec::new();
        for package in all.iter().filter(|package| !package.whole) {
            let newer = |other: &&Installed| {
                other.name == package.name
                    && other.arch == package.arch
                    && compare_versions(&other.version, &package.version).is_gt()
            };
            if all.iter().any(|other| newer(&other)) {
                let version = package.version.rsplit(':').next().unwrap_or(&package.version);
                older.push(format!("{}-{version}.{}", package.name, package.arch));
            }
        }
        if !older.is_empty() {
            steps.push(Step::Remove { names: older });
        }
        Ok(steps)
    }

    fn command(
        &self,
        step: &Step,
        folder: &Path,
        changes: &[Change],
    ) -> Result<Option<Command>, PackageError> {
        let mut rpm = self.rpm();
        match step {
            Step::Upgrade { files, old } => {
                if self.is_done(files, *old, changes)? {
                    return Ok(None);
                }
                let folder = Self::new_folder(folder, *old);
                // Kernels stand beside each other: an update of one must not remove the one that runs.
                let kernels = |file: &&String| {
                    changes.iter().any(|change| change.file_name() == **file && is_side_by_side(&change.name))
                };
                let beside = files.iter().filter(kernels).count();
                let how = if beside == files.len() && !old { "-i" } else { "-U" };
                rpm.args([how, "--replacepkgs"]);
                if how == "-U" {
                    rpm.arg("--oldpackage");
                }
                rpm.args(files.iter().map(|file| folder.join(file)));
            }
            Step::Remove { names } => {
                let there = self.installed()?;
                let is_there = |name: &&String| {
                    there.iter().any(|package| {
                        let version = package.version.rsplit(':').next().unwrap_or(&package.version);
                        let full = format!("{}-{version}", package.name);
                        **name == full || **name == format!("{full}.{}", package.arch)
                    })
                };
                let left: Vec<&String> = names.iter().filter(is_there).collect();
                if left.is_empty() {
                    return Ok(None);
                }
                rpm.args(["-e", "--nodeps", "--noscripts", "--notriggers"]).args(left);
            }
            Step::Repair => {
                let environment = self.environment();
                let is_in_use = find_holders(&self.roots)
                    .iter()
                    .any(|holder| holder.touches.iter().any(|touch| touch.path.contains("__db.")));
                if environment.is_empty() || is_in_use || self.installed().is_ok() {
                    return Ok(None);
                }
                for path in environment {
                    // rpm makes them anew; they hold locks of processes that are gone.
                    let _ = fs::remove_file(path);
                }
                rpm.arg("--rebuilddb");
            }
            Step::Unpack { .. } | Step::Configure { .. } => return Ok(None),
        }
        Ok(Some(rpm))
    }

    fn way_back(
        &self,
        name: &str,
        arch: &str,
        version: &str,
        folders: &[PathBuf],
    ) -> Result<WayBack, PackageError> {
        if is_side_by_side(name) {
            return Ok(WayBack::Remove);
        }
        let mut places = folders.to_vec();
        places.extend(
            ["/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5"].map(|path| self.roots.host_path(path)),
        );
        for path in places.iter().flat_map(|folder| find_files(folder, &format!("{name}-"), ".rpm")) {
            let Ok(file) = self.inspect(&path) else { continue };
            if file.name == name && file.arch == arch && file.version == version {
                return Ok(WayBack::File { path });
            }
        }
        let why =
            "its package is in none of the caches, and rpm cannot rebuild one; `dnf download` may fetch it";
        Ok(WayBack::None { why: why.to_owned() })
    }

    fn rebuild(&self, name: &str, _arch: &str, _folder: &Path) -> Result<PathBuf, PackageError> {
        Err(PackageError::NoWayBack(name.to_owned()))
    }

    fn changed_conffiles(&self, file: &PackageFile) -> Result<Vec<Conffile>, PackageError> {
        let mut verify = self.rpm();
        verify.args(["-V", "--nodeps", "--noscripts", &file.name]);
        // It ends with 1 as soon as something differs: its words count.
        let output =
            verify.output().map_err(|source| PackageError::Start { program: "rpm".to_owned(), source })?;
        let changed = parse_verify(&String::from_utf8_lossy(&output.stdout));
        let ours = changed.into_iter().filter(|(path, _)| file.conffiles.contains(path));
        let fate = |missing| if missing { ConffileFate::StaysAway } else { ConffileFate::KeptNewBeside };
        Ok(ours
            .map(|(path, missing)| Conffile { package: file.name.clone(), path, fate: fate(missing) })
            .collect())
    }

    fn leftover_endings(&self) -> &'static [&'static str] {
        &[".rpmnew", ".rpmsave", ".rpmorig"]
    }

    fn paths_of(&self, name: &str, _arch: &str) -> Result<Vec<String>, PackageError> {
        let text = ask(self.rpm().args(["-ql", name]))?;
        Ok(text.lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect())
    }

    fn is_beside(&self, name: &str) -> bool {
        is_side_by_side(name)
    }

    fn is_newer(&self, version: &str, than: &str) -> Result<bool, PackageError> {
        Ok(compare_versions(version, than).is_gt())
    }
}
