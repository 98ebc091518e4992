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

/// Notes a new installation, and where its test clock begins, if it has one that does. Returns
/// whether it is new.
pub(super) async fn insert_if_new(
    tx: &mut VendorTx,
    id: Uuid,
    key_check: &[u8],
    now: Timestamp,
    clock_offset_ms: Option<i64>,
) -> Result<bool, Problem> {
    let done = sqlx::query!(
        "INSERT INTO installation (id, key_check, created_at, test_clock, clock_offset_ms)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (singleton) DO NOTHING",
        id,
        key_check,
        now.to_sqlx(),
        clock_offset_ms.is_some(),
        clock_offset_ms.unwrap_or(0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
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
