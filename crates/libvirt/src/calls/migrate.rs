//! Migration, peer to peer: the source's daemon does all of it and goes on when this client is gone.
//!
//! Sends what libvirt's own client sends for `virDomainMigrateToURI3` with the peer-to-peer flag: one call
//! (`domain-migrate-perform3-params`) with the target's daemon, the parameters, no cookie and the flags. Refuses
//! beforehand what that client refuses. Does not: migrate under this client's control, because such a migration
//! would be rolled back with it.

use std::time::Duration;

use crate::connection::{Connection, understand};
use crate::error::Error;
use crate::flags::MigrateFlags;
use crate::mailbox::Ticket;
use crate::procedure::Procedure;
use crate::uri::Uri;
use crate::values::{Domain, Travels, TypedParams, TypedValue};
use crate::xdr::Encoder;

/// Most parameters.
const PARAMETER_LIMIT: usize = 64;
/// Longest cookie that comes back.
const COOKIE_LIMIT: usize = 4 << 20;

/// What is to be migrated how.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// The target's daemon, as *the source host* reaches it, with *its* keys and certificates: `qemu+tls://h2/system`.
    pub target: String,
    /// How.
    pub flags: MigrateFlags,
    /// Details.
    pub params: MigrateParams,
    /// How long [`Connection::migrate`] waits for the end; without a limit if there is none. The migration does not
    /// end with the waiting.
    pub timeout: Option<Duration>,
}

impl Migration {
    /// A live migration to this daemon.
    #[must_use]
    pub fn to(target: impl Into<String>) -> Self {
        let flags = MigrateFlags::LIVE | MigrateFlags::PEER2PEER;
        Self { target: target.into(), flags, params: MigrateParams::default(), timeout: None }
    }

    /// With these flags as well.
    #[must_use]
    pub fn with_flags(mut self, flags: MigrateFlags) -> Self {
        self.flags |= flags;
        self
    }
}

/// Details of a migration; what is not set is libvirt's choice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MigrateParams {
    /// Where memory is sent, as `tcp://10.0.0.2`; by default to the target's host name.
    pub migrate_uri: Option<String>,
    /// Another name on the target.
    pub target_name: Option<String>,
    /// Another XML for what runs on the target; only what the guest cannot see may differ.
    pub target_xml: Option<String>,
    /// Another XML for the definition on the target.
    pub persistent_xml: Option<String>,
    /// Address that the target listens at.
    pub listen_address: Option<String>,
    /// Where clients of the graphics console go.
    pub graphics_uri: Option<String>,
    /// Name that the target's certificate must have, with `TLS`.
    pub tls_destination: Option<String>,
    /// Where disks are sent.
    pub disks_uri: Option<String>,
    /// Limit in MiB per second.
    pub bandwidth_mib: Option<u64>,
    /// Limit of the post-copy phase in MiB per second.
    pub bandwidth_postcopy_mib: Option<u64>,
    /// Target names of the disks that are copied; by default all that can be written and are not shared.
    pub migrate_disks: Vec<String>,
    /// Port for disks.
    pub disks_port: Option<i32>,
    /// Percent by which auto-converge slows the guest first.
    pub auto_converge_initial: Option<i32>,
    /// Percent that it adds each time.
    pub auto_converge_increment: Option<i32>,
    /// How many connections, with `PARALLEL`.
    pub parallel_connections: Option<i32>,
    /// Methods, with `COMPRESSED`: `xbzrle`, `mt`, `zlib`, `zstd`.
    pub compression: Vec<String>,
}

