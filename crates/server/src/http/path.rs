//! Ids in paths and values in queries.

use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The last-named id of a path. A text that is no id of its kind gets the
/// answer of an id that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::not_found("thing");
        let Path(all) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        let text = all.last().map(|(_, value)| value.as_str()).ok_or_else(missing)?;
        text.parse().map(Self).map_err(|_| missing())
    }
}

/// Query parameters; unknown ones are refused where the type says so.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(
            |error| {
                let text = error.to_string();
                let detail = text.strip_prefix("Failed to deserialize query string: ");
                Problem::bad_request(format!("The query is wrong: {}.", detail.unwrap_or(&text)))
            },
        )
    }
}
