//! Reading a repository: its metadata, believed or refused.
//!
//! Owns: the visit (trusted root → root → timestamp → snapshot → targets, done by `tough`), our own floor of
//! versions above it, and the releases that targets name. Promises: a [`View`] exists only if every role was signed
//! by enough keys, fits the others, has not expired, and is not older than anything seen before. Does not: fetch
//! packs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};
use tough::schema::{RoleType, Root, Signed, Snapshot, Target, Targets, Timestamp};
use tough::{ExpirationEnforcement, Limits, RepositoryLoader};
use url::Url;

use super::bridge::{BASE, Bridge};
use super::error::RepoError;
use super::roles::{encode, parse_role};
use super::state::State;
use crate::layout::{self, MAX_RELEASE_FILE, MAX_SMALL_ROLE, MAX_TARGETS};
use crate::transport::{Key, Transport};

/// Most roots after the trusted one.
const MAX_ROOTS: u64 = 1024;
/// Name of our part of a target's `custom` object.
const CUSTOM: &str = "lifeboat";

/// Lowest versions that are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Of the root.
    pub root: u64,
    /// Of the timestamp, under that root.
    pub timestamp: u64,
    /// Of the snapshot, under that root.
    pub snapshot: u64,
    /// Of the targets, under that root.
    pub targets: u64,
}

/// What a reader starts from.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    /// A `root.json` that came on a trusted way; an old one is good enough.
    pub root: Vec<u8>,
    /// Directory where it is remembered what was seen. Without one, only expiry protects against older metadata.
    pub state: Option<PathBuf>,
    /// A floor that is kept elsewhere (a bank record, the journal), above which nothing was ever seen there.
    pub floor: Option<Floor>,
    /// Whether expired metadata is taken: for owners, who are about to renew it. Never for hosts.
    pub expired_is_fine: bool,
}

impl TrustedRoot {
    /// A reader that remembers in `state`.
    #[must_use]
    pub fn new(root: Vec<u8>, state: Option<PathBuf>) -> Self {
        Self { root, state, floor: None, expired_is_fine: false }
    }
}

/// A release that a repository offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseEntry {
    /// Product line.
    pub name: String,
    /// Version for people.
    pub version: String,
    /// Grows within the line.
    pub serial: u64,
    /// SHA-256 of the manifest: the identity of the release.
    pub digest: Sha256Hex,
    /// When it was published, unix seconds.
    pub published: u64,
    #[serde(skip)]
    pub(crate) manifest_len: u64,
    #[serde(skip)]
    pub(crate) signatures: Option<(Sha256Hex, u64)>,
}

/// Our part of a manifest's target.
#[derive(Serialize, Deserialize)]
struct Custom {
    name: String,
    version: String,
    serial: u64,
    published: u64,
}

/// A repository whose metadata is good.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) root: Signed<Root>,
    pub(crate) timestamp: Signed<Timestamp>,
    pub(crate) snapshot: Signed<Snapshot>,
    pub(crate) targets: Signed<Targets>,
}

/// Reads the metadata of a repository.
pub fn load(transport: &Arc<dyn Transport>, trusted: &TrustedRoot) -> Result<View, RepoError> {
    let given: Signed<Root> = parse_role(&trusted.root).map_err(RepoError::NoRoot)?;
    let mut state = trusted.state.as_deref().map(State::open).transpose()?;
    let remembered = state.as_ref().map(State::root).transpose()?.flatten();
    let (start, old_root) = starting_root(trusted, &given, remembered.as_deref(), state.as_ref())?;
    let work = state.as_ref().map(State::working_copy).transpose()?;
    let loaded = visit(transport, &start, work.as_ref(), trusted.expired_is_fine);
    let view = match loaded {
        Ok(view) => view,
        Err(error) => {
            if let Some(state) = &mut state {
                state.commit(None)?;
            }
            return Err(error);
        }
    };
    let now = view.floor();
    if let Some(floor) = trusted.floor {
        check_floor(&view, floor, floor.root < now.root)?;
    }
    if let Some(state) = &mut state {
        if let Some(floor) = state.floor() {
            check_floor(&view, floor, keys_changed(&old_root, &view.root.signed))?;
        }
        state.commit(Some(now))?;
    }
    Ok(view)
}

/// The same repository as it is now, from the root of a view. Without a state: owners ask this in one breath.
pub(crate) fn load_again(view: &View) -> Result<View, RepoError> {
    let trusted = TrustedRoot {
        root: encode(&view.root)?,
        state: None,
        floor: Some(view.floor()),
        expired_is_fine: true,
    };
    load(&view.transport, &trusted)
}

