//! Domains: listing, state, definition, power, saved memory, metadata.

use super::LIST_LIMIT;
use crate::connection::Connection;
use crate::error::Error;
use crate::flags::{
    Affect, DefineFlags, DestroyFlags, DomainFilter, SaveFlags, ShutdownFlags, StartFlags, UndefineFlags,
    XmlFlags,
};
use crate::procedure::Procedure;
use crate::remote_error::ErrorCode;
use crate::values::{BlockInfo, Domain, DomainInfo, DomainState, StateAndReason, Travels, Uuid};
use crate::xdr::Encoder;

/// Most mount points.
const MOUNT_LIMIT: usize = 256;

/// Which metadata of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataKind {
    /// `<description>`.
    Description,
    /// `<title>`.
    Title,
    /// An element of our own within `<metadata>`.
    Element {
        /// Prefix of its name, when it is set.
        prefix: String,
        /// Its namespace, by which it is found.
        namespace: String,
    },
}

impl MetadataKind {
    fn number(&self) -> i32 {
        match self {
            Self::Description => 0,
            Self::Title => 1,
            Self::Element { .. } => 2,
        }
    }

    fn prefix(&self) -> Option<&str> {
        match self {
            Self::Element { prefix, .. } => Some(prefix),
            Self::Description | Self::Title => None,
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Element { namespace, .. } => Some(namespace),
            Self::Description | Self::Title => None,
        }
    }
}

fn with_flags(domain: &Domain, flags: u32) -> impl FnOnce(&mut Encoder) {
    move |to| {
        domain.encode(to);
        to.unsigned(flags);
    }
}

impl Connection {
    /// Domains of this host.
    pub fn domains(&self, filter: DomainFilter) -> Result<Vec<Domain>, Error> {
        self.list(Procedure::CONNECT_LIST_ALL_DOMAINS, LIST_LIMIT, |to| {
            to.int(1);
            to.unsigned(filter.bits());
        })
    }

    /// The domain of this name.
    pub fn domain_by_name(&self, name: &str) -> Result<Domain, Error> {
        self.value(Procedure::DOMAIN_LOOKUP_BY_NAME, |to| to.string(name))
    }

    /// The domain of this identity.
    pub fn domain_by_uuid(&self, uuid: &Uuid) -> Result<Domain, Error> {
        self.value(Procedure::DOMAIN_LOOKUP_BY_UUID, |to| uuid.encode(to))
    }

    /// Figures of a domain.
    pub fn domain_info(&self, domain: &Domain) -> Result<DomainInfo, Error> {
        self.call(Procedure::DOMAIN_GET_INFO, |to| domain.encode(to), DomainInfo::decode)
    }

    /// State of a domain, and how it came into it.
    pub fn domain_state(&self, domain: &Domain) -> Result<StateAndReason, Error> {
        self.call(Procedure::DOMAIN_GET_STATE, with_flags(domain, 0), |from| {
            Ok(StateAndReason { state: DomainState::from_number(from.int()?), reason: from.int()? })
        })
    }

    /// A domain as XML.
    pub fn domain_xml(&self, domain: &Domain, flags: XmlFlags) -> Result<String, Error> {
        self.text(Procedure::DOMAIN_GET_XML_DESC, with_flags(domain, flags.bits()))
    }

    /// Whether it runs or is paused.
    pub fn is_active(&self, domain: &Domain) -> Result<bool, Error> {
        self.truth(Procedure::DOMAIN_IS_ACTIVE, |to| domain.encode(to))
    }

    /// Whether its definition stays when it stops.
    pub fn is_persistent(&self, domain: &Domain) -> Result<bool, Error> {
        self.truth(Procedure::DOMAIN_IS_PERSISTENT, |to| domain.encode(to))
    }

    /// Whether its definition differs from what runs.
    pub fn is_updated(&self, domain: &Domain) -> Result<bool, Error> {
        self.truth(Procedure::DOMAIN_IS_UPDATED, |to| domain.encode(to))
    }

    /// Defines a domain, or changes its definition.
    pub fn define_domain(&self, xml: &str, flags: DefineFlags) -> Result<Domain, Error> {
        self.value(Procedure::DOMAIN_DEFINE_XML_FLAGS, |to| {
            to.string(xml);
            to.unsigned(flags.bits());
        })
    }

