//! SQL of the installation.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use crate::http::Problem;

pub(super) struct Row {
    pub(super) key_check: Vec<u8>,
    pub(super) test_clock: bool,
    pub(super) clock_offset_ms: i64,
}

pub(super) async fn insert_if_new(
    tx: &mut VendorTx,
    id: Uuid,
    key_check: &[u8],
    now: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO installation (id, key_check, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (singleton) DO NOTHING",
        id,
        key_check,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn read(tx: &mut VendorTx) -> Result<Row, Problem> {
    let row =
        sqlx::query_as!(Row, "SELECT key_check, test_clock, clock_offset_ms FROM installation")
            .fetch_one(&mut **tx)
            .await?;
    Ok(row)
}

/// Moves the clock on and marks the database as a test database for ever.
pub(super) async fn add_offset(tx: &mut VendorTx, ahead_ms: i64) -> Result<i64, Problem> {
    let offset = sqlx::query_scalar!(
        "UPDATE installation SET test_clock = true, clock_offset_ms = clock_offset_ms + $1
         RETURNING clock_offset_ms",
        ahead_ms
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(offset)
}
