//! Facts of a domain.

use serde::{Deserialize, Serialize};

use super::devices::{
    self, DiskFacts, FilesystemFacts, GraphicsFacts, HostDeviceFacts, InterfaceFacts, TpmFacts,
};
use super::tree::{Element, XmlError, bytes, parse_as};
use crate::values::Uuid;

/// What a domain's XML says, as far as anyone decides by it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; none excludes another")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainFacts {
    /// `kvm` or `qemu`.
    pub domain_type: String,
    /// Number while it runs.
    pub id: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its identity; not in an XML that was never defined.
    pub uuid: Option<Uuid>,
    /// The most memory that it may have, in KiB.
    pub memory_kib: u64,
    /// What it has, in KiB.
    pub current_memory_kib: u64,
    /// The most virtual CPUs.
    pub vcpus: u32,
    /// Virtual CPUs at start.
    pub vcpus_current: u32,
    /// Architecture, as `x86_64`.
    pub arch: String,
    /// Machine type, as `pc-q35-8.2`.
    pub machine: String,
    /// Path of the emulator.
    pub emulator: Option<String>,
    /// How it boots.
    pub firmware: Firmware,
    /// Its processor, where it is told.
    pub cpu: Option<CpuFacts>,
    /// Disks.
    pub disks: Vec<DiskFacts>,
    /// Network interfaces.
    pub interfaces: Vec<InterfaceFacts>,
    /// Devices of the host that it holds.
    pub host_devices: Vec<HostDeviceFacts>,
    /// Graphics consoles.
    pub graphics: Vec<GraphicsFacts>,
    /// Folders of the host.
    pub filesystems: Vec<FilesystemFacts>,
    /// TPMs.
    pub tpms: Vec<TpmFacts>,
    /// Types of serial ports and consoles, as `pty`, `file`.
    pub serials: Vec<String>,
    /// Whether there is a channel for the guest agent.
    pub has_guest_agent: bool,
    /// Action of the watchdog, if there is one.
    pub watchdog: Option<String>,
    /// Whether memory is shared with other guests by `ivshmem`.
    pub shmem: bool,
    /// Whether there is a vsock device.
    pub vsock: bool,
    /// Whether its memory is in huge pages.
    pub hugepages: bool,
    /// Whether its memory can be shared with other processes.
    pub shared_memory: bool,
    /// Whether its memory is locked.
    pub locked_memory: bool,
    /// Where its memory comes from: `file`, `memfd`, `anonymous`.
    pub memory_source: Option<String>,
    /// Security labels.
    pub security_labels: Vec<SecurityLabel>,
    /// Whether CPUs or memory are bound to places of the host.
    pub numa_pinned: bool,
    /// Kind of encryption of its memory, as `sev`.
    pub launch_security: Option<String>,
    /// Namespaces of metadata.
    pub metadata: Vec<String>,
}

/// How a domain boots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Firmware {
    /// `efi` or `bios`, where libvirt chooses.
    pub kind: Option<String>,
    /// Path of the firmware.
    pub loader: Option<String>,
    /// Path of its variables.
    pub nvram: Option<String>,
}

/// A processor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuFacts {
    /// `custom`, `host-model`, `host-passthrough`, `maximum`.
    pub mode: Option<String>,
    /// `minimum`, `exact`, `strict`.
    pub match_kind: Option<String>,
    /// `none`, `partial`, `full`.
    pub check: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Whether another model may stand in: `allow`, `forbid`.
    pub fallback: Option<String>,
    /// Of `host-passthrough`: whether only what can migrate.
    pub migratable: Option<bool>,
    /// Maker.
    pub vendor: Option<String>,
    /// Features beside the model's.
    pub features: Vec<CpuFeature>,
}

/// A feature of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFeature {
    /// Its name.
    pub name: String,
    /// `require`, `disable`, `force`, `optional`, `forbid`; empty where a host simply has it.
    pub policy: String,
}

/// A security label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityLabel {
    /// `dynamic`, `static`, `none`.
    pub kind: String,
    /// `selinux`, `apparmor`, `dac`.
    pub model: Option<String>,
    /// Whether libvirt labels files.
    pub relabel: bool,
}

