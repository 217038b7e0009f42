//! What a power loop does next: a pure table.
//!
//! Owns: the end of a host read from how its PID 1 ended, and what follows. Promises: a host that cannot boot is not
//! tried in a hot loop. Does not: start or kill anything.

use std::time::Duration;

use lifeboat_model::Bank;
use serde::{Deserialize, Serialize};

/// How a boot of a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostEnd {
    /// It rebooted itself.
    Reboot,
    /// It powered itself off.
    Poweroff,
    /// Its power was cut.
    Cut,
    /// The watchdog cut it: the bank on trial was not blessed in time.
    Watchdog,
    /// Its first process ended in another way, as by a panic.
    Panic,
    /// Nothing could be booted.
    NoBoot,
}

/// What the switch of a host says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
    /// Cut the power, then off.
    Cut,
    /// Cut the power, then on.
    Reset,
}

impl Switch {
    /// Reads the content of the file.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match text.trim_ascii() {
            b"on" => Some(Self::On),
            b"off" => Some(Self::Off),
            b"cut" => Some(Self::Cut),
            b"reset" => Some(Self::Reset),
            _ => None,
        }
    }
}

/// What to do with a host that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The switch goes to off.
    StayOff,
    /// Boot again after this long.
    BootIn(Duration),
}

/// Reads the end of a host. `signal` and `code` are those of the process that waited for its PID 1, which ends as that
/// did: reboot(2) in a PID namespace shows as SIGHUP (reboot) or SIGINT (power off).
pub(super) fn read_end(signal: Option<i32>, code: Option<i32>) -> HostEnd {
    match signal.or_else(|| code.and_then(|code| code.checked_sub(128))) {
        Some(1) => HostEnd::Reboot,
        Some(2) => HostEnd::Poweroff,
        Some(9) => HostEnd::Cut,
        _ => HostEnd::Panic,
    }
}

/// What follows an end. `switch` is what the switch says now; `up` is how long the host was up.
pub(super) fn after(end: HostEnd, switch: Switch, up: Duration) -> Next {
    let pause = if up < Duration::from_secs(2) { Duration::from_secs(1) } else { Duration::from_millis(200) };
    match (end, switch) {
        (_, Switch::Off | Switch::Cut) | (HostEnd::Poweroff, Switch::On | Switch::Reset) => Next::StayOff,
        (HostEnd::Reboot, Switch::On | Switch::Reset) => Next::BootIn(Duration::ZERO),
        (HostEnd::Cut, Switch::Reset) => Next::BootIn(Duration::from_millis(200)),
        (HostEnd::Cut | HostEnd::Watchdog, Switch::On) | (HostEnd::Watchdog, Switch::Reset) => {
            Next::BootIn(pause)
        }
        // As `panic=1` on a kernel line does.
        (HostEnd::Panic | HostEnd::NoBoot, Switch::On | Switch::Reset) => {
            Next::BootIn(Duration::from_secs(1))
        }
    }
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its power is off.
    Off,
    /// It waits for its next boot.
    Waiting,
    /// It is powered on and its first process is not there yet.
    Booting,
    /// Its first process runs.
    Running,
}

/// What the power loop last saw of a host: `power.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerState {
    /// Where it stands.
    pub phase: Phase,
    /// Number of its PID 1 in the fabric, if it runs.
    pub pid: Option<i32>,
    /// Identity of this boot, or of the last one.
    pub boot_id: Option<String>,
    /// How often it was booted.
    pub boots: u32,
    /// How the last boots ended, newest last; at most 16.
    pub ends: Vec<HostEnd>,
    /// The bank that was booted, if it boots from banks.
    pub bank: Option<Bank>,
    /// The release in it.
    pub release: Option<String>,
    /// What the firmware says about its choice.
    pub why: Option<String>,
    /// The disk of the host as a device, while it is powered.
    pub device: Option<String>,
}

impl PowerState {
    /// A host that was never on.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Off,
            pid: None,
            boot_id: None,
            boots: 0,
            ends: Vec::new(),
            bank: None,
            release: None,
            why: None,
            device: None,
        }
    }

    pub(super) fn ended(&mut self, end: HostEnd) {
        if self.ends.len() >= 16 {
            self.ends.remove(0);
        }
        self.ends.push(end);
        self.pid = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(100);

    #[test]
    fn the_end_of_a_host_is_read_from_the_signal_or_the_status_of_its_first_process() {
        for (signal, code, end) in [
            (Some(1), None, HostEnd::Reboot),
            (None, Some(129), HostEnd::Reboot),
            (Some(2), None, HostEnd::Poweroff),
            (None, Some(130), HostEnd::Poweroff),
            (Some(9), None, HostEnd::Cut),
            (None, Some(137), HostEnd::Cut),
            (None, Some(0), HostEnd::Panic),
            (None, Some(1), HostEnd::Panic),
            (Some(11), None, HostEnd::Panic),
        ] {
            assert_eq!(read_end(signal, code), end, "{signal:?} {code:?}");
        }
    }

    #[test]
    fn a_host_that_is_switched_off_stays_off_however_it_ended() {
        for end in [HostEnd::Reboot, HostEnd::Poweroff, HostEnd::Cut, HostEnd::Watchdog, HostEnd::Panic] {
            assert_eq!(after(end, Switch::Off, LONG), Next::StayOff);
            assert_eq!(after(end, Switch::Cut, LONG), Next::StayOff);
        }
        assert_eq!(after(HostEnd::Poweroff, Switch::On, LONG), Next::StayOff);
    }

    #[test]
    fn a_reboot_is_immediate_and_a_host_that_dies_at_once_is_not_tried_in_a_hot_loop() {
        assert_eq!(after(HostEnd::Reboot, Switch::On, SHORT), Next::BootIn(Duration::ZERO));
        assert_eq!(after(HostEnd::Cut, Switch::Reset, LONG), Next::BootIn(Duration::from_millis(200)));
        assert_eq!(after(HostEnd::Cut, Switch::On, SHORT), Next::BootIn(Duration::from_secs(1)));
        assert_eq!(after(HostEnd::Panic, Switch::On, SHORT), Next::BootIn(Duration::from_secs(1)));
        assert_eq!(after(HostEnd::NoBoot, Switch::On, LONG), Next::BootIn(Duration::from_secs(1)));
    }
}
