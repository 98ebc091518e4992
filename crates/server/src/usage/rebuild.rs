//! Rollups made again from single events.
//!
//! Rollups can be dropped and rebuilt to the same bytes, because everything in
//! them follows from events and voids: a row of generation g holds what came in
//! g; and where a void of g names an event of the bucket, the row is `whole`:
//! it holds all that came up to g and was not taken back by then, and stands
//! instead of the rows before it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use tenure_api::usage::RebuildReport;
use tenure_core::{SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;

use super::{
    db::{self, Columns, Flags, Member, Place, RollupRow, RowPlace},
    generations::{self, With},
    kept,
    raw::{Found, Scan},
    store::{BUCKET_SECONDS, Members, Rollup, Rollups, bucket, hash},
    totals::Stretches,
};
use crate::{
    App,
    call::Call,
    http::Problem,
    subscriptions::entitlements::{Situation, situation},
    trail::{self, Change},
};

/// Meter, start of the bucket in seconds, dimension.
pub(super) type Spot = (i32, i64, String);

/// Makes buckets whole in the open generation.
pub(super) async fn spots(
    tx: &mut TenantTx,
    place: Place,
    spots: &BTreeSet<Spot>,
) -> Result<(), Problem> {
    if spots.is_empty() {
        return Ok(());
    }
    let mut rollups: BTreeMap<&Spot, Rollup> =
        spots.iter().map(|spot| (spot, Rollup::empty(spot.1))).collect();
    let mut members: BTreeSet<(&Spot, String)> = BTreeSet::new();
    let asked = stretches(spots);
    let mut buffer = Vec::new();
    let scan = Scan::new(tx, place.subscription, place.generation, &asked).await?;
    let take = |found: &Found<'_>| {
        let (spot, one) = counted(found, &mut buffer);
        let Some(spot) = spots.get(&spot) else { return };
        if let Some(rollup) = rollups.get_mut(spot) {
            rollup.join(&one);
        }
        if let Some(member) = found.record.member {
            members.insert((spot, member.to_owned()));
        }
    };
    scan.all(tx, &asked, take).await?;
    let rollups: Rollups<'_> = rollups
        .into_iter()
        .map(|((meter, bucket, dimension), rollup)| ((*meter, *bucket, &**dimension), rollup))
        .collect();
    let members: Members<'_> = members
        .iter()
        .map(|((meter, bucket, dimension), member)| (*meter, *bucket, &**dimension, &**member))
        .collect();
    replace(tx, place, &rollups).await?;
    db::insert_members(tx, place, &members).await
}

/// The buckets as stretches; the slot is the meter.
fn stretches(spots: &BTreeSet<Spot>) -> Stretches {
    let buckets: BTreeSet<(i32, i64)> = spots.iter().map(|(meter, at, _)| (*meter, *at)).collect();
    let mut asked = Stretches::default();
    for (meter, at) in buckets {
        asked.push_meter(meter, db::at(at).to_jiff(), db::at(at + BUCKET_SECONDS).to_jiff());
    }
    asked
}

fn counted(found: &Found<'_>, buffer: &mut Vec<u8>) -> (Spot, Rollup) {
    let record = found.record;
    let spot = (found.slot, bucket(record.time), record.dimension.to_owned());
    (spot, Rollup::of(record.quantity, record.time, hash(record, buffer)))
}

/// Writes whole rows, and says of those before that they are replaced.
async fn replace(tx: &mut TenantTx, place: Place, rollups: &Rollups<'_>) -> Result<(), Problem> {
    let columns = Columns::of(rollups);
    db::displace(tx, place, &columns).await?;
    let rows = rollups.len();
    let flags = Flags { wholes: vec![true; rows], replaced: vec![None; rows] };
    db::put_rollups(tx, place.subscription, place.generation, &columns, &flags).await
}

