//! The fuzzer's laws, held over its seeds, so that they are compiled and true wherever the tests run.

use bifrostctl::wire::Format;

use super::corpus::{fullest_request, recordings};
use super::laws::hold;

#[test]
fn recordings_keep_the_laws_that_are_fuzzed() {
    let count = u8::try_from(Format::ALL.len()).unwrap();
    let mut held = 0;
    let mut hold_all = |what: u8, format: Format, body: &[u8]| {
        for other in 0..count {
            let data = [&[what, other, 1 + other * 13], body].concat();
            hold(format, &data);
            held += 1;
        }
    };
    for format in Format::ALL {
        hold_all(0, format, fullest_request(format).as_bytes());
    }
    for recording in recordings() {
        if let Some(request) = &recording.request {
            hold_all(0, recording.format, request.as_bytes());
        }
        hold_all(if recording.is_stream { 2 } else { 1 }, recording.format, &recording.answer);
    }
    assert!(held > 2_000, "{held}");
}
