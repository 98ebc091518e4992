//! One line, back to its events.

use jiff::Timestamp;
use tenure_catalog::invoicing::{DraftLine, Total, draft};
use tenure_core::{InvoiceId, TenantId};
use tenure_evidence::{Needed, Sums};
use tenure_tenancy::TenantTx;

use super::{
    Case, EVENTS_AT_ONCE, event,
    model::{Cited, ExplainQuery, ExplainedEvent, ExplainedUsage, ExplainedWindow, Explanation},
};
use crate::{
    App,
    http::Problem,
    usage::{
        kept,
        raw::{Cursor, RawEvent},
        retention::RETENTION_DAYS,
    },
};

/// Events a page at most.
const EVENTS_PAGE_MAX: u16 = 1_000;
/// Events a page when the caller does not say.
const EVENTS_PAGE: u16 = 50;

/// What the line of that number (from 1) is made of, computed again.
///
/// # Errors
/// 404 for an unknown invoice or line, 422 for a bad cursor.
pub async fn explain(
    app: &App,
    tenant: TenantId,
    id: InvoiceId,
    number: usize,
    query: &ExplainQuery,
    issued_only: bool,
) -> Result<Explanation, Problem> {
    let limit = query.limit.unwrap_or(EVENTS_PAGE);
    if !(1..=EVENTS_PAGE_MAX).contains(&limit) {
        return Err(Problem::field("/limit", format!("Ask for 1 to {EVENTS_PAGE_MAX} events.")));
    }
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let case = Case::read(app, tenant, id, issued_only).await?;
    let index = number.checked_sub(1).ok_or_else(|| Problem::not_found("line"))?;
    let line = case.stated.sums.lines.get(index).ok_or_else(|| Problem::not_found("line"))?;
    let computed = draft(&case.inputs, &case.versions()).ok();
    let computed = computed.and_then(|computed| computed.lines.get(index).cloned());
    let same = computed.as_ref().is_some_and(|computed| normal(computed) == normal(line));
    let mut tx = app.db().tenant(tenant).await?;
    let usage = match &line.meter {
        None => None,
        Some(meter) => usage(&case, &mut tx, line, meter, after, limit.into()).await?,
    };
    tx.commit().await?;
    let agrees = usage.as_ref().is_none_or(|usage| usage.windows.iter().all(|one| one.agrees));
    Ok(Explanation {
        invoice_id: id,
        number: case.stated.number.clone(),
        line: number,
        charge: line.charge.clone(),
        description: line.description.clone(),
        plan: line.plan.clone(),
        from: line.from,
        to: line.to,
        version: line.version.clone(),
        cutoff: line.cutoff,
        arithmetic: line.arithmetic.clone(),
        amount: line.amount,
        computed: computed.map(|line| line.amount),
        cites: line
            .cites
            .as_ref()
            .map(|cite| Cited { invoice_id: cite.invoice.clone(), line: cite.line }),
        usage,
        agrees: agrees && same,
    })
}

fn normal(line: &DraftLine) -> DraftLine {
    DraftLine { quantity: line.quantity.normalize(), ..line.clone() }
}

