//! Facts of what domains can be given.

use serde::{Deserialize, Serialize};

use super::domain::{CpuFacts, cpu};
use super::tree::{Element, XmlError, parse_as};

/// What domain capabilities say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainCapabilityFacts {
    /// Path of the emulator.
    pub emulator: String,
    /// `kvm`, `qemu`.
    pub domain_type: String,
    /// Machine type.
    pub machine: String,
    /// Architecture.
    pub arch: String,
    /// The most virtual CPUs.
    pub max_vcpus: Option<u32>,
    /// Whether guests can have the host's processor as it is.
    pub host_passthrough: bool,
    /// What `host-model` means on this host, if it can be had.
    pub host_model: Option<CpuFacts>,
    /// Models that can be named.
    pub custom_models: Vec<CpuModelFacts>,
}

/// A model of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuModelFacts {
    /// Its name.
    pub name: String,
    /// Whether this host can run it; nothing if it cannot tell.
    pub usable: Option<bool>,
    /// Whether it will go.
    pub deprecated: bool,
}

/// Reads domain capabilities.
pub fn domain_capabilities(text: &str) -> Result<DomainCapabilityFacts, XmlError> {
    let root = parse_as(text, "domainCapabilities")?;
    let missing = |what| XmlError::Missing { element: "domainCapabilities", what };
    let none = Element::default();
    let modes = root.child("cpu").unwrap_or(&none);
    let mode = |name: &'static str| {
        modes
            .all("mode")
            .find(|mode| mode.attribute("name") == Some(name))
            .filter(|mode| mode.says_yes("supported"))
    };
    Ok(DomainCapabilityFacts {
        emulator: root.owned_text("path").ok_or(missing("path"))?,
        domain_type: root.owned_text("domain").ok_or(missing("domain"))?,
        machine: root.owned_text("machine").unwrap_or_default(),
        arch: root.owned_text("arch").ok_or(missing("arch"))?,
        max_vcpus: root.child("vcpu").and_then(|vcpu| vcpu.attribute("max")?.parse().ok()),
        host_passthrough: mode("host-passthrough").is_some(),
        host_model: mode("host-model").map(cpu),
        custom_models: mode("custom").map(|mode| mode.all("model").map(model).collect()).unwrap_or_default(),
    })
}

fn model(element: &Element) -> CpuModelFacts {
    let usable = match element.attribute("usable") {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        Some(_) | None => None,
    };
    CpuModelFacts { name: element.text.clone(), usable, deprecated: element.says_yes("deprecated") }
}