impl MigrateParams {
    fn typed(&self) -> TypedParams {
        let mut all = TypedParams::default();
        let texts = [
            ("migrate_uri", &self.migrate_uri),
            ("destination_name", &self.target_name),
            ("destination_xml", &self.target_xml),
            ("persistent_xml", &self.persistent_xml),
            ("listen_address", &self.listen_address),
            ("graphics_uri", &self.graphics_uri),
            ("tls.destination", &self.tls_destination),
            ("disks_uri", &self.disks_uri),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                all.push(name, TypedValue::Text(value.clone()));
            }
        }
        let sizes = [("bandwidth", self.bandwidth_mib), ("bandwidth.postcopy", self.bandwidth_postcopy_mib)];
        for (name, value) in sizes {
            if let Some(value) = value {
                all.push(name, TypedValue::ULong(value));
            }
        }
        let numbers = [
            ("disks_port", self.disks_port),
            ("auto_converge.initial", self.auto_converge_initial),
            ("auto_converge.increment", self.auto_converge_increment),
            ("parallel.connections", self.parallel_connections),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                all.push(name, TypedValue::Int(value));
            }
        }
        for (name, values) in [("migrate_disks", &self.migrate_disks), ("compression", &self.compression)] {
            for value in values {
                all.push(name, TypedValue::Text(value.clone()));
            }
        }
        all
    }
}

/// A migration that was begun. It does not end when this is dropped.
#[derive(Debug)]
pub struct MigrationCall {
    ticket: Ticket,
}

impl MigrationCall {
    /// Waits for its end; nothing if it still runs after this time. Ask no more after an answer.
    ///
    /// [`Error::Lost`] means that nobody here knows how it ends: look where the guest is.
    pub fn wait(&self, patience: Duration) -> Option<Result<(), Error>> {
        self.ticket.wait(Some(patience)).map(|answer| understand(PERFORM, answer, cookie))
    }
}

const PERFORM: Procedure = Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS;

impl Connection {
    /// Migrates and waits for the end. Holds a place of this connection until then.
    pub fn migrate(&self, domain: &Domain, migration: &Migration) -> Result<(), Error> {
        let call = self.begin_migration(domain, migration)?;
        if let Some(answer) = call.ticket.wait(migration.timeout) {
            understand(PERFORM, answer, cookie)
        } else {
            Err(Error::TimedOut { procedure: PERFORM.name, after: migration.timeout.unwrap_or_default() })
        }
    }

    /// Begins a migration; nothing is waited for but a place among the calls.
    pub fn begin_migration(&self, domain: &Domain, migration: &Migration) -> Result<MigrationCall, Error> {
        check(migration)?;
        let flags = migration.flags | MigrateFlags::PEER2PEER;
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.optional_string(Some(&migration.target));
            migration.params.typed().encode(to, PARAMETER_LIMIT);
            to.opaque(&[]);
            to.unsigned(flags.bits());
        };
        self.begin(PERFORM, arguments).map(|ticket| MigrationCall { ticket })
    }
}

/// A cookie that the client of a managed migration would need.
fn cookie(from: &mut crate::xdr::Decoder<'_>) -> Result<(), crate::xdr::XdrError> {
    from.opaque("a migration cookie", COOKIE_LIMIT).map(drop)
}

/// What libvirt's own client checks.
fn check(migration: &Migration) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::Argument { what });
    let target = Uri::parse(&migration.target)?;
    match target.host() {
        None => return refuse(format!("{} leads to the source host itself", migration.target)),
        Some(host) if host == "localhost" || host.starts_with("localhost.") => {
            return refuse(format!("{} is the source host as seen by itself", migration.target));
        }
        Some(_) => {}
    }
    let has = |flags| migration.flags.contains(flags);
    if has(MigrateFlags::NON_SHARED_DISK) && has(MigrateFlags::NON_SHARED_INC) {
        return refuse(
            "a migration copies all of the disks or what is above their backing files, not both".into(),
        );
    }
    if has(MigrateFlags::NON_SHARED_SYNCHRONOUS_WRITES)
        && !has(MigrateFlags::NON_SHARED_DISK)
        && !has(MigrateFlags::NON_SHARED_INC)
    {
        return refuse("synchronous writes need a migration that copies disks".into());
    }
    if has(MigrateFlags::TUNNELLED) && has(MigrateFlags::PARALLEL) {
        return refuse("a tunnelled migration has one connection only".into());
    }
    Ok(())
}
