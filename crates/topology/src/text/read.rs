//! Line by line through every reader.

use thiserror::Error;

use super::build::Builder;
use super::{esx, esx_devices, multipath, scsi};
use crate::model::Topology;

/// Longest text.
const TEXT: usize = 64 << 20;

/// Longest line.
const LINE: usize = 64 << 10;

/// Most lines that are taken; each becomes at most one path.
const LINES: usize = 1_000_000;

/// Why a text gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// Longer than any output.
    #[error("the text has more than {} MiB or {LINES} lines", TEXT >> 20)]
    Long,
    /// Nothing in it was understood.
    #[error(
        "no line was understood; known are outputs of multipath -ll, lsscsi, iscsiadm -m session, sg_vpd, \
         /proc/scsi/scsi, esxcfg-mpath -l and -b, esxcfg-scsidevs -a, -c, -l and -m, esxcli storage core and nmp"
    )]
    Nothing,
}

/// One reader of one kind of output.
pub(super) trait Reader {
    /// Takes a line, and gives the name of the output if it understood it.
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str>;
}

/// Reads saved outputs.
pub fn read_text(text: &str) -> Result<Topology, TextError> {
    if text.len() > TEXT {
        return Err(TextError::Long);
    }
    let mut out = Builder::new();
    let mut readers: [Box<dyn Reader>; 5] = [
        Box::new(multipath::Multipath::default()),
        Box::new(scsi::Scsi::default()),
        Box::new(esx::Paths::default()),
        Box::new(esx_devices::Devices::default()),
        Box::new(scsi::Vpd::default()),
    ];
    for (count, line) in text.lines().enumerate() {
        if count >= LINES {
            return Err(TextError::Long);
        }
        if line.len() > LINE {
            continue;
        }
        for reader in &mut readers {
            if let Some(form) = reader.line(line, &mut out) {
                out.form(form);
                break;
            }
        }
    }
    out.finish().ok_or(TextError::Nothing)
}
