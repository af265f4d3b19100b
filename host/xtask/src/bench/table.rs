//! The table of a run: medians, each with its ratio to the first of its row.

use std::collections::BTreeMap;
use std::fmt;

use super::peers::Peer;

/// Figures by what they measure, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    troubles: Vec<String>,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: &'static str,
    figures: BTreeMap<Peer, Vec<f64>>,
}

impl Table {
    /// Adds one figure; those of one name and peer become one median.
    pub(super) fn add(&mut self, name: &str, unit: &'static str, peer: Peer, figure: f64) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.figures.entry(peer).or_default().push(figure);
            return;
        }
        self.rows.push(Row { name: name.to_owned(), unit, figures: BTreeMap::from([(peer, vec![figure])]) });
    }

    /// Adds a reason not to believe the figures.
    pub(super) fn trouble(&mut self, what: String) {
        self.troubles.push(what);
    }

    /// True if there is none.
    pub(super) fn is_clean(&self) -> bool {
        self.troubles.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|r| r.name.len()).max().unwrap_or(0);
        let peers: Vec<Peer> = Peer::ALL.into_iter().filter(|p| self.rows.iter().any(|r| r.figures.contains_key(p))).collect();
        write!(f, "{:width$}     ", "")?;
        for peer in &peers {
            write!(f, "  {peer:>16}")?;
        }
        for row in &self.rows {
            write!(f, "\n{:width$}  {:3}", row.name, row.unit)?;
            let mut base = None;
            for peer in &peers {
                match (row.median(*peer), base) {
                    (None, _) => write!(f, "  {:>16}", "-")?,
                    (Some(figure), Some(base)) if base > 0.0 => write!(f, "  {figure:>9.1} {:>5.2}x", figure / base)?,
                    (Some(figure), _) => write!(f, "  {figure:>9.1}       ")?,
                }
                base = base.or(row.median(*peer));
            }
        }
        write!(f, "\n\nx: ratio to the first figure of the row: the bare echo of this run, or due where there is none.")?;
        write!(
            f,
            "\nThe bare echo is tokio for tcp, tokio-tungstenite for ws, tokio_kcp for kcp. It is not a floor for memory: it keeps a read"
        )?;
        write!(
            f,
            "\nbuffer of 64 KiB for each connection. due is its gate and node in one process, over servers of the shape of its own."
        )?;
        for trouble in &self.troubles {
            write!(f, "\nNOT CLEAN {trouble}")?;
        }
        Ok(())
    }
}

impl Row {
    fn median(&self, peer: Peer) -> Option<f64> {
        let mut figures = self.figures.get(&peer)?.clone();
        figures.sort_by(f64::total_cmp);
        let upper = figures.get(figures.len() / 2)?;
        let lower = figures.get((figures.len() - 1) / 2)?;
        Some((upper + lower) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Peer, Table};

    #[test]
    fn a_row_has_medians_and_their_ratio_to_the_bare_echo() {
        let mut table = Table::default();
        for figure in [4.0, 90.0, 2.0] {
            table.add("rate", "k/s", Peer::Bare, figure);
        }
        table.add("rate", "k/s", Peer::Wasm, 1.0);
        table.add("rate", "k/s", Peer::Wasm, 3.0);
        let text = table.to_string();
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["rate", "k/s", "4.0", "2.0", "0.50x"]);
        assert!(table.is_clean());
    }

    #[test]
    fn without_a_bare_echo_the_first_of_the_row_is_the_one_to_compare_with() {
        let mut table = Table::default();
        table.add("connect", "k/s", Peer::Bare, 1.0);
        for (peer, figure) in [(Peer::Due, 2.0), (Peer::Wasm, 5.0), (Peer::Limited, 4.0)] {
            table.add("broadcast", "k/s", peer, figure);
        }
        let text = table.to_string();
        let row: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row, ["broadcast", "k/s", "-", "2.0", "5.0", "2.50x", "4.0", "2.00x"]);
    }
}
