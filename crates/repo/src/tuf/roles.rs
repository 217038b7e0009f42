//! Roles, keys and signatures of metadata.
//!
//! Owns: how our Ed25519 keys stand in TUF, what is signed (the canonical form of the signed part), and the bytes
//! of a metadata file. Promises: the same roles always have the same bytes. Does not: keep or publish them.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;

use jiff::Timestamp as Time;
use lifeboat_bundle::{PublicKey, SecretKey};
use lifeboat_model::Sha256Hex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::schema::{Role, RoleKeys, RoleType, Root, Signature, Signed};

use super::error::RepoError;

/// Version of the TUF specification that the metadata follows.
pub(crate) const SPEC: &str = "1.0.0";
/// The four roles; delegations are not used.
const ROLES: [RoleType; 4] = [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];

/// Keys of one role, and how many of them must sign.
#[derive(Debug, Clone)]
pub struct RoleKeysOf {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// Signatures needed, at least 1.
    pub threshold: u64,
}

/// Keys of all roles.
#[derive(Debug, Clone)]
pub struct Roles {
    /// Says which keys count. Offline.
    pub root: RoleKeysOf,
    /// Says which releases there are.
    pub targets: RoleKeysOf,
    /// Says which targets metadata is the current one.
    pub snapshot: RoleKeysOf,
    /// Says which snapshot is the current one; renewed often.
    pub timestamp: RoleKeysOf,
}

/// For how long metadata is good, in days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) root: u32,
    pub(crate) targets: u32,
    pub(crate) snapshot: u32,
    pub(crate) timestamp: u32,
}

/// `days` after `now`, both as metadata wants it.
pub(crate) fn when(now: u64, days: u32) -> Time {
    let seconds = now.saturating_add(u64::from(days) * 86400);
    i64::try_from(seconds).ok().and_then(|seconds| Time::from_second(seconds).ok()).unwrap_or(Time::MAX)
}

fn tuf_key(key: &PublicKey) -> Key {
    Key::Ed25519 {
        keyval: Ed25519Key { public: key.bytes().to_vec().into(), _extra: HashMap::new() },
        scheme: Ed25519Scheme::Ed25519,
        _extra: HashMap::new(),
    }
}

/// TUF's id of a key: SHA-256 of its canonical form.
fn key_id_of(key: &PublicKey) -> Result<Decoded<Hex>, RepoError> {
    tuf_key(key).key_id().map_err(|error| RepoError::Write(Box::new(error)))
}

impl Roles {
    fn of(&self, role: RoleType) -> Option<&RoleKeysOf> {
        match role {
            RoleType::Root => Some(&self.root),
            RoleType::Targets => Some(&self.targets),
            RoleType::Snapshot => Some(&self.snapshot),
            RoleType::Timestamp => Some(&self.timestamp),
            RoleType::DelegatedTargets => None,
        }
    }
}

/// The roles of a root.
pub(crate) fn roles_of(root: &Root) -> Result<Roles, RepoError> {
    let of = |role: RoleType| {
        let Some(named) = root.roles.get(&role) else {
            return Err(RepoError::Roles { what: format!("the root names no keys for the {role} role") });
        };
        let keys: Result<Vec<PublicKey>, RepoError> = root.keys(role).map(public_key).collect();
        Ok(RoleKeysOf { keys: keys?, threshold: named.threshold.get() })
    };
    Ok(Roles {
        root: of(RoleType::Root)?,
        targets: of(RoleType::Targets)?,
        snapshot: of(RoleType::Snapshot)?,
        timestamp: of(RoleType::Timestamp)?,
    })
}

fn public_key(key: &Key) -> Result<PublicKey, RepoError> {
    let other = || RepoError::Roles {
        what: "the root has keys that are not Ed25519, which this lifeboat does not change".to_owned(),
    };
    let Key::Ed25519 { keyval, .. } = key else { return Err(other()) };
    let bytes = keyval.public.first_chunk::<32>().filter(|_| keyval.public.len() == 32).ok_or_else(other)?;
    PublicKey::parse(&format!("lifeboat-public-key-1 {}", Sha256Hex(*bytes))).map_err(|_| other())
}

