//! dpkg as a [`Manager`].
//!
//! Owns: its calls. Promises: configuration files are kept (`--force-confold`); each call is cut down to what is left to
//! do. Does not: wait or lock.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_model::Finding;

use super::order::{order, own};
use super::rebuild::{changed_files, info_file, paths_of, rebuild};
use super::status::{LONGEST, Stanza, defect, installed, parse_status};
use super::{files, order::own as own_order};
use crate::cache::find_files;
use crate::conffiles::{Conffile, ConffileFate};
use crate::error::{PackageError, at};
use crate::manager::{Defect, Installed, Manager, ManagerKind, PackageFile};
use crate::plan::{Change, Step, WayBack};
use crate::roots::Roots;

/// dpkg of one host.
#[derive(Debug)]
pub(crate) struct Dpkg {
    roots: Roots,
    database: PathBuf,
}

impl Dpkg {
    /// dpkg, if the host has it.
    pub(crate) fn find(roots: &Roots) -> Option<Self> {
        let database = roots.host_path("/var/lib/dpkg");
        database.join("status").is_file().then(|| Self { roots: roots.clone(), database })
    }

    fn stanzas(&self) -> Result<Vec<Stanza>, PackageError> {
        let path = self.database.join("status");
        let meta = fs::metadata(&path).map_err(at("looking at", &path))?;
        let unreadable =
            |why: &str| PackageError::Unreadable { what: path.display().to_string(), why: why.to_owned() };
        if meta.len() > LONGEST {
            return Err(unreadable("it is longer than any status file"));
        }
        let bytes = fs::read(&path).map_err(at("reading", &path))?;
        if bytes.contains(&0) {
            return Err(unreadable(
                "it holds NUL bytes: it was cut off by a power failure; status-old is the one before",
            ));
        }
        let mut stanzas = parse_status(&String::from_utf8_lossy(&bytes));
        // What dpkg changed since it last wrote the whole file; a killed dpkg leaves it so.
        for name in self.unmerged() {
            let path = self.database.join("updates").join(name);
            let bytes = fs::read(&path).map_err(at("reading", &path))?;
            for part in parse_status(&String::from_utf8_lossy(&bytes)) {
                let same = |stanza: &&mut Stanza| {
                    ["Package", "Architecture"].iter().all(|key| stanza.get(key) == part.get(key))
                };
                match stanzas.iter_mut().find(same) {
                    Some(stanza) => *stanza = part,
                    None => stanzas.push(part),
                }
            }
        }
        Ok(stanzas)
    }

    fn stanza(&self, name: &str, arch: &str) -> Result<Option<Stanza>, PackageError> {
        let fits =
            |stanza: &Stanza| stanza.get("Package") == Some(name) && stanza.get("Architecture") == Some(arch);
        Ok(self.stanzas()?.into_iter().find(fits))
    }

    /// Parts of a change that dpkg has not merged into its status file, in their order.
    fn unmerged(&self) -> Vec<String> {
        let entries = fs::read_dir(self.database.join("updates")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let is_part = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let mut names: Vec<String> = names.filter(is_part).collect();
        names.sort();
        names
    }

    fn dpkg(&self) -> Command {
        let mut dpkg = Command::new("dpkg");
        dpkg.args(["--force-confold", "--force-confdef", "--force-downgrade"]);
        if !self.roots.is_host() {
            dpkg.arg(format!("--root={}", self.roots.root.display()));
        }
        dpkg.env("DPKG_FRONTEND_LOCKED", "1")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("NEEDRESTART_SUSPEND", "1")
            .env("LC_ALL", "C");
        dpkg
    }

    /// Files among `files` whose package has not the version yet, or not whole.
    fn left(&self, files: &[String], old: bool, changes: &[Change]) -> Result<Vec<String>, PackageError> {
        let states = self.states()?;
        let is_left = |file: &&String| {
            let fits = |change: &&Change| {
                if old { back_name(change) == **file } else { change.file_name() == **file }
            };
            let Some(change) = changes.iter().find(fits) else { return true };
            let wanted = if old { change.from.as_deref().unwrap_or_default() } else { &change.to };
            match states.get(&(change.name.clone(), change.arch.clone())) {
                None => true,
                Some(state) => {
                    state.version != wanted
                        || state.state.starts_with("half-installed")
                        || state.state.contains("reinst")
                }
            }
        };
        Ok(files.iter().filter(is_left).cloned().collect())
    }

    fn states(&self) -> Result<BTreeMap<(String, String), Installed>, PackageError> {
        let all = self.installed()?.into_iter();
        Ok(all.map(|package| ((package.name.clone(), package.arch.clone()), package)).collect())
    }
}

/// File name of the old version in the transaction's folder.
fn back_name(change: &Change) -> String {
    let version = change.from.as_deref().unwrap_or_default().replace(':', "%3a");
    format!("{}_{version}_{}.deb", change.name, change.arch)
}

impl Manager for Dpkg {
    fn kind(&self) -> ManagerKind {
        ManagerKind::Dpkg
    }

