//! Virtual networks.

use super::LIST_LIMIT;
use crate::connection::Connection;
use crate::error::Error;
use crate::flags::NetworkFilter;
use crate::procedure::Procedure;
use crate::values::{Network, Travels};

impl Connection {
    /// Networks of this host.
    pub fn networks(&self, filter: NetworkFilter) -> Result<Vec<Network>, Error> {
        self.list(Procedure::CONNECT_LIST_ALL_NETWORKS, LIST_LIMIT, |to| {
            to.int(1);
            to.unsigned(filter.bits());
        })
    }

    /// The network of this name.
    pub fn network_by_name(&self, name: &str) -> Result<Network, Error> {
        self.value(Procedure::NETWORK_LOOKUP_BY_NAME, |to| to.string(name))
    }

    /// A network as XML.
    pub fn network_xml(&self, network: &Network) -> Result<String, Error> {
        self.text(Procedure::NETWORK_GET_XML_DESC, |to| {
            network.encode(to);
            to.unsigned(0);
        })
    }

    /// Whether it is up.
    pub fn network_is_active(&self, network: &Network) -> Result<bool, Error> {
        self.truth(Procedure::NETWORK_IS_ACTIVE, |to| network.encode(to))
    }

    /// Whether its definition stays when it goes down.
    pub fn network_is_persistent(&self, network: &Network) -> Result<bool, Error> {
        self.truth(Procedure::NETWORK_IS_PERSISTENT, |to| network.encode(to))
    }

    /// Whether it is brought up with the daemon.
    pub fn network_autostart(&self, network: &Network) -> Result<bool, Error> {
        self.truth(Procedure::NETWORK_GET_AUTOSTART, |to| network.encode(to))
    }
}
