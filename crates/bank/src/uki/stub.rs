//! A boot stub without function, for hosts that are simulated.

/// A valid PE32+ image for x86-64 EFI whose program returns success at once.
///
/// It has room for more sections, so that [`super::build_uki`] makes an image of it that has every part of a real
/// one. Firmware loads it and finds nothing to boot; the simulated pool never runs it.
#[must_use]
pub fn minimal_stub() -> Vec<u8> {
    let mut image = vec![0_u8; 0x600];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = image.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(0, b"MZ");
    put(0x3c, &0x40_u32.to_le_bytes());
    put(0x40, b"PE\0\0");
    put(0x44, &0x8664_u16.to_le_bytes());
    put(0x46, &1_u16.to_le_bytes());
    // 16 data directories, as most tools write; flags: executable, line numbers stripped, large addresses.
    put(0x54, &240_u16.to_le_bytes());
    put(0x56, &0x0026_u16.to_le_bytes());
    let optional = 0x58;
    put(optional, &0x20b_u16.to_le_bytes());
    for (at, value) in [
        (4, 0x200_u32), // SizeOfCode
        (16, 0x1000),   // AddressOfEntryPoint
        (20, 0x1000),   // BaseOfCode
        (32, 0x1000),   // SectionAlignment
        (36, 0x200),    // FileAlignment
        (56, 0x2000),   // SizeOfImage
        (60, 0x400),    // SizeOfHeaders
        (68, 10),       // Subsystem: EFI application
        (108, 16),      // NumberOfRvaAndSizes
    ] {
        put(optional + at, &value.to_le_bytes());
    }
    let section = optional + 240;
    put(section, b".text");
    for (at, value) in
        [(8, 3_u32), (12, 0x1000), (16, 0x200), (20, 0x400), (36, 0x6000_0020 /* code, execute, read */)]
    {
        put(section + at, &value.to_le_bytes());
    }
    // xor eax, eax; ret
    put(0x400, &[0x31, 0xc0, 0xc3]);
    image
}