    fn database(&self) -> &Path {
        &self.database
    }

    fn ending(&self) -> &'static str {
        ".deb"
    }

    fn installed(&self) -> Result<Vec<Installed>, PackageError> {
        Ok(self.stanzas()?.iter().filter_map(installed).collect())
    }

    fn inspect(&self, path: &Path) -> Result<PackageFile, PackageError> {
        files::inspect(path)
    }

    fn audit(&self) -> Result<Vec<Defect>, PackageError> {
        let mut defects: Vec<Defect> = self.installed()?.iter().filter_map(defect).collect();
        let unmerged = self.unmerged();
        if !unmerged.is_empty() {
            defects.push(Defect {
                code: "packages-half-installed".to_owned(),
                subject: "dpkg".to_owned(),
                evidence: format!(
                    "{} parts of a change lie in {}/updates",
                    unmerged.len(),
                    self.database.display()
                ),
            });
        }
        Ok(defects)
    }

    fn order(&self, files: &[PackageFile]) -> Result<(Vec<Step>, Vec<Finding>), PackageError> {
        order(&self.roots, files)
    }

    fn order_back(&self, changes: &[Change], folder: &Path) -> Result<Vec<Step>, PackageError> {
        let mut old = Vec::new();
        for change in changes.iter().filter(|change| change.from.is_some()) {
            let path = folder.join(back_name(change));
            if path.is_file() {
                old.push(files::inspect(&path)?);
            }
        }
        let mut steps = own(&old, true);
        let new: Vec<String> = changes
            .iter()
            .filter(|change| change.from.is_none())
            .map(|change| format!("{}:{}", change.name, change.arch).replace(":all", ""))
            .collect();
        if !new.is_empty() {
            // Before the last configuration: what is configured then must not need them.
            let at = steps.len().saturating_sub(1);
            steps.insert(at, Step::Remove { names: new });
        }
        steps.insert(0, Step::Repair);
        Ok(steps)
    }

    fn mend(&self, folder: &Path) -> Result<Vec<Step>, PackageError> {
        let mut found = Vec::new();
        for package in self
            .installed()?
            .iter()
            .filter(|package| package.state.starts_with("half-installed") || package.state.contains("reinst"))
        {
            let archives = self.roots.host_path("/var/cache/apt/archives");
            for path in find_files(&archives, &format!("{}_", package.name), ".deb") {
                let file = files::inspect(&path)?;
                if file.name == package.name && file.arch == package.arch {
                    let to = folder.join(path.file_name().unwrap_or_default());
                    fs::copy(&path, &to).map_err(at("copying", &path))?;
                    found.push(PackageFile { path: to, ..file });
                    break;
                }
            }
        }
        let mut steps = vec![Step::Repair];
        steps.extend(own_order(&found, false));
        Ok(steps)
    }

