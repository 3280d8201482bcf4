//! Guessing what was meant: "did you mean".

/// Returns the candidate that is close enough to `wrong` to be what was meant.
pub(crate) fn nearest<'c>(wrong: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = wrong.chars().count();
    // A longer text is no misspelt name, and comparing it would take long.
    if length > 64 {
        return None;
    }
    let allowed = if length <= 3 { 1 } else { 2.max(length / 3) };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Says which candidate may have been meant, or which ones there are.
pub(crate) fn suggest<'c>(wrong: &str, kind: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(wrong, candidates.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if candidates.is_empty() {
        return format!("this spec has no {kind}");
    }
    let shown: Vec<String> = candidates.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = if candidates.len() > shown.len() { ", …" } else { "" };
    format!("{kind}: {}{more}", shown.join(", "))
}
