//! What people and scripts read.

mod colour;
mod out;
mod progress;
mod table;
mod wrap;

pub(crate) use colour::{ColourChoice, Paint};
pub(crate) use out::{Format, Out, with_schema};
pub(crate) use progress::ProgressLine;
pub(crate) use table::{Cell, Table};
pub(crate) use wrap::fill;
