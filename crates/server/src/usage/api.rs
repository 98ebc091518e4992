//! `/api/v1/usage`.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tenure_api::usage::{
    Event, Producer, RebuildReport, Receipt, RefusedEvents, UsageSeries, UsageSummary,
};
use tenure_core::SubscriptionId;
use utoipa::IntoParams;

use super::{
    body, event, rebuild, refused,
    series::{self, SeriesQuery},
    summary::DAYS_DEFAULT,
};
use crate::{
    App,
    http::{Json, PageQuery, Problem, Query},
    identity::{Admin, ApiKey, Staff},
    subscriptions::api::PathSubscription,
    tenants::api::PathTenant,
};

/// How much of the past a summary shows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SummaryQuery {
    /// Days of the daily series, 1 to 400; 30 when absent.
    #[param(minimum = 1, maximum = 400)]
    pub days: Option<u16>,
}

/// Which producer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProducerQuery {
    /// The `source` of its events.
    #[param(example = "/clusters/eu-1")]
    pub source: String,
}

/// Record usage
///
/// CloudEvents 1.0: one (`application/cloudevents+json`), a batch
/// (`application/cloudevents-batch+json`), one a line (`application/x-ndjson`),
/// one or a batch as `application/json`, or in binary mode (`ce-*` headers, JSON
/// data). At most 10,000 events and 16 MiB; packed (`Content-Encoding: gzip` or
/// `zstd`), 32 MiB unpacked. With `Prefer: return=minimal` only conflicts and
/// rejected events are listed, each with its place in the batch.
///
/// The events that can be recorded are, in one transaction; every event has a
/// result of its own, in order. An event counts once: its name is (source, id),
/// and sending it again is answered `duplicate`, which makes retries safe. The
/// same name with other content is a `conflict`. `time` may lie up to 400 days
/// back (not before the subscription began, nor from its end on) and 5 minutes
/// ahead. Quantities are plain decimals, as JSON numbers or strings, with at most
/// 15 digits before and 6 after the point.
///
/// A producer may number its events instead of relying on their ids, which
/// costs less: the extensions `sequence` (from 1, without gaps, for each source)
/// and `sequencetype` (`Integer`), and, after it lost its place, a higher
/// `epoch` (0 when absent), which begins at 1 again. The promise is the same:
/// a number that was recorded is a `duplicate`, or a `conflict` with other
/// content. After a gap nothing of that source is recorded (`sequence_gap`,
/// which names the next number). An event that is refused uses up its number.
/// A source sends either numbered events or others, for ever.
///
/// `tenure.void` takes an event back and `tenure.amend` puts another in its
/// place. Their `data` names the event: `source`, and `id` or `sequence` (and
/// `epoch`); for an amendment this is `void`, and `event` has `type`, `time` and
/// `data` of what stands instead. An event is taken back once, as if it had
/// never been; what was billed before is settled with the next invoice. Once the
/// subscription is cancelled, usage of the time before is still taken, and settled.
///
/// When too much is at work already, the answer is 429 (your own) or 503
/// (everybody's) with `Retry-After`, and nothing was recorded.
///
/// Events of a key of the environment `test` are checked and answered, and
/// never stored.
///
/// Reasons of rejected events: `malformed`, `missing_attribute`,
/// `unsupported_specversion`, `unsupported_data`, `too_long`, `bad_text`,
/// `missing_time`, `bad_time`, `in_future`, `too_old`, `before_subscription`,
/// `after_subscription`, `unknown_type`, `missing_field`, `bad_data`, `bad_value`,
/// `bad_quantity`, `bad_sequence`, `sequence_gap`, `stale_epoch`, `number_used`,
/// `other_lane`, `unknown_event`, `not_counted`, `already_void`. Of conflicts:
/// `key_reused`, `number_reused`.
#[utoipa::path(post, path = "/api/v1/usage", tag = "Usage", operation_id = "recordUsage",
    request_body(content(
        (Vec<Event> = "application/cloudevents-batch+json", example = json!([{
            "specversion": "1.0", "id": "e-1", "source": "/clusters/eu-1", "type": "event.ingested",
            "time": "2026-03-01T12:00:00Z"}])),
        (Event = "application/cloudevents+json"),
        (Event = "application/x-ndjson"),
        (Vec<Event> = "application/json"))),
    responses(
        (status = 200, body = Receipt<'static>),
        (status = 400, body = Problem, description = "Not JSON"),
        (status = 408, body = Problem), (status = 413, body = Problem),
        (status = 415, body = Problem), (status = 429, body = Problem),
        (status = 503, body = Problem, description = "Nothing was recorded; send it again")))]
