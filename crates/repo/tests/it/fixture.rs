//! Keys, releases, and repositories in memory or in directories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use lifeboat_bundle::{
    Bundle, BundleBuilder, PublicKey, ReleaseDraft, Rules, SecretKey, TrustStore, Verified, open,
};
use lifeboat_repo::{
    Body, DirTransport, Key, Owner, Put, PutMode, RoleKeysOf, Roles, Transport, TransportError, TrustedRoot,
};

/// 2026-11-21.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_random([number; 32], &format!("test {number}")).unwrap()
}

fn role(keys: &[u8], threshold: u64) -> RoleKeysOf {
    let keys: Vec<PublicKey> = keys.iter().map(|number| key(*number).public()).collect();
    RoleKeysOf { keys, threshold }
}

/// Root: keys 1 (and 2, 3), targets: 4 (and 5), snapshot: 6, timestamp: 7.
pub(crate) fn roles() -> Roles {
    Roles { root: role(&[1], 1), targets: role(&[4], 1), snapshot: role(&[6], 1), timestamp: role(&[7], 1) }
}

/// Two of three for the root, two of two for targets.
pub(crate) fn many() -> Roles {
    Roles { root: role(&[1, 2, 3], 2), targets: role(&[4, 5], 2), ..roles() }
}

pub(crate) fn with(
    mut roles: Roles,
    change: impl FnOnce(&mut Roles, &dyn Fn(&[u8], u64) -> RoleKeysOf),
) -> Roles {
    change(&mut roles, &role);
    roles
}

pub(crate) fn keys(numbers: &[u8]) -> Vec<SecretKey> {
    numbers.iter().map(|number| key(*number)).collect()
}

pub(crate) fn all_keys() -> Vec<SecretKey> {
    keys(&[1, 4, 6, 7])
}

/// Bytes that no compressor shortens, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A root image of which version 2 changes a part.
pub(crate) fn image(version: u64) -> Vec<u8> {
    let mut image = noise(1, 6 << 20);
    image.splice((2 << 20)..(2 << 20) + 700_000, noise(version, 650_000));
    image
}

pub(crate) const MAKER: u8 = 9;

/// A bundle of format 2 of the line `lab`, with kernel and root.
pub(crate) fn bundle(serial: u64) -> Vec<u8> {
    bundle_of(serial, &format!("{serial}.0"), &image(serial))
}

pub(crate) fn bundle_of(serial: u64, version: &str, image: &[u8]) -> Vec<u8> {
    let draft = ReleaseDraft {
        name: "lab".into(),
        version: version.into(),
        serial,
        created: 1_790_000_000,
        expires: None,
        arch: "x86_64".into(),
        cmdline: String::new(),
    };
    let mut builder = BundleBuilder::new(draft, Cursor::new(Vec::new())).unwrap();
    let kernel = noise(77, 300_000);
    builder.add_slot("kernel", kernel.as_slice(), kernel.len() as u64).unwrap();
    builder.add_slot("root", image, image.len() as u64).unwrap();
    let mut out = Vec::new();
    builder.finish(&[&key(MAKER)], &mut out).unwrap();
    out
}

pub(crate) fn makers() -> TrustStore {
    TrustStore::new(vec![key(MAKER).public()]).unwrap()
}

pub(crate) fn opened(bundle: &[u8]) -> Verified<Bundle<Vec<u8>>> {
    open(bundle.to_vec(), &makers(), &Rules::at(now())).unwrap()
}

pub(crate) fn dir(path: &Path) -> Arc<dyn Transport> {
    Arc::new(DirTransport::new(path.to_owned()))
}

/// A repository with all roles by one key each; returns the root file.
pub(crate) fn init(transport: &Arc<dyn Transport>, at: u64) -> Vec<u8> {
    let keys = all_keys();
    let owner = Owner::init(transport, &roles(), &keys, at, &mut |_| {}).unwrap();
    owner.view().root_file().unwrap()
}

pub(crate) fn push(transport: &Arc<dyn Transport>, root: &[u8], bundle: &[u8]) -> lifeboat_repo::Pushed {
    let keys = all_keys();
    let owner = Owner::open(transport, &TrustedRoot::new(root.to_vec(), None), &keys, now()).unwrap();
    let bundle = opened(bundle);
    owner.push(bundle.parts().unwrap(), &bundle, &mut |_| {}).unwrap()
}

/// All files of a place.
pub(crate) fn files(transport: &dyn Transport) -> BTreeMap<String, Vec<u8>> {
    let keys = transport.list("").unwrap();
    keys.into_iter().map(|key| (key.to_string(), transport.get(&key, 1 << 30).unwrap())).collect()
}

/// What a server does with one file.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    /// Other bytes.
    Bytes(Vec<u8>),
    /// It says that there is none.
    Missing,
    /// It fails.
    Fails,
}

/// A place whose server lies, or whose puts fail.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) under: Arc<dyn Transport>,
    pub(crate) lies: Mutex<BTreeMap<String, Lie>>,
    /// Puts that are still done; −1: all.
    pub(crate) puts_left: AtomicI64,
    /// Whether the put that fails is done nevertheless, and only its answer lost.
    pub(crate) answer_lost: bool,
}

impl Faulty {
    pub(crate) fn new(under: &Arc<dyn Transport>) -> Self {
        Self {
            under: Arc::clone(under),
            lies: Mutex::new(BTreeMap::new()),
            puts_left: AtomicI64::new(-1),
            answer_lost: false,
        }
    }

    pub(crate) fn lie(self, key: &str, lie: Lie) -> Self {
        self.lies.lock().unwrap().insert(key.to_owned(), lie);
        self
    }

    pub(crate) fn shared(self) -> Arc<dyn Transport> {
        Arc::new(self)
    }

    fn broken(key: &Key) -> TransportError {
        TransportError::Status { at: key.to_string(), status: 503, said: String::new() }
    }
}

impl Transport for Faulty {
    fn place(&self) -> String {
        "faulty".into()
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError> {
        match self.lies.lock().unwrap().get(key.as_str()) {
            Some(Lie::Bytes(bytes)) if bytes.len() as u64 > limit => {
                Err(TransportError::TooLong { at: key.to_string(), limit })
            }
            Some(Lie::Bytes(bytes)) => Ok(bytes.clone()),
            Some(Lie::Missing) => Err(TransportError::NotFound { at: key.to_string() }),
            Some(Lie::Fails) => Err(Self::broken(key)),
            None => self.under.get(key, limit),
        }
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError> {
        self.under.read_at(key, offset, buf)
    }

    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError> {
        self.under.stream(key, limit, sink)
    }

    fn put(&self, key: &Key, body: &Body<'_>, mode: PutMode) -> Result<Put, TransportError> {
        let left = self.puts_left.load(Ordering::SeqCst);
        if left == 0 {
            if self.answer_lost {
                self.under.put(key, body, mode)?;
            }
            return Err(Self::broken(key));
        }
        self.puts_left.store(left - 1, Ordering::SeqCst);
        self.under.put(key, body, mode)
    }

    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError> {
        self.under.stat(key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Key>, TransportError> {
        self.under.list(prefix)
    }

    fn delete(&self, key: &Key) -> Result<(), TransportError> {
        self.under.delete(key)
    }
}