    fn command(
        &self,
        step: &Step,
        folder: &Path,
        changes: &[Change],
    ) -> Result<Option<Command>, PackageError> {
        let mut dpkg = self.dpkg();
        match step {
            Step::Unpack { files, old } => {
                let left = self.left(files, *old, changes)?;
                if left.is_empty() {
                    return Ok(None);
                }
                let folder = folder.join(if *old { "old" } else { "new" });
                dpkg.args(["--auto-deconfigure", "--unpack"]).args(left.iter().map(|file| folder.join(file)));
            }
            Step::Configure { names } if names.is_empty() => {
                dpkg.args(["--configure", "--pending"]);
            }
            Step::Configure { names } => {
                let waits =
                    |package: &Installed| matches!(package.state.as_str(), "unpacked" | "half-configured");
                let waiting: Vec<String> =
                    self.installed()?.into_iter().filter(waits).map(|package| package.name).collect();
                let left: Vec<&String> = names.iter().filter(|name| waiting.contains(name)).collect();
                if left.is_empty() {
                    return Ok(None);
                }
                dpkg.arg("--configure").args(left);
            }
            Step::Remove { names } => {
                let there: Vec<String> = self.installed()?.into_iter().map(|package| package.name).collect();
                let is_there =
                    |name: &&String| there.iter().any(|known| Some(known.as_str()) == name.split(':').next());
                let left: Vec<&String> = names.iter().filter(is_there).collect();
                if left.is_empty() {
                    return Ok(None);
                }
                // What depends on them is on its way to a version that does not.
                dpkg.args(["--force-remove-reinstreq", "--force-depends", "--purge"]).args(left);
            }
            Step::Repair => {
                if self.unmerged().is_empty() {
                    return Ok(None);
                }
                // Any change of dpkg merges first; this one changes nothing else.
                dpkg.args(["--triggers-only", "--pending"]);
            }
            Step::Upgrade { .. } => return Ok(None),
        }
        Ok(Some(dpkg))
    }

    fn way_back(
        &self,
        name: &str,
        arch: &str,
        version: &str,
        folders: &[PathBuf],
    ) -> Result<WayBack, PackageError> {
        let mut places = folders.to_vec();
        places.push(self.roots.host_path("/var/cache/apt/archives"));
        let begins = format!("{name}_");
        for path in places.iter().flat_map(|folder| find_files(folder, &begins, ".deb")) {
            let Ok(file) = files::inspect(&path) else { continue };
            if file.name == name && file.arch == arch && file.version == version {
                return Ok(WayBack::File { path });
            }
        }
        let Some(stanza) = self.stanza(name, arch)? else {
            return Ok(WayBack::None { why: "dpkg does not know it".to_owned() });
        };
        if info_file(&self.roots, name, arch, "list").is_none() {
            return Ok(WayBack::None { why: "dpkg has no list of its files".to_owned() });
        }
        match changed_files(&self.roots, &stanza, name, arch) {
            Ok(changed) => Ok(WayBack::Rebuilt { changed }),
            Err(why) => Ok(WayBack::None { why }),
        }
    }

    fn rebuild(&self, name: &str, arch: &str, folder: &Path) -> Result<PathBuf, PackageError> {
        let stanza = self.stanza(name, arch)?.ok_or_else(|| PackageError::NoWayBack(name.to_owned()))?;
        rebuild(&self.roots, &stanza, folder)
    }

    fn changed_conffiles(&self, file: &PackageFile) -> Result<Vec<Conffile>, PackageError> {
        let Some(stanza) = self.stanza(&file.name, &file.arch)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (path, came) in stanza.conffiles().into_iter().filter(|(path, _)| file.conffiles.contains(path)) {
            let here = self.roots.host_path(&path);
            let now = files::md5_of(&here);
            if now.as_deref() == Some(came.as_str()) {
                continue;
            }
            let new = files::md5_inside(&file.path, &path);
            let fate = if now.is_none() && !here.exists() {
                ConffileFate::StaysAway
            } else if new.as_deref() == Some(came.as_str()) {
                ConffileFate::Untouched
            } else if new == now {
                ConffileFate::Same
            } else {
                ConffileFate::KeptNewBeside
            };
            found.push(Conffile { package: file.name.clone(), path, fate });
        }
        Ok(found)
    }

    fn leftover_endings(&self) -> &'static [&'static str] {
        &[".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".ucf-dist", ".ucf-new"]
    }

    fn paths_of(&self, name: &str, arch: &str) -> Result<Vec<String>, PackageError> {
        Ok(paths_of(&self.roots, name, arch))
    }

    fn is_beside(&self, _name: &str) -> bool {
        // A Debian kernel carries its version in its name.
        false
    }

    fn is_newer(&self, version: &str, than: &str) -> Result<bool, PackageError> {
        let mut dpkg = Command::new("dpkg");
        dpkg.args(["--compare-versions", version, "gt", than]);
        let status =
            dpkg.status().map_err(|source| PackageError::Start { program: "dpkg".to_owned(), source })?;
        Ok(status.success())
    }
}
