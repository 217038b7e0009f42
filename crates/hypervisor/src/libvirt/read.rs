//! What one host says of itself and of its guests.
//!
//! Owns: the questions that are put to a host, and their answers as values. Promises: a guest that vanishes between two
//! questions is left out; one whose description cannot be read is kept, with the reason. Does not: judge.

use std::collections::BTreeSet;

use lifeboat_libvirt::xml::{self, DomainFacts, HostFacts};
use lifeboat_libvirt::{
    Connection, Domain, DomainFilter, DomainState, Error, NetworkFilter, NodeDeviceFilter, NodeInfo,
    PoolFilter, StateAndReason, Version, XmlFlags, reason,
};

/// Most elements of `node_devices` that are looked at for bridges.
const MOST_DEVICES: usize = 4096;

/// A network of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworkRead {
    pub(super) name: String,
    pub(super) active: bool,
}

/// A storage pool of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolRead {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) folder: Option<String>,
    pub(super) active: bool,
}

/// A host at one moment.
#[derive(Debug, Clone)]
pub(super) struct HostRead {
    pub(super) facts: HostFacts,
    pub(super) node: NodeInfo,
    pub(super) emulator: Version,
    pub(super) networks: Vec<NetworkRead>,
    pub(super) pools: Vec<PoolRead>,
    pub(super) bridges: BTreeSet<String>,
    pub(super) domains: Vec<DomainRead>,
}

/// A guest on one host at one moment.
#[derive(Debug, Clone)]
pub(super) struct DomainRead {
    pub(super) domain: Domain,
    pub(super) state: StateAndReason,
    /// What its description says, or why that cannot be read.
    pub(super) facts: Result<Box<DomainFacts>, String>,
    pub(super) autostart: bool,
}

impl DomainRead {
    /// Whether it takes memory on its host.
    pub(super) fn runs(&self) -> bool {
        // A state that is not known here may be one in which it runs.
        !matches!(self.state.state, DomainState::NoState | DomainState::Shutoff | DomainState::Crashed)
    }

    /// Whether it is the incoming end of a migration that has not come to its end: it runs elsewhere.
    pub(super) fn arrives(&self) -> bool {
        self.state.state == DomainState::Paused && self.state.reason == reason::PAUSED_MIGRATION
    }
}

/// Puts all questions to a host.
pub(super) fn read_host(conn: &Connection) -> Result<HostRead, Error> {
    let unreadable = |what: &str, error: &xml::XmlError| Error::Argument {
        what: format!("the {what} of {} cannot be read: {error}", conn.uri()),
    };
    let facts =
        xml::capabilities(&conn.capabilities()?).map_err(|error| unreadable("capabilities", &error))?;
    let mut networks = Vec::new();
    for network in vanishing(conn.networks(NetworkFilter::NONE))? {
        let active = conn.network_is_active(&network).unwrap_or(false);
        networks.push(NetworkRead { name: network.name, active });
    }
    let mut pools = Vec::new();
    for pool in vanishing(conn.storage_pools(PoolFilter::NONE))? {
        let Ok(text) = conn.storage_pool_xml(&pool) else { continue };
        let Ok(facts) = xml::storage_pool(&text) else { continue };
        let active = conn.storage_pool_is_active(&pool).unwrap_or(false);
        pools.push(PoolRead { name: pool.name, kind: facts.kind, folder: facts.target_path, active });
    }
    let mut domains = Vec::new();
    for domain in conn.domains(DomainFilter::ALL)? {
        domains.extend(read_domain(conn, domain)?);
    }
    Ok(HostRead {
        facts,
        node: conn.node_info()?,
        emulator: conn.hypervisor_version()?,
        networks,
        pools,
        bridges: bridges(conn),
        domains,
    })
}

/// A host without a network or storage driver has none of these.
fn vanishing<T>(answer: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match answer {
        Err(error) if error.code() == Some(lifeboat_libvirt::ErrorCode::NO_SUPPORT) => Ok(Vec::new()),
        other => other,
    }
}

/// Asks about one guest; none if it is gone meanwhile.
pub(super) fn read_domain(conn: &Connection, domain: Domain) -> Result<Option<DomainRead>, Error> {
    let gone = |error: &Error| error.is_no_domain();
    let state = match conn.domain_state(&domain) {
        Ok(state) => state,
        Err(error) if gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = match conn.domain_xml(&domain, XmlFlags::NONE) {
        Ok(text) => text,
        Err(error) if gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let facts = xml::domain(&text).map(Box::new).map_err(|error| error.to_string());
    let persistent = conn.is_persistent(&domain).unwrap_or(true);
    let autostart = persistent && conn.autostart(&domain).unwrap_or(false);
    Ok(Some(DomainRead { domain, state, facts, autostart }))
}

/// Bridges that a guest can be connected to. A host that cannot list its devices offers none by name.
fn bridges(conn: &Connection) -> BTreeSet<String> {
    let Ok(devices) = conn.node_devices(NodeDeviceFilter::NET) else { return BTreeSet::new() };
    // `net_lb0_02_54_00_00_00_01`: the interface's name stands between `net_` and its six octets.
    devices
        .iter()
        .take(MOST_DEVICES)
        .filter_map(|device| {
            let rest = device.name.strip_prefix("net_")?;
            let mut end = rest.len();
            for _ in 0..6 {
                end = rest.get(..end)?.rfind('_')?;
            }
            rest.get(..end).map(str::to_owned)
        })
        .collect()
}
