//! Reads the parts of messages and of tools' results.

use crate::wire::Format;
use crate::wire::ir::{CacheMark, Citation, Content, Losses, Media, Part};
use crate::wire::json::{Extras, Fault, Fields, Given, Kind, Node, Place, Text};

type Fallible<T> = Result<T, Fault>;

/// Reads content: a string, or parts.
pub(in crate::wire::openai_responses) fn content<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Vec<Part<'a>>> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, node.place())]);
    }
    if node.kind() != Kind::Array {
        return Err(node.fault("a string or an array of parts"));
    }
    node.elements().map(|node| part(node, losses)).collect()
}

fn part<'a>(node: Node<'_, 'a>, losses: &mut Losses) -> Fallible<Part<'a>> {
    let mut fields = Fields::open(node)?;
    let kind = fields.need_text("type")?;
    let content = match &*kind {
        "input_text" => Some(Content::Text { text: fields.need_text("text")?, citations: Vec::new() }),
        "output_text" => {
            let text = fields.need_text("text")?;
            Some(Content::Text { text, citations: fields.array("annotations")?.map(citation).collect() })
        }
        "refusal" => Some(Content::Refusal { text: fields.need_text("refusal")? }),
        "input_image" => image(&mut fields)?,
        "input_file" => file(&mut fields)?,
        "input_audio" => Some(audio(&mut fields, losses)?),
        _ => None,
    };
    let Some(content) = content else {
        return Ok(Part::new(Content::Opaque { format: Format::OpenaiResponses, block: node.json() }, node.place()));
    };
    let cache = cache_mark(&mut fields, losses)?;
    // How likely the tokens of an old answer were tells a model nothing.
    Ok(Part { content, cache, extras: kept(&fields, &["logprobs"]), at: node.place() })
}

/// Keeps what nobody took; the named members are bookkeeping, which is no loss to another format.
pub(in crate::wire::openai_responses) fn kept<'a>(fields: &Fields<'_, 'a>, bookkeeping: &[&str]) -> Extras<'a> {
    let mut extras = fields.extras();
    for extra in extras.iter_mut().filter(|extra| bookkeeping.contains(&&*extra.name)) {
        extra.at = Place::NOWHERE;
    }
    extras
}

fn cache_mark<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Option<Given<CacheMark<'a>>>> {
    let Some(mut mark) = fields.object("prompt_cache_breakpoint")? else { return Ok(None) };
    // `explicit`: there is no other.
    mark.take("mode")?;
    let ttl = mark.text("ttl")?.map(|ttl| ttl.value);
    losses.rest(&mark);
    Ok(Some(Given::new(CacheMark { ttl }, mark.node().place())))
}

fn image<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Option<Content<'a>>> {
    let media = match (fields.text("image_url")?, fields.text("file_id")?) {
        (Some(url), None) => Media::from_url(url.value),
        (None, Some(id)) => Media::File(id.value),
        // Both or none: only the provider knows what that means.
        (Some(_), Some(_)) | (None, None) => return Ok(None),
    };
    Ok(Some(Content::Image { media, detail: fields.text("detail")? }))
}

fn file<'a>(fields: &mut Fields<'_, 'a>) -> Fallible<Option<Content<'a>>> {
    let title = fields.text("filename")?;
    let media = match (fields.text("file_data")?, fields.text("file_url")?, fields.text("file_id")?) {
        (Some(data), None, None) => match Media::from_url(data.value) {
            // Bare base64 is taken too; a PDF is what the field was made for.
            Media::Url(bare) if !bare.contains(':') => Media::Base64 { media_type: "application/pdf".into(), data: bare },
            media => media,
        },
        (None, Some(url), None) => Media::Url(url.value),
        (None, None, Some(id)) => Media::File(id.value),
        _ => return Ok(None),
    };
    Ok(Some(Content::Document { media, title, context: None, citations: None }))
}

fn audio<'a>(fields: &mut Fields<'_, 'a>, losses: &mut Losses) -> Fallible<Content<'a>> {
    let mut inner = Fields::open(fields.need("input_audio", "an object with `data` and `format`")?)?;
    let data = inner.need_text("data")?;
    let format = inner.need_text("format")?;
    losses.rest(&inner);
    let media_type = match &*format {
        "mp3" => Text::Borrowed("audio/mpeg"),
        other => Text::Owned(format!("audio/{other}")),
    };
    Ok(Content::Audio { media: Media::Base64 { media_type, data } })
}

/// Reads an annotation: of a page, or of a file, which only its provider has.
pub(in crate::wire::openai_responses) fn citation<'a>(node: Node<'_, 'a>) -> Citation<'a> {
    let text = |name: &str| node.get(name).and_then(Node::text).filter(|text: &Text<'_>| !text.is_empty());
    let count = |name: &str| node.get(name).and_then(Node::number).and_then(|number| number.as_u64());
    Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited: None,
        span: count("start_index").zip(count("end_index")),
        origin: (Format::OpenaiResponses, node.json()),
        at: node.place(),
    }
}
