//! How likely tokens were: this format's shape, and OpenAI's, which is the middle form's.

use crate::wire::json::{Document, Json, Node, Writer};

/// Turns `logprobsResult` into OpenAI's object.
pub(in crate::wire::gemini) fn to_openai(result: Node<'_, '_>) -> Json<'static> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.begin_object();
    writer.array("content");
    let mut tops = result.get("topCandidates").into_iter().flat_map(Node::elements);
    for chosen in result.get("chosenCandidates").into_iter().flat_map(Node::elements) {
        writer.begin_object();
        token(&mut writer, chosen);
        writer.array("top_logprobs");
        for candidate in tops.next().and_then(|top| top.get("candidates")).into_iter().flat_map(Node::elements) {
            writer.begin_object();
            token(&mut writer, candidate);
            writer.end_object();
        }
        writer.end_array();
        writer.end_object();
    }
    writer.end_array();
    writer.key("refusal").null();
    writer.end_object();
    Json::new(String::from_utf8(out).unwrap_or_default())
}

fn token(writer: &mut Writer<'_>, candidate: Node<'_, '_>) {
    let text = candidate.get("token").and_then(Node::text).unwrap_or_default();
    writer.key("token").text(&text);
    match candidate.get("logProbability").and_then(Node::number) {
        Some(number) => writer.key("logprob").number(number),
        // A certain token has no member: nought is left out.
        None => writer.key("logprob").count(0),
    }
    writer.array("bytes");
    text.bytes().for_each(|byte| writer.count(u64::from(byte)));
    writer.end_array();
}

/// Writes the member `logprobsResult` from OpenAI's object; nothing where it is not one.
pub(in crate::wire::gemini) fn write(writer: &mut Writer<'_>, logprobs: &Json<'_>) {
    let Ok(document) = Document::parse(logprobs.as_str().as_bytes()) else { return };
    let Some(content) = document.root().get("content") else { return };
    writer.object("logprobsResult");
    writer.array("topCandidates");
    for entry in content.elements() {
        writer.begin_object();
        writer.array("candidates");
        entry.get("top_logprobs").into_iter().flat_map(Node::elements).for_each(|top| candidate(writer, top));
        writer.end_array();
        writer.end_object();
    }
    writer.end_array();
    writer.array("chosenCandidates");
    content.elements().for_each(|entry| candidate(writer, entry));
    writer.end_array();
    writer.end_object();
}

fn candidate(writer: &mut Writer<'_>, entry: Node<'_, '_>) {
    writer.begin_object();
    writer.key("token").text(&entry.get("token").and_then(Node::text).unwrap_or_default());
    if let Some(number) = entry.get("logprob").and_then(Node::number) {
        writer.key("logProbability").number(number);
    }
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_go_to_the_other_shape_and_back() {
        let ours = r#"{"topCandidates":[{"candidates":[{"token":"é","logProbability":-0.10},{"token":"b","logProbability":-3}]}],"chosenCandidates":[{"token":"é","logProbability":-0.10}]}"#;
        let document = Document::parse(ours.as_bytes()).unwrap();
        let theirs = to_openai(document.root());
        let expected = r#"{"content":[{"token":"é","logprob":-0.10,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.10,"bytes":[195,169]},{"token":"b","logprob":-3,"bytes":[98]}]}],"refusal":null}"#;
        assert_eq!(theirs.as_str(), expected);
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.begin_object();
        write(&mut writer, &theirs);
        writer.end_object();
        assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"logprobsResult":{ours}}}"#));
    }
}
