//! What a host is and can do.

use super::{LIST_LIMIT, list};
use crate::connection::Connection;
use crate::error::Error;
use crate::flags::{BaselineFlags, CompareFlags, InterfaceFilter, NodeDeviceFilter};
use crate::procedure::Procedure;
use crate::values::{CpuComparison, Interface, NodeDevice, NodeInfo, Travels, Version};
use crate::xdr::{Decoder, Encoder};

/// Most names of CPU models.
const MODEL_LIMIT: usize = 8192;
/// Most figures of memory.
const MEMORY_LIMIT: usize = 16;
/// Most CPUs for a baseline.
const BASELINE_LIMIT: usize = 256;
/// Most devices.
const DEVICE_LIMIT: usize = 65536;

/// What a domain would be run with. What is not named is libvirt's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DomainCapabilitiesQuery {
    /// Path of the emulator.
    pub emulator: Option<String>,
    /// Architecture, as `x86_64`.
    pub arch: Option<String>,
    /// Machine type, as `pc-q35-8.2`.
    pub machine: Option<String>,
    /// `kvm` or `qemu`.
    pub virt_type: Option<String>,
}

impl DomainCapabilitiesQuery {
    fn encode(&self, to: &mut Encoder) {
        for part in [&self.emulator, &self.arch, &self.machine, &self.virt_type] {
            to.optional_string(part.as_deref());
        }
    }
}

impl Connection {
    /// Release of the daemon's libvirt.
    pub fn lib_version(&self) -> Result<Version, Error> {
        self.value::<u64>(Procedure::CONNECT_GET_LIB_VERSION, |_| ()).map(Version)
    }

    /// Name of the hypervisor, as `QEMU`.
    pub fn hypervisor_type(&self) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_TYPE, |_| ())
    }

    /// Release of the hypervisor.
    pub fn hypervisor_version(&self) -> Result<Version, Error> {
        self.value::<u64>(Procedure::CONNECT_GET_VERSION, |_| ()).map(Version)
    }

    /// Name of the host, as it knows itself.
    pub fn hostname(&self) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_HOSTNAME, |_| ())
    }

    /// The URI by which the daemon knows what is open.
    pub fn daemon_uri(&self) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_URI, |_| ())
    }

    /// Capabilities of host and hypervisor, as XML.
    pub fn capabilities(&self) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_CAPABILITIES, |_| ())
    }

    /// What domains can be given, as XML.
    pub fn domain_capabilities(&self, query: &DomainCapabilitiesQuery) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_DOMAIN_CAPABILITIES, |to| {
            query.encode(to);
            to.unsigned(0);
        })
    }

    /// Processor and memory. Do not keep it: a daemon has been seen to answer differently after its start.
    pub fn node_info(&self) -> Result<NodeInfo, Error> {
        self.call(Procedure::NODE_GET_INFO, |_| (), NodeInfo::decode)
    }

    /// Free memory in bytes.
    pub fn free_memory(&self) -> Result<u64, Error> {
        self.value::<u64>(Procedure::NODE_GET_FREE_MEMORY, |_| ())
    }

    /// Memory by use (`total`, `free`, `buffers`, `cached`), in KiB; of one NUMA cell or of all.
    pub fn memory_stats(&self, cell: Option<u32>) -> Result<Vec<(String, u64)>, Error> {
        let ask = |figures: i32| {
            let arguments = |to: &mut Encoder| {
                to.int(figures);
                to.int(cell.and_then(|cell| i32::try_from(cell).ok()).unwrap_or(-1));
                to.unsigned(0);
            };
            self.call(Procedure::NODE_GET_MEMORY_STATS, arguments, |from| {
                let one = |from: &mut Decoder<'_>| Ok((from.string()?, from.unsigned_hyper()?));
                let all = from.list("a list of figures", MEMORY_LIMIT, 12, one)?;
                Ok((all, from.int()?))
            })
        };
        // The daemon wants to be told exactly how many figures there are.
        let (_, figures) = ask(0)?;
        ask(figures).map(|(all, _)| all)
    }

    /// The most virtual CPUs of a domain, a fixed figure of the driver; domain capabilities tell it by machine type.
    pub fn max_vcpus(&self, virt_type: Option<&str>) -> Result<u32, Error> {
        let arguments = |to: &mut Encoder| to.optional_string(virt_type);
        let number = self.value::<i32>(Procedure::CONNECT_GET_MAX_VCPUS, arguments)?;
        Ok(u32::try_from(number).unwrap_or(0))
    }

    /// Names of the CPU models that libvirt knows.
    pub fn cpu_models(&self, arch: &str) -> Result<Vec<String>, Error> {
        self.list(Procedure::CONNECT_GET_CPU_MODEL_NAMES, MODEL_LIMIT, |to| {
            to.string(arch);
            to.int(1);
            to.unsigned(0);
        })
    }

    /// How the CPU that the hypervisor offers compares with this `<cpu>`.
    pub fn compare_hypervisor_cpu(
        &self,
        query: &DomainCapabilitiesQuery,
        cpu_xml: &str,
        flags: CompareFlags,
    ) -> Result<CpuComparison, Error> {
        let arguments = |to: &mut Encoder| {
            query.encode(to);
            to.string(cpu_xml);
            to.unsigned(flags.bits());
        };
        let number = self.value::<i32>(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, arguments)?;
        Ok(CpuComparison::from_number(number))
    }

    /// How the host's CPU compares with this `<cpu>`.
    pub fn compare_cpu(&self, cpu_xml: &str, flags: CompareFlags) -> Result<CpuComparison, Error> {
        let arguments = |to: &mut Encoder| {
            to.string(cpu_xml);
            to.unsigned(flags.bits());
        };
        self.value::<i32>(Procedure::CONNECT_COMPARE_CPU, arguments).map(CpuComparison::from_number)
    }

    /// The richest CPU that all of these offer, as XML.
    pub fn baseline_hypervisor_cpu(
        &self,
        query: &DomainCapabilitiesQuery,
        cpus: &[String],
        flags: BaselineFlags,
    ) -> Result<String, Error> {
        self.text(Procedure::CONNECT_BASELINE_HYPERVISOR_CPU, |to| {
            query.encode(to);
            to.count("a list of CPUs", cpus.len(), BASELINE_LIMIT);
            for cpu in cpus {
                to.string(cpu);
            }
            to.unsigned(flags.bits());
        })
    }

    /// The machine's own tables (SMBIOS), as XML; not on every machine.
    pub fn sysinfo(&self) -> Result<String, Error> {
        self.text(Procedure::CONNECT_GET_SYSINFO, |to| to.unsigned(0))
    }

    /// Network interfaces of the host; not every build of libvirt has them.
    pub fn interfaces(&self, filter: InterfaceFilter) -> Result<Vec<Interface>, Error> {
        self.call(
            Procedure::CONNECT_LIST_ALL_INTERFACES,
            |to| {
                to.int(1);
                to.unsigned(filter.bits());
            },
            |from| list(from, LIST_LIMIT),
        )
    }

    /// Devices of the host.
    pub fn node_devices(&self, filter: NodeDeviceFilter) -> Result<Vec<NodeDevice>, Error> {
        self.list(Procedure::CONNECT_LIST_ALL_NODE_DEVICES, DEVICE_LIMIT, |to| {
            to.int(1);
            to.unsigned(filter.bits());
        })
    }

    /// A device of the host, as XML.
    pub fn node_device_xml(&self, device: &NodeDevice) -> Result<String, Error> {
        self.text(Procedure::NODE_DEVICE_GET_XML_DESC, |to| {
            device.encode(to);
            to.unsigned(0);
        })
    }
}
