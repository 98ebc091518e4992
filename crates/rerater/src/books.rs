//! The open books: the subscription's life as stretches in which nothing of the terms changes, what
//! was held at each moment, and the events that count.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::exact::{Exact, decimal, whole};
use crate::input::{Contract, Event, Input, Span, Terms, Unit};
use crate::product::{Due, Plan, Price, Product};
use crate::{Assumed, Error, Result, calendar};

/// A time in which nothing of the terms changes.
#[derive(Clone, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) span: Span,
    pub(crate) terms: &'a Terms,
    pub(crate) contracts: Vec<&'a Contract>,
    pub(crate) trial: bool,
}

/// Everything that is looked up while a bill is made.
pub(crate) struct Books<'a> {
    pub(crate) input: &'a Input,
    pub(crate) assumed: Assumed,
    pub(crate) products: Vec<Product>,
    pub(crate) stretches: Vec<Stretch<'a>>,
    pub(crate) events: Vec<&'a Event>,
    pub(crate) anchor_zone: TimeZone,
}

impl<'a> Books<'a> {
    pub(crate) fn open(input: &'a Input, assumed: Assumed) -> Result<Books<'a>> {
        let products =
            input.product_files.iter().map(|f| Product::read(f)).collect::<Result<Vec<_>>>()?;
        let stretches = stretches(input);
        let first = stretches.first().ok_or(Error::NoHistory)?;
        let name = input.subscription.anchor_zone.as_ref().unwrap_or(&first.terms.zone);
        let anchor_zone = calendar::zone(name)?;
        let events = counted(input);
        Ok(Books { input, assumed, products, stretches, events, anchor_zone })
    }

    /// The stretch that holds a moment, unless it is before the start or after the end.
    pub(crate) fn stretch_at(&self, moment: Timestamp) -> Option<&Stretch<'a>> {
        self.stretches.iter().find(|s| s.span.from <= moment && moment < s.span.to)
    }

    /// The product file of a stretch.
    pub(crate) fn product(&self, stretch: &Stretch<'_>) -> Result<&Product> {
        self.products.get(stretch.terms.product_file).ok_or(Error::NoHistory)
    }

    /// The currency of the price list; it never changes between versions (product-file.md).
    pub(crate) fn currency(&self) -> Result<String> {
        Ok(self.products.first().ok_or(Error::NoHistory)?.currency.clone())
    }

    /// The plan of a stretch, with what its contracts changed.
    pub(crate) fn plan(&self, stretch: &Stretch<'_>) -> Result<Plan> {
        let product = self.product(stretch)?;
        let id = &stretch.terms.plan;
        let listed = product.plans.iter().find(|p| &p.id == id);
        let mut plan = listed.ok_or_else(|| Error::NoPlan(id.clone()))?.clone();
        for price in &mut plan.prices {
            agree_price(price, stretch)?;
        }
        for limit in &mut plan.limits {
            agree_overage(limit, stretch)?;
        }
        for agreed in stretch.contracts.iter().flat_map(|c| &c.limits) {
            let included = agreed.included.as_deref().map(read_number).transpose()?;
            for limit in plan.limits.iter_mut().filter(|l| l.of == agreed.limit) {
                limit.included = included.clone();
            }
        }
        Ok(plan)
    }

    /// The prices of add-ons and services in a stretch, with what its contracts changed.
    pub(crate) fn extras(&self, stretch: &Stretch<'_>) -> Result<Vec<Price>> {
        let mut prices = Vec::new();
        for extra in &self.product(stretch)?.extras {
            // "Plans that it can be added to": on another plan it is not there.
            if extra.plans.as_ref().is_some_and(|plans| !plans.contains(&stretch.terms.plan)) {
                continue;
            }
            let mut price = extra.price.clone();
            agree_price(&mut price, stretch)?;
            prices.push(price);
        }
        Ok(prices)
    }

    /// The ids of all add-ons and services.
    pub(crate) fn extra_ids(&self) -> std::collections::BTreeSet<String> {
        let products = self.products.iter();
        products.flat_map(|product| &product.extras).map(|extra| extra.price.line.clone()).collect()
    }

    /// How many of these were held at a moment: the items of any of the names, added up.
    pub(crate) fn held(&self, names: &[&str], moment: Timestamp) -> Result<Exact> {
        let mut sum = whole(0);
        for item in &self.input.subscription.items {
            let there = item.from <= moment && item.to.is_none_or(|to| moment < to);
            if there && names.contains(&item.charge.as_str()) {
                sum += read_number(&item.quantity)?;
            }
        }
        Ok(sum)
    }

    /// How many a price is multiplied with at a moment; `None` when it was not ordered.
    pub(crate) fn number(&self, price: &Price, moment: Timestamp) -> Result<Option<Exact>> {
        let by_order = price.optional || price.kind != crate::product::Kind::Plan;
        let ordered = self.held(&[&price.line], moment)?;
        if by_order && ordered == whole(0) {
            return Ok(None);
        }
        let number = match &price.per {
            Some(allocation) if by_order => self.held(&[allocation], moment)?,
            Some(allocation) => self.held(&[allocation, &price.line], moment)?,
            None if by_order => ordered,
            None => whole(1),
        };
        // product-file.md, `at_least`: "The least number that is billed."
        Ok(Some(number.max(price.at_least.clone())))
    }