/// The windows of the line's own period and segment, each added up again with the first
/// page, and a page of events.
async fn usage(
    case: &Case,
    tx: &mut TenantTx,
    line: &DraftLine,
    meter: &str,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Option<ExplainedUsage>, Problem> {
    let Some(needed) = of_line(case, line, meter)? else { return Ok(None) };
    let windows = match after {
        None => added_up(case, tx, &needed).await?,
        Some(_) => Vec::new(),
    };
    let page = case.events(tx, &needed, after, limit).await?;
    let gone = match windows.iter().all(|window| window.agrees) {
        true => None,
        false => gone(case, tx, &needed).await?,
    };
    let next = page.last().filter(|_| page.len() == limit).map(|last| cursor_text(&last.cursor()));
    Ok(Some(ExplainedUsage {
        meter: meter.to_owned(),
        aggregation: needed.meter.aggregation.word().to_owned(),
        windows,
        events: page.into_iter().map(told).collect(),
        next_cursor: next,
        gone,
    }))
}

/// Why single events of windows are missing, where that is their age.
async fn gone(case: &Case, tx: &mut TenantTx, needed: &Needed) -> Result<Option<String>, Problem> {
    let meter = case.meter_id(&needed.meter.id)?;
    let Some(stretch) = needed.stretch() else { return Ok(None) };
    if !kept::is_dropped(tx, stretch.start).await?
        || kept::meters(tx, case.subscription).await?.contains(&meter)
    {
        return Ok(None);
    }
    Ok(Some(format!(
        "Single events of `{}` are kept {RETENTION_DAYS} days; those of this time are gone. Totals \
         stand.",
        needed.meter.id
    )))
}

/// Every window, summed again from all of its events.
async fn added_up(
    case: &Case,
    tx: &mut TenantTx,
    needed: &Needed,
) -> Result<Vec<ExplainedWindow>, Problem> {
    let mut sums = Sums::new(needed);
    let mut cursor = None;
    loop {
        let page = case.events(tx, needed, cursor, EVENTS_AT_ONCE).await?;
        cursor = page.last().map(RawEvent::cursor);
        let is_last = page.len() < EVENTS_AT_ONCE;
        page.into_iter().map(event).for_each(|event| sums.add(&event));
        if is_last {
            break;
        }
    }
    let windows = needed.windows.iter().zip(sums.totals());
    Ok(windows.map(|(stated, found)| window(stated, &found)).collect())
}

/// The windows that the line was rated with.
fn of_line(case: &Case, line: &DraftLine, meter: &str) -> Result<Option<Needed>, Problem> {
    let all = case.needed()?;
    let needed = all.into_iter().find(|one| one.meter.id == meter && one.cutoff == line.cutoff);
    let Some(mut needed) = needed else { return Ok(None) };
    let corrections = case.inputs.corrections.iter().map(|correction| &correction.now);
    let mut own: Vec<Total> = Vec::new();
    for period in std::iter::once(&case.inputs.own).chain(corrections) {
        if period.n != line.n || period.cutoff != line.cutoff {
            continue;
        }
        for segment in period.segments.iter().filter(|segment| segment.terms.plan == line.plan) {
            let totals = segment.usage.iter().chain(&segment.year);
            own.extend(totals.filter(|one| one.meter == meter).flat_map(|one| one.windows.clone()));
        }
    }
    needed.windows.retain(|window| own.contains(window));
    Ok(Some(needed))
}

fn window(stated: &Total, found: &Total) -> ExplainedWindow {
    let agrees = stated.quantity == found.quantity
        && stated.events == found.events
        && stated.digest == found.digest;
    ExplainedWindow {
        start: stated.start,
        end: stated.end,
        quantity: stated.quantity.normalize(),
        events: stated.events,
        digest: stated.digest.clone(),
        agrees,
    }
}

fn told(raw: RawEvent) -> ExplainedEvent {
    let hash = hex::encode(raw.hash);
    ExplainedEvent {
        source: raw.source,
        id: raw.id,
        time: raw.time,
        quantity: raw.quantity,
        member: raw.member,
        dimensions: raw.dimensions,
        received_at: raw.received_at,
        generation: raw.generation,
        hash,
    }
}

fn cursor_text(cursor: &Cursor) -> String {
    format!("{}.{}", cursor.time.as_microsecond(), hex::encode(cursor.hash))
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let read = || {
        let (time, hash) = text.split_once('.')?;
        let time = Timestamp::from_microsecond(time.parse().ok()?).ok()?;
        let hash: [u8; 16] = hex::decode(hash).ok()?.try_into().ok()?;
        Some(Cursor { time, hash })
    };
    read().ok_or_else(|| Problem::field("/cursor", "Use `next_cursor` of the page before."))
}