    /// Removes the definition; what runs goes on.
    pub fn undefine_domain(&self, domain: &Domain, flags: UndefineFlags) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_UNDEFINE_FLAGS, with_flags(domain, flags.bits()))
    }

    /// Starts it; from its saved memory if there is any.
    pub fn start_domain(&self, domain: &Domain, flags: StartFlags) -> Result<Domain, Error> {
        self.value(Procedure::DOMAIN_CREATE_WITH_FLAGS, with_flags(domain, flags.bits()))
    }

    /// Asks it to shut down; whether it does shows in its events.
    pub fn shutdown_domain(&self, domain: &Domain, flags: ShutdownFlags) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_SHUTDOWN_FLAGS, with_flags(domain, flags.bits()))
    }

    /// Ends it, as pulling its power cord.
    pub fn destroy_domain(&self, domain: &Domain, flags: DestroyFlags) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_DESTROY_FLAGS, with_flags(domain, flags.bits()))
    }

    /// Pauses it.
    pub fn suspend_domain(&self, domain: &Domain) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_SUSPEND, |to| domain.encode(to))
    }

    /// Lets it run again.
    pub fn resume_domain(&self, domain: &Domain) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_RESUME, |to| domain.encode(to))
    }

    /// Saves its memory beside its definition and stops it. Takes as long as the memory is big.
    pub fn managed_save(&self, domain: &Domain, flags: SaveFlags) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_MANAGED_SAVE, with_flags(domain, flags.bits()))
    }

    /// Whether there is saved memory.
    pub fn has_managed_save(&self, domain: &Domain) -> Result<bool, Error> {
        self.truth(Procedure::DOMAIN_HAS_MANAGED_SAVE_IMAGE, with_flags(domain, 0))
    }

    /// Throws the saved memory away.
    pub fn remove_managed_save(&self, domain: &Domain) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_MANAGED_SAVE_REMOVE, with_flags(domain, 0))
    }

    /// Whether it is started with the daemon.
    pub fn autostart(&self, domain: &Domain) -> Result<bool, Error> {
        self.truth(Procedure::DOMAIN_GET_AUTOSTART, |to| domain.encode(to))
    }

    /// Says whether it is started with the daemon.
    pub fn set_autostart(&self, domain: &Domain, on: bool) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_SET_AUTOSTART, |to| {
            domain.encode(to);
            to.flag(on);
        })
    }

    /// Metadata, if there is any.
    pub fn metadata(
        &self,
        domain: &Domain,
        kind: &MetadataKind,
        affect: Affect,
    ) -> Result<Option<String>, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.int(kind.number());
            to.optional_string(kind.namespace());
            to.unsigned(affect.bits());
        };
        match self.text(Procedure::DOMAIN_GET_METADATA, arguments) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.code() == Some(ErrorCode::NO_DOMAIN_METADATA) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets metadata, or removes it.
    pub fn set_metadata(
        &self,
        domain: &Domain,
        kind: &MetadataKind,
        value: Option<&str>,
        affect: Affect,
    ) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_SET_METADATA, |to| {
            domain.encode(to);
            to.int(kind.number());
            to.optional_string(value);
            to.optional_string(kind.prefix());
            to.optional_string(kind.namespace());
            to.unsigned(affect.bits());
        })
    }

    /// Sizes of a disk, by its target name or path.
    pub fn block_info(&self, domain: &Domain, disk: &str) -> Result<BlockInfo, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.string(disk);
            to.unsigned(0);
        };
        self.call(Procedure::DOMAIN_GET_BLOCK_INFO, arguments, |from| {
            let (allocation, capacity) = (from.unsigned_hyper()?, from.unsigned_hyper()?);
            Ok(BlockInfo { allocation, capacity, physical: from.unsigned_hyper()? })
        })
    }

    /// Freezes file systems by the agent within; all if none is named. Tells how many are frozen.
    pub fn freeze_filesystems(&self, domain: &Domain, mounts: &[&str]) -> Result<u32, Error> {
        self.filesystems(Procedure::DOMAIN_FSFREEZE, domain, mounts)
    }

    /// Thaws file systems by the agent within; all if none is named. Tells how many were frozen.
    pub fn thaw_filesystems(&self, domain: &Domain, mounts: &[&str]) -> Result<u32, Error> {
        self.filesystems(Procedure::DOMAIN_FSTHAW, domain, mounts)
    }

    fn filesystems(&self, procedure: Procedure, domain: &Domain, mounts: &[&str]) -> Result<u32, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.count("a list of mount points", mounts.len(), MOUNT_LIMIT);
            for mount in mounts {
                to.string(mount);
            }
            to.unsigned(0);
        };
        let number = self.value::<i32>(procedure, arguments)?;
        Ok(u32::try_from(number).unwrap_or(0))
    }
}
