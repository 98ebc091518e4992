//! Bars over days or months, drawn as SVG by the server: no script, prints well, and the
//! numbers stand beside it as a table.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use tenure_core::{Currency, Money};

use super::words;

/// Where the plot begins, in pixels from the top.
const TOP: f64 = 8.0;
/// Parts that the vertical axis is cut in.
const STEPS: u32 = 3;
/// Labels below the days, at most.
const LABELS_MAX: usize = 6;

/// One of the things that a day's bar is made of.
pub(super) struct Series {
    /// For people.
    pub(super) name: String,
    /// Class of its colour.
    pub(super) class: &'static str,
}

/// A day: one value a series.
pub(super) struct Day {
    /// `22 Nov`
    pub(super) label: String,
    /// In the order of the series.
    pub(super) values: Vec<Decimal>,
}

/// What a chart shows.
pub(super) struct Data {
    /// Above it.
    pub(super) title: String,
    /// At the right of the title.
    pub(super) note: String,
    /// What a value counts: `event`.
    pub(super) unit: String,
    /// What a bar is of: `day` or `month`.
    pub(super) each: &'static str,
    /// Drawn from the bottom up.
    pub(super) series: Vec<Series>,
    /// Oldest first.
    pub(super) days: Vec<Day>,
    /// What is included a day, where the limit is a daily one.
    pub(super) limit: Option<Decimal>,
    /// A higher plot.
    pub(super) tall: bool,
    /// Values are amounts in it.
    pub(super) currency: Option<Currency>,
    /// Whether the last day is not over.
    pub(super) is_running: bool,
}

pub(super) struct Rect {
    pub(super) class: &'static str,
    pub(super) y: String,
    pub(super) height: String,
}

pub(super) struct Bar {
    pub(super) title: String,
    pub(super) running: bool,
    /// Of the column that reacts to the pointer, in per cent.
    pub(super) left: String,
    /// Of the bar itself.
    pub(super) x: String,
    pub(super) parts: Vec<Rect>,
}

pub(super) struct Label {
    pub(super) at: String,
    pub(super) text: String,
    pub(super) minor: bool,
}

/// The view model: everything computed, nothing left to the template.
pub(super) struct Chart {
    pub(super) data: Data,
    pub(super) bottom: f64,
    pub(super) plot_height: f64,
    pub(super) column: String,
    pub(super) bar_width: String,
    pub(super) axis: Vec<Label>,
    pub(super) grid: Vec<String>,
    pub(super) bars: Vec<Bar>,
    pub(super) labels: Vec<Label>,
    pub(super) limit_at: Option<String>,
    pub(super) rows: Vec<(String, Vec<String>)>,
    pub(super) summary: String,
}

impl Chart {
    /// Lays the bars out.
    pub(super) fn new(data: Data) -> Self {
        let bottom = if data.tall { 196.0 } else { 156.0 };
        let height = bottom - TOP;
        let highest = data.days.iter().map(total).fold(0.0_f64, f64::max);
        let limit = data.limit.and_then(|limit| limit.to_f64());
        // A limit far above the bars would flatten them: it is drawn when it is near.
        let limit = limit.filter(|limit| *limit <= highest * 1.5);
        let step = nice_step(highest.max(limit.unwrap_or(0.0)) / f64::from(STEPS));
        let scale = height / (step * f64::from(STEPS));
        let columns = data.days.len().max(1);
        let column = 100.0 / columns as f64;
        let axis = (0..=STEPS).map(|n| Label {
            at: px(bottom - f64::from(n) * height / f64::from(STEPS) + 4.0),
            text: compact(f64::from(n) * step),
            minor: false,
        });
        let grid = (1..=STEPS).map(|n| px(bottom - f64::from(n) * height / f64::from(STEPS)));
        let bars = data.days.iter().enumerate().map(|(index, day)| {
            let left = column * index as f64;
            let running = data.is_running && index + 1 == columns;
            Bar {
                title: tooltip(&data, day, running),
                running,
                left: percent(left),
                x: percent(left + column * 0.17),
                parts: parts(&data, day, bottom, scale, limit),
            }
        });
        let every = columns.div_ceil(LABELS_MAX).max(1);
        let labels = data.days.iter().enumerate().step_by(every).map(|(index, day)| Label {
            at: percent(column * (index as f64 + 0.5)),
            text: day.label.clone(),
            minor: (index / every) % 2 == 1,
        });
        let cells = |day: &Day| day.values.iter().map(|value| data.shown(*value)).collect();
        Self {
            bottom,
            plot_height: height,
            column: percent(column),
            bar_width: percent(column * 0.66),
            axis: axis.collect(),
            grid: grid.collect(),
            bars: bars.collect(),
            labels: labels.collect(),
            limit_at: limit.map(|limit| px(bottom - limit * scale)),
            rows: data.days.iter().map(|day| (day.label.clone(), cells(day))).collect(),
            summary: summary(&data),
            data,
        }
    }

