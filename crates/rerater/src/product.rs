//! A product file, read a second time and only as far as it costs money. What is wrong in a file
//! is the business of `tenure product check`; here an odd file is refused in a few words.

use toml::{Table, Value};

use crate::exact::{Exact, decimal, whole};
use crate::input::Unit;
use crate::{Error, Result};

/// Plans that may stand on one another.
const EXTENDS_MAX: usize = 32;

/// The parts of a product file that cost money.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) currency: String,
    pub(crate) meters: Vec<Meter>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) extras: Vec<Extra>,
    pub(crate) discounts: Vec<Discount>,
}

#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) way: Way,
    pub(crate) divide_by: Exact,
}

/// How events add up; the text is the field of the event's data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Way {
    Count,
    Sum(String),
    Max(String),
    Last(String),
    Unique(String),
    TimeWeighted(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) prices: Vec<Price>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) commitment: Option<(Unit, Exact)>,
}

/// What a line of an invoice belongs to; discounts ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plan,
    Addons,
    Services,
    Overage,
}

#[derive(Clone, Debug)]
pub(crate) struct Price {
    /// Id of its line on the invoice.
    pub(crate) line: String,
    pub(crate) kind: Kind,
    pub(crate) due: Due,
    pub(crate) per: Option<String>,
    pub(crate) at_least: Exact,
    pub(crate) optional: bool,
    pub(crate) rate: Rate,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Due {
    Every(Unit),
    Once,
    /// By a meter, in windows.
    Use(String, Window),
    /// The list says nothing: a contract does.
    Unsaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Day,
    Month,
    Period,
}

/// Amount for a package of `each`; `amount` is `None` until a contract says it.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    pub(crate) amount: Option<Exact>,
    pub(crate) each: Exact,
    pub(crate) up: bool,
    pub(crate) tiers: Vec<(Option<Exact>, Exact)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) of: String,
    /// `None` is unlimited.
    pub(crate) included: Option<Exact>,
    pub(crate) per: Window,
    pub(crate) over: Over,
}

#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// Blocked or warned: costs nothing.
    Nothing,
    /// With each invoice; `true` where the customer may ask to be blocked.
    Priced(Rate, bool),
    /// Once a year.
    TrueUp(Rate, bool),
}

/// An add-on or a service.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) price: Price,
    /// Plans that it can be added to; `None`: all.
    pub(crate) plans: Option<Vec<String>>,
    pub(crate) raises: Vec<(String, Exact)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Discount {
    pub(crate) percent: Exact,
    pub(crate) plans: Option<Vec<String>>,
    pub(crate) on: Vec<Kind>,
    pub(crate) term_years: Option<i64>,
    pub(crate) prepaid: bool,
    pub(crate) customers: Option<Vec<String>>,
    pub(crate) first_customers: Option<i64>,
    pub(crate) volume: Option<(String, Exact)>,
}

