//! Patterns over names: `*` is any run of characters (slashes too), `?` is any one character.

/// Returns whether `pattern` matches all of `text`. Linear in `text` for the patterns people write; never exponential.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to resume when the text after the last star turns out not to match: star's place, and one byte further on.
    let mut resume: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                resume = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                // One character, not one byte.
                t += 1;
                while text.get(t).is_some_and(|byte| byte & 0xC0 == 0x80) {
                    t += 1;
                }
                p += 1;
            }
            Some(&wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match resume {
                Some((star, from)) => {
                    resume = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Returns whether any of `patterns` matches `text`.
pub fn any<'a>(patterns: impl IntoIterator<Item = &'a String>, text: &str) -> bool {
    patterns.into_iter().any(|pattern| matches(pattern, text))
}

/// Returns whether `prefix` followed by at least one more character could match `pattern`: a question about the models of one
/// provider, which are listed nowhere.
pub fn may_match_below(pattern: &str, prefix: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Positions of the pattern that are possible after what was read of the prefix so far.
    let mut possible = vec![false; pattern.len() + 1];
    let mut start = vec![0];
    settle(&pattern, &mut start, &mut possible);
    for read in prefix.chars() {
        let mut next = vec![false; pattern.len() + 1];
        let mut reached = Vec::new();
        for (at, wanted) in pattern.iter().enumerate().filter(|(at, _)| possible.get(*at) == Some(&true)) {
            match wanted {
                '*' => reached.push(at),
                '?' => reached.push(at + 1),
                wanted if *wanted == read => reached.push(at + 1),
                _ => {}
            }
        }
        settle(&pattern, &mut reached, &mut next);
        possible = next;
    }
    // Whatever is left of the pattern, there is a text of at least one character that it matches.
    possible.iter().take(pattern.len()).any(|possible| *possible)
}

/// Most states that [`intersect`] looks at; patterns that people write need a few hundred.
const STATE_LIMIT: usize = 100_000;

/// Returns whether there is a text that every pattern matches. Patterns so long that this would take long count as if there were one.
pub fn intersect(patterns: &[&str]) -> bool {
    let patterns: Vec<Vec<char>> = patterns.iter().map(|pattern| pattern.chars().collect()).collect();
    let start = vec![0_usize; patterns.len()];
    let mut seen = std::collections::BTreeSet::from([start.clone()]);
    let mut waiting = vec![start];
    while let Some(state) = waiting.pop() {
        if seen.len() > STATE_LIMIT || patterns.iter().zip(&state).all(|(pattern, at)| *at == pattern.len()) {
            return true;
        }
        for next in steps(&patterns, &state) {
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    false
}

/// Returns where reading one more character, or letting one star end, may lead.
fn steps(patterns: &[Vec<char>], state: &[usize]) -> Vec<Vec<usize>> {
    let mut next = Vec::new();
    let mut read = state.to_vec();
    let mut literal = None;
    let mut readable = true;
    for (index, (pattern, at)) in patterns.iter().zip(state).enumerate() {
        match pattern.get(*at) {
            Some('*') => {
                let mut ended = state.to_vec();
                ended.iter_mut().skip(index).take(1).for_each(|at| *at += 1);
                next.push(ended);
                continue;
            }
            Some('?') => {}
            Some(wanted) => {
                readable &= *literal.get_or_insert(*wanted) == *wanted;
            }
            None => readable = false,
        }
        read.iter_mut().skip(index).take(1).for_each(|at| *at += 1);
    }
    if readable {
        next.push(read);
    }
    next
}

/// Marks positions, and those behind stars that stand for nothing.
fn settle(pattern: &[char], reached: &mut Vec<usize>, possible: &mut [bool]) {
    while let Some(at) = reached.pop() {
        if let Some(mark) = possible.get_mut(at)
            && !*mark
        {
            *mark = true;
            if pattern.get(at) == Some(&'*') {
                reached.push(at + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_crosses_slashes_and_a_question_mark_is_one_character() {
        for (pattern, text, expected) in [
            ("*", "anything/at/all", true),
            ("openai/*", "openai/gpt-4o", true),
            ("openai/*", "openai2/gpt-4o", false),
            ("openrouter/*", "openrouter/meta/llama", true),
            ("gpt-4o*", "gpt-4o", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-2", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("v?", "vé", true),
            ("v?", "v", false),
            ("fast", "fast", true),
            ("fast", "faster", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("*b*", "abc", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        let pattern = "a*".repeat(200) + "b";
        let started = std::time::Instant::now();
        assert!(!matches(&pattern, &"a".repeat(5_000)));
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_pattern_over_a_provider_is_told_from_one_that_is_not() {
        for (pattern, expected) in [
            ("*", true),
            ("groq/*", true),
            ("groq/llama-3", true),
            ("gr*", true),
            ("*llama*", true),
            ("groq", false),
            ("groq/", false),
            ("openai/*", false),
            ("groqq/*", false),
        ] {
            assert_eq!(may_match_below(pattern, "groq/"), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_intersect_when_one_text_matches_them_all() {
        for (patterns, expected) in [
            (&["fast", "fast"][..], true),
            (&["fast", "slow"], false),
            (&["*", "slow"], true),
            (&["openai/*", "*-mini"], true),
            (&["openai/*", "groq/*"], false),
            (&["openai/*", "*", "openai/?*"], true),
            (&["a*b", "a*c"], false),
            (&["a*b*", "*c"], true),
            (&["?", "??"], false),
            (&["?*", ""], false),
            (&["*", ""], true),
            (&["gpt-4o*", "gpt-4", "*"], false),
            (&[], true),
        ] {
            assert_eq!(intersect(patterns), expected, "{patterns:?}");
        }
    }
}
