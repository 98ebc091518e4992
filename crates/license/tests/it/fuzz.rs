//! The bodies of the fuzz targets over their seeds and what a seeded mutator
//! makes of them: what `cargo fuzz` runs for hours, for a moment in every test.

use crate::{
    fuzz_license::{
        files, genuine, keys, license_file, license_key, token_verify, tokens, valid_keys,
    },
    mutate::Mutator,
};

/// Returns how many texts came through, of the seeds and of the changed ones.
fn run(seeds: &[String], changed: u64, body: fn(&[u8]) -> bool) -> (usize, u64) {
    let seeds_through = seeds.iter().filter(|seed| body(seed.as_bytes())).count();
    let mut mutator = Mutator::new(1);
    let through = (0..changed).filter(|number| {
        let text = &seeds[*number as usize % seeds.len()];
        let other = &seeds[(*number as usize / seeds.len()) % seeds.len()];
        body(&mutator.mutate(text.as_bytes(), other.as_bytes()))
    });
    let through = through.count() as u64;
    (seeds_through, through)
}

#[test]
fn any_bytes_may_be_shown_to_the_verifier() {
    let (seeds, changed) = run(&tokens(), 10_000, token_verify);
    assert!(token_verify(genuine().as_bytes()));
    assert!(seeds >= 4, "only {seeds} seeds come as far as their signature");
    assert!(changed >= 500, "only {changed} changed tokens come as far as their signature");
}

#[test]
fn any_bytes_may_be_a_license_file() {
    let (seeds, changed) = run(&files(), 10_000, license_file);
    assert_eq!(seeds, files().len());
    assert!(changed >= 100, "only {changed} changed files are files still");
}

#[test]
fn any_bytes_may_be_a_license_key() {
    let (seeds, changed) = run(&keys(), 20_000, license_key);
    assert_eq!(seeds, valid_keys(), "the valid ones");
    assert!(changed >= 100, "only {changed} changed keys are keys still");
}

#[test]
#[ignore = "writes fuzz/corpus: fuzz/seeds"]
fn write_the_seeds() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (target, seeds) in
        [("token_verify", tokens()), ("license_file", files()), ("license_key", keys())]
    {
        std::fs::create_dir_all(format!("{corpus}/{target}")).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(format!("{corpus}/{target}/{number:02}"), seed).unwrap();
        }
    }
}
