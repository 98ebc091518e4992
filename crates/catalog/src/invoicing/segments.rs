//! A period, cut where its prices change.
//!
//! Entries that ask for the same prices are one stretch, so an entry that
//! changes nothing changes no cent. The tenant's zone and class are those of the
//! start of the period: a change of them holds from the next period on.

use jiff::Timestamp;
use tenure_core::Period;

use super::{
    Error, Versions,
    inputs::Segment,
    product,
    timeline::{Entry, Timeline},
};
use crate::{
    contract::{Contract, Effective, Item, Stretch, Terms},
    model::Product,
};

/// A run of entries that ask for the same prices.
struct Run<'a> {
    first: &'a Entry,
    end: Option<Timestamp>,
}

impl Run<'_> {
    fn overlaps(&self, period: Period) -> bool {
        self.first.from < period.end && self.end.is_none_or(|end| period.start < end)
    }

    fn is_paid(&self) -> bool {
        self.first.is_charged() && !self.first.is_over()
    }
}

/// The segments that `period` is rated in, by time, without totals; none of a
/// trial or of what was cancelled. `before` is the period before it.
pub fn segments(
    timeline: &Timeline,
    versions: &Versions<'_>,
    before: Option<Period>,
    period: Period,
) -> Result<Vec<Segment>, Error> {
    let runs = runs(timeline);
    let mut all = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        if !run.overlaps(period) || !run.is_paid() {
            continue;
        }
        let product = product(versions, &run.first.version)?;
        let terms = terms(timeline, &runs, index, (before, period), product);
        all.push(Segment {
            version: run.first.version.clone(),
            terms,
            usage: Vec::new(),
            year: Vec::new(),
        });
    }
    Ok(all)
}

fn runs(timeline: &Timeline) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for entry in timeline.sorted() {
        match runs.last_mut() {
            Some(last) if last.first.bills_like(entry) => {}
            last => {
                if let Some(last) = last {
                    last.end = Some(entry.from);
                }
                runs.push(Run { first: entry, end: None });
            }
        }
    }
    runs
}

fn terms(
    timeline: &Timeline,
    runs: &[Run<'_>],
    index: usize,
    (before, period): (Option<Period>, Period),
    product: &Product,
) -> Terms {
    let run = &runs[index];
    let entry = run.first;
    let tenant = timeline.at(period.start).unwrap_or(entry);
    let zone_at = |at: Timestamp| timeline.at(at).map(|entry| entry.zone.as_str());
    let zone_before = before.and_then(|before| zone_at(before.start));
    let changed = |zone: Option<&str>| zone.is_some_and(|zone| zone != tenant.zone);
    let same = |other: &&Run<'_>| other.is_paid() && other.first.plan == entry.plan;
    let began = runs[..index].iter().rev().take_while(same).last().unwrap_or(run).first.from;
    let after: Vec<&Run<'_>> = runs[index + 1..].iter().collect();
    let next = after.iter().find(|other| !same(other)).filter(|other| !other.first.is_over());
    let stretch = Stretch {
        began,
        left: next.map(|other| other.first.from),
        goes_on: after.first().is_some_and(same),
        calendar_zone: timeline.calendar_zone().unwrap_or("UTC").to_owned(),
        windows_from: changed(zone_before).then_some(period.start),
        windows_to: changed(zone_at(period.end)).then_some(period.end),
    };
    Terms {
        mode: entry.mode.clone(),
        anchor: Some(timeline.anchor),
        end: run.end,
        zone: tenant.zone.clone(),
        items: items(timeline, run, period, product),
        contracts: contracts(&timeline.contracts, period.end),
        term_years: entry.term_years,
        prepaid: entry.prepaid,
        customer_class: tenant.customer_class.clone(),
        customer_number: timeline.customer_number,
        hard_stops: entry.hard_stops.clone(),
        stretch: Some(stretch),
        ..Terms::new(entry.plan.clone(), entry.model, entry.from)
    }
}

/// The items that the stretch held: what begins after the period, or belongs to
/// another plan, says nothing about it.
fn items(timeline: &Timeline, run: &Run<'_>, period: Period, product: &Product) -> Vec<Item> {
    let plan = product.plan(&run.first.plan);
    let known = |item: &&Item| {
        plan.is_some_and(|plan| {
            plan.charge(&item.charge).is_some()
                || product.extra(&item.charge).is_some_and(|extra| extra.fits(&plan.id))
        })
    };
    let held = |item: &&Item| {
        item.from < period.end
            && run.end.is_none_or(|end| item.from < end)
            && item.to.is_none_or(|to| run.first.from < to)
    };
    let until = |to: Option<Timestamp>| to.filter(|to| *to < period.end);
    let all = timeline.items.iter().filter(known).filter(held);
    all.map(|item| Item { to: until(item.to), ..item.clone() }).collect()
}

/// What contracts say about money before `end`.
fn contracts(all: &[Contract], end: Timestamp) -> Vec<Contract> {
    fn cut<T: Clone>(
        list: &[T],
        end: Timestamp,
        when: impl Fn(&mut T) -> &mut Effective,
    ) -> Vec<T> {
        let mut list = list.to_vec();
        list.retain_mut(|entry| when(entry).from < end);
        for entry in &mut list {
            let when = when(entry);
            when.to = when.to.filter(|to| *to < end);
        }
        list
    }
    let mut kept: Vec<Contract> = all
        .iter()
        .map(|contract| Contract {
            id: contract.id.clone(),
            prices: cut(&contract.prices, end, |entry| &mut entry.when),
            limits: cut(&contract.limits, end, |entry| &mut entry.when),
            discounts: cut(&contract.discounts, end, |entry| &mut entry.when),
            ..Contract::default()
        })
        .collect();
    kept.retain(|contract| {
        !(contract.prices.is_empty() && contract.limits.is_empty() && contract.discounts.is_empty())
    });
    kept
}