fn odd(what: &str) -> Error {
    Error::ProductFile(what.to_owned())
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(table: &Table, key: &str) -> Option<Vec<String>> {
    let list = table.get(key)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn flag(table: &Table, key: &str) -> bool {
    table.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// A whole number or a decimal written as text.
fn number(value: &Value) -> Option<Exact> {
    match value {
        Value::Integer(n) => Some(whole(*n)),
        Value::String(text) => decimal(text),
        _ => None,
    }
}

fn number_at(table: &Table, key: &str) -> Option<Exact> {
    table.get(key).and_then(number)
}

fn entries<'a>(table: &'a Table, key: &str) -> Vec<(&'a String, &'a Value)> {
    table.get(key).and_then(Value::as_table).map(|t| t.iter().collect()).unwrap_or_default()
}

impl Product {
    /// Reads one product file.
    pub(crate) fn read(file: &str) -> Result<Product> {
        let table: Table = file.parse().map_err(|e| Error::ProductFile(format!("{e}")))?;
        let about = table.get("product").and_then(Value::as_table).ok_or(odd("no [product]"))?;
        let meters: Vec<Meter> =
            entries(&table, "meters").into_iter().map(read_meter).collect::<Result<_>>()?;
        let is_meter = |id: &str| meters.iter().any(|m| m.id == id);
        let mut plans = Vec::new();
        for (id, _) in entries(&table, "plans") {
            plans.push(read_plan(&table, id, &is_meter, 0)?);
        }
        let mut extras = Vec::new();
        for (folder, kind) in [("addons", Kind::Addons), ("services", Kind::Services)] {
            for (id, entry) in entries(&table, folder) {
                extras.push(read_extra(id, entry, kind)?);
            }
        }
        let discounts = entries(&table, "discounts")
            .into_iter()
            .map(|(_, entry)| read_discount(entry))
            .collect::<Result<_>>()?;
        // product-file.md: "USD when left out".
        let currency = text(about, "currency").unwrap_or_else(|| "USD".to_owned());
        Ok(Product { currency, meters, plans, extras, discounts })
    }
}

fn read_meter((id, entry): (&String, &Value)) -> Result<Meter> {
    let table = entry.as_table().ok_or(odd("a meter is a table"))?;
    let field = |key: &str| text(table, key);
    let way = if flag(table, "count") {
        Way::Count
    } else if let Some(f) = field("sum") {
        Way::Sum(f)
    } else if let Some(f) = field("max") {
        Way::Max(f)
    } else if let Some(f) = field("last") {
        Way::Last(f)
    } else if let Some(f) = field("unique") {
        Way::Unique(f)
    } else if let Some(f) = field("time_weighted") {
        Way::TimeWeighted(f)
    } else {
        return Err(odd("a meter says how it adds up"));
    };
    Ok(Meter {
        id: id.clone(),
        kind: text(table, "type").ok_or(odd("a meter has a type"))?,
        way,
        divide_by: number_at(table, "divide_by").unwrap_or_else(|| whole(1)),
    })
}

/// A plan with what it inherits: limits, one by one. "Prices are never inherited" (product-file.md,
/// `extends`), nor is the commitment, which that list does not name.
fn read_plan(
    file: &Table,
    id: &str,
    is_meter: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Result<Plan> {
    if depth > EXTENDS_MAX {
        return Err(odd("plans extend each other without end"));
    }
    let missing = || Error::NoPlan(id.to_owned());
    let all = file.get("plans").and_then(Value::as_table).ok_or_else(missing)?;
    let table = all.get(id).and_then(Value::as_table).ok_or_else(missing)?;
    let mut limits = match text(table, "extends") {
        Some(parent) => read_plan(file, &parent, is_meter, depth + 1)?.limits,
        None => Vec::new(),
    };
    for (of, entry) in entries(table, "limits") {
        let limit = read_limit(of, entry)?;
        if !is_meter(of) && !matches!(limit.over, Over::Nothing) {
            return Err(Error::NoRule(format!("a price past the allocation {of}")));
        }
        limits.retain(|l: &Limit| &l.of != of);
        limits.push(limit);
    }
    let mut prices = Vec::new();
    if let Some(entry) = table.get("price") {
        prices.push(read_price("base", entry, Kind::Plan)?);
    }
    for (line, entry) in entries(table, "charges") {
        prices.push(read_price(line, entry, Kind::Plan)?);
    }
    let commitment = match table.get("commitment").and_then(Value::as_table) {
        None => None,
        Some(t) => match (number_at(t, "month"), number_at(t, "year")) {
            (Some(amount), _) => Some((Unit::Month, amount)),
            (_, Some(amount)) => Some((Unit::Year, amount)),
            _ => return Err(odd("a commitment is by month or year")),
        },
    };
    Ok(Plan { id: id.to_owned(), prices, limits, commitment })
}

fn read_price(line: &str, entry: &Value, kind: Kind) -> Result<Price> {
    let empty = Table::new();
    // The shorthand `price = "custom"` is a table that says nothing.
    let table = entry.as_table().unwrap_or(&empty);
    let unit = match text(table, "every").as_deref() {
        Some("month") => Some(Unit::Month),
        Some("year") => Some(Unit::Year),
        _ => None,
    };
    let (due, amount) = if let Some(amount) = text(table, "month") {
        (Due::Every(Unit::Month), Some(amount))
    } else if let Some(amount) = text(table, "year") {
        (Due::Every(Unit::Year), Some(amount))
    } else if let Some(amount) = text(table, "once") {
        (Due::Once, Some(amount))
    } else if let Some(meter) = text(table, "meter") {
        (Due::Use(meter, window(table, "reset")), text(table, "price"))
    } else if let Some(unit) = unit {
        (Due::Every(unit), None)
    } else {
        (Due::Unsaid, entry.as_str().map(str::to_owned))
    };
    let mut rate = read_rate(table, None);
    // "from", ranges and "custom" are no numbers: a contract says the price (SPEC 12).
    rate.amount = amount.as_deref().and_then(decimal);
    Ok(Price {
        line: line.to_owned(),
        kind,
        due,
        per: text(table, "per"),
        at_least: number_at(table, "at_least").unwrap_or_else(|| whole(0)),
        optional: flag(table, "optional"),
        rate,
    })
}

fn read_rate(table: &Table, amount: Option<Exact>) -> Rate {
    let tiers = table.get("tiers").and_then(Value::as_array).cloned().unwrap_or_default();
    Rate {
        amount,
        each: number_at(table, "each").unwrap_or_else(|| whole(1)),
        up: text(table, "rounding").as_deref() == Some("up"),
        tiers: tiers
            .iter()
            .filter_map(Value::as_table)
            .filter_map(|t| Some((number_at(t, "up_to"), number_at(t, "price")?)))
            .collect(),
    }
}

fn window(table: &Table, key: &str) -> Window {
    match text(table, key).as_deref() {
        Some("day") => Window::Day,
        Some("month") => Window::Month,
        // product-file.md: "Without `per` a limit holds for the invoice period."
        _ => Window::Period,
    }
}

fn read_limit(of: &str, entry: &Value) -> Result<Limit> {
    let plain =
        |included| Limit { of: of.to_owned(), included, per: Window::Period, over: Over::Nothing };
    let table = match entry {
        Value::Table(table) => table,
        // product-file.md: "A plain number blocks past it."
        Value::Integer(n) => return Ok(plain(Some(whole(*n)))),
        Value::String(word) if word == "unlimited" => return Ok(plain(None)),
        _ => return Err(odd("a limit is a number, \"unlimited\" or a table")),
    };
    let over = match table.get("over").and_then(Value::as_table) {
        None => Over::Nothing,
        Some(over) => {
            let stop = flag(over, "hard_stop");
            match (number_at(over, "price"), number_at(over, "true_up")) {
                (Some(amount), _) => Over::Priced(read_rate(over, Some(amount)), stop),
                (_, Some(amount)) => Over::TrueUp(read_rate(over, Some(amount)), stop),
                _ => return Err(odd("a table past a limit has a price")),
            }
        }
    };
    let included = number_at(table, "included");
    Ok(Limit { of: of.to_owned(), included, per: window(table, "per"), over })
}

fn read_extra(id: &str, entry: &Value, kind: Kind) -> Result<Extra> {
    let table = entry.as_table().ok_or(odd("an add-on is a table"))?;
    let price = table.get("price").ok_or(odd("an add-on has a price"))?;
    let price = read_price(id, price, kind)?;
    if matches!(price.due, Due::Use(..)) {
        return Err(Error::NoRule(format!("the add-on {id} priced by a meter")));
    }
    let raises = entries(table, "raises")
        .into_iter()
        .filter_map(|(of, n)| Some((of.clone(), number(n)?)))
        .collect();
    let plans = entry.as_table().and_then(|table| texts(table, "plans"));
    Ok(Extra { price, plans, raises })
}

fn read_discount(entry: &Value) -> Result<Discount> {
    let table = entry.as_table().ok_or(odd("a discount is a table"))?;
    let on = match texts(table, "on") {
        // product-file.md: "plan and addons when left out".
        None => vec![Kind::Plan, Kind::Addons],
        Some(words) => words
            .iter()
            .map(|word| match word.as_str() {
                "plan" => Ok(Kind::Plan),
                "addons" => Ok(Kind::Addons),
                "services" => Ok(Kind::Services),
                "overage" => Ok(Kind::Overage),
                _ => Err(odd("a discount is on plan, addons, services or overage")),
            })
            .collect::<Result<_>>()?,
    };
    let volume = match table.get("volume").and_then(Value::as_table) {
        None => None,
        Some(t) => Some((
            text(t, "of").ok_or(odd("a volume is of something"))?,
            number_at(t, "at_least").ok_or(odd("a volume has a least number"))?,
        )),
    };
    let whole_at = |key: &str| table.get(key).and_then(Value::as_integer);
    Ok(Discount {
        percent: number_at(table, "percent").ok_or(odd("a discount has a percent"))?,
        plans: texts(table, "plans"),
        on,
        term_years: whole_at("term_years"),
        prepaid: flag(table, "prepaid"),
        customers: texts(table, "customers"),
        first_customers: whole_at("first_customers"),
        volume,
    })
}
