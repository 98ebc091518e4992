//! The bill, worked out a second time by somebody who was not told how the first was made.
//!
//! This crate reads the same product file, the same history of a subscription and the same raw
//! usage events as the server, and makes the invoice from them as an accountant would with paper
//! and patience: every event is looked at for every window, every number is a fraction, nothing is
//! remembered from one sum to the next. Where the two disagree, one of them is wrong.
//!
//! It owns the plain reading of the rules of price, each cited where it is applied (SPEC, or
//! `docs/product-file.md`), and a [generator](mod@generate) of believable years. It refuses to depend on
//! anything of ours, to be fast, and to be clever. Taxes, credits and payment are not its business.

mod books;
mod calendar;
mod case;
mod commitment;
mod discounts;
mod exact;
mod fixed;
pub mod generate;
mod input;
mod invoice;
mod meter;
mod pricing;
mod product;
mod usage;
mod windows;

pub use calendar::{boundary, periods};
pub use case::{Case, Expected, load_case};
pub use exact::{Exact, decimal, read, show};
pub use input::{
    AgreedDiscount, AgreedLimit, AgreedPrice, Contract, Event, Input, Item, Span, Subscription,
    Terms, Unit, Void,
};
pub use invoice::{Invoice, Line, Part};

/// Answers to what the documents leave open and what would change whole bills. The default is the
/// reading that the README defends; the other is here to see what a disagreement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// On a change of plan inside a month or year, what was paid on the old plan for the rest of it
    /// is given back.
    pub old_plan_is_given_back: bool,
    /// The excess of a level (storage) in a cut window counts for the part of the window that was
    /// lived.
    pub cut_levels_count_in_part: bool,
    /// A cut window has only its part of what a limit includes.
    pub cut_allowances_count_in_part: bool,
    /// Who cancels inside a month or year pays for it to that second.
    pub cancelled_pays_to_the_second: bool,
}

impl Default for Assumed {
    fn default() -> Self {
        Assumed {
            old_plan_is_given_back: true,
            cut_levels_count_in_part: true,
            cut_allowances_count_in_part: false,
            cancelled_pays_to_the_second: true,
        }
    }
}

/// Why a bill could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The subscription has no terms, or names a product file that was not given.
    #[error("the subscription has no terms to be rated by")]
    NoHistory,
    /// There is no such period.
    #[error("there is no period {0}")]
    NoPeriod(usize),
    /// The product file cannot be read.
    #[error("the product file: {0}")]
    ProductFile(String),
    /// The plan is not in the product file.
    #[error("there is no plan {0:?}")]
    NoPlan(String),
    /// The meter is not in the product file.
    #[error("there is no meter {0:?}")]
    NoMeter(String),
    /// The price list says "from", a range or "custom", and no contract says more.
    #[error("{0:?} cannot be billed until a contract says the price")]
    NeedsContract(String),
    /// No document says how this is priced.
    #[error("no rule says how to price {0}")]
    NoRule(String),
    /// Not an IANA zone.
    #[error("there is no time zone {0:?}")]
    Zone(String),
    /// Not a decimal.
    #[error("{0:?} is not a number")]
    Number(String),
    /// Before or after what a calendar can say.
    #[error("a date lies outside the calendar")]
    OutOfTime,
    /// More than fits in 64 bits of minor units.
    #[error("an amount is too large")]
    TooMuch,
    /// A stored case cannot be read.
    #[error("the case: {0}")]
    Case(String),
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// The invoice of one of the input's periods, counted from 0.
///
/// # Errors
/// When something needs a contract, has no rule, or the input does not hold together.
pub fn rate(input: &Input, period: usize) -> Result<Invoice> {
    rate_assuming(input, period, Assumed::default())
}

/// As [`rate`], with other answers to what the documents leave open.
///
/// # Errors
/// As [`rate`].
pub fn rate_assuming(input: &Input, period: usize, assumed: Assumed) -> Result<Invoice> {
    let books = books::Books::open(input, assumed)?;
    let span = *input.periods.get(period).ok_or(Error::NoPeriod(period))?;
    invoice::make(&books, span)
}

/// The invoices of all the input's periods.
///
/// # Errors
/// As [`rate`].
pub fn rate_all(input: &Input) -> Result<Vec<Invoice>> {
    let books = books::Books::open(input, Assumed::default())?;
    input.periods.iter().map(|period| invoice::make(&books, *period)).collect()
}
