//! What the server says about invoices.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_catalog::{
    invoicing::{Cite, DraftLine, LineKind, TaxLine, TaxRate},
    plan::Part,
};
use tenure_core::{
    BillingAccountId, CreditNoteId, InvoiceId, Money, SellerId, SubscriptionId, TenantId,
};
use utoipa::{IntoParams, ToSchema};

use crate::http::Problem;

/// The states of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Computed; has no number; the customer does not see it.
    Draft,
    /// Sent; never changes any more.
    Issued,
    /// Settled.
    Paid,
    /// Annulled.
    Void,
    /// Given up.
    Uncollectible,
}

impl InvoiceStatus {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }

    pub(in crate::billing) fn of(word: &str) -> Self {
        match word {
            "issued" => Self::Issued,
            "paid" => Self::Paid,
            "void" => Self::Void,
            "uncollectible" => Self::Uncollectible,
            _ => Self::Draft,
        }
    }
}

/// An invoice without its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceSummary {
    /// Its id.
    pub id: InvoiceId,
    /// Whose.
    pub tenant_id: TenantId,
    /// Without gaps a seller; absent while it is a draft.
    #[schema(example = "ACME-000042")]
    pub number: Option<String>,
    /// Its state.
    pub status: InvoiceStatus,
    /// Who sells.
    pub seller_id: SellerId,
    /// Who pays.
    pub billing_account_id: BillingAccountId,
    /// For what.
    pub subscription_id: SubscriptionId,
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// Number of the period in the subscription.
    #[schema(example = 0)]
    pub period: i32,
    /// The billing period begins here.
    pub period_start: Timestamp,
    /// The billing period ends before this moment.
    pub period_end: Timestamp,
    /// What the lines come to.
    pub subtotal: Money,
    /// On top.
    pub tax: Money,
    /// Subtotal and tax.
    pub total: Money,
    /// Taken from the balance when it was issued; negative: put on it.
    pub credit: Money,
    /// What had to be paid when it was issued.
    pub due: Option<Money>,
    /// What is still to be paid: less credit notes; nothing once it is paid or void.
    pub outstanding: Money,
    /// Days until it is due.
    #[schema(example = 30)]
    pub net_days: i32,
    /// When it was computed.
    pub drafted_at: Timestamp,
    /// The draft is issued by itself from this moment on.
    pub finalise_after: Timestamp,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// When it has to be paid.
    pub due_at: Option<Timestamp>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it became void or uncollectible.
    pub closed_at: Option<Timestamp>,
}

/// An invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invoice {
    /// The sums.
    #[serde(flatten)]
    pub summary: InvoiceSummary,
    /// The seller, as it was when the invoice was issued.
    #[schema(value_type = Option<Object>)]
    pub seller: Option<Value>,
    /// The payer, as it was when the invoice was issued.
    #[schema(value_type = Option<Object>)]
    pub buyer: Option<Value>,
    /// In their order.
    pub lines: Vec<InvoiceLine>,
    /// One a rate.
    pub taxes: Vec<InvoiceTax>,
    /// What was taken back since.
    pub credit_notes: Vec<CreditNote>,
}

/// A line of an invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceLine {
    /// Its number on the invoice, from 1.
    pub line: i32,
    /// `charge`, or `adjustment` of an earlier invoice.
    #[schema(example = "charge")]
    pub kind: String,
    /// Number of the period that it bills.
    pub period: i32,
    /// It is for the time from here,
    pub from: Timestamp,
    /// to before here.
    pub to: Timestamp,
    /// Id of the plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// Id of the charge, add-on or service, `overage.<meter>` or `commitment`.
    #[schema(example = "overage.events")]
    pub charge: String,
    /// Where it stands on a bill: `plan`, `add_ons`, `services`, `overage` or `commitment`.
    #[schema(example = "overage")]
    pub part: String,
    /// For people.
    #[schema(example = "Events, over the included 1,000,000 a day")]
    pub description: String,
    /// In units.
    #[schema(value_type = String, example = "34000")]
    pub quantity: Decimal,
    /// What one of them is called.
    #[schema(example = "event")]
    pub unit: String,
    /// How the amount comes about.
    #[schema(example = "(1,034,000 - 1,000,000 included) = 34,000 / 1,000 x $0.05 = $1.70")]
    pub arithmetic: String,
    /// Rounded once.
    pub amount: Money,
    /// Its share of the invoice's tax.
    pub tax: Money,
    /// The catalog version whose prices these are.
    pub version: String,
    /// Usage of later generations is not counted.
    pub cutoff: i32,
    /// What was metered, where usage is billed.
    #[schema(example = "events")]
    pub meter: Option<String>,
    /// How many events that comes from.
    pub events: i64,
    /// XOR over the hashes of the events, in hex.
    #[schema(example = "00000000000000000000000000000000")]
    pub digest: String,
    /// The invoice whose line this one corrects,
    pub cites_invoice: Option<InvoiceId>,
    /// and the number of that line.
    pub cites_line: Option<i32>,
}

