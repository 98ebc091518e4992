//! Slices of quotas, and usage that is checked and entered in one transaction.

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};
use tenure_api::usage::Outcome;
use tenure_core::Quantity;
use tenure_license::{enforcement::Decision, instance::SliceBack, ledger::TakenOfSlice};

use super::{Incoming, Store, ledger, quota};
use crate::{Error, error::Result};

/// Slices of one quota that are kept at once; the oldest is used up first.
const SLICES_MAX: i64 = 20;

/// A slice in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHeld {
    /// Its name.
    pub id: String,
    /// All of it.
    pub quantity: Decimal,
    /// What was used of it.
    pub used: Decimal,
    /// Not to be used from then on.
    pub until: Timestamp,
}

impl SliceHeld {
    fn left(&self) -> Decimal {
        self.quantity - self.used
    }
}

/// What must allow the usage.
pub enum Allowance<'a> {
    /// A slice.
    Slice {
        /// Of this quota.
        quota: &'a str,
    },
    /// What was counted here in a window.
    Here {
        /// Of this quota.
        quota: &'a str,
        /// When the window began.
        window_start: Timestamp,
        /// Decides, given what was used.
        decide: Box<dyn FnOnce(Quantity) -> Decision + Send + 'a>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consumed {
    /// It is entered; so much is left at hand, of how much.
    Entered {
        /// What the table says beside, if anything.
        said: Option<Decision>,
        /// Left of slices in hand.
        left: Option<Decimal>,
        /// Of how much.
        of: Option<Decimal>,
    },
    /// It was entered before, or something else was under its name.
    Before(Outcome),
    /// It is not allowed.
    Refused(Decision),
    /// No slice has enough; so much is missing.
    Short,
}

impl Store {
    /// Enters one event if that is allowed: the check and the record are one transaction.
    pub async fn consume(
        &self,
        at: Timestamp,
        event: Incoming,
        quantity: Quantity,
        allowance: Allowance<'_>,
        used_max: u64,
    ) -> Result<Consumed> {
        let mut connection = self.lock().await;
        ledger::make_room(&mut connection, std::slice::from_ref(&event), used_max).await?;
        let mut tx = connection.begin().await?;
        match ledger::name(&mut tx, &event, at).await? {
            Outcome::Accepted => {}
            before => return Ok(Consumed::Before(before)),
        }
        let (taken, entered) = match allowance {
            Allowance::Slice { quota } => {
                let slices = held(&mut tx, quota, at).await?;
                let left: Decimal = slices.iter().map(SliceHeld::left).sum();
                if left < quantity.value() {
                    return Ok(Consumed::Short);
                }
                let taken = take(&mut tx, &slices, quantity.value(), at).await?;
                let of = slices.iter().map(|slice| slice.quantity).max();
                let left = Some(left - quantity.value());
                (taken, Consumed::Entered { said: None, left, of })
            }
            Allowance::Here { quota, window_start, decide } => {
                let used = quota::used(&mut tx, quota, window_start).await?;
                let decision = decide(used);
                if !decision.allowed {
                    return Ok(Consumed::Refused(decision));
                }
                quota::add(&mut tx, quota, window_start, used, quantity).await?;
                (Vec::new(), Consumed::Entered { said: Some(decision), left: None, of: None })
            }
        };
        ledger::enter(&mut tx, at, vec![(event.event, event.source)], &taken).await?;
        tx.commit().await?;
        Ok(entered)
    }

    /// The name to ask for a slice by: the one that was asked for and not answered, or this.
    pub async fn asking(&self, quota: &str, name: &str, at: Timestamp) -> Result<String> {
        let mut connection = self.lock().await;
        let asked = "SELECT id FROM slice WHERE quota = ? AND quantity = '0' LIMIT 1";
        let row = sqlx::query(asked).bind(quota).fetch_optional(&mut *connection).await?;
        if let Some(row) = row {
            return Ok(row.get(0));
        }
        sqlx::query(
            "INSERT INTO slice (id, quota, quantity, used, until, last_used)
             VALUES (?, ?, '0', '0', 0, ?)",
        )
        .bind(name)
        .bind(quota)
        .bind(at.as_second())
        .execute(&mut *connection)
        .await?;
        Ok(name.to_owned())
    }

