//! Firmware variables of this machine through the kernel's efivarfs.
//!
//! Owns: one file per variable, `NAME-GUID`: four bytes of attributes, then the data. Promises: a variable is
//! written by one call, so that the kernel hands it to the firmware whole; the immutable flag, by which the kernel
//! guards variables against `rm -r`, is cleared for the change and put back. Does not: mount the file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use lifeboat_bank::efi::{Var, VarError, VarName, VarStore};
use lifeboat_bank::guid::Guid;
use rustix::fs::IFlags;

/// Where Linux mounts it.
pub const EFIVARFS: &str = "/sys/firmware/efi/efivars";

/// More bytes than this are not read from one variable; firmware's own limit is far lower.
const LARGEST: u64 = 1 << 20;

/// A folder of variables: efivarfs, or for tests a plain one.
#[derive(Debug, Clone)]
pub struct EfivarFs {
    folder: PathBuf,
}

impl EfivarFs {
    /// Opens the folder. That it is there is checked now: on a machine booted by BIOS it is not.
    pub fn open(folder: &Path) -> Result<Self, VarError> {
        let opened = fs::read_dir(folder);
        opened.map_err(|source| VarError::Io {
            doing: "list",
            name: folder.display().to_string(),
            source,
        })?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn file(&self, name: &str, vendor: &Guid) -> Result<PathBuf, VarError> {
        if name.is_empty() || name.contains(['/', '\0']) {
            let why = "its name cannot be the name of a file";
            return Err(VarError::Refused { name: name.to_owned(), why });
        }
        Ok(self.folder.join(format!("{name}-{vendor}")))
    }
}

fn failed(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> VarError + use<> {
    let name = name.to_owned();
    move |source| VarError::Io { doing, name, source }
}

impl VarStore for EfivarFs {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        let bytes = match read_limited(&self.file(name, vendor)?) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", name)(error)),
        };
        if bytes.len() as u64 > LARGEST {
            return Err(VarError::Damaged { name: name.to_owned(), why: "it has more than 1 MiB" });
        }
        let Some((attributes, data)) = bytes.split_first_chunk::<4>() else {
            return Err(VarError::Damaged {
                name: name.to_owned(),
                why: "it is shorter than its attributes",
            });
        };
        Ok(Some(Var { attributes: u32::from_le_bytes(*attributes), data: data.to_vec() }))
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        if var.data.is_empty() {
            let why = "firmware takes an empty value for a deletion";
            return Err(VarError::Refused { name: name.to_owned(), why });
        }
        let path = self.file(name, vendor)?;
        let mut bytes = var.attributes.to_le_bytes().to_vec();
        bytes.extend_from_slice(&var.data);
        let guard = Mutable::make(&path).map_err(failed("unlock", name))?;
        let written = write_once(&path, &bytes).map_err(failed("write", name));
        drop(guard);
        written
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        let path = self.file(name, vendor)?;
        let guard = Mutable::make(&path).map_err(failed("unlock", name))?;
        match fs::remove_file(&path) {
            Ok(()) => {
                guard.forget();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete", name)(error)),
        }
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        let folder = self.folder.display().to_string();
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed("list", &folder))? {
            let entry = entry.map_err(failed("list", &folder))?;
            names.extend(entry.file_name().to_str().and_then(parse_file_name));
        }
        names.sort();
        Ok(names)
    }
}

fn parse_file_name(file: &str) -> Option<VarName> {
    let (name, vendor) = file.split_at_checked(file.len().checked_sub(36)?)?;
    let name = name.strip_suffix('-').filter(|name| !name.is_empty())?;
    Some(VarName { vendor: vendor.parse().ok()?, name: name.to_owned() })
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // No truncation at opening: it would be a change of its own before the write.
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let written = file.write(bytes)?;
    if written != bytes.len() {
        let text = format!("the kernel took {written} of {} bytes", bytes.len());
        return Err(io::Error::new(ErrorKind::WriteZero, text));
    }
    // Never so in efivarfs, whose files have the length of the last write; a plain file keeps a longer tail.
    if file.metadata()?.len() != bytes.len() as u64 {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

/// A file whose immutable flag is cleared until this is dropped.
#[derive(Debug)]
struct Mutable {
    restore: Option<(File, IFlags)>,
}

impl Mutable {
    fn make(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { restore: None }),
            Err(error) => return Err(error),
        };
        // A file system without flags has nothing to clear.
        let Ok(flags) = rustix::fs::ioctl_getflags(&file) else { return Ok(Self { restore: None }) };
        if !flags.contains(IFlags::IMMUTABLE) {
            return Ok(Self { restore: None });
        }
        rustix::fs::ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
        Ok(Self { restore: Some((file, flags)) })
    }

    fn forget(mut self) {
        self.restore = None;
    }
}

impl Drop for Mutable {
    fn drop(&mut self) {
        if let Some((file, flags)) = self.restore.take() {
            // The variable is written; without its guard against `rm -r` it is as good.
            let _ = rustix::fs::ioctl_setflags(&file, flags);
        }
    }
}
