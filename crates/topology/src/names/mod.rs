//! Names of devices: reading a spelling, finding the device, and every other spelling of it.

mod alias;
mod error;
mod index;
mod parse;
mod suffix;

pub use alias::Alias;
pub use error::ResolveError;
pub use index::{How, NameIndex, Resolved};
pub use parse::{Form, ParsedName, Reading, parse_name};
pub(crate) use parse::{by_id, esx, nvme, unescape, wwid};
