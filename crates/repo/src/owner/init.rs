//! A new repository.

use std::num::NonZeroU64;
use std::sync::Arc;

use lifeboat_bundle::SecretKey;
use tough::schema::{Signed, Snapshot, Targets, Timestamp};

use super::publish::{LIFETIMES, Owner, Step};
use crate::layout;
use crate::transport::{Body, Put, PutMode, Transport};
use crate::tuf::{RepoError, Roles, SPEC, View, count_signatures, encode, new_root, sign_with, when};

impl<'a> Owner<'a> {
    /// Makes an empty repository. `keys` must be enough for all four roles. Its root file is
    /// `view().root_file()`: what readers are given on a trusted way.
    pub fn init(
        transport: &Arc<dyn Transport>,
        roles: &Roles,
        keys: &'a [SecretKey],
        now: u64,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Self, RepoError> {
        let lifetimes = LIFETIMES;
        let first = NonZeroU64::MIN;
        let place = transport.place();
        let root_key = layout::versioned("root", first)?;
        let timestamp_key = layout::timestamp()?;
        if transport.stat(&timestamp_key)?.is_some() {
            return Err(RepoError::Exists { place });
        }
        let mut root =
            Signed { signed: new_root(first, roles, when(now, lifetimes.root))?, signatures: Vec::new() };
        let unsigned = root.signed.clone();
        sign_with(&mut root, &[&unsigned], keys)?;
        let (have, need) = count_signatures(&unsigned, &root);
        if have < need {
            return Err(RepoError::MoreSignatures { role: "root".to_owned(), have, need });
        }
        let targets = Targets {
            delegations: None,
            ..Targets::new(SPEC.to_owned(), first, when(now, lifetimes.targets))
        };
        // A view of what is not there yet: the owner's ways of signing start from it.
        let owner = Self {
            view: View {
                transport: Arc::clone(transport),
                timestamp: Signed {
                    signed: Timestamp::new(SPEC.to_owned(), first, when(now, lifetimes.timestamp)),
                    signatures: Vec::new(),
                },
                snapshot: Signed {
                    signed: Snapshot::new(SPEC.to_owned(), first, when(now, lifetimes.snapshot)),
                    signatures: Vec::new(),
                },
                targets: Signed { signed: targets.clone(), signatures: Vec::new() },
                root,
            },
            keys,
            now,
            lifetimes,
        };
        let roots = [&owner.view.root.signed];
        let targets = owner.signed(&roots, targets)?;
        let (snapshot, timestamp) = owner.make_tops(&roots, &targets)?;
        if owner.put(&root_key, &encode(&owner.view.root)?, PutMode::IfAbsent, step)? == Put::Existed {
            // A cut attempt left it, with other bytes: nobody was ever given that one, since init did not return.
            owner.put(&root_key, &encode(&owner.view.root)?, PutMode::Replace, step)?;
        }
        owner.put(&layout::versioned("targets", first)?, &encode(&targets)?, PutMode::Replace, step)?;
        owner.put_new("snapshot", &snapshot, step)?;
        let bytes = encode(&timestamp)?;
        step(Step::Put { key: &timestamp_key, len: bytes.len() as u64 });
        if transport.put(&timestamp_key, &Body::bytes(&bytes), PutMode::IfAbsent)? == Put::Existed {
            return Err(RepoError::Exists { place });
        }
        let view = View { timestamp, snapshot, targets, ..owner.view.clone() };
        Ok(Self { view, ..owner })
    }
}
