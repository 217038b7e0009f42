//! The firmware itself reads what we wrote: OVMF under QEMU.
#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::OvmfVars;
use crate::efi::{
    BOOT_NEXT, BOOT_ORDER, DevicePath, EFI_GLOBAL, HardDrive, LoadOption, UKI_PATH, Var, VarStore,
    decode_numbers, encode_numbers,
};
use crate::guid::Guid;

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// A loaded machine without hardware virtualization needs a minute; an idle one five seconds.
const DEADLINE: Duration = Duration::from_secs(300);

/// A virtual machine that ends with its owner.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Always emulated: hardware virtualization inside a virtual machine may be offered and not work.
fn start(vars: &Path) -> Option<Machine> {
    let child = Command::new("qemu-system-x86_64")
        .args(["-machine", "q35,accel=tcg", "-m", "256", "-display", "none", "-nic", "none"])
        .args(["-serial", "null", "-monitor", "none", "-nodefaults"])
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,unit=0,readonly=on,file={CODE}"))
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,unit=1,file={}", vars.display()))
        .stdin(Stdio::null())
        .spawn();
    child.ok().map(Machine)
}

#[test]
fn ovmf_consumes_our_boot_next_and_keeps_our_entry_and_our_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vars.fd");
    let skipped = |reason: &str| {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "a required peer is missing: {reason}");
        println!("skipped: {reason}");
    };
    let (Ok(empty), true) = (std::fs::read(VARS), Path::new(CODE).exists()) else {
        return skipped("no OVMF");
    };
    let drive = HardDrive::gpt(1, 2048, 2048, Guid([0x42; 16]));
    let entry = Var::boot(LoadOption::new("Lifeboat A", DevicePath::file_on(drive, UKI_PATH)).encode());
    let mut vars = OvmfVars::open(empty).unwrap();
    vars.set("Boot0005", &EFI_GLOBAL, &entry).unwrap();
    vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(encode_numbers(&[5]))).unwrap();
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(encode_numbers(&[5]))).unwrap();
    std::fs::write(&file, vars.image()).unwrap();
    let Some(mut machine) = start(&file) else { return skipped("no qemu-system-x86_64") };
    let begun = Instant::now();
    let after = loop {
        assert!(begun.elapsed() < DEADLINE, "OVMF did not consume BootNext in {DEADLINE:?}");
        assert_eq!(machine.0.try_wait().unwrap(), None, "QEMU ended before the firmware was done");
        // In the middle of a collection by the firmware the store may be unreadable for a moment.
        match OvmfVars::open(std::fs::read(&file).unwrap()) {
            Ok(vars) if vars.get(BOOT_NEXT, &EFI_GLOBAL).unwrap().is_none() => break vars,
            Ok(_) | Err(_) => sleep(Duration::from_millis(100)),
        }
    };
    assert_eq!(after.get("Boot0005", &EFI_GLOBAL).unwrap(), Some(entry));
    let order = decode_numbers(&after.get(BOOT_ORDER, &EFI_GLOBAL).unwrap().unwrap().data).unwrap();
    assert_eq!(order.first(), Some(&5), "the firmware adds its own entries behind: {order:?}");
    let mut again = after.clone();
    again.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(encode_numbers(&[5]))).unwrap();
    assert!(after.list().unwrap().len() > 2, "the firmware stored variables of its own");
}
