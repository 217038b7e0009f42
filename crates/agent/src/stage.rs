//! Bringing a release to this host.
//!
//! Owns: the download, its resumption, and the files under `bundles/` on the state partition. Promises: a bundle
//! has its final name only after a trusted key's signature and every block were found good; at most one bundle is
//! kept. Does not: install.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_bank::record::BankRecord;
use lifeboat_bundle::{
    Bundle, BundleError, KeyError, PackagesError, Rules, TrustStore, Verified, open, verify_all,
};
use lifeboat_device::{BlockFile, DeviceError};
use lifeboat_model::agent::{AGENT_PROTOCOL, AgentMessage, ControllerMessage};
use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};
use thiserror::Error;

use crate::connection::{Connection, next_line, open_connection, told};
use crate::{AgentConfig, Machine};

/// Why a release is not on this host.
#[derive(Debug, Error)]
pub enum StageError {
    /// A file failed.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The controller could not be asked, or stopped in the middle.
    #[error("downloading {digest} from {controller} at byte {at}")]
    Download {
        /// The release, in short.
        digest: String,
        /// Address of the controller.
        controller: String,
        /// Bytes that are on this host; they are kept for the next try.
        at: u64,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The controller does not give it.
    #[error("the controller does not give the bundle: {reason}")]
    Refused {
        /// In the controller's words.
        reason: String,
    },
    /// The trusted keys cannot be used.
    #[error("the trusted keys in {} cannot be used", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// The bundle cannot be opened.
    #[error("opening the downloaded bundle")]
    Open {
        /// The cause.
        #[source]
        source: DeviceError,
    },
    /// The bundle is not good. It was removed.
    #[error("the bundle is refused")]
    Bundle {
        /// The cause.
        #[source]
        source: BundleError,
    },
    /// The release is for hosts of the other kind. It was removed.
    #[error(
        "{release} is {found}, and this host {has}; it was removed: build a release for hosts like this one"
    )]
    Kind {
        /// The release.
        release: ReleaseRef,
        /// What it is.
        found: &'static str,
        /// What the host has.
        has: &'static str,
    },
    /// The packages of the release cannot be used.
    #[error("the packages of the release are refused")]
    Packages {
        /// The cause.
        #[source]
        source: PackagesError,
    },
    /// The bundle is another release.
    #[error("the bundle holds release {found}, asked for was {wanted}; it was removed")]
    Other {
        /// In the bundle.
        found: Sha256Hex,
        /// Asked for.
        wanted: Sha256Hex,
    },
}

impl StageError {
    /// Whether another try may help: the network, a full disk, a bundle that was hurt on its way.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::Download { .. }
            | Self::Refused { .. }
            | Self::Open { .. }
            | Self::Packages { source: PackagesError::Write { .. } } => true,
            Self::Keys { .. }
            | Self::Bundle { .. }
            | Self::Kind { .. }
            | Self::Packages { .. }
            | Self::Other { .. } => false,
        }
    }
}

/// What a host asks of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Lowest serial.
    pub floor: u64,
    /// Product line, if the host has one.
    pub line: Option<String>,
    /// Whether it takes packages, or images of banks.
    pub packages: bool,
}

impl Terms {
    /// Terms of a host whose bank `running` runs.
    pub fn of_banks(record: &BankRecord, running: Bank) -> Self {
        // A host does not change its product line by an upgrade.
        let line = record.bank(running).release.as_ref().map(|release| release.name.clone());
        Self { floor: record.floor, line, packages: false }
    }
}

/// Where the bundle of a release lies.
pub fn bundle_path(host: &Machine, digest: &Sha256Hex) -> PathBuf {
    host.paths.state.join("bundles").join(format!("{digest}.lfb"))
}

