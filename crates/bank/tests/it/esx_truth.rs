//! The selection against the table of 1,442 real runs of the loader.

use std::fmt::Write as _;
use std::path::Path;

use lifeboat_bank::esx::bootcfg::BootCfg;
use lifeboat_bank::esx::select::{BankInput, BankOutcome, WhyNot, select};

/// The table lies beside the repository where it is worked on; the repository itself does not need it.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/banks/truth-table.csv");

/// The condition of a bank as the table names it.
struct Bank {
    marked: bool,
    cfg: Option<BootCfg>,
}

fn bank(condition: &str, updated: u32) -> Bank {
    let (head, tail) = condition.split_once(',').unwrap_or((condition, ""));
    let mut state = match head {
        "valid" | "updated=-1" | "no-vmware-magic" => "bootstate=0".to_owned(),
        "upgrading" => "bootstate=1".to_owned(),
        "dirty" => "bootstate=2".to_owned(),
        "invalid" => "bootstate=3".to_owned(),
        "no-bootstate-key" | "boot.cfg-missing" | "boot.cfg-empty" => String::new(),
        "bootstate-empty" => "bootstate=".to_owned(),
        other => other.to_owned(),
    };
    let mut updated = updated.to_string();
    let (mut build, mut before, mut after) = ("build=8.0.2-1".to_owned(), String::new(), String::new());
    match tail {
        "updated=0" => "0".clone_into(&mut updated),
        "no-build" => build.clear(),
        "quickboot=1" => "quickboot=1".clone_into(&mut after),
        "state-after-512" => before = format!("#{}", "x".repeat(520)),
        "space-before-=" => after = std::mem::take(&mut state).replace('=', " ="),
        "space-after-=" => after = std::mem::take(&mut state).replace('=', "= "),
        "valid" => "-1".clone_into(&mut updated),
        "" => {}
        other => panic!("the table has a new condition {other:?}"),
    }
    let lines =
        [before, state, "title=x".into(), build, format!("updated={updated}"), "kernel=b.b00".into(), after];
    let text: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let text = if head == "boot.cfg-empty" { String::new() } else { text.join("\n") + "\n" };
    Bank {
        marked: head != "no-vmware-magic",
        cfg: (head != "boot.cfg-missing").then(|| BootCfg::read(text.as_bytes()).unwrap()),
    }
}

/// Text of the first line that holds `bootstate` before `=`, after the boot, as the table writes it.
fn state_after(bank: &Bank, outcome: &BankOutcome) -> String {
    let Some(cfg) = &bank.cfg else { return "-".to_owned() };
    let mut bytes = cfg.bytes.clone();
    if let Some(patch) = outcome.write {
        assert_eq!(bytes[patch.offset], patch.old);
        bytes[patch.offset] = patch.new;
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let found = pairs.find(|(key, _)| key.trim() == "bootstate");
    found.map_or("(none)".to_owned(), |(_, value)| value.trim().to_owned())
}

/// Reasons that the table notes; the state alone, or the lower `updated`, is no reason there.
fn why_not(outcome: &BankOutcome) -> String {
    let noted = outcome
        .why_not
        .iter()
        .filter(|why| !matches!(why, WhyNot::Dirty | WhyNot::Invalid | WhyNot::Older))
        .map(|why| why.word());
    noted.collect::<Vec<_>>().join(";")
}

/// Fields of a line of CSV with quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut out, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            other => out.last_mut().unwrap().push(other),
        }
    }
    out
}

