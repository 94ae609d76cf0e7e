#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| trunkline_fuzz::flow::verbs_json(octets));
