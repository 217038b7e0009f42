//! Backups and checkpoints.

use super::LIST_LIMIT;
use crate::connection::Connection;
use crate::error::Error;
use crate::flags::{BackupFlags, CheckpointDeleteFlags, CheckpointFlags, CheckpointXmlFlags};
use crate::procedure::Procedure;
use crate::values::{Checkpoint, Domain, Travels};
use crate::xdr::Encoder;

/// Of a list of checkpoints: parents before children.
const PARENTS_FIRST: u32 = 2;

impl Connection {
    /// Begins a backup job, and a checkpoint with it. A pull backup ends by aborting its job.
    pub fn backup_begin(
        &self,
        domain: &Domain,
        backup_xml: &str,
        checkpoint_xml: Option<&str>,
        flags: BackupFlags,
    ) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_BACKUP_BEGIN, |to| {
            domain.encode(to);
            to.string(backup_xml);
            to.optional_string(checkpoint_xml);
            to.unsigned(flags.bits());
        })
    }

    /// The backup job that runs, as XML.
    pub fn backup_xml(&self, domain: &Domain) -> Result<String, Error> {
        self.text(Procedure::DOMAIN_BACKUP_GET_XML_DESC, |to| {
            domain.encode(to);
            to.unsigned(0);
        })
    }

    /// Creates a checkpoint, or with `REDEFINE` only its metadata.
    pub fn create_checkpoint(
        &self,
        domain: &Domain,
        xml: &str,
        flags: CheckpointFlags,
    ) -> Result<Checkpoint, Error> {
        self.value(Procedure::DOMAIN_CHECKPOINT_CREATE_XML, |to| {
            domain.encode(to);
            to.string(xml);
            to.unsigned(flags.bits());
        })
    }

    /// Checkpoints of a domain, parents before children: the order in which they can be redefined.
    pub fn checkpoints(&self, domain: &Domain) -> Result<Vec<Checkpoint>, Error> {
        self.list(Procedure::DOMAIN_LIST_ALL_CHECKPOINTS, LIST_LIMIT, |to| {
            domain.encode(to);
            to.int(1);
            to.unsigned(PARENTS_FIRST);
        })
    }

    /// A checkpoint as XML.
    pub fn checkpoint_xml(
        &self,
        checkpoint: &Checkpoint,
        flags: CheckpointXmlFlags,
    ) -> Result<String, Error> {
        self.text(Procedure::DOMAIN_CHECKPOINT_GET_XML_DESC, one(checkpoint, flags.bits()))
    }

    /// Deletes a checkpoint; what changed since then is added to its parent's.
    pub fn delete_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        flags: CheckpointDeleteFlags,
    ) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_CHECKPOINT_DELETE, one(checkpoint, flags.bits()))
    }
}

fn one(checkpoint: &Checkpoint, flags: u32) -> impl FnOnce(&mut Encoder) {
    move |to| {
        checkpoint.encode(to);
        to.unsigned(flags);
    }
}
