//! Facts of a domain's devices.

use serde::{Deserialize, Serialize};

use super::tree::Element;

/// A disk.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; none excludes another")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Its name in the guest's XML, as `vda`.
    pub target: String,
    /// `virtio`, `scsi`, `sata` and so on.
    pub bus: Option<String>,
    /// `disk`, `cdrom`, `floppy`, `lun`.
    pub device: String,
    /// Where its bytes are.
    pub source: DiskSource,
    /// `raw`, `qcow2`.
    pub driver_type: Option<String>,
    /// `none`, `writeback` and so on; libvirt's default where it is not told.
    pub cache: Option<String>,
    /// Whether several guests write it.
    pub shareable: bool,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether what is written is thrown away.
    pub transient: bool,
    /// Whether it has a backing file.
    pub backing: bool,
    /// Serial number that the guest sees.
    pub serial: Option<String>,
}

/// Where a disk's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskSource {
    /// In a file.
    File(String),
    /// On a block device.
    Block(String),
    /// Over the network.
    Network {
        /// `nbd`, `rbd`, `iscsi` and so on.
        protocol: String,
        /// Name there.
        name: String,
        /// `name:port` or the path of a socket.
        hosts: Vec<String>,
    },
    /// In a volume of a storage pool.
    Volume {
        /// Name of the pool.
        pool: String,
        /// Name of the volume.
        volume: String,
    },
    /// A folder as a file system.
    Directory(String),
    /// Something else, by its type.
    Other(String),
    /// Nowhere: an empty drive.
    None,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceFacts {
    /// `network`, `bridge`, `direct`, `hostdev` and so on.
    pub kind: String,
    /// Name of the network, bridge or device.
    pub source: Option<String>,
    /// Hardware address.
    pub mac: Option<String>,
    /// `virtio`, `e1000e` and so on.
    pub model: Option<String>,
    /// Device on the host.
    pub target: Option<String>,
}

/// A device of the host that the guest holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDeviceFacts {
    /// `pci`, `usb`, `mdev`, `scsi`, or what a container has.
    pub kind: String,
    /// Whether libvirt takes it from its driver and gives it back.
    pub managed: bool,
    /// Where it is, as far as it is told: `0000:03:00.0`, `1d6b:0002`, a UUID.
    pub address: String,
}

/// A graphics console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphicsFacts {
    /// `vnc`, `spice`.
    pub kind: String,
    /// Addresses and sockets that it listens at.
    pub listen: Vec<String>,
    /// Port; −1 where libvirt chooses.
    pub port: Option<i32>,
}

/// A folder of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemFacts {
    /// `mount` and so on.
    pub kind: String,
    /// `virtiofs`, `path`.
    pub driver: Option<String>,
    /// Folder of the host.
    pub source: Option<String>,
    /// Name in the guest.
    pub target: Option<String>,
}

/// A TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmFacts {
    /// `tpm-crb`, `tpm-tis`.
    pub model: Option<String>,
    /// `emulator`, `passthrough`, `external`.
    pub backend: Option<String>,
}

pub(crate) fn disk(element: &Element) -> DiskFacts {
    let target = element.child("target");
    let driver = element.child("driver");
    DiskFacts {
        target: target.and_then(|target| target.owned("dev")).unwrap_or_default(),
        bus: target.and_then(|target| target.owned("bus")),
        device: element.owned("device").unwrap_or_else(|| "disk".to_owned()),
        source: source(element),
        driver_type: driver.and_then(|driver| driver.owned("type")),
        cache: driver.and_then(|driver| driver.owned("cache")),
        shareable: element.child("shareable").is_some(),
        read_only: element.child("readonly").is_some(),
        transient: element.child("transient").is_some(),
        // An empty <backingStore/> says that there is none.
        backing: element.child("backingStore").is_some_and(|backing| !backing.children.is_empty()),
        serial: element.owned_text("serial"),
    }
}

