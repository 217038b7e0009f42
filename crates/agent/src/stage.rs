//! Bringing a release to this host.
//!
//! Owns: the download, its resumption, and the files under `bundles/` on the state partition. Promises: a bundle
//! has its final name only after a trusted key's signature and every block were found good; at most one bundle is
//! kept. Does not: install.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_bundle::{Bundle, BundleError, KeyError, Rules, TrustStore, Verified, open, verify_all};
use lifeboat_device::{BlockFile, DeviceError};
use lifeboat_model::agent::{AGENT_PROTOCOL, AgentMessage, ControllerMessage, MAX_LINE};
use lifeboat_model::{ReleaseRef, Sha256Hex};
use thiserror::Error;

use crate::Host;

/// Longest silence of a controller in the middle of a download.
const SILENCE: Duration = Duration::from_secs(30);

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
            Self::File { .. } | Self::Download { .. } | Self::Refused { .. } | Self::Open { .. } => true,
            Self::Keys { .. } | Self::Bundle { .. } | Self::Other { .. } => false,
        }
    }
}

/// Where the bundle of a release lies.
pub fn bundle_path(host: &Host, digest: &Sha256Hex) -> PathBuf {
    host.paths.state.join("bundles").join(format!("{digest}.bundle"))
}

/// Opens the staged bundle of `release`; its signature is checked again.
pub fn open_bundle(
    host: &Host,
    path: &Path,
    release: &ReleaseRef,
    floor: u64,
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
        min_serial: Some(floor),
        expected_arch: Some(std::env::consts::ARCH.to_owned()),
        ..Rules::at(now)
    };
    let file = BlockFile::open_read(path).map_err(|source| StageError::Open { source })?;
    let bundle = open(file, &trust, &rules).map_err(|source| StageError::Bundle { source })?;
    let found = bundle.release().digest;
    if found == release.digest {
        Ok(bundle)
    } else {
        Err(StageError::Other { found, wanted: release.digest })
    }
}

/// Downloads and verifies the bundle of `release`; `progress` gets bytes done and bytes in all.
pub fn stage(
    host: &Host,
    release: &ReleaseRef,
    floor: u64,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<u64, StageError> {
    let done = bundle_path(host, &release.digest);
    let part = done.with_extension("part");
    let folder = host.paths.state.join("bundles");
    make_room(&folder, &[&done, &part])?;
    if done.exists() {
        // Bytes can rot while they lie.
        verify(host, &done, release, floor, progress)?;
    } else {
        download(host, release, &part, progress)?;
        verify(host, &part, release, floor, progress)?;
        fs::rename(&part, &done).map_err(file_error("renaming", &part))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(file_error("flushing", &folder))?;
    }
    Ok(fs::metadata(&done).map_err(file_error("looking at", &done))?.len())
}

/// Verifies every block; a bundle that is not good is removed, so that the next try begins anew.
fn verify(
    host: &Host,
    path: &Path,
    release: &ReleaseRef,
    floor: u64,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StageError> {
    let checked = open_bundle(host, path, release, floor).and_then(|bundle| {
        verify_all(&bundle, |at| progress("verifying", at.done, at.total))
            .map_err(|source| StageError::Bundle { source })
    });
    if checked.is_err() {
        fs::remove_file(path).map_err(file_error("removing", path))?;
    }
    checked
}

fn download(
    host: &Host,
    release: &ReleaseRef,
    part: &Path,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StageError> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(part);
    let mut file = opened.map_err(file_error("opening", part))?;
    let mut at = file.seek(SeekFrom::End(0)).map_err(file_error("reading", part))?;
    let failed = |at: u64| {
        let (digest, controller) = (release.digest.short(), host.config.controller.clone());
        move |source| StageError::Download { digest, controller, at, source }
    };
    let mut stream = connect(&host.config.controller).map_err(failed(at))?;
    stream.set_read_timeout(Some(SILENCE)).map_err(failed(at))?;
    let ask = AgentMessage::Fetch {
        protocol: AGENT_PROTOCOL,
        host: host.config.host.clone(),
        token: host.config.token.clone(),
        digest: release.digest,
        offset: at,
    };
    let mut line = serde_json::to_vec(&ask).unwrap_or_default();
    line.push(b'\n');
    stream.write_all(&line).map_err(failed(at))?;
    let mut reader = BufReader::new(stream);
    let answer = read_line(&mut reader).map_err(failed(at))?;
    let total = match answer.as_deref().map(serde_json::from_slice) {
        Some(Ok(ControllerMessage::Bundle { len })) => len,
        Some(Ok(ControllerMessage::Refused { reason })) => return Err(StageError::Refused { reason }),
        Some(Ok(ControllerMessage::Welcome { .. } | ControllerMessage::Command { .. }) | Err(_)) | None => {
            let source =
                io::Error::new(io::ErrorKind::InvalidData, "the controller's answer was not understood");
            return Err(failed(at)(source));
        }
    };
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

/// Dials `address`.
pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(SILENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One line without its end; none at the end of the stream. A longer line than [`MAX_LINE`] is an error.
pub(crate) fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() + 1 < MAX_LINE => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {MAX_LINE} bytes")))
        }
    }
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StageError + use<> {
    let path = path.to_owned();
    move |source| StageError::File { doing, path, source }
}