/// Reads a domain's XML.
pub fn domain(text: &str) -> Result<DomainFacts, XmlError> {
    let root = parse_as(text, "domain")?;
    let missing = |what| XmlError::Missing { element: "domain", what };
    let memory = root.child("memory").and_then(|memory| bytes(memory, "KiB")).ok_or(missing("memory"))?;
    let current = root.child("currentMemory").and_then(|current| bytes(current, "KiB")).unwrap_or(memory);
    let vcpu = root.child("vcpu");
    let vcpus = vcpu.and_then(|vcpu| vcpu.text.parse().ok()).unwrap_or(1);
    let vcpus_current = vcpu.and_then(|vcpu| vcpu.attribute("current")?.parse().ok()).unwrap_or(vcpus);
    let os = root.child("os").ok_or(missing("os"))?;
    let kind = os.child("type").ok_or(missing("type within os"))?;
    let none = Element::default();
    let devices = root.child("devices").unwrap_or(&none);
    let backing = root.child("memoryBacking").unwrap_or(&none);
    Ok(DomainFacts {
        domain_type: root.owned("type").ok_or(missing("type"))?,
        id: root.attribute("id").and_then(|id| id.parse().ok()),
        name: root.owned_text("name").ok_or(missing("name"))?,
        uuid: root.text_of("uuid").and_then(|uuid| uuid.parse().ok()),
        memory_kib: memory >> 10,
        current_memory_kib: current >> 10,
        vcpus,
        vcpus_current,
        arch: kind.owned("arch").unwrap_or_default(),
        machine: kind.owned("machine").unwrap_or_default(),
        emulator: devices.owned_text("emulator"),
        firmware: Firmware {
            kind: os.owned("firmware"),
            loader: os.owned_text("loader"),
            nvram: os.owned_text("nvram").or_else(|| os.at(&["nvram", "source"])?.owned("file")),
        },
        cpu: root.child("cpu").map(cpu),
        disks: devices.all("disk").map(devices::disk).collect(),
        interfaces: devices.all("interface").map(devices::interface).collect(),
        host_devices: devices.all("hostdev").map(devices::host_device).collect(),
        graphics: devices.all("graphics").map(devices::graphics).collect(),
        filesystems: devices.all("filesystem").map(devices::filesystem).collect(),
        tpms: devices.all("tpm").map(devices::tpm).collect(),
        serials: devices
            .all("serial")
            .chain(devices.all("console"))
            .filter_map(|port| port.owned("type"))
            .collect(),
        has_guest_agent: devices.all("channel").any(is_guest_agent),
        watchdog: devices.child("watchdog").and_then(|watchdog| watchdog.owned("action")),
        shmem: devices.child("shmem").is_some(),
        vsock: devices.child("vsock").is_some(),
        hugepages: backing.child("hugepages").is_some(),
        shared_memory: backing.child("access").and_then(|access| access.attribute("mode")) == Some("shared"),
        locked_memory: backing.child("locked").is_some(),
        memory_source: backing.child("source").and_then(|source| source.owned("type")),
        security_labels: root.all("seclabel").map(security_label).collect(),
        numa_pinned: is_pinned(&root),
        launch_security: root.child("launchSecurity").and_then(|security| security.owned("type")),
        metadata: root.child("metadata").map(namespaces).unwrap_or_default(),
    })
}

/// Also of `<cpu>` in capabilities.
pub(crate) fn cpu(element: &Element) -> CpuFacts {
    let feature = |feature: &Element| {
        Some(CpuFeature { name: feature.owned("name")?, policy: feature.owned("policy").unwrap_or_default() })
    };
    CpuFacts {
        mode: element.owned("mode").or_else(|| element.owned("name")),
        match_kind: element.owned("match"),
        check: element.owned("check"),
        model: element.owned_text("model"),
        fallback: element.child("model").and_then(|model| model.owned("fallback")),
        migratable: element.attribute("migratable").map(|value| value == "on"),
        vendor: element.owned_text("vendor"),
        features: element.all("feature").filter_map(feature).collect(),
    }
}

fn is_guest_agent(channel: &Element) -> bool {
    channel.child("target").and_then(|target| target.attribute("name")) == Some("org.qemu.guest_agent.0")
}

fn security_label(element: &Element) -> SecurityLabel {
    SecurityLabel {
        kind: element.owned("type").unwrap_or_default(),
        model: element.owned("model"),
        relabel: element.says_yes("relabel"),
    }
}

/// Bound to places of the host; on another host the same places may be others, or none.
fn is_pinned(root: &Element) -> bool {
    let vcpu = root.child("vcpu").is_some_and(|vcpu| vcpu.attribute("cpuset").is_some());
    let cpus = root.child("cputune").is_some_and(|tune| {
        ["vcpupin", "emulatorpin", "iothreadpin"].into_iter().any(|name| tune.child(name).is_some())
    });
    let memory = root
        .child("numatune")
        .is_some_and(|tune| tune.children.iter().any(|part| part.attribute("nodeset").is_some()));
    vcpu || cpus || memory
}

fn namespaces(metadata: &Element) -> Vec<String> {
    let spaces = metadata.children.iter().flat_map(|child| &child.attributes);
    let mut all: Vec<String> = spaces
        .filter(|(key, _)| key == "xmlns" || key.starts_with("xmlns:"))
        .map(|(_, value)| value.clone())
        .collect();
    all.sort();
    all.dedup();
    all
}
