//! Offline bundles: a zip archive with an index, metadata and VIBs.
//!
//! `index.xml` names vendors, each vendor's index names metadata archives, each of these holds descriptors,
//! bulletins and profiles; the descriptors there say where in the bundle each VIB lies.

mod index;
mod verify;

pub use index::{Bulletin, Bundle, BundleError, IndexedVib, Metadata, Vendor, open, read};
pub use verify::verify_vib;
