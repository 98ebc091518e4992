//! Lists in pages: newest first, an opaque cursor, a named limit.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::problem::Problem;

/// Items a page when the caller does not say.
pub const PAGE_LIMIT_DEFAULT: u16 = 50;
/// Most items a page.
pub const PAGE_LIMIT_MAX: u16 = 200;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items a page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

/// Where a page begins: after the item of this id.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    /// The last id of the page before.
    pub after: Option<Uuid>,
    /// Items a page.
    pub limit: u16,
}

impl Cursor {
    /// From a query's parts.
    ///
    /// # Errors
    /// 422 for a limit out of range or a cursor that no page gave.
    pub fn new(cursor: Option<&str>, limit: Option<u16>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            let detail = format!("limit must be between 1 and {PAGE_LIMIT_MAX}.");
            return Err(Problem::field("/limit", detail));
        }
        let after = cursor.filter(|text| !text.is_empty()).map(decode).transpose()?;
        Ok(Self { after, limit })
    }

    /// One more row than the page holds: whether a next page exists.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl PageQuery {
    /// Where the page begins.
    pub fn cursor(&self) -> Result<Cursor, Problem> {
        Cursor::new(self.cursor.as_deref(), self.limit)
    }
}

fn decode(text: &str) -> Result<Uuid, Problem> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| Uuid::from_slice(&bytes).ok())
        .ok_or_else(|| Problem::field("/cursor", "Take the cursor from next_cursor of a page."))
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "AZMvPqGyfD2eT1prfI2eDw")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// From up to [`Cursor::fetch`] rows.
    pub fn cut(mut rows: Vec<T>, cursor: Cursor, id: impl Fn(&T) -> Uuid) -> Self {
        let more = rows.len() > usize::from(cursor.limit);
        rows.truncate(usize::from(cursor.limit));
        let last = rows.last().map(id).filter(|_| more);
        let next_cursor = last.map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes()));
        Self { items: rows, next_cursor }
    }
}
