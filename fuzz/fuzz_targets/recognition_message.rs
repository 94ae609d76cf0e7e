#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| trunkline_fuzz::speech::recognition_message(octets));
