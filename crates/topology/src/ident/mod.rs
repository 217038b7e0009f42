//! What a device is known by, whatever it is called.

mod id;
mod identity;
mod page;
mod token;

pub use id::{DeviceIds, DiskId, IdKind};
pub(crate) use identity::part_number;
pub use identity::{Identity, IdentityError};
pub use page::{Association, Designator, DesignatorKind, VpdError, decode_page_80, decode_page_83};
pub(crate) use page::{PAGE, name_string};
pub(crate) use token::is_hex;
