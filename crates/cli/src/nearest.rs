//! Names that a mistyped name may have meant.

/// At most this many are worth reading.
const MOST: usize = 3;

/// The candidates nearest to `name`, best first: those that begin like it or differ in few letters.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let tolerance = (wanted.chars().count() / 3).max(1);
    let mut ranked: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| distance_rank(&wanted, candidate, tolerance).map(|rank| (rank, candidate)))
        .collect();
    ranked.sort_unstable();
    ranked.truncate(MOST);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

fn distance_rank(wanted: &str, candidate: &str, tolerance: usize) -> Option<usize> {
    let candidate = candidate.to_lowercase();
    let distance = edit_distance(wanted, &candidate);
    if distance <= tolerance {
        return Some(distance);
    }
    let begins_alike =
        !wanted.is_empty() && (candidate.starts_with(wanted) || wanted.starts_with(&candidate));
    begins_alike.then_some(tolerance + distance)
}

/// Levenshtein's distance, one row at a time.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, &right) in to.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_slips_and_beginnings_are_recognised() {
        let names = ["THEMIS_ASI_RAW", "THEMIS_ASI_RAW_WIDE", "REGO_RAW", "TREX_RGB_RAW_BURST"];
        assert_eq!(nearest("THEMIS_ASI_ROW", names).first(), Some(&"THEMIS_ASI_RAW"));
        assert_eq!(nearest("rego", names), ["REGO_RAW"]);
        assert_eq!(nearest("trex_rgb", names), ["TREX_RGB_RAW_BURST"]);
        assert!(nearest("zzz", names).is_empty());
    }

    #[test]
    fn distances_are_levenshteins() {
        let table = [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)];
        for (from, to, distance) in table {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }
}
