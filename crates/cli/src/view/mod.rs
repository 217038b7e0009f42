//! What a person sees of a roll.
//!
//! Owns: [`Board`] (a roll at one moment, as values), its text, and the observers that draw it while a roll runs.
//! Promises: every host has a phase, a since and what it waits for; colour only repeats a word. Does not: decide.

mod board;
mod live;
mod tell;
mod text;
mod timeline;

pub(crate) use board::{Board, HostLine};
pub(crate) use live::{LiveView, Style};
pub(crate) use tell::{EventLine, tell};
pub(crate) use text::render;
pub(crate) use timeline::Timeline;
