//! How good a guess is, against what providers counted.

use bifrostctl::wire::codec::Route;
use bifrostctl::wire::estimate;

use super::corpus::recordings;

/// Guesses over counts, of requests of text and tools whose answers tell how long the prompt was; pictures and files cost what their size
/// says, which is not guessed.
fn ratios() -> Vec<f64> {
    let mut ratios = Vec::new();
    for recording in recordings() {
        let Some(body) = recording.request.as_ref().filter(|_| recording.status == 200 && !recording.is_stream) else { continue };
        if ["image", "audio", "document", "file", "inlineData", "bytes", "encrypted", "signature"].iter().any(|it| body.contains(it)) {
            continue;
        }
        let Ok(request) = recording.format.codec().decode_request(body.as_bytes(), &Route::default()) else { continue };
        let Ok(response) = recording.format.codec().decode_response(&recording.answer) else { continue };
        let Some(counted) = response.usage.map(|usage| usage.whole_input()).filter(|counted| *counted >= 100) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "prompts are short")]
        ratios.push(estimate::request(&request) as f64 / counted as f64);
    }
    ratios.sort_by(f64::total_cmp);
    ratios
}

#[test]
fn half_of_all_guesses_are_near_what_providers_counted() {
    let ratios = ratios();
    assert!(ratios.len() >= 40, "{}", ratios.len());
    let quarter = ratios.len() / 4;
    let (low, middle, high) = (ratios[quarter], ratios[2 * quarter], ratios[3 * quarter]);
    assert!(low > 0.35 && (0.65..1.2).contains(&middle) && high < 1.6, "{low} {middle} {high}");
}

#[test]
fn words_digits_marks_and_signs_count_as_models_cut_them() {
    for (text, tokens) in [
        ("", 0),
        ("Hello, world!", 4),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("1234567", 3),
        ("你好，世界", 5),
        ("internationalization", 4),
        ("a\n\nb", 3),
    ] {
        assert_eq!(estimate::text(text), tokens, "{text}");
    }
    assert_eq!(estimate::text(&"a ".repeat(1_000_000)), 1_000_000);
}
