//! Facts of a host.

use serde::{Deserialize, Serialize};

use super::tree::{Element, XmlError, parse_as};
use crate::values::Uuid;

/// What a host's capabilities say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Identity of the host. Two hosts of the same refuse to migrate between them.
    pub uuid: Option<Uuid>,
    /// Architecture of its processor.
    pub arch: String,
    /// Model of its processor, nearest of those that libvirt knows.
    pub cpu_model: Option<String>,
    /// Maker.
    pub cpu_vendor: Option<String>,
    /// Features beside the model's.
    pub cpu_features: Vec<String>,
    /// Whether guests can migrate while they run.
    pub live_migration: bool,
    /// How memory can be sent: `tcp`, `rdma`.
    pub migration_uris: Vec<String>,
    /// Security models: `apparmor`, `selinux`, `dac`, `none`.
    pub security_models: Vec<String>,
    /// NUMA cells.
    pub numa_cells: u32,
    /// What guests it can have.
    pub guests: Vec<GuestArch>,
}

/// What guests of an architecture can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestArch {
    /// The architecture.
    pub arch: String,
    /// `hvm`, `exe`.
    pub os_type: String,
    /// Bits.
    pub word_size: u32,
    /// Path of the emulator.
    pub emulator: Option<String>,
    /// `qemu`, `kvm`.
    pub domain_types: Vec<String>,
    /// Machine types of all domain types.
    pub machines: Vec<MachineType>,
}

/// A machine type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineType {
    /// Its name, as `pc`.
    pub name: String,
    /// What it stands for, as `pc-i440fx-7.2`.
    pub canonical: Option<String>,
    /// The most CPUs.
    pub max_cpus: Option<u32>,
    /// Whether it will go.
    pub deprecated: bool,
    /// The one domain type that has it, if not all of the architecture.
    pub domain_type: Option<String>,
}

impl HostFacts {
    /// Whether guests can have this machine type.
    pub fn has_machine(&self, arch: &str, domain_type: &str, machine: &str) -> bool {
        self.machine(arch, domain_type, machine).is_some()
    }

    /// What this machine type stands for on this host: itself, if it is no alias; nothing, if it is not there.
    pub fn canonical_machine<'f>(
        &'f self,
        arch: &str,
        domain_type: &str,
        machine: &'f str,
    ) -> Option<&'f str> {
        let found = self.machine(arch, domain_type, machine)?;
        Some(found.canonical.as_deref().unwrap_or(&found.name))
    }

    fn machine(&self, arch: &str, domain_type: &str, machine: &str) -> Option<&MachineType> {
        let guests = self
            .guests
            .iter()
            .filter(|guest| guest.arch == arch && guest.domain_types.iter().any(|kind| kind == domain_type));
        let mut machines = guests.flat_map(|guest| &guest.machines);
        machines.find(|found| {
            let fits = found.domain_type.as_deref().is_none_or(|only| only == domain_type);
            fits && (found.name == machine || found.canonical.as_deref() == Some(machine))
        })
    }
}

/// Reads capabilities.
pub fn capabilities(text: &str) -> Result<HostFacts, XmlError> {
    let root = parse_as(text, "capabilities")?;
    let host = root.child("host").ok_or(XmlError::Missing { element: "capabilities", what: "host" })?;
    let none = Element::default();
    let cpu = host.child("cpu").unwrap_or(&none);
    let migration = host.child("migration_features").unwrap_or(&none);
    let cells = host.at(&["topology", "cells"]);
    Ok(HostFacts {
        uuid: host.text_of("uuid").and_then(|uuid| uuid.parse().ok()),
        arch: cpu.owned_text("arch").unwrap_or_default(),
        cpu_model: cpu.owned_text("model"),
        cpu_vendor: cpu.owned_text("vendor"),
        cpu_features: cpu.all("feature").filter_map(|feature| feature.owned("name")).collect(),
        live_migration: migration.child("live").is_some(),
        migration_uris: migration
            .child("uri_transports")
            .map(|uris| uris.all("uri_transport").map(|uri| uri.text.clone()).collect())
            .unwrap_or_default(),
        security_models: host.all("secmodel").filter_map(|model| model.owned_text("model")).collect(),
        numa_cells: cells.and_then(|cells| cells.attribute("num")?.parse().ok()).unwrap_or_default(),
        guests: root.all("guest").filter_map(guest).collect(),
    })
}

fn guest(element: &Element) -> Option<GuestArch> {
    let arch = element.child("arch")?;
    let mut machines: Vec<MachineType> = arch.all("machine").map(|found| machine(found, None)).collect();
    let mut domain_types = Vec::new();
    for domain in arch.all("domain") {
        let Some(kind) = domain.owned("type") else { continue };
        machines.extend(domain.all("machine").map(|found| machine(found, Some(&kind))));
        domain_types.push(kind);
    }
    Some(GuestArch {
        arch: arch.owned("name")?,
        os_type: element.owned_text("os_type").unwrap_or_default(),
        word_size: arch.text_of("wordsize").and_then(|size| size.parse().ok()).unwrap_or_default(),
        emulator: arch.owned_text("emulator"),
        domain_types,
        machines,
    })
}

fn machine(element: &Element, domain_type: Option<&str>) -> MachineType {
    MachineType {
        name: element.text.clone(),
        canonical: element.owned("canonical"),
        max_cpus: element.attribute("maxCpus").and_then(|cpus| cpus.parse().ok()),
        deprecated: element.says_yes("deprecated"),
        domain_type: domain_type.map(str::to_owned),
    }
}
