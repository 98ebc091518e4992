//! The body of the fuzz target over the product files of this repository and
//! what a seeded mutator makes of them: `docs/fuzzing.md`.

// Shared with the fuzz targets.
#[path = "../../../fuzz/src/catalog.rs"]
mod bodies;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;

use bodies::{FILES, product_file};
use mutate::Mutator;

const CHANGED: usize = 600;

#[test]
fn any_bytes_may_be_a_product_file() {
    assert!(FILES.iter().all(|file| product_file(file.as_bytes())));
    let mut mutator = Mutator::new(1);
    let changed = (0..CHANGED).filter(|number| {
        let (text, other) = (FILES[number % FILES.len()], FILES[(number / 2) % FILES.len()]);
        product_file(&mutator.mutate(text.as_bytes(), other.as_bytes()))
    });
    let products = changed.count();
    assert!((1..CHANGED).contains(&products), "{products} of {CHANGED} are products still");
}
