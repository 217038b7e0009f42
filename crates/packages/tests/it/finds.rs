//! Finding what calls the package manager, on folders and on the table of known agents.

use std::fs;
use std::path::Path;

use lifeboat_packages::{CODES, CallerKind, NoServices, Roots, find_callers};

#[test]
fn units_timers_and_jobs_that_name_a_package_manager_are_found() {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("usr/lib/systemd/system/inventory.service", "[Service]\nExecStart=/bin/sh -c '/usr/bin/rpm -qa'\n");
    put("usr/lib/systemd/system/inventory.timer", "[Timer]\nOnCalendar=daily\n");
    put("usr/lib/systemd/system/apt-daily.timer", "[Timer]\n");
    put("usr/lib/systemd/system/harmless.service", "[Service]\nExecStart=/usr/bin/true\n");
    put("usr/lib/systemd/system/lifeboat-agent.service", "[Service]\nExecStart=/usr/bin/dpkg -l\n");
    put("etc/cron.d/list", "# dpkg only here\n5 * * * * root /usr/bin/rpm -qa > /tmp/list\n");
    put("etc/cron.daily/apt", "#!/bin/sh\nexec /usr/bin/apt-get update\n");
    put("etc/cron.d/other", "# rpm\n5 * * * * root /usr/bin/true\n");
    let roots = Roots { proc: root.path().join("proc"), ..Roots::at(root.path()) };
    let found = find_callers(&roots, &NoServices);
    let names =
        |kind| found.iter().filter(move |caller| caller.kind == kind).map(|caller| caller.name.as_str());
    assert_eq!(
        names(CallerKind::Unit).collect::<Vec<_>>(),
        ["apt-daily.timer", "inventory.service", "inventory.timer"]
    );
    let mut jobs: Vec<_> = names(CallerKind::Cron).collect();
    jobs.sort_unstable();
    assert_eq!(jobs, ["/etc/cron.d/list", "/etc/cron.daily/apt"]);
    assert!(found.iter().all(|caller| !caller.quiesced), "without a service manager nothing is stopped");
}

/// Every process of the collected table is one that we look for.
#[test]
fn every_agent_of_the_collected_table_is_known_by_its_process() {
    let table =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/packages/agents_that_run_rpm.tsv");
    let Ok(table) = fs::read_to_string(table) else {
        println!("skipped: the table of agents is not here");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let names: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("HP/HPE"))
        .filter_map(|line| line.split('\t').nth(1))
        .chain(["unattended-upgr", "packagekitd", "rhsmcertd", "goferd", "dcrpm"])
        .collect();
    assert!(names.len() > 20);
    for (index, name) in names.iter().enumerate() {
        let folder = root.path().join(format!("proc/{}", index + 10));
        fs::create_dir_all(&folder).unwrap();
        let pid = index + 10;
        fs::write(
            folder.join("stat"),
            format!("{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 5 0 0"),
        )
        .unwrap();
    }
    let roots = Roots { proc: root.path().join("proc"), ..Roots::at(root.path()) };
    let found = find_callers(&roots, &NoServices);
    let unknown: Vec<_> =
        names.iter().filter(|name| !found.iter().any(|caller| caller.name.contains(**name))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_code_has_a_page_with_its_remedy() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops/packages.md");
    let page = fs::read_to_string(page).unwrap();
    let missing: Vec<_> = CODES
        .iter()
        .filter(|code| !page.contains(&format!("`{}`", code.code)))
        .map(|code| code.code)
        .collect();
    assert!(missing.is_empty(), "not in docs/ops/packages.md: {missing:?}");
    assert!(CODES.iter().all(|code| !code.meaning.is_empty() && !code.remedy.is_empty()));
}
