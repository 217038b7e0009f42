//! I-32: settings are never silently gone.

use std::fs;

use lifeboat_packages::ConffileFate;

use crate::common::{guard, has, plan};
use crate::{debs, rpms};

#[test]
fn i_32_dpkg_keeps_a_changed_setting_and_tells_where_the_other_lies() {
    if !has(debs::PEERS) || !has(&["md5sum", "tar"]) {
        return;
    }
    let case = debs::case("", "");
    let file = case.root.join("etc/alpha.conf");
    fs::write(&file, "mine\n").unwrap();
    let plan = plan(&case.root, &case.new);
    assert_eq!(plan.conffiles.len(), 1, "{:?}", plan.conffiles);
    assert_eq!(
        (plan.conffiles[0].path.as_str(), plan.conffiles[0].fate),
        ("/etc/alpha.conf", ConffileFate::KeptNewBeside)
    );
    let outcome = guard(&case.root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    let left: Vec<_> =
        outcome.leftovers.iter().filter(|left| left.new).map(|left| left.path.as_str()).collect();
    assert_eq!(left, ["/etc/alpha.conf.dpkg-dist"]);
    assert!(outcome.findings.iter().any(|finding| finding.code == "conffile-changed"));
    // What was not changed is the new package's.
    assert_eq!(fs::read_to_string(case.root.join("etc/beta.conf")).unwrap(), "setting of 2\n");
}

#[test]
fn i_32_rpm_keeps_a_changed_setting_and_tells_where_the_other_lies() {
    if !has(rpms::PEERS) {
        return;
    }
    let case = rpms::case("");
    let file = case.root.join("etc/alpha.conf");
    fs::write(&file, "mine\n").unwrap();
    let plan = plan(&case.root, &case.new);
    assert_eq!(plan.conffiles.len(), 1, "{:?}", plan.conffiles);
    let outcome = guard(&case.root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    let left: Vec<_> =
        outcome.leftovers.iter().filter(|left| left.new).map(|left| left.path.as_str()).collect();
    assert_eq!(left, ["/etc/alpha.conf.rpmnew"]);
}
