//! x
use crate::{Failure,Options,report::Report};
pub(crate) fn run(_o:&Options,_r:&mut Report)->Result<(),Failure>{Ok(())}
