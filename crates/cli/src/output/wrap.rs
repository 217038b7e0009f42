//! Text that is broken into lines instead of being cut.
//!
//! Promises: every word is shown; only a word that is longer than a line is broken.

use super::table::{Cell, Table};

/// The lines of a text, each of at most `width` characters. Line breaks of the text are kept.
pub(crate) fn fill(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut taken = 0;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            let mut letters: Vec<char> = word.chars().collect();
            let gap = usize::from(taken > 0);
            if taken + gap + letters.len() <= width {
                if gap > 0 {
                    line.push(' ');
                }
                line.extend(&letters);
                taken += gap + letters.len();
                continue;
            }
            if taken > 0 {
                lines.push(std::mem::take(&mut line));
            }
            while letters.len() > width {
                let rest = letters.split_off(width);
                lines.push(letters.into_iter().collect());
                letters = rest;
            }
            taken = letters.len();
            line.extend(letters);
        }
        lines.push(line);
    }
    lines
}

/// The same table for a terminal of this width, with rows added for what does not fit into its column.
pub(super) fn wrapped(table: &Table, width: Option<usize>) -> Table {
    let widths = table.widths(width);
    let mut result = Table { columns: table.columns.clone(), rows: Vec::new() };
    for row in &table.rows {
        let cells: Vec<(Vec<String>, &Cell)> = row
            .iter()
            .zip(table.columns.iter().zip(&widths))
            .map(|(cell, (column, width))| {
                let lines = if column.flexible { fill(&cell.text, *width) } else { vec![cell.text.clone()] };
                (lines, cell)
            })
            .collect();
        let height = cells.iter().map(|(lines, _)| lines.len()).max().unwrap_or(1);
        for at in 0..height {
            let part = |(lines, cell): &(Vec<String>, &Cell)| {
                let text = lines.get(at).cloned().unwrap_or_default();
                Cell { text, paint: cell.paint }
            };
            result.rows.push(cells.iter().map(part).collect());
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_shown_and_no_line_is_too_long() {
        let text = "one two  three\nfour averyverylongword end";
        let lines = fill(text, 8);
        assert_eq!(lines, ["one two", "three", "four", "averyver", "ylongwor", "d end"]);
        assert_eq!(fill("", 8), [""]);
        assert_eq!(fill("ab", 0), ["a", "b"]);
    }

    #[test]
    fn a_wrapped_table_shows_all_of_a_long_cell() {
        let mut table = Table::new().column("KEY").flexible("WHY");
        table.row(["a", "words that do not fit into one line of this table"]);
        table.row(["b", "short"]);
        let text = wrapped(&table, Some(24)).render(Some(24), false);
        assert!(text.lines().all(|line| line.chars().count() <= 24), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words, "KEY WHY a words that do not fit into one line of this table b short");
    }
}
