//! Parameters of a query, decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::control::apply::Reply;

/// Lists the parameters of a query in order, `%`-escapes and `+` decoded.
///
/// # Errors
/// 400 where one is not UTF-8.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, Reply> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, Reply> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| Reply::error(400, "bad_request", "a parameter of the query is not UTF-8"))
}

/// Reads a number out of a parameter.
///
/// # Errors
/// 400 naming it.
pub(super) fn number(name: &str, value: &str) -> Result<u64, Reply> {
    value.parse().map_err(|_| Reply::error(400, "bad_request", format!("`{name}` is a time in Unix milliseconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let read = pairs("model=meta%2Fllama+3&by=key%2Cday&flag&&x=a=b").unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("model", "meta/llama 3"), ("by", "key,day"), ("flag", ""), ("x", "a=b")]);
        assert_eq!(pairs("a=%ff").unwrap_err().status, 400);
        assert_eq!(number("from", "-1").unwrap_err().status, 400);
    }
}
