//! What boots next stays as it was until the packages are whole.

use std::fs;

use lifeboat_packages::{Ending, Moment};

use crate::common::{guard, has, plan, versions};
use crate::debs::{self, NEW};

/// A script that makes a new kernel the default, as a kernel's package does; it fails unless `/tmp/good` is there.
const KERNEL: &str = "echo new kernel > /boot/grub/grub.cfg; rm -f /vmlinuz; echo x > /tmp/x; cp /tmp/x /vmlinuz; ls /tmp/good";

#[test]
fn an_incomplete_host_boots_what_it_booted_before_and_a_finished_one_the_new() {
    if !has(debs::PEERS) {
        return;
    }
    let case = debs::case("", KERNEL);
    let config = case.root.join("boot/grub/grub.cfg");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "old kernel\n").unwrap();
    std::os::unix::fs::symlink("boot/vmlinuz-1", case.root.join("vmlinuz")).unwrap();
    let outcome = guard(&case.root).apply(&plan(&case.root, &case.new), &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Incomplete);
    assert_eq!(fs::read_to_string(&config).unwrap(), "old kernel\n");
    assert_eq!(fs::read_link(case.root.join("vmlinuz")).unwrap().to_str(), Some("boot/vmlinuz-1"));

    fs::write(case.root.join("tmp/good"), "").unwrap();
    let outcome = guard(&case.root).finish(&mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    assert_eq!(versions(&case.root), NEW);
    assert_eq!(fs::read_to_string(&config).unwrap(), "new kernel\n");
    let back = guard(&case.root).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), "old kernel\n");
}

#[test]
fn records_are_told_before_and_after_they_are_on_storage() {
    if !has(debs::PEERS) {
        return;
    }
    let case = debs::case("", "");
    let plan = plan(&case.root, &case.new);
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let hear = std::rc::Rc::clone(&seen);
    let guard = guard(&case.root).with_hook(move |seq, moment| hear.borrow_mut().push((seq, moment)));
    guard.apply(&plan, &mut |_| {}).unwrap();
    let seen = seen.borrow();
    assert!(
        seen.chunks(2)
            .all(|pair| pair[0].0 == pair[1].0 && pair[0].1 == Moment::Before && pair[1].1 == Moment::After)
    );
    assert!(seen.len() > 10);
}