#[test]
fn every_real_run_of_the_loader_is_predicted_in_every_column() {
    if !Path::new(TABLE).exists() {
        println!("skipped: the table of real runs is not beside this repository ({TABLE})");
        return;
    }
    let table = std::fs::read_to_string(TABLE).unwrap();
    let (mut rows, mut columns, mut wrong) = (0, 0, Vec::new());
    for line in table.lines().skip(1).filter(|line| !line.is_empty()) {
        let row = fields(line);
        let (a, b) = match row[2].as_str() {
            "A<B" => (5, 6),
            "A=B" => (5, 5),
            "A>B" => (6, 5),
            other => panic!("the table has a new order {other:?}"),
        };
        let banks = [bank(&row[0], a), bank(&row[1], b)];
        let inputs: Vec<_> =
            banks.iter().map(|bank| BankInput { marked: bank.marked, cfg: bank.cfg.as_ref() }).collect();
        let out = select(&inputs);
        let flag = |set: bool| if out.chosen.is_some() { u8::from(set).to_string() } else { String::new() };
        let chosen = out.chosen.map_or("none", |index| ["A", "B"][index]);
        let ours = [
            chosen.to_owned(),
            state_after(&banks[0], &out.banks[0]),
            state_after(&banks[1], &out.banks[1]),
            flag(out.rollback),
            flag(out.upgrading),
            out.pauses.to_string(),
            why_not(&out.banks[0]),
            why_not(&out.banks[1]),
        ];
        for (index, ours) in ours.iter().enumerate() {
            columns += 1;
            if *ours != row[3 + index] {
                wrong.push(format!("{line}: column {}: ours is {ours:?}", 3 + index));
            }
        }
        // The columns of the real run: chosen, A after, B after.
        for (index, real) in [(0, 12), (1, 13), (2, 14)] {
            columns += 1;
            if ours[index] != row[real] {
                wrong.push(format!("{line}: column {real}: ours is {:?}", ours[index]));
            }
        }
        rows += 1;
    }
    println!("{rows} rows, {columns} columns compared, {} differ", wrong.len());
    let few: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {columns} differ:\n{few:#?}", wrong.len());
    assert_eq!(rows, 1442);
}

#[test]
fn boot_cfg_files_of_installers_are_no_banks_and_that_of_an_installed_one_is() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/bootcfg");
    let Ok(files) = std::fs::read_dir(FOLDER) else {
        println!("skipped: no samples of boot.cfg are beside this repository ({FOLDER})");
        return;
    };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let mut rows = String::new();
    for path in &paths {
        let cfg = BootCfg::read(&std::fs::read(path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let selection = select(&[BankInput { marked: true, cfg: Some(&cfg) }]);
        let installed = name.starts_with("installed");
        assert_eq!(selection.chosen.is_some(), installed, "{name}: {:?}", selection.banks);
        let codes: Vec<_> = cfg.traps.iter().map(|trap| trap.code).collect();
        let values = &cfg.values;
        let why: Vec<_> =
            selection.banks.iter().flat_map(|bank| &bank.why_not).map(|why| why.word()).collect();
        let words = |list: &[&str]| if list.is_empty() { "–".to_owned() } else { list.join(", ") };
        let build = if values.build.is_empty() { "–" } else { &values.build };
        let verdict = if installed { "a bank" } else { "no bank" };
        writeln!(
            rows,
            "| {name} | {} | {build} | {} | {} | {verdict} | {} |",
            values.bootstate,
            values.updated,
            values.modules.len(),
            words(&why)
        )
        .unwrap();
        assert!(!cfg.values.kernel.is_empty());
        if installed {
            assert_eq!((cfg.values.build.as_str(), cfg.values.updated), ("4.1.0-260247", 2));
            assert_eq!(codes, Vec::<&str>::new());
        } else {
            assert!(
                codes.iter().all(|code| code.starts_with("cfg-updated") || code.starts_with("cfg-build"))
            );
        }
    }
    assert!(paths.len() >= 6);
    let page = format!("{BOOTCFG_PAGE}{rows}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results-bootcfg.md");
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page);
}

const BOOTCFG_PAGE: &str = "\
# boot.cfg: results over sample files

Files that others wrote: of installers of ESXi 6.0 to 8.0, edited and not, and of an installed bank of 4.1. Made by
`LIFEBOAT_BLESS=1 cargo test -p lifeboat-bank --test it boot_cfg_files`, and compared by that test wherever the samples are at
hand. \"No bank\" is what VMware's loader would say of the file on a bank; an installer's file must never be one.

| file | bootstate | build | updated | modules | verdict | why not |
|---|---|---|---|---|---|---|
";