fn source(disk: &Element) -> DiskSource {
    let Some(source) = disk.child("source") else { return DiskSource::None };
    let text = |name| source.owned(name).unwrap_or_default();
    match disk.attribute("type").unwrap_or("file") {
        "file" => source.owned("file").map_or(DiskSource::None, DiskSource::File),
        "block" => source.owned("dev").map_or(DiskSource::None, DiskSource::Block),
        "dir" => DiskSource::Directory(text("dir")),
        "volume" => DiskSource::Volume { pool: text("pool"), volume: text("volume") },
        "network" => DiskSource::Network {
            protocol: text("protocol"),
            name: text("name"),
            hosts: source.all("host").map(network_host).collect(),
        },
        other => DiskSource::Other(other.to_owned()),
    }
}

fn network_host(host: &Element) -> String {
    let port = host.attribute("port").map(|port| format!(":{port}")).unwrap_or_default();
    host.owned("socket").unwrap_or_else(|| format!("{}{port}", host.attribute("name").unwrap_or_default()))
}

pub(crate) fn interface(element: &Element) -> InterfaceFacts {
    let kind = element.owned("type").unwrap_or_default();
    let source = element.child("source").and_then(|source| {
        // A running interface of a network tells its bridge as well.
        let first = if kind == "network" { "network" } else { "bridge" };
        [first, "dev", "network", "bridge", "path"].into_iter().find_map(|name| source.owned(name))
    });
    let of = |child, name| element.child(child).and_then(|child: &Element| child.owned(name));
    let (mac, model, target) = (of("mac", "address"), of("model", "type"), of("target", "dev"));
    InterfaceFacts { kind, source, mac, model, target }
}

pub(crate) fn host_device(element: &Element) -> HostDeviceFacts {
    let kind = element.owned("type").or_else(|| element.owned("mode")).unwrap_or_default();
    let source = element.child("source");
    let address = source.and_then(|source| source.child("address").map(|address| (source, address)));
    let hex = |element: &Element, name| {
        let digits = element.attribute(name).unwrap_or("0x0");
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap_or_default()
    };
    let address = match (kind.as_str(), address) {
        ("pci", Some((_, at))) => format!(
            "{:04x}:{:02x}:{:02x}.{:x}",
            hex(at, "domain"),
            hex(at, "bus"),
            hex(at, "slot"),
            hex(at, "function")
        ),
        ("mdev", Some((_, at))) => at.owned("uuid").unwrap_or_default(),
        ("usb", _) => source.map(usb).unwrap_or_default(),
        (_, Some((source, at))) => {
            let adapter = source.child("adapter").and_then(|adapter| adapter.attribute("name"));
            let parts = at.attributes.iter().map(|(_, value)| value.as_str());
            adapter.into_iter().chain(parts).collect::<Vec<_>>().join(":")
        }
        (_, None) => String::new(),
    };
    HostDeviceFacts { kind, managed: element.says_yes("managed"), address }
}

/// By maker and product, or by bus and device, as the XML tells.
fn usb(source: &Element) -> String {
    let id = |name| Some(source.child(name)?.attribute("id")?.trim_start_matches("0x").to_owned());
    if let (Some(vendor), Some(product)) = (id("vendor"), id("product")) {
        return format!("{vendor}:{product}");
    }
    let place =
        |name| source.child("address").and_then(|address| address.attribute(name)).unwrap_or_default();
    format!("bus {} device {}", place("bus"), place("device"))
}

pub(crate) fn graphics(element: &Element) -> GraphicsFacts {
    let mut listen: Vec<String> = element
        .all("listen")
        .filter_map(|listen| listen.owned("address").or_else(|| listen.owned("socket")))
        .collect();
    listen.extend(element.owned("listen"));
    listen.sort();
    listen.dedup();
    let port = element.attribute("port").and_then(|port| port.parse().ok());
    GraphicsFacts { kind: element.owned("type").unwrap_or_default(), listen, port }
}

pub(crate) fn filesystem(element: &Element) -> FilesystemFacts {
    let source = element.child("source");
    FilesystemFacts {
        kind: element.owned("type").unwrap_or_else(|| "mount".to_owned()),
        driver: element.child("driver").and_then(|driver| driver.owned("type")),
        source: source.and_then(|source| {
            ["dir", "file", "socket", "name"].into_iter().find_map(|name| source.owned(name))
        }),
        target: element.child("target").and_then(|target| target.owned("dir")),
    }
}

pub(crate) fn tpm(element: &Element) -> TpmFacts {
    TpmFacts {
        model: element.owned("model"),
        backend: element.child("backend").and_then(|backend| backend.owned("type")),
    }
}
