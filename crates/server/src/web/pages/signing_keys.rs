//! The keys that sign a product's licenses, as a card of its page.

use jiff::tz::TimeZone;

use crate::{
    App,
    http::Problem,
    products::{Catalog, signing},
    web::words,
};

/// One key.
pub(super) struct KeyRow {
    pub(super) kid: String,
    pub(super) status: String,
    pub(super) tone: &'static str,
    pub(super) made: String,
}

/// The keys of a product, the one that signs first; none where it sells no licensed model.
pub(super) async fn rows(app: &App, catalog: &Catalog) -> Result<Vec<KeyRow>, Problem> {
    let keys = signing::list(app, catalog).await?;
    Ok(keys
        .into_iter()
        .map(|key| KeyRow {
            tone: words::tone(key.status.word()),
            status: words::title(key.status.word()),
            made: words::date(key.created_at, &TimeZone::UTC),
            kid: key.kid,
        })
        .collect())
}
