//! How long it takes to close a month for everybody, and with what it grows.
//!
//! Tenants with four meters that are used in every hour of a month. One of them sends its events
//! over HTTP; the rows that come of it (rollups and chunks) are copied for the others, so that all
//! lie on the disk as they would. Then a server with its jobs closes the month of each and issues
//! the invoice. The limit is one SQL statement that adds up the same rollups by tenant, meter and
//! day. Ten times the events in the same hours show what the time does not depend on.
//!
//! `-- close --tenants N` for more than [`TENANTS`].

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    figure,
    http::Connection,
    made,
    process::{ADMIN, Serve},
};

/// Tenants when nobody asks for more.
const TENANTS: usize = 500;
/// Events of a tenant in its month.
const EVENTS: [usize; 2] = [1_000, 10_000];
const EVENTS_PER_BATCH: usize = 1_000;
const HOURS: usize = 27 * 24;
/// The month began so long ago, and is over.
const BEGAN: SignedDuration = SignedDuration::from_hours(24 * 35);
const PATIENCE: Duration = Duration::from_secs(1_800);
const METERS: [&str; 4] = ["runs", "calls", "tokens", "peak"];

fn product(events: usize) -> String {
    format!(
        r#"
[product]
id = "close-{events}"
name = "Close"
api_key_prefix = "close{events}"
currency = "USD"
sales_contact = "sales@example.com"

[models.managed]
isolation = "shared_tables"
responsibility = {{ software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }}

[meters]
runs = {{ type = "runs", count = true }}
calls = {{ type = "calls", count = true }}
tokens = {{ type = "tokens", sum = "n" }}
peak = {{ type = "peak", max = "n" }}

[plans.basic]
name = "Basic"
models = ["managed"]
price = {{ month = "99" }}
[plans.basic.limits]
runs = {{ included = 100, per = "month", over = {{ price = "0.10" }} }}
calls = {{ included = 5, per = "day", over = {{ price = "0.01" }} }}
tokens = {{ included = 100, per = "month", over = {{ price = "0.02" }} }}
peak = {{ included = 5, per = "month", over = {{ price = "1" }} }}
"#
    )
}

/// For each number of events: a cluster's worth of tenants, closed.
pub(crate) async fn months(data: &Path, admin_url: &str) {
    let tenants = tenants_wanted();
    for events in EVENTS {
        let serve = Serve::start_with(data, admin_url, &[("TENURE_WITHOUT_JOBS", "1")]).await;
        fill(&serve, admin_url, tenants, events).await;
        serve.stop();
        let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
        for sql in ["ANALYZE", "CHECKPOINT"] {
            sqlx::raw_sql(sql).execute(&mut conn).await.expect("a database at rest");
        }
        let slug = format!("close-{events}");
        let rollups = rollups(&mut conn, &slug).await;
        let sql = added_up(&mut conn, &slug).await;
        let took = close(data, admin_url, &mut conn).await;
        let millions = (tenants * events) as f64 / 1e6;
        figure(
            &format!("month close, {tenants} tenants"),
            &format!("{:.1} s", took.as_secs_f64()),
            &format!(
                "{millions} M events in {:.2} M rollups; {:.1} ms a tenant; one SQL sum over the \
                 rollups {:.2} s, {:.1} x",
                rollups as f64 / 1e6,
                took.as_secs_f64() * 1e3 / tenants as f64,
                sql.as_secs_f64(),
                took.as_secs_f64() / sql.as_secs_f64()
            ),
        );
    }
}

/// `--tenants N`.
fn tenants_wanted() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--tenants");
    match arguments.next() {
        Some(_) => arguments.next().and_then(|text| text.parse().ok()).expect("--tenants NUMBER"),
        None => TENANTS,
    }
}

async fn fill(serve: &Serve, admin_url: &str, tenants: usize, events: usize) {
    let mut connection = Connection::open(serve.address).await;
    let path = "/api/v1/admin/products";
    let answer = connection.post(path, ADMIN, "application/toml", &product(events)).await;
    assert!(answer.status < 300, "{}", answer.body);
    let began = Timestamp::now() - BEGAN;
    for n in 0..tenants {
        let name = format!("Close {events} {n}");
        let tenant = made(&mut connection, "/api/v1/admin/tenants", json!({ "name": name })).await;
        let path = format!("/api/v1/admin/tenants/{}", tenant["id"].as_str().expect("an id"));
        let wanted = json!({ "product": format!("close-{events}"), "plan": "basic",
            "starts_at": began, "billed_from": began });
        let sold = made(&mut connection, &format!("{path}/subscriptions"), wanted).await;
        if n == 0 {
            let wanted = json!({ "subscription": sold["id"] });
            let key = made(&mut connection, &format!("{path}/keys"), wanted).await;
            send(serve, key["api_key"].as_str().expect("a key"), began, events).await;
        }
    }
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    for sql in [COPY_ROLLUPS, COPY_CHUNKS, COPY_ROWS] {
        let copied = sqlx::query(sql).bind(format!("close-{events}")).execute(&mut conn).await;
        copied.expect("the rows of the others");
    }
}

