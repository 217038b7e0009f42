//! A lab for one test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_kvmlab::{CarrierProgram, KvmLab, LabOptions, check_peers};
use tempfile::TempDir;

/// Longest wait for anything on a machine that has much else to do.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A lab that ends with the test.
pub(crate) struct Rig {
    pub(crate) lab: KvmLab,
    folder: TempDir,
}

impl Rig {
    /// The folder of the lab.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Migrates a guest, peer to peer.
    pub(crate) fn migrate(&self, guest: &str, from: &str, to: &str) {
        let to = format!("qemu+tcp://{to}/system");
        let words = ["migrate", "--live", "--p2p", "--persistent", "--undefinesource", guest, &to];
        self.lab.virsh(from, &words).unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in self.lab.host_names() {
                let console = self.lab.folder().host(&host).console();
                println!("console of {host}: {}", std::fs::read_to_string(console).unwrap_or_default());
            }
            println!(
                "fabric: {}",
                std::fs::read_to_string(self.lab.folder().fabric_log()).unwrap_or_default()
            );
        }
        // A test may have ended it.
        drop(KvmLab::down(self.folder.path()));
    }
}

/// Why a lab is not possible here, told; a failure where all peers are required.
pub(crate) fn skipped() -> bool {
    let Err(error) = check_peers() else { return false };
    println!("skipped: {error}");
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{error}");
    true
}

/// Options for a lab in a fresh folder.
pub(crate) fn options(folder: &TempDir) -> LabOptions {
    LabOptions::new(folder.path(), CarrierProgram::at(env!("CARGO_BIN_EXE_lifeboat-kvmlab")))
}

/// A lab as `change` wants it; none where it is not possible.
pub(crate) fn rig(change: impl FnOnce(LabOptions) -> LabOptions) -> Option<Rig> {
    if skipped() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let lab = KvmLab::up(&change(options(&folder)), &mut |line| println!("{line}")).unwrap();
    Some(Rig { lab, folder })
}

/// An agent that was built for this test run, if there is one.
pub(crate) fn agent() -> Option<PathBuf> {
    let named = std::env::var_os("LIFEBOAT_AGENT").map(PathBuf::from);
    let target =
        PathBuf::from(env!("CARGO_BIN_EXE_lifeboat-kvmlab")).parent().unwrap().parent().unwrap().to_owned();
    let built = target.join("x86_64-unknown-linux-gnu/agent/lifeboat-agent");
    let found = named.or_else(|| built.is_file().then_some(built));
    if found.is_none() {
        println!("skipped: there is no agent; build it, or name it in LIFEBOAT_AGENT");
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "an agent is required");
    }
    found
}
