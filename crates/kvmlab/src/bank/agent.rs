//! The agent's configuration on a host of the lab.
//!
//! Owns: the words of `agent.json`. Promises: a host that was not enrolled dials as the hosts of a lab do, one that
//! was enrolled uses its certificate. Does not: enrol.

use crate::settings::{CONTROLLER_PORT, FABRIC_ADDRESS, HostSettings};

/// The file `agent.json` of a host.
pub(crate) fn agent_json(host: &HostSettings) -> String {
    let value = serde_json::json!({
        "schema": 1,
        "host": host.name,
        "controller": format!("{FABRIC_ADDRESS}:{CONTROLLER_PORT}"),
        "token": token_of(host),
        // The power loop ends a trial that hangs; a namespace has no watchdog.
        "outside_watchdog": true,
        "reboot_command": ["/bin/busybox", "reboot", "-f"],
    });
    format!("{value}\n")
}

/// The secret by which a controller of the lab knows a host that has no certificate.
pub(crate) fn token_of(host: &HostSettings) -> String {
    host.uuid.replace('-', "")
}