impl InvoiceLine {
    /// The line as it was computed.
    pub(crate) fn drafted(self) -> Result<DraftLine, Problem> {
        let kind = LineKind::of(&self.kind);
        let cited = self.cites_invoice.zip(self.cites_line);
        Ok(DraftLine {
            kind: kind.ok_or_else(|| Problem::internal("a kind of line that is not known"))?,
            n: self.period,
            from: self.from,
            to: self.to,
            plan: self.plan,
            charge: self.charge,
            part: part(&self.part)?,
            description: self.description,
            quantity: self.quantity,
            unit: self.unit,
            arithmetic: self.arithmetic,
            amount: self.amount,
            version: self.version,
            cutoff: self.cutoff,
            meter: self.meter,
            events: self.events,
            digest: self.digest,
            cites: cited.map(|(invoice, line)| Cite { invoice: invoice.to_string(), line }),
        })
    }
}

/// The part of a bill that a column names; its check allows no other word.
pub(crate) fn part(word: &str) -> Result<Part, Problem> {
    Part::of(word).ok_or_else(|| Problem::internal("a part of a bill that is not known"))
}

/// A tax of an invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceTax {
    /// Its name.
    #[schema(example = "VAT")]
    pub name: String,
    /// Between 0 and 100.
    #[schema(value_type = String, example = "19")]
    pub percent: Decimal,
    /// What the invoice has to say beside it.
    pub note: Option<String>,
    /// What it is charged on.
    pub base: Money,
    /// Rounded once.
    pub amount: Money,
}

impl InvoiceTax {
    /// The tax as it was computed.
    pub(crate) fn drafted(self) -> TaxLine {
        let rate = TaxRate { name: self.name, percent: self.percent, note: self.note };
        TaxLine { rate, base: self.base, amount: self.amount }
    }
}

/// What was taken back of an issued invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreditNote {
    /// Its id.
    pub id: CreditNoteId,
    /// Without gaps a seller.
    #[schema(example = "ACME-CN-000007")]
    pub number: String,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// With tax.
    pub amount: Money,
    /// Of which tax.
    pub tax: Money,
    /// What of it went to the balance, because it was paid for already.
    pub to_balance: Money,
    /// Why.
    #[schema(example = "Outage on 3 March")]
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
}

/// A credit note to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCreditNote {
    /// With tax, in major units of the invoice's currency; all that is left when absent.
    #[schema(value_type = Option<String>, example = "49.90")]
    pub amount: Option<Decimal>,
    /// Why: on the credit note.
    #[schema(example = "Outage on 3 March")]
    pub reason: String,
}

/// Nothing more has to be said.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Plainly {}

/// A payment that came another way.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// When it came; now when absent.
    #[schema(example = "2026-04-28T00:00:00Z")]
    pub paid_at: Option<Timestamp>,
}

/// Which invoices.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `draft`, `issued`, `paid`, `void` or `uncollectible`.
    #[param(inline)]
    pub status: Option<InvoiceStatus>,
    /// Id or slug of a tenant.
    pub tenant: Option<String>,
    /// Slug of a product.
    pub product: Option<String>,
    /// Id or slug of a seller.
    pub seller: Option<String>,
    /// Only periods that end at this moment or later.
    #[param(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// Only periods that end before this moment.
    #[param(value_type = Option<String>)]
    pub to: Option<Timestamp>,
    /// Only those that have a number.
    pub issued: Option<bool>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items a page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

impl Filter {
    /// The seller that is asked for: its id, or its slug.
    pub(super) fn seller(&self) -> (Option<SellerId>, Option<&str>) {
        let asked = self.seller.as_deref();
        match asked.and_then(|text| text.parse().ok()) {
            Some(id) => (Some(id), None),
            None => (None, asked),
        }
    }
}
