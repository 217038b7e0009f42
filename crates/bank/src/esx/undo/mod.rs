//! The way back: what a change overwrote, and how it is put back.
//!
//! Owns: the undo file (`docs/formats/undo.md`), its writing before the first change, and the undoing. Promises: the
//! file is whole and durable before anything is overwritten; undoing passes, backwards, through the same states of the
//! disk as the change did, so that a power cut during it is as harmless; it can be cut, repeated and begun anew; a
//! place that holds neither what the change wrote nor what was there before is not touched without being told to;
//! constant memory. Does not: know what the bytes mean, or keep the file (a [`UndoSink`] does).

mod back;
mod codec;
mod error;
mod file;
mod identity;
mod save;

pub use back::{Differing, UndoState, Undone, examine_undo, undo};
pub use error::UndoError;
pub use file::UndoFile;
pub use identity::{DiskIdentity, Place, TableIdentity};
pub use save::UndoSink;
pub(in crate::esx) use save::save_undo;
