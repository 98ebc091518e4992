#![no_main]
#![allow(dead_code, reason = "the module serves several targets and the ordinary tests")]

#[path = "../src/license.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::license_file(bytes);
});