/// A root that nobody signed yet.
pub(crate) fn new_root(version: NonZeroU64, roles: &Roles, expires: Time) -> Result<Root, RepoError> {
    let mut root = Root {
        spec_version: SPEC.to_owned(),
        consistent_snapshot: true,
        version,
        expires,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for role in ROLES {
        let Some(of) = roles.of(role) else { continue };
        let mut keyids: Vec<Decoded<Hex>> = Vec::new();
        for key in &of.keys {
            let id = key_id_of(key)?;
            if !keyids.contains(&id) {
                keyids.push(id.clone());
            }
            root.keys.insert(id, tuf_key(key));
        }
        let threshold =
            NonZeroU64::new(of.threshold).filter(|threshold| threshold.get() <= keyids.len() as u64);
        let threshold = threshold.ok_or_else(|| RepoError::Roles {
            what: format!(
                "the {role} role asks for {} signature(s) of {} key(s); ask for at least 1, and no more than there are keys",
                of.threshold,
                keyids.len()
            ),
        })?;
        root.roles.insert(role, RoleKeys { keyids, threshold, _extra: HashMap::new() });
    }
    Ok(root)
}

/// Adds the signatures of those keys that have the role in one of the roots; the others are left out.
pub(crate) fn sign_with<T: Role>(
    signed: &mut Signed<T>,
    roots: &[&Root],
    keys: &[SecretKey],
) -> Result<(), RepoError> {
    let message = signed.signed.canonical_form().map_err(|error| RepoError::Write(Box::new(error)))?;
    for key in keys {
        let id = key_id_of(&key.public())?;
        let of_role = |root: &&Root| root.roles.get(&T::TYPE).is_some_and(|role| role.keyids.contains(&id));
        if !roots.iter().any(of_role) || signed.signatures.iter().any(|signature| signature.keyid == id) {
            continue;
        }
        let sig = key.sign_metadata(&message).map(|bytes| bytes.to_vec().into());
        let sig = sig.ok_or_else(|| RepoError::Write("metadata is not an object".into()))?;
        signed.signatures.push(Signature { keyid: id, sig });
    }
    Ok(())
}

/// How many keys of the role have signed well, and how many must.
pub(crate) fn count_signatures<T: Role + Clone>(root: &Root, signed: &Signed<T>) -> (u64, u64) {
    let Some(role) = root.roles.get(&T::TYPE) else { return (0, 1) };
    // tough counts for us, one signature at a time.
    let mut one = root.clone();
    if let Some(role) = one.roles.get_mut(&T::TYPE) {
        role.threshold = NonZeroU64::MIN;
    }
    let mut good: BTreeSet<Vec<u8>> = BTreeSet::new();
    for signature in &signed.signatures {
        let alone = Signed { signed: signed.signed.clone(), signatures: vec![signature.clone()] };
        if one.verify_role(&alone).is_ok() {
            good.insert(signature.keyid.to_vec());
        }
    }
    (good.len() as u64, role.threshold.get())
}

/// The bytes of a metadata file: names sorted, no spaces.
pub(crate) fn encode<T: Serialize>(signed: &T) -> Result<Vec<u8>, RepoError> {
    // A value sorts its names, which a hash map does not.
    let value = serde_json::to_value(signed).map_err(|error| RepoError::Write(Box::new(error)))?;
    serde_json::to_vec(&value).map_err(|error| RepoError::Write(Box::new(error)))
}

/// Reads metadata without believing it.
pub(crate) fn parse_role<T: DeserializeOwned>(bytes: &[u8]) -> Result<Signed<T>, serde_json::Error> {
    serde_json::from_slice(bytes)
}
