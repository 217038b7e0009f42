//! A pool of hosts with libvirt on one machine, in namespaces.
//!
//! Owns: the lab: its network, its hosts with their power and boot banks, its guests that prove that nothing was lost.
//! Promises: real libvirtd and real QEMU; several labs side by side; what a lab made ends with it. Does not: need KVM,
//! systemd or a network; show anything of kernels and firmware (the lab in QEMU does that).
//!
//! ```no_run
//! use lifeboat_kvmlab::{CarrierProgram, GuestSpec, KvmLab, LabOptions};
//!
//! # fn main() -> Result<(), lifeboat_kvmlab::LabError> {
//! let options = LabOptions::new("/srv/lab", CarrierProgram::find()?);
//! let lab = KvmLab::up(&options, &mut |line| println!("{line}"))?;
//! lab.start_guest("h1", &GuestSpec::tick("g1"))?;
//! lab.virsh("h1", &["migrate", "--live", "--p2p", "--persistent", "--undefinesource", "g1", "qemu+tcp://h2/system"])?;
//! println!("{}", lab.guest_life("g1")?.words());
//! KvmLab::down(options.folder())?;
//! # Ok(())
//! # }
//! ```

mod bank;
mod error;
mod fabric;
mod folder;
mod guest;
mod host;
mod lab;
mod mounts;
mod process;
mod program;
mod secrets;
mod settings;
mod tool;

pub use bank::{HostDisk, ReleaseFault, ReleaseSpec};
pub use error::LabError;
pub use fabric::{HostEnd, Phase, PowerState};
pub use folder::{HostFolder, LabFolder};
pub use guest::{GuestDisk, GuestKind, GuestLife, GuestReport, GuestSpec, LifeWatch};
pub use lab::{HostStatus, KvmLab, LabOptions, LabStatus, PlacedGuest};
pub use process::ProcessId;
pub use program::{CarrierProgram, carry};
pub use settings::{CONTROLLER_PORT, FABRIC_ADDRESS, HostKind, HostSettings, LabSettings, NBD_PORT};
pub use tool::check_peers;
