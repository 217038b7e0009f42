//! Other keys.
//!
//! A new root is signed by enough keys of the old one and of the new one. What the lower roles' keys signed is signed
//! again where the new root asks for it, by both sets of keys if they are here, and put before the root: then there
//! is no moment at which readers with either root are refused.

use tough::schema::{Role, Root, Signed, Snapshot, Targets, Timestamp};

use super::publish::{Outcome, Owner, Step, next};
use crate::layout::{self, MAX_SMALL_ROLE};
use crate::tuf::{RepoError, Roles, count_signatures, encode, new_root, sign_with, when};

/// What must be put with a new root.
struct Below {
    targets: Option<Signed<Targets>>,
    snapshot: Option<Signed<Snapshot>>,
    timestamp: Option<Signed<Timestamp>>,
}

impl Owner<'_> {
    /// Publishes a new root with these roles, or stages it if signatures are missing. The same roles renew its date.
    pub fn rotate(&self, roles: &Roles, step: &mut dyn FnMut(Step<'_>)) -> Result<Outcome, RepoError> {
        let old = &self.view.root.signed;
        let new = new_root(next(old.version)?, roles, when(self.now, self.lifetimes.root))?;
        let mut signed = Signed { signed: new.clone(), signatures: Vec::new() };
        sign_with(&mut signed, &[old, &new], self.keys)?;
        self.publish_root(&signed, step)
    }

    /// The root that waits for signatures.
    pub fn staged_root(&self) -> Result<Option<Signed<Root>>, RepoError> {
        self.read_staged::<Root>("root", MAX_SMALL_ROLE)
    }

    /// Adds our signatures to the root that waits; publishes it if that was the last one missing.
    pub fn sign_staged_root(&self, step: &mut dyn FnMut(Step<'_>)) -> Result<Outcome, RepoError> {
        let place = self.view.place();
        let mut staged = self.staged_root()?.ok_or(RepoError::NothingStaged { place: place.clone() })?;
        if staged.signed.version != next(self.view.root.signed.version)? {
            return Err(RepoError::Raced { place });
        }
        let new = staged.signed.clone();
        sign_with(&mut staged, &[&self.view.root.signed, &new], self.keys)?;
        self.publish_root(&staged, step)
    }

    fn publish_root(
        &self,
        signed: &Signed<Root>,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, RepoError> {
        let (old, new) = (&self.view.root.signed, &signed.signed);
        for root in [old, new] {
            let (have, need) = count_signatures(root, signed);
            if have < need {
                self.stage_root(signed, step)?;
                return Ok(Outcome::Staged { role: "root".to_owned(), have, need });
            }
        }
        let below = match self.below(old, new) {
            Ok(below) => below,
            Err(RepoError::MoreSignatures { role, have, need }) => {
                self.stage_root(signed, step)?;
                return Ok(Outcome::Staged { role, have, need });
            }
            Err(error) => return Err(error),
        };
        if let Some(targets) = &below.targets {
            self.put_new("targets", targets, step)?;
        }
        if let Some(snapshot) = &below.snapshot {
            self.put_new("snapshot", snapshot, step)?;
        }
        // Good under both roots: it goes first, and nobody is refused in between.
        let bridged = good(old, below.targets.as_ref())
            && good(old, below.snapshot.as_ref())
            && good(old, below.timestamp.as_ref());
        if bridged && let Some(timestamp) = &below.timestamp {
            self.put_timestamp(timestamp, step)?;
        }
        self.put_new("root", signed, step)?;
        if !bridged && let Some(timestamp) = &below.timestamp {
            self.put_timestamp(timestamp, step)?;
        }
        self.transport().delete(&layout::staged("root")?)?;
        let targets =
            below.targets.as_ref().map_or(self.view.targets.signed.version, |targets| targets.signed.version);
        Ok(Outcome::Published { targets: targets.get() })
    }

    fn stage_root(&self, signed: &Signed<Root>, step: &mut dyn FnMut(Step<'_>)) -> Result<(), RepoError> {
        let key = layout::staged("root")?;
        self.put(&key, &encode(signed)?, crate::transport::PutMode::Replace, step)?;
        Ok(())
    }

    /// The lower roles again, from the first one on that the new root does not accept as it is.
    fn below(&self, old: &Root, new: &Root) -> Result<Below, RepoError> {
        let roots = [old, new];
        if !good(new, Some(&self.view.targets)) {
            let targets = self.signed(&roots, self.next_targets()?)?;
            let (snapshot, timestamp) = self.make_tops(&roots, &targets)?;
            return Ok(Below {
                targets: Some(targets),
                snapshot: Some(snapshot),
                timestamp: Some(timestamp),
            });
        }
        if !good(new, Some(&self.view.snapshot)) {
            let (snapshot, timestamp) = self.make_tops(&roots, &self.view.targets)?;
            return Ok(Below { targets: None, snapshot: Some(snapshot), timestamp: Some(timestamp) });
        }
        let mut below = Below { targets: None, snapshot: None, timestamp: None };
        if !good(new, Some(&self.view.timestamp)) {
            below.timestamp = Some(self.make_timestamp(&roots, &self.view.snapshot)?);
        }
        Ok(below)
    }
}

/// Whether enough keys of the root signed; what is not there is good.
fn good<T: Role + Clone>(root: &Root, signed: Option<&Signed<T>>) -> bool {
    let Some(signed) = signed else { return true };
    let (have, need) = count_signatures(root, signed);
    have >= need
}
