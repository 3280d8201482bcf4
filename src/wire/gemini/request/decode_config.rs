//! Reads `generationConfig`: how tokens are drawn, how long, in which shape, with how much thought.

use super::decode::extra;
use crate::wire::gemini::members::Members;
use crate::wire::gemini::schema;
use crate::wire::ir::{Effort, Output, ReasoningMode, Request};
use crate::wire::json::{Extra, Fault, Given, Place, Text};

type Fallible<T> = Result<T, Fault>;

pub(super) fn generation<'a>(members: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut config) = members.object("generationConfig")? else { return Ok(()) };
    let sampling = &mut request.sampling;
    sampling.temperature = config.number("temperature")?;
    sampling.top_p = config.number("topP")?;
    sampling.top_k = config.number("topK")?;
    sampling.presence_penalty = config.number("presencePenalty")?;
    sampling.frequency_penalty = config.number("frequencyPenalty")?;
    sampling.seed = config.number("seed")?;
    sampling.candidates = config.count("candidateCount")?;
    request.max_output_tokens = config.count("maxOutputTokens")?;
    request.logprobs.is_wanted = config.bool("responseLogprobs")?;
    request.logprobs.top = config.count("logprobs")?;
    for node in config.array("stopSequences")? {
        request.stop.push(Given::new(node.text().ok_or_else(|| node.fault("a string"))?, node.place()));
    }
    output(&mut config, request)?;
    thinking(&mut config, request)?;
    request.extras.extend(config.extras_under("generationConfig.").map(|extra| Extra { at: place_of(&extra), ..extra }));
    Ok(())
}

/// Text is what everybody answers with, so asking for it and nothing else is lost nowhere.
fn place_of(extra: &Extra<'_>) -> Place {
    let is_text = || extra.value.as_str().trim_matches(['[', ']', ' ', '\n', '\r', '\t']).eq_ignore_ascii_case("\"text\"");
    let asks = matches!(&*extra.name, "generationConfig.responseModalities" | "generationConfig.response_modalities");
    if asks && is_text() { Place::NOWHERE } else { extra.at }
}

/// Reads the shape of the answer. A schema counts only beside the type that it is for.
fn output<'a>(config: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = config.take("responseMimeType")? else { return Ok(()) };
    let media_type = node.text().ok_or_else(|| node.fault("a string"))?;
    let (output, at) = match &*media_type {
        "text/plain" => (Output::Text, node.place()),
        "application/json" => {
            let own = config.take("responseSchema")?.map(|node| Given::new(schema::to_json_schema(node), node.place()));
            match config.json("responseJsonSchema")?.or(own) {
                Some(Given { value, at }) => (Output::JsonSchema { name: None, description: None, schema: value, strict: None }, at),
                None => (Output::JsonObject, node.place()),
            }
        }
        // One word of a list, and what else comes.
        _ => {
            request.extras.push(extra("generationConfig.responseMimeType", node));
            return Ok(());
        }
    };
    request.output = Some(Given::new(output, at));
    Ok(())
}

fn thinking<'a>(config: &mut Members<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(mut thinking) = config.object("thinkingConfig")? else { return Ok(()) };
    if let Some(shows) = thinking.bool("includeThoughts")? {
        let word = if shows.value { "summarized" } else { "omitted" };
        request.reasoning.display = Some(Given::new(Text::Borrowed(word), shows.at));
    }
    if let Some(node) = thinking.take("thinkingBudget")? {
        let mode = match (node.raw(), node.number().and_then(|number| number.as_u64())) {
            (_, Some(0)) => ReasoningMode::Off,
            (_, Some(tokens)) => ReasoningMode::Budget(tokens),
            ("-1", _) => ReasoningMode::Adaptive,
            _ => return Err(node.fault("a whole number, or -1")),
        };
        request.reasoning.mode = Some(Given::new(mode, node.place()));
    }
    if let Some(node) = thinking.take("thinkingLevel")? {
        let word = node.text().unwrap_or_default().to_ascii_lowercase();
        match Effort::from_word(&word) {
            Some(effort) => request.reasoning.effort = Some(Given::new(effort, node.place())),
            None => request.extras.push(extra("generationConfig.thinkingConfig.thinkingLevel", node)),
        }
    }
    request.extras.extend(thinking.extras_under("generationConfig.thinkingConfig."));
    Ok(())
}
