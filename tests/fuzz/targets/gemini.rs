#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bifrostctl_fuzz::hold(bifrostctl::wire::Format::Gemini, data));
