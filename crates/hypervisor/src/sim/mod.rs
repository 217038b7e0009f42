//! The embedded simulated pool: hosts and guests that exist only here, banks that are real.
//!
//! Owns: [`SimPool`], its description [`SimSpec`], the faults and conditions that can be ordered, and the releases it can run.
//! Promises: the same description and the same orders give the same history; every effect is done once however
//! often it is ordered; a controller that is killed loses nothing but unfinished work; a guest that is lost is
//! recorded and never hidden. Does not: decide anything, or pretend to be a benchmark of real hosts.

mod banks;
mod clock;
mod condition;
mod conditions;
mod create;
mod disk;
mod effects;
mod failing;
mod fault;
mod faults;
mod folder;
mod guests;
mod inbox;
mod kernel;
mod mend;
mod moves;
mod nvram;
mod order;
mod pool;
mod power;
mod prng;
mod release;
mod spec;
mod state;
mod survey;
mod values;

pub use clock::ClockMode;
pub use condition::{
    CONDITION_FORMS, Condition, ConditionError, GuestCondition, HostCondition, SimPlace, SimTask,
};
pub use fault::{Fault, FaultError, FaultStep};
pub use inbox::leave_orders;
pub use kernel::{Behaviour, KernelError, SimKernel};
pub use order::SimOrder;
pub use pool::SimPool;
pub use release::{SIM_LINE, SIM_ROOT_BYTES, build_sim_bundle, build_sim_release};
pub use spec::{SimSizes, SimSpec, SimTimes};
pub use state::{GuestLife, LostGuest};
