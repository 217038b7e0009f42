//! What the path of a device in sysfs tells: bus, adapter, target.

use crate::model::Hctl;

/// The parts of a path such as `sys/devices/pci0000:00/0000:00:07.0/host2/target2:0:1/2:0:1:0/block/sda`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Last PCI function on the way: `0000:00:07.0`.
    pub(super) pci: Option<String>,
    /// Path up to it.
    pub(super) pci_dir: Option<String>,
    /// `host2`.
    pub(super) host: Option<String>,
    /// `rport-7:0-2`.
    pub(super) rport: Option<String>,
    /// `session1`.
    pub(super) session: Option<String>,
    /// `end_device-0:0`.
    pub(super) end_device: Option<String>,
    /// `target2:0:1`.
    pub(super) target: Option<String>,
    /// SCSI address.
    pub(super) hctl: Option<Hctl>,
    /// `virtio3`.
    pub(super) virtio: Option<String>,
    /// `nvme0`.
    pub(super) nvme: Option<String>,
    /// `nvme-subsys0`.
    pub(super) subsystem: Option<String>,
    /// `mmc0`.
    pub(super) mmc: Option<String>,
    /// `vbd-51712`.
    pub(super) vbd: Option<String>,
    /// `ata1`.
    pub(super) ata: bool,
    /// On USB.
    pub(super) usb: bool,
    /// Has no hardware.
    pub(super) software: bool,
}

impl Place {
    pub(super) fn of(path: &str) -> Self {
        let mut place = Self::default();
        let mut so_far = String::new();
        for part in path.split('/') {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            let numbered = |head: &str| {
                let rest = part.strip_prefix(head)?;
                rest.starts_with(|c: char| c.is_ascii_digit()).then(|| part.to_owned())
            };
            if is_pci(part) {
                place.pci = Some(part.to_owned());
                place.pci_dir = Some(so_far.clone());
            } else if let Ok(hctl) = part.parse() {
                place.hctl = Some(hctl);
            } else if let Some(name) = numbered("host") {
                place.host = Some(name);
            } else if let Some(name) = numbered("rport-") {
                place.rport = Some(name);
            } else if let Some(name) = numbered("session") {
                place.session = Some(name);
            } else if let Some(name) = numbered("end_device-") {
                place.end_device = Some(name);
            } else if let Some(name) = numbered("target") {
                place.target = Some(name);
            } else if let Some(name) = numbered("virtio") {
                place.virtio = Some(name);
            } else if let Some(name) = numbered("nvme-subsys") {
                place.subsystem = Some(name);
            } else if let Some(name) =
                numbered("nvme").filter(|name| !name.contains('n') || is_controller(name))
            {
                place.nvme = Some(name);
            } else if let Some(name) = numbered("mmc").filter(|name| !name.contains(':')) {
                place.mmc = Some(name);
            } else if let Some(name) = numbered("vbd-") {
                place.vbd = Some(name);
            } else if numbered("ata").is_some() {
                place.ata = true;
            } else if numbered("usb").is_some() {
                place.usb = true;
            }
        }
        place.software =
            path.starts_with("sys/devices/virtual/") && place.subsystem.is_none() && place.host.is_none();
        place
    }
}

/// `nvme0`, not `nvme0n1`.
pub(super) fn is_controller(name: &str) -> bool {
    name.strip_prefix("nvme").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// `0000:00:07.0`, domains of up to eight digits.
fn is_pci(part: &str) -> bool {
    let fields: Vec<&str> = part.split([':', '.']).collect();
    let hex = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    match fields.as_slice() {
        [domain, bus, device, function] => {
            hex(domain, 4, 8)
                && hex(bus, 2, 2)
                && hex(device, 2, 2)
                && hex(function, 1, 1)
                && part.contains('.')
        }
        _ => false,
    }
}