/// Drops all rollups of a subscription and makes them again.
pub(super) async fn subscription(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<RebuildReport, Problem> {
    let situation = situation(app, tenant, id).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let generation = generations::enter(&mut tx, id, With::Nobody).await?;
    let dropped = kept::is_dropped(&mut tx, situation.subscription.anchor).await?;
    let mut asked = Stretches::default();
    let from = situation.subscription.anchor;
    let to = call.now.checked_add(SignedDuration::from_hours(24)).unwrap_or(call.now);
    for meter in situation.catalog.meters.values() {
        asked.push_meter(*meter, from, to);
    }
    let made = make(&mut tx, id, generation, &asked).await?;
    let stood = db::stored(&mut tx, id).await?;
    if dropped {
        let kept = kept::meters(&mut tx, id).await?;
        let meters = made.rows.keys().chain(stood.keys()).map(|place| place.0);
        refuse_dropped(meters.filter(|meter| !kept.contains(meter)), &situation)?;
    }
    let differing = made.rows.iter().filter(|(spot, row)| stood.get(*spot) != Some(row)).count()
        + stood.keys().filter(|spot| !made.rows.contains_key(*spot)).count();
    write(&mut tx, id, &made).await?;
    let report = RebuildReport { rollups: made.rows.len(), members: made.members.len(), differing };
    trail::record(app, &mut tx, call, Change::created("usage.rebuilt", id, &report)).await?;
    tx.commit().await?;
    Ok(report)
}

/// What was dropped cannot be made again: totals of those meters stay as they are.
fn refuse_dropped(gone: impl Iterator<Item = i32>, situation: &Situation) -> Result<(), Problem> {
    let gone: BTreeSet<i32> = gone.collect();
    if gone.is_empty() {
        return Ok(());
    }
    let named = situation.catalog.meters.iter().filter(|(_, number)| gone.contains(number));
    let mut named: Vec<&str> = named.map(|(id, _)| id.as_str()).collect();
    named.sort_unstable();
    let detail = format!(
        "Single events of this subscription are no longer kept ({}), so its rollups stay as they \
         are.",
        named.join(", ")
    );
    Err(Problem::conflict("usage-dropped", detail))
}

#[derive(Default)]
struct Made {
    rows: BTreeMap<RowPlace, RollupRow>,
    members: BTreeSet<(RowPlace, String)>,
    /// Of each spot, the generations that are whole.
    wholes: BTreeMap<Spot, BTreeSet<i32>>,
}

impl Made {
    fn replaced_in(&self, (meter, at, dimension, generation): &RowPlace) -> Option<i32> {
        let wholes = self.wholes.get(&(*meter, *at, dimension.clone()))?;
        wholes.range(generation + 1..).next().copied()
    }

    fn add(&mut self, place: RowPlace, whole: bool, one: &Rollup, member: Option<&str>) {
        if let Some(member) = member {
            self.members.insert((place.clone(), member.to_owned()));
        }
        let rollup = Rollup::empty(place.1);
        let row = RollupRow { whole, replaced_in: None, rollup };
        self.rows.entry(place).or_insert(row).rollup.join(one);
    }
}

async fn make(
    tx: &mut TenantTx,
    id: SubscriptionId,
    generation: i32,
    asked: &Stretches,
) -> Result<Made, Problem> {
    let mut made = Made::default();
    let mut buffer = Vec::new();
    let scan = Scan::new(tx, id, generation, asked).await?.with_voided();
    let take = |found: &Found<'_>| {
        let (spot, one) = counted(found, &mut buffer);
        if let Some(void_in) = found.void_in {
            made.wholes.entry(spot.clone()).or_default().insert(void_in);
        }
        let place = (spot.0, spot.1, spot.2, found.generation);
        made.add(place, false, &one, found.record.member);
    };
    scan.all(tx, asked, take).await?;
    // What was taken back is not in the rows of its bucket from then on.
    let wholes = made.wholes.clone();
    made.members.retain(|((meter, at, dimension, generation), _)| {
        let whole = wholes.get(&(*meter, *at, dimension.clone()));
        !whole.is_some_and(|generations| generations.contains(generation))
    });
    for ((meter, at, dimension), generations) in &wholes {
        for generation in generations {
            let place = (*meter, *at, dimension.clone(), *generation);
            let row = RollupRow { whole: true, replaced_in: None, rollup: Rollup::empty(*at) };
            made.rows.insert(place, row);
        }
    }
    if !wholes.is_empty() {
        let asked = stretches(&wholes.keys().cloned().collect());
        let scan = Scan::new(tx, id, generation, &asked).await?.with_voided();
        let take = |found: &Found<'_>| {
            let (spot, one) = counted(found, &mut buffer);
            for generation in wholes.get(&spot).into_iter().flatten() {
                let voided = found.void_in.is_some_and(|void_in| void_in <= *generation);
                if found.generation <= *generation && !voided {
                    let place = (spot.0, spot.1, spot.2.clone(), *generation);
                    made.add(place, true, &one, found.record.member);
                }
            }
        };
        scan.all(tx, &asked, take).await?;
    }
    let replaced: Vec<Option<i32>> =
        made.rows.keys().map(|place| made.replaced_in(place)).collect();
    for (row, replaced_in) in made.rows.values_mut().zip(replaced) {
        row.replaced_in = replaced_in;
    }
    Ok(made)
}

async fn write(tx: &mut TenantTx, id: SubscriptionId, made: &Made) -> Result<(), Problem> {
    db::drop_rollups(tx, id).await?;
    write_rollups(tx, id, made).await?;
    let members: Vec<Member<'_>> = made
        .members
        .iter()
        .map(|(place, member)| Member { place, replaced_in: made.replaced_in(place), member })
        .collect();
    db::put_members(tx, id, &members).await
}

async fn write_rollups(tx: &mut TenantTx, id: SubscriptionId, made: &Made) -> Result<(), Problem> {
    // One generation at a time: within one, a spot is a key.
    let mut by_generation: BTreeMap<i32, Vec<(&RowPlace, &RollupRow)>> = BTreeMap::new();
    for (place, row) in &made.rows {
        by_generation.entry(place.3).or_default().push((place, row));
    }
    for (generation, rows) in by_generation {
        let rollups: Rollups<'_> =
            rows.iter().map(|(place, row)| ((place.0, place.1, &*place.2), row.rollup)).collect();
        let columns = Columns::of(&rollups);
        let flags = Flags {
            wholes: rows.iter().map(|(_, row)| row.whole).collect(),
            replaced: rows.iter().map(|(_, row)| row.replaced_in).collect(),
        };
        db::put_rollups(tx, id, generation, &columns, &flags).await?;
    }
    Ok(())
}
