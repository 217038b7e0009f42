//! Boot banks of a host: the disk's table, the two banks on it, what is known of them, and which boots next.
//!
//! Owns: the bytes of a boot disk: GPT, FAT, unified kernel images, boot variables, the bank record, install.
//! Promises: the active bank is never written; a power cut at any write leaves a host that boots the old bank;
//! hostile bytes give an error in bounded time and memory. Does not: open devices, know the time, or speak to
//! anybody.

mod bytes;
pub mod disk;
pub mod efi;
pub mod esx;
pub mod fat;
pub mod finding;
pub mod firmware;
pub mod gpt;
pub mod guid;
pub mod install;
pub mod layout;
pub mod manifest;
pub mod ops;
pub mod ovmf;
pub mod rebuild;
pub mod record;
pub mod state;
pub mod uki;
pub mod verity;