/// The newer one of the given and the remembered root. tough compares keys with the root that it starts from: a
/// start from the given one would let it forget the timestamp on every visit after a rotation.
fn starting_root(
    trusted: &TrustedRoot,
    given: &Signed<Root>,
    remembered: Option<&[u8]>,
    state: Option<&State>,
) -> Result<(Vec<u8>, Root), RepoError> {
    let Some(bytes) = remembered else { return Ok((trusted.root.clone(), given.signed.clone())) };
    let root: Signed<Root> = parse_role(bytes).map_err(RepoError::NoRoot)?;
    if root.signed.version == given.signed.version && root.signed != given.signed {
        let dir = state.map(|state| state.dir().to_owned()).unwrap_or_default();
        return Err(RepoError::OtherRepository { dir, version: root.signed.version.get() });
    }
    if root.signed.version < given.signed.version {
        Ok((trusted.root.clone(), root.signed))
    } else {
        Ok((bytes.to_vec(), root.signed))
    }
}

fn visit(
    transport: &Arc<dyn Transport>,
    root: &[u8],
    datastore: Option<&PathBuf>,
    expired_is_fine: bool,
) -> Result<View, RepoError> {
    let place = transport.place();
    let base = |below: &str| {
        Url::parse(&format!("{BASE}{below}")).map_err(|error| RepoError::Write(Box::new(error)))
    };
    let root = root.to_vec();
    let mut loader = RepositoryLoader::new(&root, base(layout::METADATA)?, base(layout::RELEASES)?)
        .transport(Bridge(Arc::clone(transport)))
        .limits(Limits {
            max_root_size: MAX_SMALL_ROLE,
            max_targets_size: MAX_TARGETS,
            max_timestamp_size: MAX_SMALL_ROLE,
            max_snapshot_size: MAX_SMALL_ROLE,
            max_root_updates: MAX_ROOTS,
        });
    if expired_is_fine {
        loader = loader.expiration_enforcement(ExpirationEnforcement::Unsafe);
    }
    if let Some(datastore) = datastore {
        loader = loader.datastore(datastore);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(RepoError::local("starting the reader of", &place))?;
    let repository = runtime.block_on(loader.load()).map_err(|error| RepoError::from_tough(&place, error))?;
    Ok(View {
        transport: Arc::clone(transport),
        root: repository.root().clone(),
        timestamp: repository.timestamp().clone(),
        snapshot: repository.snapshot().clone(),
        targets: repository.targets().clone(),
    })
}

fn check_floor(view: &View, floor: Floor, keys_changed: bool) -> Result<(), RepoError> {
    let now = view.floor();
    let older = |what: &str, is: u64, was: u64| {
        if is < was {
            let what = format!("a {what} of version {is} (seen: {was})");
            Err(RepoError::RolledBack { place: view.transport.place(), what })
        } else {
            Ok(())
        }
    };
    older("root", now.root, floor.root)?;
    // New keys may begin again below: this is how a repository recovers from an attacker who counted far ahead.
    if keys_changed {
        return Ok(());
    }
    older("timestamp", now.timestamp, floor.timestamp)?;
    older("snapshot", now.snapshot, floor.snapshot)?;
    older("targets", now.targets, floor.targets)
}

fn keys_changed(old: &Root, new: &Root) -> bool {
    [RoleType::Timestamp, RoleType::Snapshot].into_iter().any(|role| {
        let ids = |root: &Root| root.roles.get(&role).map(|role| role.keyids.clone());
        ids(old) != ids(new)
    })
}

impl View {
    /// Versions of this view: the floor of the next one.
    #[must_use]
    pub fn floor(&self) -> Floor {
        Floor {
            root: self.root.signed.version.get(),
            timestamp: self.timestamp.signed.version.get(),
            snapshot: self.snapshot.signed.version.get(),
            targets: self.targets.signed.version.get(),
        }
    }

    /// The place.
    #[must_use]
    pub fn place(&self) -> String {
        self.transport.place()
    }

    /// The root as a file, for those who shall trust this repository.
    pub fn root_file(&self) -> Result<Vec<u8>, RepoError> {
        encode(&self.root)
    }

    /// Keys and thresholds of all roles.
    pub fn roles(&self) -> Result<super::Roles, RepoError> {
        super::roles_of(&self.root.signed)
    }

    /// When each role expires, unix seconds.
    #[must_use]
    pub fn expiries(&self) -> [(&'static str, i64); 4] {
        [
            ("root", self.root.signed.expires.as_second()),
            ("targets", self.targets.signed.expires.as_second()),
            ("snapshot", self.snapshot.signed.expires.as_second()),
            ("timestamp", self.timestamp.signed.expires.as_second()),
        ]
    }

    /// All releases, by name and falling serial.
    #[must_use]
    pub fn releases(&self) -> Vec<ReleaseEntry> {
        releases_of(&self.targets.signed)
    }

    /// The release `NAME@VERSION`, or the newest one of a line.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<ReleaseEntry, RepoError> {
        let releases = self.releases();
        let fits = |entry: &&ReleaseEntry| {
            entry.name == name && version.is_none_or(|version| entry.version == version)
        };
        releases.iter().find(fits).cloned().ok_or_else(|| {
            let mut has = String::new();
            for entry in releases.iter().take(8) {
                // Writing into a string cannot fail.
                let _ =
                    write!(has, "{}{}@{}", if has.is_empty() { "" } else { ", " }, entry.name, entry.version);
            }
            if has.is_empty() {
                has.push_str("none");
            } else if releases.len() > 8 {
                has.push_str(", …");
            }
            let wanted = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
            RepoError::NoRelease { place: self.place(), wanted, has }
        })
    }

    /// Manifest and signature list of a release, byte for byte as its maker wrote them.
    pub fn fetch_head(&self, entry: &ReleaseEntry) -> Result<(Vec<u8>, Vec<u8>), RepoError> {
        let name = layout::manifest_target(&entry.name, entry.serial);
        let manifest = self.fetch_target(&name, entry.digest, entry.manifest_len)?;
        let name = layout::signatures_target(&entry.name, entry.serial);
        let Some((sha256, len)) = entry.signatures else {
            return Err(RepoError::Altered { place: self.place(), what: name });
        };
        Ok((manifest, self.fetch_target(&name, sha256, len)?))
    }

    fn fetch_target(&self, name: &str, sha256: Sha256Hex, len: u64) -> Result<Vec<u8>, RepoError> {
        self.fetch_checked(&layout::target(name, sha256)?, sha256, len.min(MAX_RELEASE_FILE))
    }

    /// A small file whose digest and length are known from something signed.
    pub(crate) fn fetch_checked(&self, key: &Key, sha256: Sha256Hex, len: u64) -> Result<Vec<u8>, RepoError> {
        let bytes = self.transport.get(key, len)?;
        if bytes.len() as u64 != len || Sha256Hex::of(&bytes) != sha256 {
            return Err(RepoError::Altered { place: self.place(), what: key.to_string() });
        }
        Ok(bytes)
    }
}

pub(crate) fn releases_of(targets: &Targets) -> Vec<ReleaseEntry> {
    let find =
        |name: &str| targets.targets.iter().find(|(there, _)| there.raw() == name).map(|(_, target)| target);
    let mut releases: Vec<ReleaseEntry> = targets
        .targets
        .iter()
        .filter_map(|(name, target)| {
            let custom = Custom::deserialize(target.custom.get(CUSTOM)?).ok()?;
            // A target is found by its name; what stands inside must not say another one.
            if layout::manifest_target(&custom.name, custom.serial) != name.raw() {
                return None;
            }
            let signatures = find(&layout::signatures_target(&custom.name, custom.serial));
            Some(ReleaseEntry {
                digest: digest_of(target)?,
                manifest_len: target.length,
                signatures: signatures.and_then(|target| Some((digest_of(target)?, target.length))),
                name: custom.name,
                version: custom.version,
                serial: custom.serial,
                published: custom.published,
            })
        })
        .collect();
    releases.sort_by(|a, b| a.name.cmp(&b.name).then(b.serial.cmp(&a.serial)));
    releases
}

fn digest_of(target: &Target) -> Option<Sha256Hex> {
    target.hashes.sha256.first_chunk().map(|bytes| Sha256Hex(*bytes))
}

/// A target for bytes, with what is told of the release if they are its manifest.
pub(crate) fn target_ref(bytes: &[u8], entry: Option<&ReleaseEntry>) -> Result<Target, RepoError> {
    let mut custom = std::collections::HashMap::new();
    if let Some(entry) = entry {
        let ours = Custom {
            name: entry.name.clone(),
            version: entry.version.clone(),
            serial: entry.serial,
            published: entry.published,
        };
        let ours = serde_json::to_value(ours).map_err(|error| RepoError::Write(Box::new(error)))?;
        custom.insert(CUSTOM.to_owned(), ours);
    }
    Ok(Target {
        length: bytes.len() as u64,
        hashes: tough::schema::Hashes {
            sha256: Sha256Hex::of(bytes).0.to_vec().into(),
            _extra: std::collections::HashMap::new(),
        },
        custom,
        _extra: std::collections::HashMap::new(),
    })
}
