//! What the machine itself can do: the other side of each ratio.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

/// Connections that copy at once: one a core of the machine that the goal was set on.
const COPIERS: usize = 2;

/// `COPY` of key and event rows by a superuser into tables with the indexes that they need:
/// events a second. Each connection copies its share in one transaction.
pub(crate) async fn copy_rate(admin_url: &str, events: usize) -> f64 {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    // No more columns than an event needs, so that nothing flatters the other side.
    let tables = "CREATE TABLE copy_usage_keys (tenant_id uuid NOT NULL, key uuid NOT NULL,
            payload bigint NOT NULL, PRIMARY KEY (tenant_id, key));
        CREATE TABLE copy_usage_events (tenant_id uuid NOT NULL, subscription_id uuid NOT NULL,
            meter_id integer NOT NULL, occurred_at timestamptz NOT NULL,
            received_at timestamptz NOT NULL, key uuid NOT NULL, quantity numeric(21, 6) NOT NULL,
            member text, source text NOT NULL, event_id text NOT NULL);
        CREATE INDEX ON copy_usage_events (tenant_id, subscription_id, meter_id, occurred_at)";
    sqlx::raw_sql(tables).execute(&mut conn).await.expect("tables");
    sqlx::raw_sql("CHECKPOINT").execute(&mut conn).await.expect("a quiet disk");
    let mut shares = Vec::new();
    for _ in 0..COPIERS {
        let conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
        shares.push((conn, rows_as_text(events / COPIERS)));
    }
    let began = Instant::now();
    let copiers =
        shares.into_iter().map(|(conn, (keys, rows))| tokio::spawn(share(conn, keys, rows)));
    for copier in copiers.collect::<Vec<_>>() {
        copier.await.expect("a copier");
    }
    events as f64 / began.elapsed().as_secs_f64()
}

/// Key rows and event rows, as `COPY` takes them.
fn rows_as_text(events: usize) -> (String, String) {
    let (tenant, subscription) = (Uuid::now_v7(), Uuid::now_v7());
    let now = Timestamp::now();
    let (mut keys, mut rows) = (String::new(), String::new());
    for n in 0..events {
        let key = Uuid::new_v4();
        let at = now - SignedDuration::from_secs(i64::try_from(n % 600).unwrap_or(0));
        writeln!(keys, "{tenant}\t{key}\t{}", n as i64 * 7_919).expect("a string");
        writeln!(rows, "{tenant}\t{subscription}\t1\t{at}\t{now}\t{key}\t1\t\\N\t/bench\t{n}")
            .expect("a string");
    }
    (keys, rows)
}

async fn share(mut conn: PgConnection, keys: String, rows: String) {
    sqlx::raw_sql("BEGIN").execute(&mut conn).await.expect("a transaction");
    let columns = "tenant_id, subscription_id, meter_id, occurred_at, received_at, key, quantity, \
                   member, source, event_id";
    copy(&mut conn, "COPY copy_usage_keys (tenant_id, key, payload) FROM STDIN", &keys).await;
    copy(&mut conn, &format!("COPY copy_usage_events ({columns}) FROM STDIN"), &rows).await;
    sqlx::raw_sql("COMMIT").execute(&mut conn).await.expect("durable");
}

async fn copy(conn: &mut PgConnection, statement: &str, text: &str) {
    let mut sink = conn.copy_in_raw(statement).await.expect("COPY");
    sink.send(text.as_bytes()).await.expect("rows");
    sink.finish().await.expect("all rows");
}

/// The rows that making a client writes, inserted bare: one connection, one
/// transaction a client, one statement a table. The time of one.
pub(crate) async fn bare_tenant_inserts(admin_url: &str, count: usize) -> Duration {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let tables = [
        "tenants",
        "tenant_settings",
        "tenant_keys",
        "billing_accounts",
        "subscriptions",
        "deployments",
        "api_keys",
        "audit_heads",
        "audit_log",
        "outbox",
    ];
    // The rows of clients made over HTTP, under new ids: the same sizes, the same indexes.
    let templates = rows(&mut conn, &tables).await;
    let began = Instant::now();
    for n in 0..count {
        let tenant = Uuid::now_v7();
        sqlx::raw_sql("BEGIN").execute(&mut conn).await.expect("a transaction");
        for (table, json) in &templates {
            let json = renewed(table, json.clone(), tenant, n);
            let columns =
                if *table == "outbox" { "(tenant_id, topic, payload, created_at)" } else { "" };
            let select =
                if *table == "outbox" { "tenant_id, topic, payload, created_at" } else { "*" };
            let sql = format!(
                "INSERT INTO {table} {columns} SELECT {select} FROM jsonb_populate_record(NULL::{table}, $1)"
            );
            #[allow(clippy::disallowed_methods, reason = "a bench of the bare database")]
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(json)
                .execute(&mut conn)
                .await
                .expect("a row");
        }
        sqlx::raw_sql("COMMIT").execute(&mut conn).await.expect("durable");
    }
    began.elapsed() / u32::try_from(count).unwrap_or(1)
}

async fn rows<'a>(
    conn: &mut PgConnection,
    tables: &[&'a str],
) -> Vec<(&'a str, serde_json::Value)> {
    let newest = "(SELECT id FROM tenants ORDER BY id DESC LIMIT 1)";
    let mut found = Vec::new();
    for table in tables {
        let column = if *table == "tenants" { "id" } else { "tenant_id" };
        let sql =
            format!("SELECT to_jsonb(t) AS row FROM {table} t WHERE {column} = {newest} LIMIT 1");
        let row =
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *conn).await.expect("a row");
        found.push((*table, row.try_get("row").expect("JSON")));
    }
    found
}

/// The same row for another tenant: every id that must be unique is new.
fn renewed(table: &str, mut row: serde_json::Value, tenant: Uuid, n: usize) -> serde_json::Value {
    let id = |purpose: u128| Uuid::from_u128(tenant.as_u128() ^ purpose).to_string();
    let own = match table {
        "tenants" => {
            row["slug"] = format!("bare-{n}").into();
            tenant.to_string()
        }
        "billing_accounts" => id(1),
        "subscriptions" => id(2),
        "deployments" => id(3),
        _ => id(4),
    };
    row["tenant_id"] = tenant.to_string().into();
    row["id"] = own.into();
    row["billing_account_id"] = id(1).into();
    row["subscription_id"] = id(2).into();
    row
}

/// Answers everything with `CONSTANT_BODY`, through the same HTTP stack.
#[allow(clippy::disallowed_methods, reason = "a process of the bench, told by its parent")]
pub(crate) fn constant_server() {
    let address = std::env::var("CONSTANT_ADDRESS").expect("an address");
    let body: axum::body::Bytes = std::env::var("CONSTANT_BODY").expect("a body").into();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async move {
        let answer = move || {
            let body = body.clone();
            async move { ([("content-type", "application/json")], body) }
        };
        let posted = answer.clone();
        let posted = move |_: axum::body::Bytes| posted();
        let router = axum::Router::new().route("/", axum::routing::get(answer).post(posted));
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
        axum::serve(listener, router).await.expect("serves");
    });
}
