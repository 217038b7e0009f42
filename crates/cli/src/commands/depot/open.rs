//! Opening a depot: an offline bundle, a VIB, or a folder with both.
//!
//! Promises: what a file is is told by its first bytes, never by its name; symbolic links in folders are not followed;
//! the number of files is bounded. A single file that cannot be read is an error, one of many a finding.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use lifeboat_depot::offline::{self, IndexedVib, verify_vib};
use lifeboat_depot::vib::{read_descriptor, read_from};
use lifeboat_depot::zip::{Archive, ZipError};
use lifeboat_depot::{Budget, Code, Depot, Limits, RangeReader, Vib, VibError, VibId, ar};

use crate::error::{CliError, Kind, file_error};
use crate::files::FileAt;

/// Deepest folder below the one that was given.
const DEEPEST: usize = 6;

/// Where a VIB can be read whole.
enum Source {
    Bundle { archive: usize, vib: Box<IndexedVib> },
    File(PathBuf),
}

/// A depot and the files behind it.
pub(super) struct Loaded {
    pub(super) depot: Depot,
    archives: Vec<Archive<FileAt>>,
    sources: Vec<(VibId, Source)>,
    limits: Limits,
}

/// What a file is.
enum Form {
    Bundle,
    Vib,
    Other,
}

pub(super) fn open(path: &Path) -> Result<Loaded, CliError> {
    let fail = |source| file_error("reading the depot", path, source);
    let mut loaded =
        Loaded { depot: Depot::new(), archives: Vec::new(), sources: Vec::new(), limits: Limits::default() };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        loaded.file(path)?;
        return Ok(loaded);
    }
    let mut files = Vec::new();
    walk(path, 0, loaded.limits.vibs, &mut files)?;
    files.sort();
    let mut used = 0;
    for file in &files {
        if matches!(form(file)?, Form::Other) {
            continue;
        }
        used += 1;
        if let Err(error) = loaded.file(file) {
            if error.kind() != Kind::Verification {
                return Err(error);
            }
            loaded.depot.findings.push(Code::VibUnreadable.at(file.display().to_string(), error.line()));
        }
    }
    if used == 0 {
        return Err(CliError::new(Kind::NotFound, format!("{} holds no VIB and no bundle", path.display()))
            .because(format!("none of its {} files begins like one", files.len()))
            .remedy("give an offline bundle (.zip), a VIB (.vib), or a folder of them"));
    }
    Ok(loaded)
}

fn walk(folder: &Path, depth: usize, most: usize, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let fail = |source| file_error("reading the folder", folder, source);
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() && depth < DEEPEST {
            walk(&entry.path(), depth + 1, most, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > most {
            return Err(CliError::new(
                Kind::Failed,
                format!("more than {most} files are below {}", folder.display()),
            )
            .remedy("give the folder that holds the VIBs"));
        }
    }
    Ok(())
}

fn form(path: &Path) -> Result<Form, CliError> {
    let fail = |source| file_error("reading the depot", path, source);
    let mut first = Vec::new();
    File::open(path).map_err(fail)?.take(8).read_to_end(&mut first).map_err(fail)?;
    Ok(if first == ar::MAGIC {
        Form::Vib
    } else if first.starts_with(b"PK") {
        Form::Bundle
    } else {
        Form::Other
    })
}

impl Loaded {
    fn file(&mut self, path: &Path) -> Result<(), CliError> {
        let name = path.display().to_string();
        match form(path)? {
            Form::Vib => {
                let file = FileAt::open(path, "the VIB")?.into_reader();
                let descriptor =
                    read_descriptor(file, &self.limits).map_err(|cause| vib_error(path, cause))?;
                self.sources.push((descriptor.id.clone(), Source::File(path.to_owned())));
                self.depot.add(descriptor, &name);
                Ok(())
            }
            Form::Bundle => {
                let refused = |cause| {
                    CliError::new(Kind::Verification, format!("offline bundle {name} is refused"))
                        .because(cause)
                        .remedy("get the file anew from its maker, and compare its sum with the maker's")
                };
                let archive = Archive::open(FileAt::open(path, "the offline bundle")?, &self.limits)
                    .map_err(|cause| match cause {
                        ZipError::Read(source) => file_error("reading the offline bundle", path, source),
                        other => refused(offline::BundleError::Zip(other)),
                    })?;
                let short =
                    path.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
                let bundle = offline::read(&archive, &short, &self.limits).map_err(refused)?;
                for vib in &bundle.vibs {
                    let source = Source::Bundle { archive: self.archives.len(), vib: Box::new(vib.clone()) };
                    self.sources.push((vib.descriptor.id.clone(), source));
                }
                self.archives.push(archive);
                self.depot.add_bundle(bundle, &short);
                Ok(())
            }
            Form::Other => {
                Err(CliError::new(Kind::Failed, format!("{name} is neither an offline bundle nor a VIB"))
                    .because("it begins neither like a zip archive nor like an ar archive")
                    .remedy("give an offline bundle (.zip), a VIB (.vib), or a folder of them"))
            }
        }
    }

    /// How many VIBs can be read whole, with their bytes.
    pub(super) fn volume(&self) -> (usize, u64) {
        let size = |source: &Source| match source {
            Source::Bundle { archive, vib } => {
                let archive = self.archives.get(*archive);
                let entry = archive.zip(vib.member.as_deref()).and_then(|(archive, name)| archive.find(name));
                entry.map_or(0, |entry| entry.size)
            }
            Source::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        };
        (self.sources.len(), self.sources.iter().map(|(_, source)| size(source)).sum())
    }

    /// Reads VIBs whole, one after the other: all of them, or those with these ids.
    pub(super) fn read_all(
        &self,
        only: Option<&BTreeSet<VibId>>,
        mut each: impl FnMut(&VibId, Result<Option<Vib>, VibError>),
    ) {
        let mut budget = Budget::of(&self.limits);
        for (id, source) in &self.sources {
            if only.is_some_and(|only| !only.contains(id)) {
                continue;
            }
            let read = match source {
                Source::Bundle { archive, vib } => match self.archives.get(*archive) {
                    Some(archive) => verify_vib(archive, vib, &self.limits, &mut budget),
                    None => Ok(None),
                },
                Source::File(path) => read_file(path, &self.limits, &mut budget).map(Some),
            };
            each(id, read);
        }
    }
}

fn read_file(path: &Path, limits: &Limits, budget: &mut Budget) -> Result<Vib, VibError> {
    let fail = |source| VibError::Member { name: path.display().to_string(), source };
    let file = FileAt::open(path, "the VIB").map_err(|error| fail(std::io::Error::other(error.line())))?;
    read_from(BufReader::with_capacity(256 << 10, RangeReader::whole(file)), limits, budget)
}

pub(super) fn vib_error(path: &Path, cause: VibError) -> CliError {
    CliError::new(Kind::Verification, format!("VIB {} is refused", path.display()))
        .because(cause)
        .remedy("get the file anew from its maker, and compare its sum with the maker's")
}
