#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| trunkline_fuzz::byte_range::byte_range(octets));
