//! Quota reservations a second: all on one counter, and spread over many tenants, beside bare
//! transactions that do the same two writes.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    client, figure,
    http::{Connection, Timing},
    process::Serve,
};

/// Reservations at the same time.
const CONNECTIONS: usize = 8;
const SECONDS: u64 = 4;
/// Tenants of the spread load.
const TENANTS: usize = 200;
const RESERVATIONS: &str = "/api/v1/quota/reservations";

pub(crate) async fn reservations(serve: &Serve, admin_url: &str) {
    for (what, tenants) in [("reservations, one tenant", 1), ("reservations, many", TENANTS)] {
        let mut keys = Vec::with_capacity(tenants);
        for n in 0..tenants {
            keys.push(client(serve, &format!("{what} {n}"), "pro").await);
        }
        let ours = reserve(serve, &keys).await;
        let bare = bare(admin_url, tenants).await;
        figure(what, &ours.to_string(), &bare.beside("bare transactions", &ours, None));
    }
}

/// Every key in turn, for a while, over [`CONNECTIONS`].
async fn reserve(serve: &Serve, keys: &[String]) -> Timing {
    let address = serve.address;
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let tasks = (0..CONNECTIONS).map(|worker| {
        let keys: Vec<String> = keys
            .iter()
            .cycle()
            .skip(worker)
            .step_by(CONNECTIONS)
            .take(keys.len().div_ceil(CONNECTIONS))
            .cloned()
            .collect();
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let body = json!({ "meter": "queries" }).to_string();
            let mut times = Vec::new();
            for key in keys.iter().cycle() {
                if Instant::now() >= until {
                    break;
                }
                let sent = Instant::now();
                let answer = connection.post(RESERVATIONS, key, "application/json", &body).await;
                times.push(sent.elapsed());
                assert_eq!(answer.status, 201, "{}", answer.body);
            }
            times
        })
    });
    gathered(tasks.collect(), began).await
}

/// The conditional update of a counter and the insert of a reservation in one transaction of
/// two statements, by a superuser, from as many connections.
async fn bare(admin_url: &str, tenants: usize) -> Timing {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let tables = "DROP TABLE IF EXISTS bare_counters, bare_reservations;
         CREATE TABLE bare_counters (LIKE quota_counters INCLUDING ALL) WITH (fillfactor = 60);
         CREATE TABLE bare_reservations (LIKE quota_reservations INCLUDING ALL)";
    sqlx::raw_sql(tables).execute(&mut conn).await.expect("tables");
    let owners: Vec<Uuid> = (0..tenants).map(|_| Uuid::now_v7()).collect();
    sqlx::query(
        "INSERT INTO bare_counters (tenant_id, subscription_id, environment, meter_id, window_start,
             window_end, terms_at, used)
         SELECT id, id, 'live', 1, '2026-01-01Z', '2027-01-01Z', '2026-01-01Z', 0
         FROM unnest($1::uuid[]) AS given (id)",
    )
    .bind(&owners)
    .execute(&mut conn)
    .await
    .expect("counters");
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let mut tasks = Vec::new();
    for worker in 0..CONNECTIONS {
        let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
        let mine: Vec<Uuid> = owners
            .iter()
            .copied()
            .cycle()
            .skip(worker)
            .step_by(CONNECTIONS)
            .take(owners.len().div_ceil(CONNECTIONS))
            .collect();
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for owner in mine.iter().cycle() {
                if Instant::now() >= until {
                    break;
                }
                let sent = Instant::now();
                one(&mut conn, *owner).await;
                times.push(sent.elapsed());
            }
            times
        }));
    }
    gathered(tasks, began).await
}

async fn one(conn: &mut PgConnection, owner: Uuid) {
    sqlx::query("BEGIN").execute(&mut *conn).await.expect("begun");
    sqlx::query(
        "UPDATE bare_counters SET reserved = reserved + 1
         WHERE tenant_id = $1 AND subscription_id = $1 AND environment = 'live' AND meter_id = 1
             AND window_start = '2026-01-01Z' AND window_end = '2027-01-01Z'",
    )
    .bind(owner)
    .execute(&mut *conn)
    .await
    .expect("counted");
    sqlx::query(
        "INSERT INTO bare_reservations (tenant_id, subscription_id, environment, id, source, meter_id,
             window_start, window_end, quantity, status, created_at, expires_at)
         VALUES ($1, $1, 'live', $2, '/quota', 1, '2026-01-01Z', '2027-01-01Z', 1, 'held',
             '2026-01-01Z', '2026-01-02Z')",
    )
    .bind(owner)
    .bind(Uuid::now_v7().simple().to_string())
    .execute(&mut *conn)
    .await
    .expect("written");
    sqlx::query("COMMIT").execute(&mut *conn).await.expect("durable");
}

async fn gathered(tasks: Vec<tokio::task::JoinHandle<Vec<Duration>>>, began: Instant) -> Timing {
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a sender"));
    }
    Timing::of(all, began.elapsed())
}
