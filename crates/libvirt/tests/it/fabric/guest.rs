//! Guests for tests: a boot sector that writes memory without end, so that a migration has something to do.

use std::fs;
use std::path::Path;

/// Writes a number, one larger each time, into every word from 64 KiB to 576 KiB.
const CODE: [u8; 31] = [
    0xfa, // cli
    0xfc, // cld
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
    0xeb, 0xe4, // jmp again
];

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
             <controller type='usb' model='none'/><memballoon model='none'/>
           </devices></domain>",
        disk = disk.display()
    )
}
