//! Facts of networks, storage pools and volumes.

use serde::{Deserialize, Serialize};

use super::tree::{Element, XmlError, bytes, parse_as};
use crate::values::Uuid;

/// A virtual network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Option<Uuid>,
    /// How it leads out: `nat`, `route`, `bridge` and so on; nothing if it does not.
    pub forward: Option<String>,
    /// Its bridge.
    pub bridge: Option<String>,
    /// Its addresses, as `192.168.122.1/255.255.255.0`.
    pub ips: Vec<String>,
}

/// A storage pool. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolFacts {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Option<Uuid>,
    /// `dir`, `netfs`, `logical`, `iscsi`, `rbd` and so on.
    pub kind: String,
    /// Where it is on the host.
    pub target_path: Option<String>,
    /// What it is made of.
    pub source: PoolSource,
    /// All of it.
    pub capacity: u64,
    /// Taken.
    pub allocation: u64,
    /// Free.
    pub available: u64,
}

/// What a storage pool is made of. Two pools of equal sources on two hosts are the same storage, unless it is local.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolSource {
    /// Servers, as `name:port`.
    pub hosts: Vec<String>,
    /// Exported folder.
    pub directory: Option<String>,
    /// Devices or targets.
    pub devices: Vec<String>,
    /// Name of a volume group or pool.
    pub name: Option<String>,
    /// `nfs`, `lvm2` and so on.
    pub format: Option<String>,
}

/// A volume. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFacts {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub key: Option<String>,
    /// Where it is on the host.
    pub path: Option<String>,
    /// `raw`, `qcow2` and so on.
    pub format: Option<String>,
    /// What it can hold.
    pub capacity: u64,
    /// What it takes.
    pub allocation: u64,
    /// Path of its backing file.
    pub backing: Option<String>,
}

/// Reads a network's XML.
pub fn network(text: &str) -> Result<NetworkFacts, XmlError> {
    let root = parse_as(text, "network")?;
    let ip = |ip: &Element| {
        let mask = ip.attribute("prefix").or_else(|| ip.attribute("netmask"));
        let mask = mask.map(|mask| format!("/{mask}")).unwrap_or_default();
        Some(format!("{}{mask}", ip.attribute("address")?))
    };
    Ok(NetworkFacts {
        name: root.owned_text("name").ok_or(XmlError::Missing { element: "network", what: "name" })?,
        uuid: root.text_of("uuid").and_then(|uuid| uuid.parse().ok()),
        // Without a mode it is nat.
        forward: root
            .child("forward")
            .map(|forward| forward.owned("mode").unwrap_or_else(|| "nat".to_owned())),
        bridge: root.child("bridge").and_then(|bridge| bridge.owned("name")),
        ips: root.all("ip").filter_map(ip).collect(),
    })
}

/// Reads a storage pool's XML.
pub fn storage_pool(text: &str) -> Result<PoolFacts, XmlError> {
    let root = parse_as(text, "pool")?;
    let missing = |what| XmlError::Missing { element: "pool", what };
    let size = |name| root.child(name).and_then(|size| bytes(size, "bytes")).unwrap_or_default();
    let host = |host: &Element| {
        let port = host.attribute("port").map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", host.attribute("name")?))
    };
    let source = root.child("source").map(|source| PoolSource {
        hosts: source.all("host").filter_map(host).collect(),
        directory: source.child("dir").and_then(|dir| dir.owned("path")),
        devices: source.all("device").filter_map(|device| device.owned("path")).collect(),
        name: source.owned_text("name"),
        format: source.child("format").and_then(|format| format.owned("type")),
    });
    Ok(PoolFacts {
        name: root.owned_text("name").ok_or(missing("name"))?,
        uuid: root.text_of("uuid").and_then(|uuid| uuid.parse().ok()),
        kind: root.owned("type").ok_or(missing("type"))?,
        target_path: root.at(&["target"]).and_then(|target| target.owned_text("path")),
        source: source.unwrap_or_default(),
        capacity: size("capacity"),
        allocation: size("allocation"),
        available: size("available"),
    })
}

/// Reads a volume's XML.
pub fn volume(text: &str) -> Result<VolumeFacts, XmlError> {
    let root = parse_as(text, "volume")?;
    let size = |name| root.child(name).and_then(|size| bytes(size, "bytes")).unwrap_or_default();
    let target = root.child("target");
    Ok(VolumeFacts {
        name: root.owned_text("name").ok_or(XmlError::Missing { element: "volume", what: "name" })?,
        key: root.owned_text("key"),
        path: target.and_then(|target| target.owned_text("path")),
        format: target.and_then(|target| target.child("format")?.owned("type")),
        capacity: size("capacity"),
        allocation: size("allocation"),
        backing: root.child("backingStore").and_then(|backing| backing.owned_text("path")),
    })
}
