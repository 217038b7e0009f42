//! The embedded simulated pool: hosts and guests that exist only here, banks that are real.
//!
//! Owns: [`SimPool`], its description [`SimSpec`], the faults that can be ordered, and the releases it can run.
//! Promises: the same description and the same orders give the same history; every effect is done once however
//! often it is ordered; a controller that is killed loses nothing but unfinished work; a guest that is lost is
//! recorded and never hidden. Does not: decide anything, or pretend to be a benchmark of real hosts.

mod banks;
mod clock;
mod create;
mod disk;
mod effects;
mod failing;
mod fault;
mod folder;
mod guests;
mod kernel;
mod moves;
mod nvram;
mod pool;
mod power;
mod prng;
mod release;
mod spec;
mod state;
mod values;

pub use clock::ClockMode;
pub use fault::{Fault, FaultError, FaultStep};
pub use kernel::{Behaviour, KernelError, SimKernel};
pub use pool::SimPool;
pub use release::{SIM_LINE, SIM_ROOT_BYTES, build_sim_bundle, build_sim_release};
pub use spec::{SimSizes, SimSpec, SimTimes};
pub use state::{GuestLife, LostGuest};
