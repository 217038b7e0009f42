//! The model against the firmware it models: OVMF under QEMU boots the same disks with the same variables.
#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lifeboat_model::Bank;

use super::fixture::{host, invalidate, put_bank, uki_of};
use super::predict;
use crate::efi::{
    BOOT_ORDER, DevicePath, EFI_GLOBAL, HardDrive, LoadOption, UKI_PATH, UefiBoot, Var, VarStore,
    encode_numbers,
};
use crate::guid::Guid;
use crate::layout::Layout;
use crate::ovmf::OvmfVars;
use crate::uki::minimal_stub;

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const DEADLINE: Duration = Duration::from_secs(300);

/// A stub that ends the virtual machine with a number of its own: QEMU's exit code is twice that and one.
fn telling_stub(number: u8) -> Vec<u8> {
    let mut stub = minimal_stub();
    // mov al, number; out 0xf4, al; hlt
    stub[0x400..0x405].copy_from_slice(&[0xb0, number, 0xe6, 0xf4, 0xf4]);
    // VirtualSize of its one section.
    stub[0x58 + 240 + 8] = 5;
    stub
}

fn number_of(bank: Bank) -> u8 {
    match bank {
        Bank::A => 0x11,
        Bank::B => 0x22,
    }
}

/// One power cycle of a machine with this disk; the variables are those it leaves.
fn power_on(disk: &[u8], vars: OvmfVars) -> Option<(Bank, OvmfVars)> {
    let folder = tempfile::tempdir().unwrap();
    let (disk_file, vars_file) = (folder.path().join("disk"), folder.path().join("vars"));
    std::fs::write(&disk_file, disk).unwrap();
    std::fs::write(&vars_file, vars.into_image()).unwrap();
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-machine", "q35,accel=tcg", "-m", "256", "-display", "none", "-nodefaults"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={CODE}")])
        .args(["-drive", &format!("if=pflash,format=raw,unit=1,file={}", vars_file.display())])
        .args(["-drive", &format!("if=virtio,format=raw,cache=unsafe,file={}", disk_file.display())])
        .stdin(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = machine.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > DEADLINE {
            machine.kill().unwrap();
            machine.wait().unwrap();
        }
        assert!(begun.elapsed() <= DEADLINE, "no bank was booted in {DEADLINE:?}");
        sleep(Duration::from_millis(50));
    };
    let told = Bank::BOTH.into_iter().find(|&bank| status.code() == Some(i32::from(number_of(bank)) * 2 + 1));
    assert!(told.is_some(), "QEMU ended with {status} instead of a bank's number");
    let vars = OvmfVars::open(std::fs::read(&vars_file).unwrap()).unwrap();
    Some((told?, vars))
}

/// A disk whose banks tell their names, and empty variables; `None` if a peer is missing.
fn telling_host() -> Option<(Vec<u8>, Layout, OvmfVars)> {
    let (mut disk, layout, _) = host();
    for bank in Bank::BOTH {
        put_bank(&mut disk, &layout, bank, &uki_of(&telling_stub(number_of(bank)), bank));
    }
    let qemu = Command::new("qemu-system-x86_64").arg("--version").stdout(Stdio::null()).status();
    let vars = std::fs::read(VARS).ok().and_then(|image| OvmfVars::open(image).ok());
    let there = qemu.is_ok() && Path::new(CODE).exists();
    let found = vars.filter(|_| there).map(|vars| (disk, layout, vars));
    if found.is_none() {
        assert!(
            std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(),
            "a required peer is missing: QEMU, OVMF"
        );
        println!("skipped: no qemu-system-x86_64 or no OVMF");
    }
    found
}

fn committed(vars: OvmfVars, layout: &Layout) -> UefiBoot<OvmfVars> {
    let mut boot = UefiBoot::of_layout(vars, layout);
    boot.ensure_entries().unwrap();
    boot.commit(Bank::A).unwrap();
    boot
}

/// Boots for real and compares with the model.
fn agreed(disk: &[u8], vars: OvmfVars, expected: Bank) -> Option<OvmfVars> {
    let predicted = predict(&disk, &vars);
    assert_eq!(
        predicted.booted.as_ref().and_then(|booted| booted.bank),
        Some(expected),
        "{}",
        predicted.why()
    );
    let (bank, vars) = power_on(disk, vars)?;
    assert_eq!(bank, expected, "OVMF boots another bank than the model: {}", predicted.why());
    Some(vars)
}

#[test]
fn ovmf_takes_the_one_try_once_then_the_order_and_after_a_commit_the_other_bank() {
    let Some((disk, layout, vars)) = telling_host() else { return };
    let mut boot = committed(vars, &layout);
    boot.set_next(Bank::B).unwrap();
    let vars = agreed(&disk, boot.into_vars(), Bank::B).unwrap();
    let vars = agreed(&disk, vars, Bank::A).unwrap();
    let mut boot = UefiBoot::of_layout(vars, &layout);
    boot.commit(Bank::B).unwrap();
    let vars = agreed(&disk, boot.into_vars(), Bank::B).unwrap();
    let status = UefiBoot::of_layout(vars, &layout).status().unwrap();
    assert_eq!((status.next, status.asked()), (None, Some(Bank::B)));
    assert_eq!(status.findings, [], "the firmware kept our entries and our order");
}

#[test]
fn ovmf_falls_back_in_the_same_power_cycle_from_a_bank_without_a_boot_sector() {
    let Some((mut disk, layout, vars)) = telling_host() else { return };
    invalidate(&mut disk, &layout, Bank::B);
    let mut boot = committed(vars, &layout);
    boot.set_next(Bank::B).unwrap();
    agreed(&disk, boot.into_vars(), Bank::A).unwrap();
}

#[test]
fn ovmf_falls_back_in_the_same_power_cycle_from_an_image_that_is_cut_off() {
    let Some((mut disk, layout, vars)) = telling_host() else { return };
    let whole = uki_of(&telling_stub(number_of(Bank::B)), Bank::B);
    put_bank(&mut disk, &layout, Bank::B, &whole[..whole.len() / 2]);
    let mut boot = committed(vars, &layout);
    boot.set_next(Bank::B).unwrap();
    agreed(&disk, boot.into_vars(), Bank::A).unwrap();
}

#[test]
fn ovmf_without_variables_finds_the_first_bank_that_loads() {
    let Some((mut disk, layout, vars)) = telling_host() else { return };
    agreed(&disk, vars.clone(), Bank::A).unwrap();
    invalidate(&mut disk, &layout, Bank::A);
    agreed(&disk, vars, Bank::B).unwrap();
}

#[test]
fn ovmf_passes_over_an_entry_of_a_disk_that_is_gone() {
    let Some((disk, layout, vars)) = telling_host() else { return };
    let gone = HardDrive::gpt(1, 2048, 2048, Guid([0x99; 16]));
    let gone = LoadOption::new("gone", DevicePath::file_on(gone, UKI_PATH));
    let mut vars = committed(vars, &layout).into_vars();
    vars.set("Boot0010", &EFI_GLOBAL, &Var::boot(gone.encode())).unwrap();
    vars.set(BOOT_ORDER, &EFI_GLOBAL, &Var::boot(encode_numbers(&[0x10, 1, 0]))).unwrap();
    agreed(&disk, vars, Bank::B).unwrap();
}

#[test]
fn ovmf_boots_by_the_second_copy_of_the_table_when_the_first_is_damaged() {
    let Some((mut disk, layout, vars)) = telling_host() else { return };
    disk[512..600].fill(0xee);
    agreed(&disk, committed(vars, &layout).into_vars(), Bank::A).unwrap();
}
