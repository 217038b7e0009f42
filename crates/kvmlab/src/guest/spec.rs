//! What a guest shall be, and libvirt's definition of it.
//!
//! Owns: the options and the XML. Promises: names cannot break out of the XML or of a path. Does not: define anything.

use std::path::{Path, PathBuf};

use crate::LabError;
use crate::folder::{HostFolder, LabFolder};
use crate::settings::{FABRIC_ADDRESS, NBD_PORT};

/// Machine type that QEMU 7.2 and all later ones have; guests can go back to an older host.
const MACHINE: &str = "pc-i440fx-7.2";

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestKind {
    /// Counts to its disk and its serial line, and sleeps in between.
    Tick {
        /// Ticks of 55 ms from one count to the next.
        period: u16,
    },
    /// Proves 256 pages of memory without a pause: takes a whole processor.
    Churn,
    /// Dirties `pages` pages 18 times a second: a migration over a link slower than 72 KiB/s for each page never
    /// comes to its end by itself.
    Elastic {
        /// How many.
        pages: u16,
    },
}

/// Where its disk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestDisk {
    /// On the lab's NBD server: libvirt migrates it as it is.
    Nbd,
    /// A file in the shared folder: libvirt calls its migration unsafe.
    SharedFile,
    /// A file of its host.
    Local,
}

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSpec {
    /// Name: letters, digits, dashes.
    pub name: String,
    /// What it does.
    pub kind: GuestKind,
    /// Where its disk lies.
    pub disk: GuestDisk,
    /// Memory in KiB. Much may be said: QEMU takes what the guest touches.
    pub memory_kib: u64,
    /// Started with its host.
    pub autostart: bool,
    /// Has a device that cannot be migrated (`ivshmem`), as guests with passed-through hardware have.
    pub pinned: bool,
    /// Has a CD in its drive, the file of its host.
    pub local_cdrom: bool,
    /// Type of the machine.
    pub machine: String,
}

impl GuestSpec {
    /// A guest that counts once a second, with 2 MiB of memory and a disk on the NBD server.
    pub fn tick(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: GuestKind::Tick { period: 18 },
            disk: GuestDisk::Nbd,
            memory_kib: 2048,
            autostart: false,
            pinned: false,
            local_cdrom: false,
            machine: MACHINE.to_owned(),
        }
    }

    /// A guest that proves its memory.
    pub fn churn(name: &str) -> Self {
        Self { kind: GuestKind::Churn, memory_kib: 4096, ..Self::tick(name) }
    }

    /// A guest whose migration over a slow link does not converge.
    pub fn elastic(name: &str, pages: u16) -> Self {
        let memory_kib = 4096 + u64::from(pages) * 4;
        Self { kind: GuestKind::Elastic { pages }, memory_kib, ..Self::tick(name) }
    }

    /// Refuses names that are more than a name.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        check_name(&self.name)?;
        check_name(&self.machine.replace('.', "-"))
    }

    /// Its image, as the machine sees it, if it was made for `host`.
    pub(crate) fn image(&self, folder: &LabFolder, host: &HostFolder) -> PathBuf {
        let name = format!("{}.img", self.name);
        match self.disk {
            // The name of the file is the name of the export.
            GuestDisk::Nbd => folder.shared().join("disks").join(&self.name),
            GuestDisk::SharedFile => folder.shared().join("files").join(name),
            GuestDisk::Local => host.images().join(name),
        }
    }

    /// Its CD, as the machine sees it.
    pub(crate) fn cdrom(&self, host: &HostFolder) -> PathBuf {
        host.images().join(format!("{}.iso", self.name))
    }

    /// libvirt's definition.
    pub(crate) fn xml(&self, uuid: &str) -> String {
        let name = &self.name;
        let source = match self.disk {
            GuestDisk::Nbd => format!(
                "<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>\
                 <source protocol='nbd' name='{name}'><host name='{FABRIC_ADDRESS}' port='{NBD_PORT}'/></source>"
            ),
            GuestDisk::SharedFile => file_disk(&format!("/srv/shared/files/{name}.img")),
            GuestDisk::Local => file_disk(&format!("/var/lib/libvirt/images/{name}.img")),
        };
        let mut more = String::new();
        if self.local_cdrom {
            more += &cdrom_xml(name);
        }
        if self.pinned {
            more += &shmem_xml(name);
        }
        let (memory, machine) = (self.memory_kib, &self.machine);
        format!(
            "<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {source}<target dev='vda' bus='virtio'/></disk>
    <serial type='file'><source path='/srv/shared/serial/{name}.log' append='on'/><target port='0'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
{more}  </devices>
</domain>
"
        )
    }
}

fn cdrom_xml(name: &str) -> String {
    format!(
        "    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/>\
         <source file='/var/lib/libvirt/images/{name}.iso'/><target dev='hdc' bus='ide'/><readonly/></disk>\n"
    )
}

fn shmem_xml(name: &str) -> String {
    format!("    <shmem name='{name}'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>\n")
}

fn file_disk(path: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='{path}'/>"
    )
}

/// Where the serial line of a guest is kept.
pub(crate) fn serial_log(folder: &LabFolder, guest: &str) -> PathBuf {
    folder.shared().join("serial").join(format!("{guest}.log"))
}

/// Where the image of a guest lies, wherever it was made.
pub(crate) fn find_image(folder: &LabFolder, hosts: &[String], guest: &str) -> Option<PathBuf> {
    let name = format!("{guest}.img");
    let shared = [folder.shared().join("disks").join(guest), folder.shared().join("files").join(&name)];
    let local = hosts.iter().map(|host| folder.host(host).images().join(&name));
    shared.into_iter().chain(local).find(|path: &PathBuf| Path::is_file(path))
}

/// Names go into paths and XML.
pub(crate) fn check_name(name: &str) -> Result<(), LabError> {
    let fits = (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !name.starts_with('-');
    if fits {
        return Ok(());
    }
    let why = "1 to 40 letters, digits, dashes and underscores are, and it begins with no dash".to_owned();
    Err(LabError::Refused { what: format!("the name {name:?}"), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_more_than_a_name_is_refused() {
        for name in ["", "../x", "a b", "g'/>", "-g", "g\n", &"g".repeat(41)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("web_01-a").is_ok());
        assert!(GuestSpec::tick("g1").check().is_ok());
    }
}