/// The first subscription of the product has rows; the others get the same.
const COPY_ROLLUPS: &str =
    "INSERT INTO usage_rollups (tenant_id, subscription_id, meter_id, bucket,
        dimension, generation, whole, replaced_in, events, sum, max, min, last, last_at, digest_hi,
        digest_lo)
    SELECT s.tenant_id, s.id, r.meter_id, r.bucket, r.dimension, r.generation, r.whole,
        r.replaced_in, r.events, r.sum, r.max, r.min, r.last, r.last_at, r.digest_hi, r.digest_lo
    FROM subscriptions s JOIN products p ON p.id = s.product_id AND p.slug = $1
    CROSS JOIN LATERAL (SELECT f.id FROM subscriptions f WHERE f.product_id = s.product_id
        ORDER BY f.id LIMIT 1) first
    JOIN usage_rollups r ON r.subscription_id = first.id
    WHERE s.id <> first.id";
const COPY_CHUNKS: &str = "INSERT INTO usage_chunks (tenant_id, subscription_id, received_at, id,
        generation, meters, first_at, last_at, events, source, epoch, first_number, last_number, body)
    SELECT s.tenant_id, s.id, c.received_at, c.id, c.generation, c.meters, c.first_at, c.last_at,
        c.events, c.source, c.epoch, c.first_number, c.last_number, c.body
    FROM subscriptions s JOIN products p ON p.id = s.product_id AND p.slug = $1
    CROSS JOIN LATERAL (SELECT f.id FROM subscriptions f WHERE f.product_id = s.product_id
        ORDER BY f.id LIMIT 1) first
    JOIN usage_chunks c ON c.subscription_id = first.id
    WHERE s.id <> first.id";
const COPY_ROWS: &str =
    "INSERT INTO usage_events (tenant_id, subscription_id, meter_id, occurred_at,
        received_at, generation, key, kept, quantity, member, dimension, source, event_id, epoch,
        number, payload)
    SELECT s.tenant_id, s.id, e.meter_id, e.occurred_at, e.received_at, e.generation, e.key, e.kept,
        e.quantity, e.member, e.dimension, e.source, e.event_id, e.epoch, e.number, e.payload
    FROM subscriptions s JOIN products p ON p.id = s.product_id AND p.slug = $1
    CROSS JOIN LATERAL (SELECT f.id FROM subscriptions f WHERE f.product_id = s.product_id
        ORDER BY f.id LIMIT 1) first
    JOIN usage_events e ON e.subscription_id = first.id
    WHERE s.id <> first.id";

/// Every hour, every meter.
async fn send(serve: &Serve, key: &str, began: Timestamp, events: usize) {
    let mut connection = Connection::open(serve.address).await;
    for first in (0..events).step_by(EVENTS_PER_BATCH) {
        let mut body = String::from("[");
        for n in first..(first + EVENTS_PER_BATCH).min(events) {
            let hour = i64::try_from(n / METERS.len() * METERS.len() * HOURS / events).unwrap_or(0);
            let at = began + SignedDuration::from_hours(hour + 1);
            let (kind, comma) = (METERS[n % METERS.len()], if n == first { "" } else { "," });
            write!(
                body,
                r#"{comma}{{"specversion":"1.0","id":"{n}","source":"/close","type":"{kind}","time":"{at}","data":{{"n":2}}}}"#
            )
            .expect("a string takes everything");
        }
        body.push(']');
        let answer = connection.post_minimal("/api/v1/usage", key, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

async fn rollups(conn: &mut PgConnection, slug: &str) -> i64 {
    let sql =
        "SELECT count(*) FROM usage_rollups r JOIN subscriptions s ON s.id = r.subscription_id
        JOIN products p ON p.id = s.product_id WHERE p.slug = $1";
    sqlx::query_scalar(sql).bind(slug).fetch_one(conn).await.expect("a count")
}

/// What adding up costs without anything else.
async fn added_up(conn: &mut PgConnection, slug: &str) -> Duration {
    let sql = "SELECT count(*) FROM (
        SELECT r.tenant_id, r.subscription_id, r.meter_id, date_trunc('day', r.bucket),
            sum(r.events), sum(r.sum), max(r.max)
        FROM usage_rollups r WHERE r.meter_id IN (SELECT m.id FROM meters m
            JOIN products p ON p.id = m.product_id WHERE p.slug = $1)
        GROUP BY 1, 2, 3, 4) sums";
    let began = Instant::now();
    let count: i64 = sqlx::query_scalar(sql).bind(slug).fetch_one(conn).await.expect("a sum");
    assert!(count > 0, "there is nothing to add up");
    began.elapsed()
}

/// A server with jobs: until nothing is open that is over, and nothing is a draft.
async fn close(data: &Path, admin_url: &str, conn: &mut PgConnection) -> Duration {
    let serve = Serve::start(data, admin_url).await;
    let began = Instant::now();
    let mut connection = Connection::open(serve.address).await;
    let answer =
        connection.post("/api/v1/admin/billing/runs", ADMIN, "application/json", "{}").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    loop {
        let sql = "SELECT EXISTS (SELECT FROM billing_periods
                WHERE status = 'open' AND period_end <= current_timestamp)
            OR EXISTS (SELECT FROM invoices WHERE status = 'draft')";
        let goes_on: bool = sqlx::query_scalar(sql).fetch_one(&mut *conn).await.expect("a look");
        if !goes_on {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the close does not come to an end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed();
    serve.stop();
    took
}
