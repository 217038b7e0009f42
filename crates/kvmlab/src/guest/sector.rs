//! The boot sectors, with their parameters set.
//!
//! Owns: the assembled bytes and where the parameters lie. Promises: the bytes are what the sources beside this file
//! assemble to (a test does it). Does not: make images.

use super::GuestKind;

/// Size of a sector and of a program here.
pub(crate) const SECTOR: usize = 512;

const TICK: &[u8; SECTOR] = include_bytes!("tick.bin");
const CHURN: &[u8; SECTOR] = include_bytes!("churn.bin");

/// The boot sector of a guest.
pub(crate) fn boot_sector(kind: GuestKind) -> [u8; SECTOR] {
    match kind {
        GuestKind::Tick { period } => {
            let mut sector = *TICK;
            put(&mut sector, 2, &period.max(1).to_le_bytes());
            sector
        }
        GuestKind::Churn => *CHURN,
        GuestKind::Elastic { pages } => {
            let mut sector = *CHURN;
            put(&mut sector, 2, &u32::from(pages.max(1)).to_le_bytes());
            // About one line a second.
            put(&mut sector, 6, &18_u32.to_le_bytes());
            put(&mut sector, 10, &[1]);
            sector
        }
    }
}

fn put(sector: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in sector.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// The bytes that the source `name` assembles to, or why that cannot be known here.
    fn assemble(name: &str) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guest").join(name);
        let (object, binary) = (folder.path().join("object"), folder.path().join("binary"));
        let mut assembler = Command::new("as");
        assembler.args(["--32", "-o"]).arg(&object).arg(source);
        let mut linker = Command::new("ld");
        linker
            .args(["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o"])
            .arg(&binary)
            .arg(&object);
        for command in [&mut assembler, &mut linker] {
            let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(std::fs::read(binary).unwrap())
    }

    #[test]
    fn the_committed_sectors_are_what_their_sources_assemble_to() {
        for (name, committed) in [("tick.s", TICK), ("churn.s", CHURN)] {
            match assemble(name) {
                Ok(made) => assert_eq!(made, committed, "{name}: assemble it anew, as its head says"),
                Err(why) => {
                    println!("skipped: {why}");
                    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "binutils are required");
                }
            }
        }
    }

    #[test]
    fn parameters_lie_where_the_sources_say() {
        assert_eq!(TICK.get(2..4), Some(&18_u16.to_le_bytes()[..]));
        assert_eq!(CHURN.get(2..6), Some(&256_u32.to_le_bytes()[..]));
        assert_eq!(CHURN.get(6..10), Some(&16_384_u32.to_le_bytes()[..]));
        let elastic = boot_sector(GuestKind::Elastic { pages: 2048 });
        assert_eq!(elastic.get(2..6), Some(&2048_u32.to_le_bytes()[..]));
        assert_eq!(elastic.get(10), Some(&1));
        assert_eq!(elastic.get(510..), Some(&[0x55, 0xaa][..]));
        assert_eq!(elastic.get(11..510), CHURN.get(11..510));
    }
}
