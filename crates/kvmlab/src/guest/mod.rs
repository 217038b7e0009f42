//! Guests that prove that they were never interrupted, and what reads their proofs.
//!
//! Owns: two boot sectors, libvirt's definitions of guests, the reading of their serial lines. Promises: a guest that
//! was restarted, rolled back, run twice or that lost memory shows it. Does not: run an operating system.

mod life;
mod sector;
mod spec;
mod watch;

pub use life::GuestLife;
pub(crate) use life::check_disk;
pub(crate) use sector::boot_sector;
pub use spec::{GuestDisk, GuestKind, GuestSpec};
pub(crate) use spec::{check_name, find_image, serial_log};
pub use watch::{GuestReport, LifeWatch};
