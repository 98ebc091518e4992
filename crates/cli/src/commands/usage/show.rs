//! What was counted, refused and made again, as text.

use serde_json::Value;

use crate::{
    error::{Error, Result},
    output,
};

/// `tenure usage summary`.
pub(super) fn summary(summary: &Value, as_json: bool) {
    if as_json {
        return output::json(summary);
    }
    output::show(
        false,
        summary,
        &[
            ("Product", "/product"),
            ("Plan", "/plan"),
            ("Period begins", "/period_start"),
            ("Period ends", "/period_end"),
            ("Days in", "/time_zone"),
            ("As of", "/as_of"),
        ],
    );
    let row = |meter: &Value| {
        let limit = match &meter["limit"] {
            Value::Null => "unlimited".to_owned(),
            limit => {
                format!("{} a {}", output::quantity(limit), output::text_at(meter, "/window/per"))
            }
        };
        let percent = meter["percent"].as_u64().map_or("-".to_owned(), |one| format!("{one}%"));
        vec![
            output::text(&meter["name"]),
            output::quantity(&meter["used"]),
            limit,
            percent,
            output::text(&meter["standing"]),
            trend(&meter["daily"]),
        ]
    };
    let rows: Vec<Vec<String>> =
        summary["meters"].as_array().into_iter().flatten().map(row).collect();
    output::line("");
    if rows.is_empty() {
        return output::note("this product has no meters");
    }
    output::line(&output::table(&["meter", "used", "limit", "of it", "standing", "by day"], rows));
}

/// The last days as bars, each against the highest.
fn trend(daily: &Value) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const DAYS: usize = 30;
    let number = |day: &Value| output::text(&day["quantity"]).parse::<u128>().unwrap_or(0);
    let days: Vec<u128> = daily.as_array().into_iter().flatten().map(number).collect();
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    let last = days.len().saturating_sub(DAYS);
    let bar = |day: &u128| BARS.get(usize::try_from(day * 7 / most).unwrap_or(7)).copied();
    days.get(last..).unwrap_or_default().iter().filter_map(bar).collect()
}

/// `tenure usage series`: a row a point, and a column a value of the dimension.
pub(super) fn series(series: &Value, as_json: bool) {
    if as_json {
        return output::json(series);
    }
    let points = series["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let totals = |point: &Value| point["totals"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<String> = Vec::new();
    let something = |total: &Value| total["events"] != 0 || total["quantity"] != "0";
    for total in points.iter().flat_map(totals).filter(something) {
        let value = value_of(&total);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return output::note("nothing was used in that time");
    }
    values.sort_unstable();
    let row = |point: &Value| {
        let found = totals(point);
        let of = |value: &String| {
            let total = found.iter().find(|total| value_of(total) == *value);
            total.map_or("-".to_owned(), |total| output::quantity(&total["quantity"]))
        };
        std::iter::once(output::text(&point["start"])).chain(values.iter().map(of)).collect()
    };
    let rows: Vec<Vec<String>> = points.iter().map(row).collect();
    let unit = output::text(&series["unit"]);
    let named = |value: &String| match (value.as_str(), &series["by"]) {
        ("", Value::Null) => unit.clone(),
        ("", _) => "(none)".to_owned(),
        (value, _) => value.to_owned(),
    };
    let header: Vec<String> =
        std::iter::once("from".to_owned()).chain(values.iter().map(named)).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    output::line(&output::table(&header, rows));
    let zone = output::text(&series["time_zone"]);
    output::note(&format!("each in the meter's unit, {unit}; days are those of {zone}"));
}

/// A total's value of the dimension; empty where all are together.
fn value_of(total: &Value) -> String {
    total["value"].as_str().unwrap_or_default().to_owned()
}

/// `tenure usage refused`.
pub(super) fn refused(answer: &Value, as_json: bool) {
    let fields: [output::Field; 6] = [
        ("when", "/refused_at"),
        ("source", "/source"),
        ("id", "/id"),
        ("type", "/type"),
        ("reason", "/reason"),
        ("detail", "/detail"),
    ];
    output::list(as_json, answer, &fields, "no event was refused");
    if as_json {
        return;
    }
    let counts = answer["counts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !counts.is_empty() {
        let one = |count: &Value| {
            let number = output::grouped(count["count"].as_u64().unwrap_or(0));
            format!("{number} {}", output::text(&count["reason"]))
        };
        let all: Vec<String> = counts.iter().map(one).collect();
        output::note(&format!("ever refused: {}", all.join(", ")));
    }
}

/// `tenure usage rebuild`.
pub(super) fn rebuilt(report: &Value, as_json: bool) -> Result {
    let fields: [output::Field; 3] =
        [("Rollups", "/rollups"), ("Members", "/members"), ("Differing", "/differing")];
    output::show(as_json, report, &fields);
    match report["differing"].as_u64() {
        Some(0) => Ok(()),
        _ => Err(Error::new("rollups were not what their events come to; they are now")
            .hint("somebody changed them in the database: look at who may write there")),
    }
}