pub async fn record(
    State(app): State<App>,
    key: ApiKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // What the headers say is refused before the body is read.
    let length = headers.get("content-length").and_then(|value| value.to_str().ok());
    let mode = event::mode(&headers, length.is_none_or(|length| length == "0"))?;
    let coding = body::coding(&headers)?;
    let minimal = body::wants_minimal(&headers);
    let length = length.and_then(|length| length.parse().ok());
    let mut admitted = app.intake().admit(key.0.tenant, length)?;
    let body = body::read(body, coding, &mut admitted).await?;
    let events = event::read(&headers, &body, mode)?;
    let receipt = super::record(&app, &key.0, events, minimal).await?;
    let mut response = Json(receipt).into_response();
    if minimal {
        let applied = HeaderValue::from_static("return=minimal");
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Events that were refused for what they say
///
/// The newest 1,000 of the tenant, newest first, and exact counts of all by
/// reason. An event that is sent again is refused again, and counted again.
#[utoipa::path(get, path = "/api/v1/usage/refused", tag = "Usage", operation_id = "listOwnRefusedUsage",
    params(PageQuery), responses((status = 200, body = RefusedEvents)))]
pub async fn own_refused(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<PageQuery>,
) -> Result<Json<RefusedEvents>, Problem> {
    refused::list(&app, key.0.tenant, query.cursor()?).await.map(Json)
}

/// Events of a tenant that were refused for what they say, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/usage/refused", tag = "Usage",
    operation_id = "listRefusedUsage",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = RefusedEvents), (status = 404, body = Problem)))]
pub async fn refused_of(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    Query(query): Query<PageQuery>,
) -> Result<Json<RefusedEvents>, Problem> {
    refused::list(&app, tenant.id(), query.cursor()?).await.map(Json)
}

/// What the caller's subscription used over time
///
/// Totals of a meter by day or hour, told apart by one of its dimensions.
#[utoipa::path(get, path = "/api/v1/usage/series", tag = "Usage", operation_id = "ownUsageSeries",
    params(SeriesQuery), responses((status = 200, body = UsageSeries), (status = 422, body = Problem)))]
pub async fn own_series(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<UsageSeries>, Problem> {
    series::series(&app, key.0.tenant, key.0.subscription, &query).await.map(Json)
}

/// What a subscription used over time, for staff
#[utoipa::path(get,
    path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/usage/series",
    tag = "Usage", operation_id = "showUsageSeries",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), SeriesQuery),
    responses((status = 200, body = UsageSeries), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn series_of(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<UsageSeries>, Problem> {
    series::series(&app, tenant.id(), id, &query).await.map(Json)
}

/// Make the rollups of a subscription again
///
/// From its single events, in one transaction; its usage waits meanwhile. Tells
/// how many rows were not as they should be: 0, unless somebody changed them.
#[utoipa::path(post,
    path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/usage/rebuild",
    tag = "Usage", operation_id = "rebuildUsage",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = RebuildReport), (status = 404, body = Problem)))]
pub async fn rebuild(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<RebuildReport>, Problem> {
    let call = app.call(actor);
    rebuild::subscription(&app, &call, tenant.id(), id).await.map(Json)
}

/// How far a producer's numbers have come
///
/// For a producer that numbers its events and has lost its place: it goes on
/// with the number after `last` in the same epoch, or begins at 1 in the next.
#[utoipa::path(get, path = "/api/v1/usage/producers", tag = "Usage", operation_id = "showProducer",
    params(ProducerQuery),
    responses((status = 200, body = Producer), (status = 404, body = Problem)))]
pub async fn producer(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<ProducerQuery>,
) -> Result<Json<Producer>, Problem> {
    super::producer(&app, key.0.tenant, &query.source).await.map(Json)
}

/// What the caller's subscription used so far
///
/// Each meter in the present window of its limit, what happens past it, and a
/// daily series in the tenant's time zone.
#[utoipa::path(get, path = "/api/v1/usage/summary", tag = "Usage", operation_id = "ownUsageSummary",
    params(SummaryQuery), responses((status = 200, body = UsageSummary), (status = 422, body = Problem)))]
pub async fn own_summary(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<SummaryQuery>,
) -> Result<Json<UsageSummary>, Problem> {
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    super::summary(&app, key.0.tenant, key.0.subscription, days).await.map(Json)
}

/// What a subscription used so far, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/usage", tag = "Usage",
    operation_id = "showUsage",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), SummaryQuery),
    responses((status = 200, body = UsageSummary), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn summary(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Query(query): Query<SummaryQuery>,
) -> Result<Json<UsageSummary>, Problem> {
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    super::summary(&app, tenant.id(), id, days).await.map(Json)
}
