//! Finds the name that was probably meant.

/// The candidate nearest to `name`, if it is near enough to be a slip of the pen.
pub fn nearest<'c>(name: &str, candidates: &[&'c str]) -> Option<&'c str> {
    // No key is this long, and the time for the distance grows with the square of the length.
    if name.len() > 64 {
        return None;
    }
    let slips = (name.chars().count() / 3).clamp(1, 3);
    let same = |c: &&str| c.eq_ignore_ascii_case(&name.replace('-', "_"));
    if let Some(candidate) = candidates.iter().find(|c| same(c)) {
        return Some(candidate);
    }
    candidates.iter().map(|c| (distance(name, c), *c)).filter(|(d, _)| *d <= slips).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// How many letters have to be put in, taken out or changed to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (above, to) in row.iter().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(from != to);
            left = changed.min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_put_in_taken_out_and_changed() {
        assert_eq!(distance("adress", "address"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["address", "path", "protocol"];
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("Path", &known), Some("path"));
        assert_eq!(nearest("banana", &known), None);
        assert_eq!(nearest("route-bytes", &["seq_bytes", "route_bytes"]), Some("route_bytes"));
    }
}
