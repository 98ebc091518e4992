//! Local quota slices: check and count in one transaction.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Row, SqliteConnection};
use tenure_core::Quantity;
use tenure_license::enforcement::Decision;

use super::Store;
use crate::{Error, error::Result};

/// For how long the id of a taking is remembered, in days.
pub const KEPT_DAYS: i64 = 35;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Taking<'a> {
    /// The limit's id.
    pub quota: &'a str,
    /// When its present window began; 0 for what has no calendar.
    pub window_start: Timestamp,
    /// Names the taking: asked again, it is answered again.
    pub id: Option<&'a str>,
    /// How much.
    pub quantity: Quantity,
    /// When.
    pub at: Timestamp,
}

/// The answer, as it was given the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Whether it was taken, and what to say.
    #[serde(flatten)]
    pub decision: Decision,
    /// Used in the window, this taking included if it was allowed.
    pub used: Quantity,
    /// The limit; none is unlimited.
    pub limit: Option<Quantity>,
}

impl Store {
    /// Asks `decide` with what was used so far and counts when it allows.
    pub async fn take(
        &self,
        taking: &Taking<'_>,
        decide: impl FnOnce(Quantity) -> Taken,
    ) -> Result<Taken> {
        let mut connection = self.lock().await;
        let mut tx = connection.begin().await?;
        if let Some(before) = answered(&mut tx, taking).await? {
            return Ok(before);
        }
        let used = used(&mut tx, taking.quota, taking.window_start).await?;
        let mut answer = decide(used);
        if answer.decision.allowed {
            let total = Quantity::new(used.value() + taking.quantity.value());
            answer.used = total.map_err(|error| Error::refused("quantity", error.to_string()))?;
            count(&mut tx, taking, &answer).await?;
        }
        tx.commit().await?;
        Ok(answer)
    }

    /// What was used of a quota in its window.
    pub async fn used(&self, quota: &str, window_start: Timestamp) -> Result<Quantity> {
        used(&mut *self.lock().await, quota, window_start).await
    }

    /// Forgets takings and windows from before `before`.
    pub async fn prune_quota(&self, before: Timestamp) -> Result<()> {
        let mut connection = self.lock().await;
        sqlx::query("DELETE FROM taking WHERE at < ?")
            .bind(before.as_second())
            .execute(&mut *connection)
            .await?;
        Ok(())
    }
}

async fn answered(tx: &mut SqliteConnection, taking: &Taking<'_>) -> Result<Option<Taken>> {
    let Some(id) = taking.id else { return Ok(None) };
    let row = sqlx::query("SELECT quantity, answer FROM taking WHERE quota = ? AND id = ?")
        .bind(taking.quota)
        .bind(id)
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<String, _>(0) != taking.quantity.to_string() {
        let message = format!("`{id}` was taken before, with another quantity");
        return Err(Error::refused("taking_conflict", message));
    }
    let answer = serde_json::from_str(row.get(1));
    answer.map(Some).map_err(|error| Error::Damaged { what: "a taking", why: error.to_string() })
}

pub(super) async fn used(
    connection: &mut SqliteConnection,
    quota: &str,
    window_start: Timestamp,
) -> Result<Quantity> {
    let row = sqlx::query("SELECT used FROM counter WHERE quota = ? AND window_start = ?")
        .bind(quota)
        .bind(window_start.as_second())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(Quantity::ZERO) };
    let used: Option<Decimal> = row.get::<String, _>(0).parse().ok();
    used.and_then(|used| Quantity::new(used).ok()).ok_or_else(|| Error::Damaged {
        what: "a quota's counter",
        why: format!("`{quota}` is not a quantity"),
    })
}

/// Counts what was taken on top of `used`.
pub(super) async fn add(
    tx: &mut SqliteConnection,
    quota: &str,
    window_start: Timestamp,
    used: Quantity,
    more: Quantity,
) -> Result<()> {
    let total = Quantity::new(used.value() + more.value());
    let total = total.map_err(|error| Error::refused("quantity", error.to_string()))?;
    set(tx, quota, window_start, total).await
}

async fn set(
    tx: &mut SqliteConnection,
    quota: &str,
    window_start: Timestamp,
    used: Quantity,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO counter (quota, window_start, used) VALUES (?, ?, ?)
         ON CONFLICT (quota, window_start) DO UPDATE SET used = excluded.used",
    )
    .bind(quota)
    .bind(window_start.as_second())
    .bind(used.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// Only what was allowed is remembered: what was refused may be asked again later.
async fn count(tx: &mut SqliteConnection, taking: &Taking<'_>, answer: &Taken) -> Result<()> {
    set(tx, taking.quota, taking.window_start, answer.used).await?;
    let Some(id) = taking.id else { return Ok(()) };
    let text = serde_json::to_string(answer)
        .map_err(|error| Error::Damaged { what: "an answer", why: error.to_string() })?;
    sqlx::query("INSERT INTO taking (quota, id, quantity, answer, at) VALUES (?, ?, ?, ?, ?)")
        .bind(taking.quota)
        .bind(id)
        .bind(taking.quantity.to_string())
        .bind(text)
        .bind(taking.at.as_second())
        .execute(tx)
        .await?;
    Ok(())
}
