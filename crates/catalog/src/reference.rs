//! The key reference of product files, drawn from the grammar.

use std::fmt::Write as _;

use crate::grammar::{FILE, Naming, Shape, Table};

/// Every key of a product file with what it holds, as Markdown: the second
/// half of `docs/product-file.md`.
pub fn key_reference() -> String {
    let mut tables: Vec<&Table> = vec![&FILE];
    let mut index = 0;
    // Breadth first: a table is explained after the one that mentions it.
    while let Some(table) = tables.get(index).copied() {
        for key in table.keys {
            mentioned(&key.shape, &mut tables);
        }
        index += 1;
    }
    tables.iter().map(|table| section(table)).collect::<Vec<_>>().join("\n")
}

fn mentioned(shape: &Shape, tables: &mut Vec<&'static Table>) {
    match shape {
        Shape::Table(table) if !tables.iter().any(|known| known.name == table.name) => {
            tables.push(table);
        }
        Shape::List(inner) | Shape::Map(_, inner) => mentioned(inner, tables),
        Shape::Either(shapes) => shapes.iter().for_each(|inner| mentioned(inner, tables)),
        _ => {}
    }
}

fn section(table: &Table) -> String {
    let mut text = format!("### {}\n\n{}\n\n", table.name, table.about);
    text.push_str("| key | holds | |\n|---|---|---|\n");
    for key in table.keys {
        let needed = if key.required { "**needed.** " } else { "" };
        let (name, holds, about) = (key.name, holds(&key.shape), key.about);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {holds} | {needed}{about} |");
    }
    text
}

fn holds(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Price => "`\"499\"`, `\"from 1999\"`, `\"50-100\"`, `\"custom\"`".to_owned(),
        Shape::ExactPrice => "amount: `\"0.05\"`".to_owned(),
        Shape::Decimal => "amount: `\"0.05\"`".to_owned(),
        Shape::Whole => "whole number".to_owned(),
        Shape::Flag => "`true`, `false`".to_owned(),
        Shape::Duration => "length: `\"14d\"`".to_owned(),
        Shape::DurationRange => "length: `\"30m\"`, `\"1d-3d\"`".to_owned(),
        Shape::Rate => "`\"1000/minute\"`".to_owned(),
        Shape::Word(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        Shape::List(inner) => format!("list of {}", holds(inner)),
        Shape::Map(Naming::Id, inner) => format!("by id: {}", holds(inner)),
        Shape::Map(Naming::Variable, inner) => format!("by variable: {}", holds(inner)),
        Shape::Map(Naming::Model, inner) => format!("by model: {}", holds(inner)),
        Shape::Map(Naming::Field, inner) => format!("by field: {}", holds(inner)),
        Shape::Table(table) => {
            let anchor = table.name.replace(' ', "-");
            format!("[{}](#{anchor})", table.name)
        }
        Shape::Either(shapes) => shapes.iter().map(holds).collect::<Vec<_>>().join(" or "),
    }
}