/// Opens the staged bundle of `release`; its signature is checked again.
pub fn open_bundle(
    host: &Machine,
    path: &Path,
    release: &ReleaseRef,
    terms: &Terms,
) -> Result<Verified<Bundle<BlockFile>>, StageError> {
    let keys = host.paths.etc.join("trusted-keys");
    let text = fs::read_to_string(&keys).map_err(|source| StageError::File {
        doing: "reading",
        path: keys.clone(),
        source,
    })?;
    let trust = TrustStore::parse(&text).map_err(|source| StageError::Keys { path: keys, source })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let rules = Rules {
        min_serial: Some(terms.floor),
        expected_name: terms.line.clone(),
        expected_arch: Some(std::env::consts::ARCH.to_owned()),
        ..Rules::at(now)
    };
    let file = BlockFile::open_read(path).map_err(|source| StageError::Open { source })?;
    let bundle = open(file, &trust, &rules).map_err(|source| StageError::Bundle { source })?;
    let found = bundle.release().digest;
    if found != release.digest {
        return Err(StageError::Other { found, wanted: release.digest });
    }
    match (bundle.manifest().is_packages(), terms.packages) {
        (true, true) | (false, false) => Ok(bundle),
        (packages, _) => Err(StageError::Kind {
            release: bundle.release().clone(),
            found: if packages { "a release of packages" } else { "a release of banks" },
            has: if packages { "has banks" } else { "takes packages" },
        }),
    }
}

