//! How fast usage comes in, over each lane, and what an event costs on the disk.
//!
//! Durable (every commit reaches the disk), deduplicated, rolled up, over HTTP,
//! with the load generator on the same cores. The limit is a superuser's `COPY`
//! of the same events as key and event rows with their indexes, in the same run.
//!
//! `-- --growth N` measures nothing else: the rate of each lane as its tables
//! grow to N million events.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, PgConnection, Row};

use crate::{figure, http::Connection, limits, process::Serve};

const EVENTS_PER_BATCH: usize = 1_000;
/// Batches of one measurement.
const BATCHES: usize = 300;
/// Connections that send at once, each as a producer of its own.
const SENDERS: usize = 4;
/// The tables that hold usage, with all their partitions.
const TABLES: &str = "usage_(keys|events|chunks|rollups|members|sources)";

/// How a producer makes its events count once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Keys,
    Numbers,
}

impl Lane {
    const BOTH: [Self; 2] = [Self::Keys, Self::Numbers];

    const fn name(self) -> &'static str {
        match self {
            Self::Keys => "usage events, key lane",
            Self::Numbers => "usage events, numbered",
        }
    }

    /// What share of `COPY` it has to reach.
    const fn goal(self) -> &'static str {
        match self {
            Self::Keys => "0.35",
            Self::Numbers => "0.8",
        }
    }
}

/// Both lanes, beside `COPY`.
pub(crate) async fn lanes(serve: &Serve, admin_url: &str) {
    let events = BATCHES * EVENTS_PER_BATCH;
    let copy = limits::copy_rate(admin_url, events).await;
    for lane in Lane::BOTH {
        let key = crate::client(serve, lane.name(), "pro").await;
        let mut producers = producers(lane);
        let before = bytes(admin_url).await;
        let rate = send(serve, &key, &mut producers, BATCHES / SENDERS).await;
        let disk = (bytes(admin_url).await - before) as f64 / events as f64;
        figure(
            lane.name(),
            &format!("{rate:.0} /s"),
            &format!(
                "COPY of the same events {copy:.0} /s, ratio {:.2} (at least {}), {disk:.0} B an event",
                rate / copy,
                lane.goal()
            ),
        );
    }
}

/// The rate of each lane at every million events, up to so many millions.
pub(crate) async fn growth(serve: &Serve, admin_url: &str, millions: usize) {
    for lane in Lane::BOTH {
        let key = crate::client(serve, lane.name(), "pro").await;
        let mut producers = producers(lane);
        let before = bytes(admin_url).await;
        for million in 1..=millions {
            let rate = send(serve, &key, &mut producers, 1_000 / SENDERS).await;
            let disk = (bytes(admin_url).await - before) as f64 / (million as f64 * 1e6);
            let what = format!("{}, {million} M", lane.name());
            figure(&what, &format!("{rate:.0} /s"), &format!("{disk:.0} B an event so far"));
        }
    }
}

/// One sender: its events have the numbers after `sent`.
struct Producer {
    lane: Lane,
    source: String,
    sent: usize,
}

fn producers(lane: Lane) -> Vec<Producer> {
    let source = |n| format!("/bench/{}", n);
    (0..SENDERS).map(|n| Producer { lane, source: source(n), sent: 0 }).collect()
}

impl Producer {
    /// The next batch: events of the last ten minutes.
    fn batch(&mut self, now: Timestamp) -> String {
        use std::fmt::Write;
        let mut text = String::with_capacity(EVENTS_PER_BATCH * 200);
        for n in self.sent + 1..=self.sent + EVENTS_PER_BATCH {
            let at = now - SignedDuration::from_millis(i64::try_from(n * 7 % 600_000).unwrap_or(0));
            let source = &self.source;
            write!(
                text,
                r#"{}{{"specversion":"1.0","id":"{n}","source":"{source}","type":"event.ingested","time":"{at}""#,
                if text.is_empty() { "[" } else { "," }
            )
            .expect("a string takes everything");
            let sequence = format!(r#","sequence":"{n}","sequencetype":"Integer""#);
            text.push_str(if self.lane == Lane::Numbers { &sequence } else { "" });
            text.push('}');
        }
        self.sent += EVENTS_PER_BATCH;
        text.push(']');
        text
    }
}

/// Sends so many batches of each producer; events a second. The batches are made beforehand.
async fn send(serve: &Serve, key: &str, producers: &mut [Producer], batches: usize) -> f64 {
    let now = Timestamp::now();
    let bodies: Vec<Vec<String>> = producers
        .iter_mut()
        .map(|producer| (0..batches).map(|_| producer.batch(now)).collect())
        .collect();
    let began = Instant::now();
    let senders: Vec<_> = bodies
        .into_iter()
        .map(|bodies| {
            let (address, key) = (serve.address, key.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                for body in bodies {
                    let answer = connection.post_minimal("/api/v1/usage", &key, &body).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    let all = format!("\"accepted\":{EVENTS_PER_BATCH},");
                    assert!(answer.body.contains(&all), "{}", answer.body);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender");
    }
    (producers.len() * batches * EVENTS_PER_BATCH) as f64 / began.elapsed().as_secs_f64()
}

/// What usage takes up on the disk, indexes and all.
async fn bytes(admin_url: &str) -> i64 {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let sql = format!(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
         WHERE relkind = 'r' AND relname ~ '^{TABLES}'"
    );
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(&mut conn).await;
    row.expect("sizes").get(0)
}
