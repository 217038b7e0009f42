//! Making VIBs and offline bundles: for tests, labs and simulated hosts.
//!
//! The form is that of the files which were looked at; times and owners are zero, so that the same input gives the
//! same bytes. Does not: sign (`sig.pkcs7` comes in as bytes).

mod archive;
mod bundle;
mod vib;

pub use archive::{TarEntry, TarForm, tar, zip};
pub use bundle::{BundleSpec, bundle, profile_xml};
pub use vib::{NewPayload, NewVib, VibSpec, ar, descriptor_xml, gzip, vib, vib_from};
