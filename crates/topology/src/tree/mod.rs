//! A tree of files that is looked at, wherever it is.

mod memory;
mod real;
mod seen;
mod view;

pub use memory::MemTree;
pub use real::RealTree;
pub use seen::{Tree, TreeError};
pub(crate) use view::View;