    pub(super) fn label_y(&self) -> f64 {
        self.bottom + 18.0
    }

    pub(super) fn limit_label_y(&self) -> String {
        let at = self.limit_at.as_deref().and_then(|at| at.parse::<f64>().ok()).unwrap_or(TOP);
        px(at - 6.0)
    }
}

impl Data {
    /// A value, as text.
    fn shown(&self, value: Decimal) -> String {
        match self.currency.map(|currency| Money::rounded(value, currency)) {
            Some(Ok(money)) => money.display(),
            _ => words::number(value.round_dp(2)),
        }
    }

    /// As `shown`, with what it counts.
    fn counted(&self, value: Decimal) -> String {
        match self.currency {
            Some(_) => self.shown(value),
            None => words::counted(value.round_dp(2), &self.unit),
        }
    }
}

/// How high the day is drawn: what is below zero is told and not drawn.
fn total(day: &Day) -> f64 {
    let above = day.values.iter().filter(|value| value.is_sign_positive());
    above.sum::<Decimal>().to_f64().unwrap_or(0.0)
}

fn parts(data: &Data, day: &Day, bottom: f64, scale: f64, limit: Option<f64>) -> Vec<Rect> {
    let mut below = 0.0;
    let mut rects = Vec::new();
    let mut rect = |class, from: f64, to: f64| {
        if to > from {
            let y = px(bottom - to * scale);
            rects.push(Rect { class, y, height: px((to - from) * scale) });
        }
    };
    for (series, value) in data.series.iter().zip(&day.values) {
        let above = below + value.to_f64().unwrap_or(0.0).max(0.0);
        let cut = limit.unwrap_or(above).clamp(below, above);
        rect(series.class, below, cut);
        rect("over", cut, above);
        below = above;
    }
    rects
}

fn tooltip(data: &Data, day: &Day, running: bool) -> String {
    let sum: Decimal = day.values.iter().sum();
    let mut text = format!("{}: {}", day.label, data.counted(sum));
    if data.series.len() > 1 {
        let named = data.series.iter().zip(&day.values).filter(|(_, value)| !value.is_zero());
        let list: Vec<String> = named
            .map(|(series, value)| format!("{} {}", series.name, data.shown(*value)))
            .collect();
        if !list.is_empty() {
            text.push_str(&format!(" ({})", list.join("; ")));
        }
    }
    if running {
        text.push_str(&format!(", {} still running", data.each));
    }
    text
}

fn summary(data: &Data) -> String {
    let first = data.days.first().map_or("", |day| &day.label);
    let last = data.days.last().map_or("", |day| &day.label);
    format!("Bars: {} a {}, {first} to {last}. {}", data.title, data.each, data.note)
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

/// The next of 1, 2, 2.5, 4, 5, 10 times a power of ten.
fn nice_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let nice = [1.0, 2.0, 2.5, 4.0, 5.0, 10.0];
    nice.iter().map(|n| n * power).find(|step| *step >= least * 0.999_999).unwrap_or(power * 10.0)
}

/// `1.2M`, `400K`, `0.5`
fn compact(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e9 => (v / 1e9, "B"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "K"),
        v => (v, ""),
    };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[i64], limit: Option<i64>) -> Chart {
        let day = |(index, value): (usize, &i64)| Day {
            label: format!("{} Nov", index + 1),
            values: vec![Decimal::from(*value)],
        };
        Chart::new(Data {
            title: "Events".into(),
            note: String::new(),
            unit: "event".into(),
            each: "day",
            series: vec![Series { name: "Events".into(), class: "s1" }],
            days: values.iter().enumerate().map(day).collect(),
            limit: limit.map(Decimal::from),
            tall: false,
            currency: None,
            is_running: true,
        })
    }

    #[test]
    fn what_is_past_the_limit_stands_on_what_is_within_it() {
        let chart = chart(&[50, 150], Some(100));
        let heights: Vec<_> =
            chart.bars[1].parts.iter().map(|part| (part.class, part.height.as_str())).collect();
        assert_eq!(heights, [("s1", "98.7"), ("over", "49.3")]);
        assert_eq!(chart.bars[0].parts.len(), 1);
        assert_eq!(chart.axis.last().unwrap().text, "150");
    }

    #[test]
    fn no_days_and_no_usage_are_drawn_as_nothing() {
        assert!(chart(&[], None).bars.is_empty());
        assert!(chart(&[0, 0], Some(10)).bars.iter().all(|bar| bar.parts.is_empty()));
    }
}