/// Downloads and verifies the bundle of `release`; `progress` gets bytes done and bytes in all.
pub fn stage(
    host: &Machine,
    release: &ReleaseRef,
    terms: &Terms,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<u64, StageError> {
    let done = bundle_path(host, &release.digest);
    let part = done.with_extension("part");
    let folder = host.paths.state.join("bundles");
    make_room(&folder, &[&done, &part])?;
    if done.exists() {
        // Bytes can rot while they lie.
        verify(host, &done, release, terms, progress)?;
    } else {
        download(&host.config, &host.paths.pki(), release.digest, &part, progress)?;
        verify(host, &part, release, terms, progress)?;
        fs::rename(&part, &done).map_err(file_error("renaming", &part))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(file_error("flushing", &folder))?;
    }
    Ok(fs::metadata(&done).map_err(file_error("looking at", &done))?.len())
}

/// Verifies every block; a bundle that is not good is removed, so that the next try begins anew.
fn verify(
    host: &Machine,
    path: &Path,
    release: &ReleaseRef,
    terms: &Terms,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StageError> {
    let checked = open_bundle(host, path, release, terms).and_then(|bundle| {
        verify_all(&bundle, |at| progress("verifying", at.done, at.total))
            .map_err(|source| StageError::Bundle { source })
    });
    if checked.is_err() {
        fs::remove_file(path).map_err(file_error("removing", path))?;
    }
    checked
}

/// Brings what is missing of the bundle of `digest` into the file `part`.
fn download(
    config: &AgentConfig,
    pki: &Path,
    digest: Sha256Hex,
    part: &Path,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StageError> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(part);
    let mut file = opened.map_err(file_error("opening", part))?;
    let mut at = file.seek(SeekFrom::End(0)).map_err(file_error("reading", part))?;
    let failed = |at: u64| {
        let (digest, controller) = (digest.short(), config.controller.clone());
        move |source| StageError::Download { digest, controller, at, source }
    };
    let (mut reader, total) = ask(config, pki, digest, at, &failed)?;
    if at > total {
        // What lies here is longer than what is wanted: it is something else.
        file.set_len(0).map_err(file_error("cutting", part))?;
        let source = io::Error::other("the part that was here did not belong to it and was removed");
        return Err(failed(0)(source));
    }
    let mut buffer = vec![0_u8; 256 * 1024];
    while at < total {
        progress("downloading", at, total);
        let want = usize::try_from(total - at).unwrap_or(usize::MAX).min(buffer.len());
        let room = buffer.get_mut(..want).unwrap_or_default();
        let got = reader.read(room).map_err(failed(at))?;
        if got == 0 {
            return Err(failed(at)(io::ErrorKind::UnexpectedEof.into()));
        }
        file.write_all(room.get(..got).unwrap_or_default()).map_err(file_error("writing", part))?;
        at += got as u64;
    }
    file.sync_all().map_err(file_error("flushing", part))?;
    progress("downloading", total, total);
    Ok(())
}

/// Opens a download from byte `at` on; the length of the whole bundle.
fn ask<F: FnOnce(io::Error) -> StageError>(
    config: &AgentConfig,
    pki: &Path,
    digest: Sha256Hex,
    at: u64,
    failed: &impl Fn(u64) -> F,
) -> Result<(Box<dyn Read>, u64), StageError> {
    let Connection { mut reader, mut sender, identity } = open_connection(config, pki).map_err(failed(at))?;
    let (host, token) = match &identity {
        Some(identity) => (identity.host.as_str().to_owned(), String::new()),
        None => (config.host.clone(), config.token.clone()),
    };
    let explained = |error: io::Error| failed(at)(told(&error, identity.as_ref(), config));
    let message = AgentMessage::Fetch { protocol: AGENT_PROTOCOL, host, token, digest, offset: at };
    sender.say(&message).map_err(explained)?;
    let answer = next_line(&mut reader).map_err(explained)?;
    match answer.as_deref().map(serde_json::from_slice) {
        Some(Ok(ControllerMessage::Bundle { len })) => Ok((Box::new(reader), len)),
        Some(Ok(ControllerMessage::Refused { reason })) => Err(StageError::Refused { reason }),
        Some(Ok(_) | Err(_)) | None => {
            let source =
                io::Error::new(io::ErrorKind::InvalidData, "the controller's answer was not understood");
            Err(failed(at)(source))
        }
    }
}

/// Removes every bundle but those that are wanted.
fn make_room(folder: &Path, keep: &[&Path]) -> Result<(), StageError> {
    fs::create_dir_all(folder).map_err(file_error("creating", folder))?;
    for entry in fs::read_dir(folder).map_err(file_error("reading", folder))? {
        let path = entry.map_err(file_error("reading", folder))?.path();
        if !keep.contains(&path.as_path()) {
            fs::remove_file(&path).map_err(file_error("removing", &path))?;
        }
    }
    Ok(())
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StageError + use<> {
    let path = path.to_owned();
    move |source| StageError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::BufReader;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A controller that answers each connection once: with a line, and then with these bytes.
    fn controller(
        answers: Vec<(ControllerMessage, &'static [u8])>,
    ) -> (AgentConfig, thread::JoinHandle<Vec<u64>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = AgentConfig {
            schema: 1,
            host: "one".to_owned(),
            controller: listener.local_addr().unwrap().to_string(),
            token: "secret".to_owned(),
            package_root: None,
            allow_no_way_back: false,
            banks: None,
            boot_id_file: None,
            reboot_command: Vec::new(),
            check_secs: 1,
            outside_watchdog: false,
            watchdog_secs: 1,
        };
        let answering = thread::spawn(move || {
            let mut offsets = Vec::new();
            for (message, bytes) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let line = next_line(&mut BufReader::new(stream.try_clone().unwrap())).unwrap().unwrap();
                let AgentMessage::Fetch { offset, .. } = serde_json::from_slice(&line).unwrap() else {
                    unreachable!("a download begins with a fetch")
                };
                offsets.push(offset);
                let mut line = serde_json::to_vec(&message).unwrap();
                line.push(b'\n');
                stream.write_all(&line).unwrap();
                stream.write_all(bytes).unwrap();
            }
            offsets
        });
        (config, answering)
    }

    #[test]
    fn a_download_that_was_cut_off_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("x.part");
        let bundle = || ControllerMessage::Bundle { len: 10 };
        let (config, answering) =
            controller(vec![(bundle(), b"0123"), (bundle(), b"456789"), (bundle(), b"")]);
        let digest = Sha256Hex::of(b"x");
        let get = || download(&config, folder.path(), digest, &part, &mut |_, _, _| ());
        assert!(matches!(get(), Err(StageError::Download { at: 4, .. })));
        get().unwrap();
        get().unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"0123456789");
        assert_eq!(answering.join().unwrap(), [0, 4, 10]);
    }

    #[test]
    fn what_is_longer_than_the_bundle_is_thrown_away_and_a_refusal_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("x.part");
        fs::write(&part, b"something else").unwrap();
        let refused = ControllerMessage::Refused { reason: "no such bundle".to_owned() };
        let odd = ControllerMessage::Welcome { protocol: 1, alive_secs: 0 };
        let (config, answering) =
            controller(vec![(ControllerMessage::Bundle { len: 4 }, b"abcd"), (refused, b""), (odd, b"")]);
        let digest = Sha256Hex::of(b"x");
        let get = || download(&config, folder.path(), digest, &part, &mut |_, _, _| ());
        assert!(matches!(get(), Err(StageError::Download { at: 0, .. })));
        assert_eq!(fs::read(&part).unwrap(), b"");
        assert!(matches!(get(), Err(StageError::Refused { reason }) if reason == "no such bundle"));
        let error = get().unwrap_err();
        assert!(error.may_pass() && matches!(error, StageError::Download { .. }));
        assert_eq!(answering.join().unwrap(), [14, 0, 0]);
    }
}
