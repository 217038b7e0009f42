//! Whether a program runs without anybody's libraries.
//!
//! Owns: one question to an ELF file (System V ABI, chapter 5). Promises: any bytes give an answer. Does not: load
//! or run it.

/// Type of the program header that names a dynamic loader.
const PT_INTERP: u32 = 3;

/// Whether `bytes` is a 64-bit x86 program that needs no dynamic loader; why not, if not.
pub(crate) fn check_static(bytes: &[u8]) -> Result<(), &'static str> {
    let head = (bytes.get(..6), bytes.get(18..20));
    // Magic, 64 bits, little-endian, x86-64.
    let (Some(b"\x7fELF\x02\x01"), Some([0x3e, 0])) = head else {
        return Err("it is not a 64-bit program for x86");
    };
    let table = number(bytes, 32, 8).ok_or("its header is cut off")?;
    let size = number(bytes, 54, 2).filter(|size| *size >= 4).ok_or("its header is damaged")?;
    let count = number(bytes, 56, 2).ok_or("its header is cut off")?;
    for index in 0..count {
        let at = table.checked_add(index * size).and_then(|at| usize::try_from(at).ok());
        let kind = at.and_then(|at| number(bytes, at, 4)).ok_or("its header is damaged")?;
        if kind == u64::from(PT_INTERP) {
            return Err("it needs a dynamic loader, which the machines do not have");
        }
    }
    Ok(())
}

/// A little-endian number of `len` bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..)?.get(..len)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kinds: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 0x3e;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap_or(u8::MAX);
        for kind in kinds {
            let mut header = [0_u8; 56];
            header[0] = *kind;
            bytes.extend_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn a_program_that_needs_a_loader_is_told_apart() {
        assert_eq!(check_static(&program(&[1, 1])), Ok(()));
        assert!(check_static(&program(&[1, 3])).is_err_and(|why| why.contains("loader")));
        assert!(check_static(b"#!/bin/sh\n").is_err());
        let whole = program(&[1, 1]);
        for len in 0..whole.len() - 52 {
            assert!(check_static(&whole[..len]).is_err(), "cut to {len}");
        }
    }
}