    /// Moments in which an item came or went.
    pub(crate) fn item_moments(&self) -> BTreeSet<Timestamp> {
        let items = &self.input.subscription.items;
        items.iter().flat_map(|i| [Some(i.from), i.to]).flatten().collect()
    }

    /// The months or years, counted from the anchor, that share a moment with a span.
    pub(crate) fn intervals(&self, unit: Unit, span: Span) -> Result<Vec<Span>> {
        calendar::intervals(self.input.subscription.anchor, &self.anchor_zone, unit, span)
    }
}

/// A contract's price in place of the listed one; of several, the latest.
fn agree_price(price: &mut Price, stretch: &Stretch<'_>) -> Result<()> {
    for agreed in stretch.contracts.iter().flat_map(|c| &c.prices) {
        if agreed.charge != price.line {
            continue;
        }
        price.rate.amount = Some(read_number(&agreed.amount)?);
        price.rate.tiers = Vec::new();
        if price.due == Due::Unsaid {
            price.due = Due::Every(agreed.every.unwrap_or(stretch.terms.interval));
        }
    }
    Ok(())
}

fn agree_overage(limit: &mut crate::product::Limit, stretch: &Stretch<'_>) -> Result<()> {
    use crate::product::Over;
    for agreed in stretch.contracts.iter().flat_map(|c| &c.prices) {
        if agreed.charge == format!("overage.{}", limit.of)
            && let Over::Priced(rate, _) | Over::TrueUp(rate, _) = &mut limit.over
        {
            rate.amount = Some(read_number(&agreed.amount)?);
        }
    }
    Ok(())
}

pub(crate) fn read_number(text: &str) -> Result<Exact> {
    decimal(text).ok_or_else(|| Error::Number(text.to_owned()))
}

/// Cuts the subscription's life wherever an entry of its history or a contract begins or ends, and
/// where its trial ends. Neighbours with the same terms for pricing are one stretch.
fn stretches(input: &Input) -> Vec<Stretch<'_>> {
    let sold = &input.subscription;
    let Some(start) = sold.history.first().map(|t| t.from) else { return Vec::new() };
    let end = sold.end.unwrap_or(Timestamp::MAX);
    let mut cuts: BTreeSet<Timestamp> = sold.history.iter().map(|t| t.from).collect();
    cuts.extend(sold.contracts.iter().flat_map(|c| [Some(c.from), c.to]).flatten());
    cuts.extend(sold.trial_ends_at);
    cuts.insert(end);
    let cuts: Vec<Timestamp> = cuts.into_iter().filter(|c| start <= *c && *c <= end).collect();
    let mut found: Vec<Stretch<'_>> = Vec::new();
    for pair in cuts.windows(2) {
        let span = Span { from: pair[0], to: pair[1] };
        let Some(terms) = sold.history.iter().rfind(|t| t.from <= span.from) else { continue };
        let holds = |c: &&Contract| c.from <= span.from && c.to.is_none_or(|to| span.from < to);
        let contracts: Vec<&Contract> = sold.contracts.iter().filter(holds).collect();
        let trial = sold.trial_ends_at.is_some_and(|ends| span.from < ends);
        match found.last_mut() {
            Some(last)
                if last.trial == trial
                    && last.contracts == contracts
                    && same_price(last.terms, terms) =>
            {
                last.span.to = span.to;
            }
            _ => found.push(Stretch { span, terms, contracts, trial }),
        }
    }
    found
}

/// Whether two entries of the history differ in nothing that a bill depends on. "Plan, version,
/// model, mode: cuts the period" (billing.md).
fn same_price(a: &Terms, b: &Terms) -> bool {
    let mut b = b.clone();
    b.from = a.from;
    *a == b
}

/// What counts: each event once (the first of those with its id and source), no voided one, none
/// that was received too late for this bill. SPEC 12; issue: "void and amend".
fn counted(input: &Input) -> Vec<&Event> {
    let in_time = |received: u64| input.as_of.is_none_or(|as_of| received < as_of);
    let voided: BTreeSet<(&str, &str)> = input
        .voids
        .iter()
        .filter(|v| in_time(v.received))
        .map(|v| (v.source.as_str(), v.id.as_str()))
        .collect();
    let mut arrived: Vec<&Event> = input.events.iter().filter(|e| in_time(e.received)).collect();
    arrived.sort_by_key(|e| e.received);
    let mut seen = BTreeSet::new();
    arrived.retain(|e| seen.insert((e.source.as_str(), e.id.as_str())));
    arrived.retain(|e| !voided.contains(&(e.source.as_str(), e.id.as_str())));
    arrived
}
