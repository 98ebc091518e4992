//! The filters of the list: what may be chosen, what is, and what each state comes to.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tenure_core::Money;

use super::amounts;
use crate::{
    App,
    billing::invoices::{Filter, InvoiceStatus, totals::InvoiceTotal},
    http::Problem,
    products::sellers,
    web::{frame::Frame, session::encode, words},
};

/// The states in the order in which an invoice goes through them.
const STATES: [InvoiceStatus; 5] = [
    InvoiceStatus::Draft,
    InvoiceStatus::Issued,
    InvoiceStatus::Paid,
    InvoiceStatus::Void,
    InvoiceStatus::Uncollectible,
];

/// The filters of the page; fields of a form are empty where nothing was chosen.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Filters {
    #[serde(default)]
    pub(super) tenant: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    product: String,
    #[serde(default)]
    seller: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) to: String,
    #[serde(default)]
    pub(super) cursor: String,
}

pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

pub(super) struct Select {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) every: &'static str,
    pub(super) options: Vec<Choice>,
}

pub(super) struct Applied {
    pub(super) text: String,
    pub(super) without: String,
}

/// A sum, and the list that it is of.
pub(super) struct Stat {
    pub(super) label: &'static str,
    pub(super) path: String,
    pub(super) amount: String,
    pub(super) note: String,
}

fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The first moment of a day in UTC; of `to`, of the day after it, which is included.
fn edge(name: &str, text: &str, days_on: i64) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let wrong = || Problem::field(&format!("/{name}"), "A day looks like 2027-03-01.");
    let day: Date = text.parse().map_err(|_| wrong())?;
    let day = day.checked_add(jiff::Span::new().days(days_on)).map_err(|_| wrong())?;
    Ok(Some(day.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp()))
}

impl Filters {
    /// The same filters on another page of the list.
    pub(super) fn on_page(&self, cursor: String) -> Self {
        Self { cursor, ..self.clone() }
    }

    fn status(&self) -> Option<InvoiceStatus> {
        STATES.into_iter().find(|state| state.word() == self.status)
    }

    pub(super) fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            status: self.status(),
            tenant: given(&self.tenant),
            product: given(&self.product),
            seller: given(&self.seller),
            from: edge("from", &self.from, 0)?,
            to: edge("to", &self.to, 1)?,
            ..Filter::default()
        })
    }

    pub(super) fn query(&self, path: &str) -> String {
        let pairs = [
            ("tenant", &self.tenant),
            ("status", &self.status),
            ("product", &self.product),
            ("seller", &self.seller),
            ("from", &self.from),
            ("to", &self.to),
            ("cursor", &self.cursor),
        ];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> =
            given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }

    pub(super) fn address(&self) -> String {
        self.query("/console/invoices")
    }

    /// What is there in each state, whatever state the list shows.
    pub(super) fn stats(&self, sums: &[InvoiceTotal]) -> Vec<Stat> {
        let shown: [(&'static str, InvoiceStatus, bool); 4] = [
            ("Drafts", InvoiceStatus::Draft, false),
            ("To be paid", InvoiceStatus::Issued, true),
            ("Paid", InvoiceStatus::Paid, false),
            ("Given up", InvoiceStatus::Uncollectible, true),
        ];
        let stat = |(label, status, open): (&'static str, InvoiceStatus, bool)| {
            let of = || sums.iter().filter(|sum| sum.status == status);
            let all: Vec<Money> =
                of().map(|sum| if open { sum.outstanding } else { sum.total }).collect();
            let rest = Self { cursor: String::new(), ..self.clone() };
            Stat {
                label,
                path: Self { status: status.word().to_owned(), ..rest }.address(),
                amount: amounts(&all),
                note: words::counted(of().map(|sum| sum.count).sum::<i64>(), "invoice"),
            }
        };
        shown.into_iter().map(stat).collect()
    }

    pub(super) fn applied(&self, frame: &Frame) -> Vec<Applied> {
        let rest = || Self { cursor: String::new(), ..self.clone() };
        let all = [
            ("Tenant", self.tenant.clone(), Self { tenant: String::new(), ..rest() }),
            ("Status", words::title(&self.status), Self { status: String::new(), ..rest() }),
            ("Product", frame.mark(&self.product).name, Self { product: String::new(), ..rest() }),
            ("Seller", self.seller.clone(), Self { seller: String::new(), ..rest() }),
            ("Period ends from", self.from.clone(), Self { from: String::new(), ..rest() }),
            ("Period ends by", self.to.clone(), Self { to: String::new(), ..rest() }),
        ];
        let applied = all.into_iter().filter(|(_, value, _)| !value.is_empty());
        let applied = applied.map(|(label, value, without)| Applied {
            text: format!("{label}: {value}"),
            without: without.address(),
        });
        applied.collect()
    }

    pub(super) async fn selects(&self, app: &App, frame: &Frame) -> Result<Vec<Select>, Problem> {
        let option = |value: &str, text: &str, chosen: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            chosen: value == chosen,
        };
        let states =
            STATES.map(|state| option(state.word(), &words::title(state.word()), &self.status));
        let products =
            frame.products.iter().map(|mark| option(&mark.slug, &mark.name, &self.product));
        let mut selects = vec![
            Select {
                name: "status",
                label: "Status",
                every: "Every status",
                options: states.into(),
            },
            Select {
                name: "product",
                label: "Product",
                every: "Every product",
                options: products.collect(),
            },
        ];
        let sellers = sellers::list(app).await?;
        if sellers.len() > 1 {
            let options = sellers.iter().map(|one| option(&one.slug, &one.name, &self.seller));
            let options = options.collect();
            selects.push(Select {
                name: "seller",
                label: "Seller",
                every: "Every seller",
                options,
            });
        }
        Ok(selects)
    }
}
