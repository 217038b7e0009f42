//! A small table: aligned columns that fit the terminal.
//!
//! Promises: without a width nothing is shortened; with one, only columns that were declared flexible are, and a
//! shortened cell ends with `…`. Does not: know what the cells mean.

use super::colour::Paint;

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(super) text: String,
    pub(super) paint: Option<Paint>,
}

impl Cell {
    /// A cell in a colour that repeats its word.
    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint: Some(paint) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: None }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
    pub(super) flexible: bool,
}

/// Rows under titles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Shortest width to which a flexible column is cut.
const LEAST: usize = 12;

impl Table {
    /// A table without columns.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a column that is never shortened.
    pub(crate) fn column(mut self, title: &'static str) -> Self {
        self.columns.push(Column { title, right: false, flexible: false });
        self
    }

    /// Adds a column of numbers.
    pub(crate) fn number(mut self, title: &'static str) -> Self {
        self.columns.push(Column { title, right: true, flexible: false });
        self
    }

    /// Adds a column that may be shortened to fit the terminal.
    pub(crate) fn flexible(mut self, title: &'static str) -> Self {
        self.columns.push(Column { title, right: false, flexible: true });
        self
    }

    /// Adds a row. Cells beyond the columns are dropped, missing ones are empty.
    pub(crate) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines of the table, each with its newline.
    pub(crate) fn render(&self, width: Option<usize>, colour: bool) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell::painted(column.title, Paint::Strong)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            self.line(&mut text, row, &widths, colour);
        }
        text
    }

    pub(super) fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.title.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let Some(limit) = limit else { return widths };
        loop {
            let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
            let flexible = self.columns.iter().zip(&mut widths).filter(|(column, _)| column.flexible);
            let widest = flexible.map(|(_, width)| width).max();
            match widest {
                Some(width) if total > limit && *width > LEAST => {
                    *width = width.saturating_sub(total - limit).max(LEAST);
                }
                Some(_) | None => return widths,
            }
        }
    }

    fn line(&self, text: &mut String, row: &[Cell], widths: &[usize], colour: bool) {
        let start = text.len();
        let empty = Cell::from("");
        for (at, (column, &width)) in self.columns.iter().zip(widths).enumerate() {
            let cell = row.get(at).unwrap_or(&empty);
            if at > 0 {
                text.push_str("  ");
            }
            let shown = shorten(&cell.text, width);
            let pad = " ".repeat(width.saturating_sub(shown.chars().count()));
            let painted = match cell.paint {
                Some(paint) if colour && !shown.is_empty() => paint.wrap(&shown),
                Some(_) | None => shown,
            };
            if column.right {
                text.push_str(&pad);
                text.push_str(&painted);
            } else {
                text.push_str(&painted);
                text.push_str(&pad);
            }
        }
        let end = text.trim_end_matches(' ').len().max(start);
        text.truncate(end);
        text.push('\n');
    }
}

/// At most `width` characters of `text`, control characters replaced: a name must not move the cursor.
fn shorten(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    if text.chars().count() <= width {
        return clean.collect();
    }
    clean.take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new().column("BANK").flexible("WHY").number("SIZE");
        table.row(["A", "a long reason that will not fit", "1"]);
        table.row(["B", "short", "100"]);
        table
    }

    #[test]
    fn without_a_width_nothing_is_shortened() {
        let text = table().render(None, false);
        assert_eq!(
            text,
            "BANK  WHY                              SIZE\n\
             A     a long reason that will not fit     1\n\
             B     short                             100\n"
        );
    }

    #[test]
    fn with_a_width_only_flexible_columns_are_shortened() {
        let text = table().render(Some(30), false);
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("a long reason…") || text.contains('…'), "{text}");
        assert!(text.contains(" 100\n"));
    }

    #[test]
    fn a_name_cannot_send_codes_to_the_terminal() {
        let mut table = Table::new().column("NAME");
        table.row(["\x1b[2Jx"]);
        assert!(!table.render(None, false).contains('\x1b'));
    }
}
