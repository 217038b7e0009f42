//! Guests for tests: a boot sector that writes memory without end, so that a migration has something to do.

use std::fs;
use std::path::{Path, PathBuf};

/// Says `R` on the serial port, then writes a number, one larger each time, into every word from 64 KiB to 576 KiB.
const CODE: [u8; 37] = [
    0xfa, // cli
    0xfc, // cld
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xb0, b'R', // mov al, 'R'
    0xee, // out dx, al
    0x31, 0xdb, // xor bx, bx
    0x43, // again: inc bx
    0xb8, 0x00, 0x10, // mov ax, 0x1000
    0x8e, 0xc0, // next: mov es, ax
    0x31, 0xff, // xor di, di
    0xb9, 0x00, 0x80, // mov cx, 0x8000
    0x50, // push ax
    0x89, 0xd8, // mov ax, bx
    0xf3, 0xab, // rep stosw
    0x58, // pop ax
    0x05, 0x00, 0x10, // add ax, 0x1000
    0x3d, 0x00, 0x90, // cmp ax, 0x9000
    0x72, 0xeb, // jb next
    0xeb, 0xe5, // jmp again
];

/// File of a disk's guest's serial port.
pub(crate) fn serial(disk: &Path) -> PathBuf {
    disk.with_extension("serial")
}

/// Waits until the guest with this disk runs its code.
pub(crate) fn wait_until_it_writes(disk: &Path) {
    super::until("the guest to run", || fs::read(serial(disk)).ok()?.contains(&b'R').then_some(()));
}

/// A disk that boots this code.
pub(crate) fn disk(at: &Path) {
    let mut bytes = vec![0; 1 << 20];
    bytes[..CODE.len()].copy_from_slice(&CODE);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(at, bytes).unwrap();
}

/// A guest of this name with this disk; `number` makes its identity.
pub(crate) fn xml(name: &str, number: u32, disk: &Path) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><uuid>11111111-2222-4333-8444-{number:012}</uuid>
           <memory unit='MiB'>8</memory><vcpu>1</vcpu>
           <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
           <features><acpi/></features>
           <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
           <devices>
             <emulator>/usr/bin/qemu-system-x86_64</emulator>
             <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>
               <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
             <serial type='file'><source path='{serial}' append='on'/></serial>
             <controller type='usb' model='none'/><memballoon model='none'/>
           </devices></domain>",
        disk = disk.display(),
        serial = serial(disk).display()
    )
}
