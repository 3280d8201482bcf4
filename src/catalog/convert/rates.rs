//! Which meter a published price's name means, and in which unit it is stated.

use crate::catalog::meter::Meter;

/// What genai-prices calls a meter; the power of ten that makes pico-USD per unit of its dollars.
pub(super) const GENAI: [(&str, Meter, i32); 23] = [
    ("input_mtok", Meter::Input, 6),
    ("output_mtok", Meter::Output, 6),
    ("cache_read_mtok", Meter::CacheRead, 6),
    ("cache_write_mtok", Meter::CacheWrite, 6),
    ("cache_write_1h_mtok", Meter::CacheWrite1h, 6),
    ("input_audio_mtok", Meter::InputAudio, 6),
    ("cache_audio_read_mtok", Meter::CacheReadAudio, 6),
    ("output_audio_mtok", Meter::OutputAudio, 6),
    ("input_image_mtok", Meter::InputImage, 6),
    ("cache_image_read_mtok", Meter::CacheReadImage, 6),
    ("output_image_mtok", Meter::OutputImage, 6),
    ("input_video_mtok", Meter::InputVideo, 6),
    ("output_video_mtok", Meter::OutputVideo, 6),
    ("output_reasoning_mtok", Meter::Reasoning, 6),
    ("output_citation_mtok", Meter::Citation, 6),
    ("requests_kcount", Meter::Request, 9),
    ("web_searches_kcount", Meter::WebSearch, 9),
    ("storage_searches_kcount", Meter::FileSearch, 9),
    ("audio_hours", Meter::Audio, 12),
    // Both names of one price: what is written down is what was heard.
    ("input_audio_hours", Meter::Audio, 12),
    ("input_mchars", Meter::Character, 6),
    ("input_document_kpages", Meter::Page, 9),
    ("input_annotated_document_kpages", Meter::AnnotatedPage, 9),
];

/// What LiteLLM calls a meter; all are dollars per unit, except that sound is by the second.
pub(super) const LITELLM: [(&str, Meter); 22] = [
    ("input_cost_per_token", Meter::Input),
    ("output_cost_per_token", Meter::Output),
    ("cache_read_input_token_cost", Meter::CacheRead),
    ("cache_creation_input_token_cost", Meter::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Meter::CacheWrite1h),
    ("input_cost_per_audio_token", Meter::InputAudio),
    ("cache_read_input_audio_token_cost", Meter::CacheReadAudio),
    ("output_cost_per_audio_token", Meter::OutputAudio),
    ("input_cost_per_image_token", Meter::InputImage),
    ("cache_read_input_image_token_cost", Meter::CacheReadImage),
    ("output_cost_per_image_token", Meter::OutputImage),
    ("input_cost_per_video_token", Meter::InputVideo),
    ("output_cost_per_video_token", Meter::OutputVideo),
    ("output_cost_per_reasoning_token", Meter::Reasoning),
    ("citation_cost_per_token", Meter::Citation),
    ("input_cost_per_request", Meter::Request),
    ("output_cost_per_image", Meter::Image),
    ("input_cost_per_character", Meter::Character),
    ("ocr_cost_per_page", Meter::Page),
    ("annotation_cost_per_page", Meter::AnnotatedPage),
    ("input_cost_per_second", Meter::Audio),
    ("input_cost_per_query", Meter::Request),
];

/// Returns the power of ten that makes pico-USD of LiteLLM's dollars per unit.
pub(super) const LITELLM_POWER: i32 = 12;
