//! An invoice, for people.

use serde_json::Value;

use crate::{commands::bill::money, output};

const HEAD: [output::Field; 10] = [
    ("Number", "/number"),
    ("Id", "/id"),
    ("Status", "/status"),
    ("Product", "/product"),
    ("Period begins", "/period_start"),
    ("Period ends", "/period_end"),
    ("Issued", "/issued_at"),
    ("Due", "/due_at"),
    ("Paid", "/paid_at"),
    ("Issued by itself", "/finalise_after"),
];

/// Its head, its lines, its sums.
pub(super) fn tell(as_json: bool, invoice: &Value) {
    if as_json {
        return output::json(invoice);
    }
    let draft = invoice["status"] == "draft";
    let head = if draft { &HEAD[..] } else { &HEAD[..HEAD.len() - 1] };
    output::show(false, invoice, head);
    output::line("");
    let mut rows: Vec<Vec<String>> =
        invoice["lines"].as_array().into_iter().flatten().map(line).collect();
    let mut sum = |what: &str, value: &Value| {
        rows.push(vec![String::new(), what.to_owned(), String::new(), money(value)]);
    };
    for tax in invoice["taxes"].as_array().into_iter().flatten() {
        let name = format!("{} {}%", output::text(&tax["name"]), output::text(&tax["percent"]));
        sum(&name, &tax["amount"]);
    }
    sum("Total", &invoice["total"]);
    if invoice["credit"]["amount"]
        .as_str()
        .is_some_and(|text| !text.trim_matches(['0', '.']).is_empty())
    {
        sum("Credit used", &invoice["credit"]);
    }
    if !draft {
        sum("Outstanding", &invoice["outstanding"]);
    }
    output::line(&output::table(&["line", "what", "how it comes about", "amount"], rows));
    for note in invoice["credit_notes"].as_array().into_iter().flatten() {
        output::note(&format!(
            "credit note {}: {} ({})",
            output::text(&note["number"]),
            money(&note["amount"]),
            output::text(&note["reason"])
        ));
    }
}

fn line(line: &Value) -> Vec<String> {
    vec![
        output::text(&line["line"]),
        output::text(&line["description"]),
        output::text(&line["arithmetic"]),
        money(&line["amount"]),
    ]
}
