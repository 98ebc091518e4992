//! Problems of pages, as pages.

use askama::Template;
use axum::{
    body::Body,
    extract::{OriginalUri, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tenure_core::RequestId;

use crate::{App, http::Problem};

#[derive(Template)]
#[template(path = "console/error.html")]
struct ErrorPage {
    status: u16,
    heading: String,
    detail: String,
    path: String,
    request: String,
    retry_after: Option<String>,
    is_get: bool,
    /// Where this page's readers begin.
    home: &'static str,
    for_staff: bool,
}

/// Gives browsers a page where a program would get problem details.
pub(super) async fn as_pages(State(_app): State<App>, request: Request, next: Next) -> Response {
    let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |uri| &uri.0);
    let path = uri.path().to_owned();
    let is_get = request.method() == Method::GET;
    let id = request.extensions().get::<RequestId>().map(ToString::to_string);
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let for_staff = !path.starts_with("/portal");
    let page = ErrorPage {
        home: if for_staff { "/console" } else { "/portal" },
        for_staff,
        status: problem.status,
        heading: heading(&problem),
        detail: problem.detail,
        path,
        request: id.unwrap_or_default(),
        retry_after: retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned),
        is_get,
    };
    let Ok(html) = page.render() else { return response };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    *response.body_mut() = Body::from(html);
    response
}

fn heading(problem: &Problem) -> String {
    match problem.status {
        403 => "This is not allowed".to_owned(),
        404 => "There is nothing at this address".to_owned(),
        409 => "This is not possible now".to_owned(),
        503 => "The database does not answer".to_owned(),
        _ => problem.title.clone(),
    }
}
