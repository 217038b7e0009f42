//! Whether the program that runs the guests moves them without loss.

use std::collections::BTreeSet;

use lifeboat_model::{GuestId, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Guest, Pool};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "emulator", title: "guests are moved without loss", pages: &[LOSES_WRITES], run };

/// The first version of QEMU whose interpreter keeps what a guest writes while it is moved.
const MENDED: (u32, u32, u32) = (9, 0, 0);

const LOSES_WRITES: Page = Page {
    code: "emulator-loses-writes",
    title: "a host's emulator loses what a guest writes while it is moved",
    severity: Severity::Blocker,
    looks_at: "the version of QEMU on every host, and whether guests on it run by interpretation (TCG, domain type \
               `qemu`) instead of with KVM",
    means: "QEMU before 9 loses writes to memory when a guest that it interprets is moved while it runs: seen with \
            7.2.22, 1,582 lost writes in 8 slowed moves, and panics of Linux guests. With KVM it does not happen.",
    remedy: "Upgrade QEMU on that host to 9 or newer (Debian 12: the suite bookworm-backports) and start the guest \
             anew there; or let the guests be shut down with their host: strategy `stop-start` in the policy.",
    undo: "",
    incidents: &["I-35"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    for host in &pool.hosts {
        let Some(emulator) = host.facts.and_then(|facts| facts.emulator.as_ref()) else { continue };
        if emulator.name != "QEMU" || emulator.version >= MENDED {
            continue;
        }
        let interpreted: BTreeSet<&GuestId> = emulator.interpreted.iter().collect();
        let moving = |guest: &&Guest<'_>| guest.moves() && interpreted.contains(&guest.view.id);
        let names: Vec<&str> =
            pool.guests.iter().filter(moving).map(|guest| guest.view.id.as_str()).collect();
        let Some(first) = names.first() else { continue };
        let (major, minor, patch) = emulator.version;
        let number = names.len();
        found.add(
            &LOSES_WRITES,
            host.name(),
            format!(
                "QEMU {major}.{minor}.{patch} interprets {number} of the guests that are to be moved, {first} among them"
            ),
            "upgrade QEMU there to 9 or newer, or let these guests be shut down with their host",
        );
    }
}
