//! The network of the fabric: one bridge, one cable for each host.
//!
//! Owns: bridge, network namespaces, cables. Promises: a host's network namespace outlives its reboots, so a cable that
//! was pulled stays pulled. Does not: connect the fabric with the machine; there is no way out.

use std::process::Command;

use crate::settings::{FABRIC_ADDRESS, HostSettings};
use crate::{LabError, tool};

/// The bridge.
const BRIDGE: &str = "lb0";

/// Brings up loopback and bridge.
pub(super) fn make_bridge() -> Result<(), LabError> {
    let address = format!("{FABRIC_ADDRESS}/24");
    for words in [
        ["link", "set", "lo", "up"].as_slice(),
        &["link", "add", BRIDGE, "type", "bridge"],
        &["addr", "add", &address, "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
    ] {
        ip(words)?;
    }
    Ok(())
}

/// Makes the network namespace of a host, and its cable to the bridge.
pub(super) fn plug_in(host: &HostSettings) -> Result<(), LabError> {
    let (name, cable, address) = (host.name.as_str(), cable_of(&host.name), format!("{}/24", host.address()));
    for words in [
        ["netns", "add", name].as_slice(),
        &["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", name],
        &["link", "set", &cable, "master", BRIDGE, "up"],
        &["-n", name, "link", "set", "lo", "up"],
        &["-n", name, "addr", "add", &address, "dev", "eth0"],
        &["-n", name, "link", "set", "eth0", "up"],
        &["-n", name, "route", "add", "default", "via", FABRIC_ADDRESS],
    ] {
        ip(words)?;
    }
    Ok(())
}

/// The words for `ip`, in the fabric, that pull or plug the cable of a host.
pub(crate) fn set_cable(host: &str, plugged: bool) -> [String; 4] {
    let state = if plugged { "up" } else { "down" };
    ["link".to_owned(), "set".to_owned(), cable_of(host), state.to_owned()]
}

fn cable_of(host: &str) -> String {
    format!("v{host}")
}

fn ip(words: &[&str]) -> Result<(), LabError> {
    tool::run(Command::new(tool::needed("ip")?).args(words), "set up the network of the fabric").map(drop)
}
