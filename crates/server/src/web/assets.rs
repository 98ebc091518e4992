//! The files of the pages, inside the binary. Their address holds a digest of
//! their content, so browsers may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use tenure_license::Digest;

use crate::http::Problem;

struct Asset {
    content: &'static str,
    kind: &'static str,
    /// `/assets/console.3f2a...css`
    address: String,
}

impl Asset {
    fn new(name: &str, extension: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = Digest::sha256(content.as_bytes()).to_string();
        let address = format!("/assets/{name}.{}.{extension}", &digest[..12]);
        Self { content, kind, address }
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../../assets/console.css");
    Asset::new("console", "css", "text/css; charset=utf-8", content)
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../../assets/console.js");
    Asset::new("console", "js", "text/javascript; charset=utf-8", content)
});
static LOGO: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("logo", "svg", "image/svg+xml", include_str!("../../assets/logo.svg"))
});

/// Address of the style sheet.
pub(super) fn style() -> &'static str {
    &STYLE.address
}

/// Address of the script.
pub(super) fn script() -> &'static str {
    &SCRIPT.address
}

/// Address of the logo.
pub(super) fn logo() -> &'static str {
    &LOGO.address
}

/// `GET /assets/{name}`
pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = [&*STYLE, &*SCRIPT, &*LOGO]
        .into_iter()
        .find(|asset| asset.address.strip_prefix("/assets/") == Some(&name))
        .ok_or_else(|| Problem::not_found("file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, asset.content).into_response())
}
