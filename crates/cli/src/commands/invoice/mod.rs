//! `tenure invoice`.

mod close;
mod evidence;
mod pdf;
mod show;
mod totals;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    client::Client,
    common::{Common, Paging, moment},
    error::{Error, Result},
    output,
};

/// Invoices: drafts, issued documents, corrections, credit
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure invoice list --status issued
  tenure invoice show acme-corp ACME-000042
  tenure invoice close                              close what is due, and watch it")]
pub(crate) struct Invoice {
    #[command(subcommand)]
    command: InvoiceCommand,
    #[command(flatten)]
    common: Common,
}

/// Which invoices.
#[derive(Debug, Args)]
struct Filter {
    /// Id or slug of a tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// draft, issued, paid, void or uncollectible
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Slug of a product
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// Id or slug of a seller
    #[arg(long, value_name = "SELLER")]
    seller: Option<String>,
    /// Only periods that end at this moment or later
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    from: Option<jiff::Timestamp>,
    /// Only periods that end before this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    to: Option<jiff::Timestamp>,
}

impl Filter {
    fn query(self) -> Vec<(&'static str, String)> {
        let fields = [
            ("tenant", self.tenant),
            ("status", self.status),
            ("product", self.product),
            ("seller", self.seller),
            ("from", self.from.map(|at| at.to_string())),
            ("to", self.to.map(|at| at.to_string())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One invoice.
#[derive(Debug, Args)]
struct Which {
    /// Id or slug of the tenant
    tenant: String,
    /// Number or id of the invoice
    invoice: String,
}

#[derive(Debug, Subcommand)]
enum InvoiceCommand {
    /// List invoices, newest period first
    #[command(after_help = "Examples:
  tenure invoice list --tenant acme-corp
  tenure invoice list --status issued --from 2026-01-01 --json | jq -r '.items[].number'")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an invoice with its lines and how each comes about
    #[command(after_help = "Examples:
  tenure invoice show acme-corp ACME-000042
  tenure invoice show acme-corp inv_0198... --json | jq '.lines[] | {charge, events, digest}'")]
    Show(Which),
    /// Show what invoices come to, by status and currency
    #[command(after_help = "Examples:
  tenure invoice totals
  tenure invoice totals --from 2026-01-01 --to 2027-01-01 --seller acme")]
    Totals {
        #[command(flatten)]
        filter: Filter,
    },
    /// Write an invoice, or a credit note of it, as PDF: PDF/A, the same bytes every time
    #[command(after_help = "Examples:
  tenure invoice pdf acme-corp ACME-000042
  tenure invoice pdf acme-corp ACME-000042 --out march.pdf
  tenure invoice pdf acme-corp ACME-000042 --credit-note ACME-CN-000007")]
    Pdf {
        #[command(flatten)]
        which: Which,
        /// Number or id of a credit note of the invoice: that document instead
        #[arg(long, value_name = "NOTE")]
        credit_note: Option<String>,
        /// A file that does not exist yet [default: NUMBER.pdf]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show what a line is made of, computed again: prices, totals, single events
    #[command(after_help = "Examples:
  tenure invoice explain acme-corp ACME-000042 2
  tenure invoice explain acme-corp ACME-000042 2 --json | jq '.usage.events[].id'

Exit code 1 when what is computed now is not what the invoice states.")]
    Explain {
        #[command(flatten)]
        which: Which,
        /// Number of the line, from 1
        line: usize,
    },
    /// Write everything that an invoice was computed from into one file, events included
    #[command(after_help = "Examples:
  tenure invoice export acme-corp ACME-000042
  tenure invoice export acme-corp ACME-000042 --to evidence.tar.zst")]
    Export {
        #[command(flatten)]
        which: Which,
        /// A file that does not exist yet [default: NUMBER-evidence.tar.zst]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Compute an invoice again from an exported file; needs no server and no network
    #[command(after_help = "Examples:
  tenure invoice verify ACME-000042-evidence.tar.zst

Exit code 1 when anything does not agree.")]
    Verify {
        /// The exported file
        archive: PathBuf,
    },
    /// Issue a draft now, before its grace is over
    #[command(after_help = "Examples:
  tenure invoice issue acme-corp inv_0198...")]
    Issue(Which),
    /// Note that an invoice was paid
    #[command(after_help = "Examples:
  tenure invoice pay acme-corp ACME-000042 --at 2026-04-28")]
    Pay {
        #[command(flatten)]
        which: Which,
        /// When the payment came [default: now]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        at: Option<jiff::Timestamp>,
    },
    /// Annul a draft or an unpaid invoice; its period is not billed again
    #[command(after_help = "Examples:
  tenure invoice void acme-corp ACME-000042")]
    Void(Which),
    /// Give an invoice up
    #[command(after_help = "Examples:
  tenure invoice uncollectible acme-corp ACME-000042")]
    Uncollectible(Which),
    /// Take back a part of an issued invoice, or all of it
    #[command(after_help = "Examples:
  tenure invoice credit acme-corp ACME-000042 --amount 49.90 --reason 'Outage on 3 March'")]
    Credit {
        #[command(flatten)]
        which: Which,
        /// With tax, in the invoice's currency [default: all that is left]
        #[arg(long, value_name = "AMOUNT")]
        amount: Option<String>,
        /// Why: on the credit note
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Credit of a tenant: see it, or add what was paid ahead
    #[command(after_help = "Examples:
  tenure invoice balance acme-corp
  tenure invoice balance acme-corp --add 12000 --note 'Annual prepayment, PO 4711'
  tenure invoice balance acme-corp --refund 500 --note 'Paid back on 3 May'")]
    Balance {
        /// Id or slug of the tenant
        tenant: String,
        /// Paid ahead
        #[arg(long, value_name = "AMOUNT", conflicts_with = "refund", requires = "note")]
        add: Option<String>,
        /// Paid back to the customer
        #[arg(long, value_name = "AMOUNT", requires = "note")]
        refund: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Invoices as CSV on standard output, for finance systems
    #[command(after_help = "Examples:
  tenure invoice csv --from 2026-01-01 --to 2027-01-01 > invoices-2026.csv")]
    Csv {
        #[command(flatten)]
        filter: Filter,
    },
    /// Close periods that are over and issue drafts whose grace is over; show progress
    #[command(after_help = "Examples:
  tenure invoice close
  tenure invoice close --no-wait

The server does so by itself; this begins at once and tries again what failed. Interrupted, it
goes on where it was. Exit code 1 when something could not be billed.")]
    Close {
        /// Do not wait for it
        #[arg(long)]
        no_wait: bool,
    },
}

const COLUMNS: [output::Field; 7] = [
    ("number", "/number"),
    ("id", "/id"),
    ("product", "/product"),
    ("period ends", "/period_end"),
    ("total", "/total/amount"),
    ("outstanding", "/outstanding/amount"),
    ("status", "/status"),
];

impl Invoice {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let json = self.common.json;
        if let InvoiceCommand::Verify { archive } = &self.command {
            return evidence::verify(archive, json);
        }
        let client = Client::new(&self.common)?;
        match self.command {
            InvoiceCommand::List { filter, paging } => {
                let query = [filter.query(), paging.query()].concat();
                let all = client.find(&["invoices"], &query).await?;
                output::list(json, &all, &COLUMNS, "there is no such invoice");
                Ok(())
            }
            InvoiceCommand::Show(which) => {
                let (tenant, id) = which.resolve(&client).await?;
                let invoice = client.get(&["tenants", &tenant, "invoices", &id]).await?;
                show::tell(json, &invoice);
                Ok(())
            }
            InvoiceCommand::Totals { filter } => totals::tell(&client, filter, json).await,
            InvoiceCommand::Pdf { which, credit_note, out } => {
                pdf::save(&client, which, credit_note, out).await
            }
            InvoiceCommand::Explain { which, line } => {
                evidence::explain(&client, which, line, json).await
            }
            InvoiceCommand::Export { which, to } => evidence::export(&client, which, to).await,
            InvoiceCommand::Verify { archive } => evidence::verify(&archive, json),
            InvoiceCommand::Issue(which) => step(&client, which, "issue", json!({}), json).await,
            InvoiceCommand::Pay { which, at } => {
                let body = at.map_or(json!({}), |at| json!({ "paid_at": at.to_string() }));
                step(&client, which, "pay", body, json).await
            }
            InvoiceCommand::Void(which) => step(&client, which, "void", json!({}), json).await,
            InvoiceCommand::Uncollectible(which) => {
                step(&client, which, "uncollectible", json!({}), json).await
            }
            InvoiceCommand::Credit { which, amount, reason } => {
                credit(&client, which, amount, reason, json).await
            }
            InvoiceCommand::Balance { tenant, add, refund, note } => {
                balance(&client, &tenant, (add, refund), note, json).await
            }
            InvoiceCommand::Csv { filter } => {
                let request = client.admin(Method::GET, &["invoices.csv"]).query(&filter.query());
                let text = client.send(request).await?.text().await?;
                output::line(text.trim_end_matches("\r\n"));
                Ok(())
            }
            InvoiceCommand::Close { no_wait } => close::run(&client, no_wait, json).await,
        }
    }
}

impl Which {
    /// The tenant, and the id behind a number.
    async fn resolve(self, client: &Client) -> Result<(String, String)> {
        if self.invoice.starts_with("inv_") {
            return Ok((self.tenant, self.invoice));
        }
        let mut query = vec![("tenant", self.tenant.clone()), ("limit", "200".to_owned())];
        loop {
            let page = client.find(&["invoices"], &query).await?;
            let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(found) = items.iter().find(|one| one["number"] == self.invoice.as_str()) {
                return Ok((self.tenant, output::text_at(found, "/id")));
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return Err(Error::new(format!("{} has no invoice {}", self.tenant, self.invoice))
                    .hint(format!("see them: tenure invoice list --tenant {}", self.tenant)));
            };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", cursor.to_owned()));
        }
    }
}

async fn step(client: &Client, which: Which, what: &str, body: Value, json: bool) -> Result {
    let (tenant, id) = which.resolve(client).await?;
    let invoice = client.post(&["tenants", &tenant, "invoices", &id, what], &body).await?;
    show::tell(json, &invoice);
    Ok(())
}

async fn credit(
    client: &Client,
    which: Which,
    amount: Option<String>,
    reason: String,
    as_json: bool,
) -> Result {
    let (tenant, id) = which.resolve(client).await?;
    let mut body = Map::from_iter([("reason".to_owned(), Value::from(reason))]);
    if let Some(amount) = amount {
        body.insert("amount".to_owned(), Value::from(amount));
    }
    let path = ["tenants", &tenant, "invoices", &id, "credit-notes"];
    let note = client.post(&path, &Value::Object(body)).await?;
    output::show(
        as_json,
        &note,
        &[
            ("Number", "/number"),
            ("Amount", "/amount/amount"),
            ("Of which tax", "/tax/amount"),
            ("To the balance", "/to_balance/amount"),
            ("Reason", "/reason"),
        ],
    );
    Ok(())
}

async fn balance(
    client: &Client,
    tenant: &str,
    (add, refund): (Option<String>, Option<String>),
    note: Option<String>,
    as_json: bool,
) -> Result {
    let path = ["tenants", tenant, "credits"];
    let kind = if refund.is_some() { "refund" } else { "prepayment" };
    let credits = match add.or(refund) {
        Some(amount) => {
            let body = json!({ "amount": amount, "kind": kind, "note": note.unwrap_or_default() });
            client.post(&path, &body).await?
        }
        None => client.get(&path).await?,
    };
    if as_json {
        output::json(&credits);
        return Ok(());
    }
    for balance in credits["balances"].as_array().into_iter().flatten() {
        output::record(&[("Balance".to_owned(), super::bill::money(&balance["balance"]))]);
    }
    let row = |entry: &Value| {
        vec![
            output::text(&entry["created_at"]),
            output::text(&entry["kind"]),
            super::bill::money(&entry["amount"]),
            output::text(&entry["note"]),
        ]
    };
    let rows: Vec<_> = credits["entries"].as_array().into_iter().flatten().map(row).collect();
    match rows.is_empty() {
        true => output::note("there was never any credit"),
        false => output::line(&output::table(&["when", "kind", "amount", "note"], rows)),
    }
    Ok(())
}
