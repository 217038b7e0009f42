//! `lifeboat depot show`

use std::path::Path;

use lifeboat_depot::{Descriptor, Package, VibType};

use super::findings::{several, table};
use super::open::open;
use crate::error::CliError;
use crate::output::Table;
use crate::run::Ctx;
use crate::size::show_size;

pub(super) fn show(ctx: &Ctx, path: &Path) -> Result<(), CliError> {
    let mut loaded = open(path)?;
    let more = loaded.depot.profile_findings();
    loaded.depot.findings.extend(more);
    let depot = &loaded.depot;
    let name = path.display().to_string();
    ctx.out.object("depot", depot, &name, || {
        let mut text = format!(
            "{name}: {}, {}, {}\n",
            several(depot.packages.len(), "VIB"),
            several(depot.profiles.len(), "image profile"),
            several(depot.bulletins.len(), "bulletin")
        );
        if let [(_, only)] = depot.packages.iter().collect::<Vec<_>>().as_slice() {
            text.push_str(&one(only));
        } else if !depot.packages.is_empty() {
            let mut vibs = Table::new()
                .column("NAME")
                .flexible("VERSION")
                .flexible("VENDOR")
                .column("LEVEL")
                .column("TYPE")
                .number("SIZE")
                .column("LIVE");
            for package in depot.packages.values() {
                let vib = &package.descriptor;
                let live = if vib.live_install { "yes" } else { "reboot" };
                vibs.row([
                    vib.name.clone(),
                    vib.version.to_string(),
                    vib.vendor.clone(),
                    level(vib),
                    vib.kind.word().to_owned(),
                    size(vib),
                    live.to_owned(),
                ]);
            }
            text.push('\n');
            text.push_str(&ctx.out.wrap(&vibs));
        }
        if !depot.profiles.is_empty() {
            let mut profiles =
                Table::new().flexible("IMAGE PROFILE").flexible("CREATOR").column("LEVEL").number("VIBS");
            for profile in &depot.profiles {
                let level = profile.level.map_or_else(|| "-".to_owned(), |level| level.to_string());
                profiles.row([
                    profile.name.clone(),
                    profile.creator.clone(),
                    level,
                    profile.vibs.len().to_string(),
                ]);
            }
            text.push('\n');
            text.push_str(&ctx.out.wrap(&profiles));
        }
        text.push_str(&table(ctx, &depot.findings));
        text.push_str(&format!("\nwhether it is genuine: lifeboat depot check {name}\n"));
        text
    })
}

fn level(vib: &Descriptor) -> String {
    vib.level.map_or_else(|| "-".to_owned(), |level| level.to_string())
}

fn size(vib: &Descriptor) -> String {
    let sum = vib.payloads.iter().try_fold(0_u64, |sum, payload| sum.checked_add(payload.size?));
    sum.map_or_else(|| "-".to_owned(), show_size)
}

/// Everything about one VIB.
fn one(package: &Package) -> String {
    let vib = &package.descriptor;
    let list = |words: Vec<String>| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
    let relations = &vib.relations;
    let constraints =
        |all: &[lifeboat_depot::Constraint]| list(all.iter().map(ToString::to_string).collect());
    let place = match vib.kind {
        VibType::Bootbank => "into a boot bank",
        VibType::Locker => "onto the locker",
        VibType::Other(_) => "elsewhere",
    };
    let yes = |truth: bool| if truth { "yes" } else { "no" };
    let mut lines = vec![
        ("id", vib.id.to_string()),
        ("summary", vib.summary.clone()),
        ("released", vib.release_date.clone()),
        ("level", format!("{} (claimed)", level(vib))),
        ("type", format!("{}, {place}", vib.kind.word())),
        ("live", format!("install {}, remove {}", yes(vib.live_install), yes(vib.live_remove))),
        ("maintenance", yes(vib.maintenance).to_owned()),
        ("hardware", list(vib.platforms.iter().map(|one| one.vendor.clone()).collect())),
        ("depends", constraints(&relations.depends)),
        ("conflicts", constraints(&relations.conflicts)),
        ("replaces", constraints(&relations.replaces)),
        ("provides", constraints(&relations.provides)),
        ("compatible", constraints(&relations.compatible_with)),
        ("tags", list(vib.tags.clone())),
        ("files", vib.files.len().to_string()),
        ("place", package.places.join(", ")),
    ];
    for payload in &vib.payloads {
        let size = payload.size.map_or_else(|| "size not given".to_owned(), show_size);
        let sums: Vec<String> = payload.checksums.iter().map(|sum| sum.algorithm.clone()).collect();
        lines.push((
            "payload",
            format!("{}, {}, {size}, sums: {}", payload.name, payload.kind.word(), list(sums)),
        ));
    }
    let mut text = String::from("\n");
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.push_str(&format!("  {name:<12}{value}\n"));
    }
    text
}
