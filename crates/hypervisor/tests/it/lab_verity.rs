//! A real machine whose root is checked block by block: a damaged bank on trial falls back, a damaged bank in use says so.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use lifeboat_bank::install::verify_bank;
use lifeboat_bank::layout::read_layout;
use lifeboat_device::BlockFile;
use lifeboat_hypervisor::lab::Machine;
use lifeboat_model::{Bank, BankState};

use crate::lab_support::{Pool, bring_up, install, reboot_into, with_power_off};

/// Flips a bit in the 4th block of a file that nothing reads while the host runs. The block's number in the root.
fn damage(machine: &Machine, bank: Bank) -> u64 {
    let disk = BlockFile::open_read(&machine.disk()).unwrap();
    let layout = read_layout(&disk).unwrap();
    assert!(verify_bank(&disk, &layout, None, bank).is_whole(), "the bank was whole before");
    let root = layout.volumes(bank).root;
    let file = OpenOptions::new().read(true).write(true).open(machine.disk()).unwrap();
    let mut block = vec![0_u8; 4096];
    let number = (0..root.bytes() / 4096)
        .find(|number| {
            file.read_exact_at(&mut block, root.offset() + number * 4096).unwrap();
            block.starts_with(b"lifeboat ballast 04 ")
        })
        .unwrap();
    file.write_all_at(&[block[99] ^ 1], root.offset() + number * 4096 + 99).unwrap();
    let check = verify_bank(&disk, &layout, None, bank);
    assert_eq!(check.damage.unwrap().data, [number]);
    number
}

fn console(machine: &Machine) -> String {
    String::from_utf8_lossy(&std::fs::read(machine.console()).unwrap()).into_owned()
}

#[test]
fn a_damaged_block_restarts_a_bank_on_trial_and_is_told_by_a_bank_in_use() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("lab");
    let begin = Instant::now();
    let Some(_down) = bring_up(&folder, 1) else { return };
    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("the agent says hello", |pool| pool.host("host-1").reachable);
    let machine = pool.driver.lab().machine("host-1").unwrap();
    assert!(console(&machine).contains("lifeboat-initrd: root is /dev/dm-0"), "{}", console(&machine));

    // On trial: the root is read whole, the kernel restarts the machine at the damaged block, the old bank boots.
    let bank = install(&mut pool, "host-1", "2");
    with_power_off(&mut pool, "host-1", |machine| {
        damage(machine, bank);
    });
    reboot_into(&mut pool, "host-1", bank);
    let host = pool.host("host-1");
    assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::A), BankState::Failed));
    let told = console(&machine);
    assert!(told.contains("dm-verity device corrupted") || told.contains("is corrupted"), "{told}");

    // Whole: the same release is tried again and blessed.
    let release = pool.release("2");
    let name = lifeboat_model::HostId::new("host-1").unwrap();
    pool.order(&[lifeboat_model::Effect::Install { host: name, release, bank, retry: true }]);
    reboot_into(&mut pool, "host-1", bank);
    let host = pool.host("host-1");
    assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::B), BankState::Good));

    // In use: the machine does not restart, and its agent names the block.
    let mut number = 0;
    with_power_off(&mut pool, "host-1", |machine| number = damage(machine, bank));
    let boot = pool.host("host-1").boot_id.clone();
    let words = format!("the root of bank B is damaged: blocks {number} do not fit its hash tree");
    pool.wait_for("the damage is told", |pool| {
        let note = pool.host("host-1").bank(Bank::B).note.clone().unwrap_or_default();
        note.contains("dm-verity refused a block") && console(&machine).contains(&words)
    });
    let host = pool.host("host-1");
    assert_eq!((host.active, &host.boot_id, host.reachable), (Some(Bank::B), &boot, true));
    println!("the whole story took {:.0} s", begin.elapsed().as_secs_f32());
}