    /// A slice was handed out.
    pub async fn sliced(&self, id: &str, quantity: Quantity, until: Timestamp) -> Result<()> {
        sqlx::query("UPDATE slice SET quantity = ?, until = ? WHERE id = ? AND quantity = '0'")
            .bind(quantity.to_string())
            .bind(until.as_second())
            .bind(id)
            .execute(&mut *self.lock().await)
            .await?;
        Ok(())
    }

    /// Slices that ended, or that nobody used since `idle`: none of them is used from now on.
    pub async fn slices_back(&self, at: Timestamp, idle: Timestamp) -> Result<Vec<SliceBack>> {
        let mut connection = self.lock().await;
        let mut tx = connection.begin().await?;
        sqlx::query(
            "UPDATE slice SET until = 0
             WHERE quantity <> '0' AND (until <= ? OR last_used < ?)",
        )
        .bind(at.as_second())
        .bind(idle.as_second())
        .execute(&mut *tx)
        .await?;
        let rows = sqlx::query(
            "SELECT id, quantity, used, until FROM slice
             WHERE quantity <> '0' AND until = 0 ORDER BY id LIMIT ?",
        )
        .bind(SLICES_MAX)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                let slice = read(row)?;
                let used = Quantity::new(slice.used)
                    .map_err(|error| Error::Damaged { what: "a slice", why: error.to_string() })?;
                Ok(SliceBack { slice: slice.id, used })
            })
            .collect()
    }

    /// Forgets slices that were given back, or were refused.
    pub async fn forget_slices(&self, names: &[String]) -> Result<()> {
        let mut connection = self.lock().await;
        for name in names {
            let gone = sqlx::query("DELETE FROM slice WHERE id = ? AND until = 0").bind(name);
            gone.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Left of the slices of a quota, and until when.
    pub async fn in_hand(&self, quota: &str, at: Timestamp) -> Result<Vec<SliceHeld>> {
        held(&mut *self.lock().await, quota, at).await
    }
}

async fn held(
    connection: &mut SqliteConnection,
    quota: &str,
    at: Timestamp,
) -> Result<Vec<SliceHeld>> {
    let rows = sqlx::query(
        "SELECT id, quantity, used, until FROM slice WHERE quota = ? AND until > ?
         ORDER BY until, id LIMIT ?",
    )
    .bind(quota)
    .bind(at.as_second())
    .bind(SLICES_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<SliceHeld> {
    let number = |at: usize| {
        let text: String = row.get(at);
        text.parse::<Decimal>()
            .map_err(|error| Error::Damaged { what: "a slice of a quota", why: error.to_string() })
    };
    Ok(SliceHeld {
        id: row.get(0),
        quantity: number(1)?,
        used: number(2)?,
        until: Timestamp::from_second(row.get(3)).unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

/// Takes of the slices in turn, which have enough together.
async fn take(
    tx: &mut SqliteConnection,
    slices: &[SliceHeld],
    quantity: Decimal,
    at: Timestamp,
) -> Result<Vec<TakenOfSlice>> {
    let (mut taken, mut wanted) = (Vec::new(), quantity);
    for slice in slices {
        let part = slice.left().min(wanted);
        if part <= Decimal::ZERO {
            continue;
        }
        sqlx::query("UPDATE slice SET used = ?, last_used = ? WHERE id = ?")
            .bind((slice.used + part).normalize().to_string())
            .bind(at.as_second())
            .bind(&slice.id)
            .execute(&mut *tx)
            .await?;
        let part_taken = Quantity::new(part.normalize())
            .map_err(|error| Error::Damaged { what: "a slice", why: error.to_string() })?;
        taken.push(TakenOfSlice { slice: slice.id.clone(), quantity: part_taken });
        wanted -= part;
        if wanted.is_zero() {
            break;
        }
    }
    Ok(taken)
}
