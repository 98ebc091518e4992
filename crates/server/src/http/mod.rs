//! The edge: how requests become values and outcomes become responses.
//!
//! Owns: problem details, strict JSON, ids in paths, pagination and the
//! request's id. Refuses: policy and SQL; those live in the capabilities.

mod json;
mod page;
mod path;
mod problem;

pub use json::{BODY_BYTES_MAX, Json, strict};
pub(crate) use json::{read as read_body, require_json};
pub use page::{Cursor, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page, PageQuery};
pub use path::{PathId, Query};
pub use problem::{FieldError, Problem, RETRY_AFTER_SECONDS};
