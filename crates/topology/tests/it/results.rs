//! Every machine of the dumps, and the table of what was found: `docs/results-topology.md`.
//!
//! After a change that was meant: `LIFEBOAT_BLESS=1 cargo test -p lifeboat-topology --test it results`.

use std::fmt::Write as _;

use lifeboat_topology::{Lun, NameIndex, Topology, check, read_saved};

use crate::common::{probe, samples, simple_lvm};

const PAGE: &str = "\
# Storage topology: results over dumps of real machines

Made by `LIFEBOAT_BLESS=1 cargo test -p lifeboat-topology --test it results` from dumps of Linux machines (sysfs, installers'
probes) and saved outputs of programs, and compared by that test wherever the dumps are at hand. Sizes are bytes; those of
outputs are rounded by the programs that wrote them. A line of several LUNs in an output of multipath is as its authors
collected it, not one machine.

";

fn machine(page: &mut String, title: &str, topology: &Topology) {
    let findings = check(topology);
    writeln!(page, "## {title}").unwrap();
    writeln!(
        page,
        "{} adapters, {} targets, {} LUNs, {} paths, {} devices, {} names; read from {}\n",
        topology.adapters.len(),
        topology.targets.len(),
        topology.luns.len(),
        topology.paths.len(),
        topology.devices.len(),
        NameIndex::new(topology).names().count(),
        topology.source.forms.join(", ")
    )
    .unwrap();
    page.push_str(
        "| adapter | target | LUN | size | identity | paths up | devices | map, policy | used by |\n",
    );
    page.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for lun in &topology.luns {
        row(page, topology, lun);
    }
    for finding in &findings {
        writeln!(
            page,
            "\n* {} `{}` {}: {}",
            finding.severity, finding.code, finding.subject, finding.evidence
        )
        .unwrap();
    }
    page.push('\n');
}

fn row(page: &mut String, topology: &Topology, lun: &Lun) {
    let unique = |words: Vec<String>| {
        let mut all: Vec<String> = Vec::new();
        for word in words {
            if !all.contains(&word) {
                all.push(word);
            }
        }
        all.join(", ")
    };
    let paths = || topology.paths_of(lun);
    let up = topology.up_of(lun);
    let map = lun.map.as_ref().map_or(String::new(), |map| {
        let words = [Some(&map.name), map.policy.as_ref(), map.handler.as_ref()];
        words.into_iter().flatten().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(", ")
    });
    writeln!(
        page,
        "| {} | {} | {} | {} | {} | {up} | {} | {map} | {} |",
        unique(paths().map(|path| path.adapter.clone()).collect()),
        unique(paths().filter_map(|path| path.target.clone()).collect()),
        unique(paths().filter_map(|path| path.number).map(|number| number.to_string()).collect()),
        lun.bytes.map_or(String::new(), |bytes| bytes.to_string()),
        lun.identity,
        lun.devices.join(", "),
        topology.used_by(lun).join(", "),
    )
    .unwrap();
}

#[test]
fn the_table_of_results_is_what_is_found() {
    let (Some(dump), Some(folder)) = (simple_lvm(), samples("storage-topology")) else { return };
    let mut page = PAGE.to_owned();
    machine(&mut page, "lsblk dump simple-lvm", &read_saved(&dump.path().join("simple-lvm")).unwrap());
    for name in
        ["curtin_probert_lvm", "subiquity_existing-partitions", "subiquity_multipath", "subiquity_simple"]
    {
        machine(&mut page, name, &probe(&format!("{name}.json")).unwrap());
    }
    let outputs = [
        "insights/multipath_v4_ll__MULTIPATH_V4_LL_DOC.txt",
        "insights/multipath_v4_ll__MULTIPATH_V4_LL_INFO.txt",
        "insights/lsscsi__LSSCSI_1.txt",
        "insights/lsscsi__LSSCSI_2.txt",
        "insights/lsscsi__LSSCSI_3.txt",
        "insights/scsi__SCSI_OUTPUT.txt",
        "insights/scsi__SCSI_OUTPUT_SINGLE_SPACED_ANSI_SCSI.txt",
        "insights/iscsiadm_mode_session__ISCSIADM_SESSION_INFO.txt",
        "esxcfg_mpath_l_iscsi_two_paths.txt",
        "esxi_mpath_netapp_fc.txt",
        "esxi_psa_nmp.txt",
        "esx_lost_lun.txt",
        "esx_vpd.txt",
    ];
    for name in outputs {
        machine(&mut page, name, &read_saved(&folder.join(name)).unwrap());
    }
    for name in ["vmkernel-logs/clariion_trespass.txt", "esxi-outputs/vib_install_lsi_5.0.txt"] {
        machine(&mut page, name, &read_saved(&folder.join("..").join(name)).unwrap());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results-topology.md");
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page);
}

#[test]
fn a_file_without_topology_says_what_is_known() {
    let Some(folder) = samples("storage-topology") else { return };
    let error = read_saved(&folder.join("augeas/multipath.conf")).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("multipath -ll"), "{cause}");
}
