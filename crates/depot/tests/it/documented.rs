//! The document of findings is the table of the program.

use lifeboat_depot::Code;

#[test]
fn every_code_is_documented_as_it_is() {
    let page = include_str!("../../../../docs/ops/depots.md");
    let table = page.split("## Findings").nth(1).unwrap();
    let documented: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let coded: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            format!("| `{}` | {} | {} | {} |", code.word(), code.severity(), code.meaning(), code.remedy())
        })
        .collect();
    assert_eq!(documented, coded, "write this table into the page:\n{}\n", coded.join("\n"));
}
