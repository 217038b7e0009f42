//! The calls, as methods of [`Connection`], by subject.

mod checkpoint;
mod domain;
mod host;
mod job;
mod migrate;
mod network;
mod storage;

pub use domain::MetadataKind;
pub use host::DomainCapabilitiesQuery;
pub use migrate::{MigrateParams, Migration, MigrationCall};

use crate::connection::Connection;
use crate::error::Error;
use crate::procedure::Procedure;
use crate::values::Travels;
use crate::xdr::{Decoder, Encoder, XdrError};

/// Most elements of a list.
const LIST_LIMIT: usize = 16384;

impl Connection {
    /// A call whose answer is one string.
    fn text(&self, procedure: Procedure, arguments: impl FnOnce(&mut Encoder)) -> Result<String, Error> {
        self.value::<String>(procedure, arguments)
    }

    /// A call whose answer is one truth value.
    fn truth(&self, procedure: Procedure, arguments: impl FnOnce(&mut Encoder)) -> Result<bool, Error> {
        self.value::<bool>(procedure, arguments)
    }

    /// A call without an answer.
    fn order(&self, procedure: Procedure, arguments: impl FnOnce(&mut Encoder)) -> Result<(), Error> {
        self.call(procedure, arguments, |_| Ok(()))
    }

    /// A call whose answer is one value.
    pub(crate) fn value<T: Travels>(
        &self,
        procedure: Procedure,
        arguments: impl FnOnce(&mut Encoder),
    ) -> Result<T, Error> {
        self.call(procedure, arguments, T::decode)
    }

    /// A call whose answer is a list and its length.
    fn list<T: Travels>(
        &self,
        procedure: Procedure,
        limit: usize,
        arguments: impl FnOnce(&mut Encoder),
    ) -> Result<Vec<T>, Error> {
        self.call(procedure, arguments, |from| list(from, limit))
    }
}

/// The list first, its length once more behind it.
fn list<T: Travels>(from: &mut Decoder<'_>, limit: usize) -> Result<Vec<T>, XdrError> {
    let all = from.list("a list", limit, T::SMALLEST, T::decode)?;
    from.unsigned()?;
    Ok(all)
}
