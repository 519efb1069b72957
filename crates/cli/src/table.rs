//! Aligned columns of plain text.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a head; every row has as many cells as the head.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    align: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with this head.
    pub(crate) fn new(head: [(&str, Align); N]) -> Self {
        Self { align: head.map(|(_, align)| align), rows: vec![head.map(|(title, _)| title.to_owned())] }
    }

    /// Adds a row. What lays out lines and columns in a cell, as in the name of an odd folder, is shown.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace('\n', "\\n").replace('\t', "\\t")));
    }

    /// The lines, two spaces between the columns and none at a line's end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String; N], widths: &[usize; N]) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let width = widths[index];
            if index > 0 {
                line.push_str("  ");
            }
            match self.align[index] {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_whatever_its_cells_hold() {
        let mut table = Table::new([("OUT", Align::Left)]);
        table.row(["/data/a\nb\tc".into()]);
        assert_eq!(table.lines(), ["OUT", r"/data/a\nb\tc"]);
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let mut table = Table::new([("ID", Align::Right), ("NAME", Align::Left), ("NOTE", Align::Left)]);
        table.row(["7".into(), "été".into(), String::new()]);
        table.row(["12".into(), "a longer one".into(), "x".into()]);
        assert_eq!(
            table.lines(),
            ["ID  NAME          NOTE", " 7  été", "12  a longer one  x"],
            "widths are counted in characters"
        );
    }
}
