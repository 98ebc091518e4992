//! The documentation of product files says what the code does.
#![allow(clippy::unwrap_used)]

mod common;

use tenure_catalog::{ProductFile, key_reference};

const PAGE: &str = include_str!("../../../docs/product-file.md");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/product-file.md");
const MARK: &str = "<!-- drawn from the grammar; `cargo test -p tenure-catalog --test documentation -- --ignored` writes it -->\n";

#[test]
fn the_key_reference_is_the_grammar() {
    let (_, reference) = PAGE.split_once(MARK).expect("the mark of the reference");
    assert!(reference.trim() == key_reference().trim(), "write it anew: see the mark in the page");
}

#[test]
#[ignore = "writes the key reference into the page"]
fn write_the_key_reference() {
    let (tutorial, _) = PAGE.split_once(MARK).expect("the mark of the reference");
    std::fs::write(PATH, format!("{tutorial}{MARK}\n{}", key_reference())).unwrap();
}

/// The pieces of the tutorial, put together in their order, are a file that is
/// accepted without a warning.
#[test]
fn the_tutorial_makes_a_good_file() {
    let (tutorial, _) = PAGE.split_once("## Recipes").expect("recipes after the tutorial");
    let pieces: Vec<&str> = tutorial
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(piece, _)| piece))
        .collect();
    assert!(pieces.len() >= 5);
    match ProductFile::check(&pieces.join("\n"), "tutorial.toml") {
        Ok(parsed) => assert!(parsed.warnings.is_empty(), "{}", common::drawn(&parsed.warnings)),
        Err(found) => panic!("{}", common::drawn(&found)),
    }
}

/// Each recipe is a good plan, add-on or discount in the tutorial's file.
#[test]
fn every_recipe_is_accepted() {
    let (tutorial, rest) = PAGE.split_once("## Recipes").unwrap();
    let (recipes, _) = rest.split_once(MARK).unwrap();
    let piece = |rest: &str| rest.split_once("```").map(|(piece, _)| piece.to_owned());
    let base: String =
        tutorial.split("```toml\n").skip(1).filter_map(piece).collect::<Vec<_>>().join("\n");
    let recipes: Vec<String> = recipes.split("```toml\n").skip(1).filter_map(piece).collect();
    assert!(recipes.len() >= 8, "{}", recipes.len());
    for recipe in recipes {
        let text = format!("{base}\n{recipe}");
        if let Err(found) = ProductFile::check(&text, "recipe.toml") {
            panic!("{}", common::drawn(&found));
        }
    }
}
