//! `/portal/files`: files carried from and to one's own installations.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    frame::{Frame, Section},
    session::Holder,
};
use crate::{
    App,
    http::Problem,
    licensing::{
        self,
        files::{self, Exchanged, Scope},
    },
    web::{
        frame::page,
        upload::{self, Outcome, UPLOAD_MAX_WORDS},
    },
};

#[derive(Template)]
#[template(path = "portal/files.html")]
struct FilesPage {
    frame: Frame,
    max: &'static str,
    refusal: Option<String>,
    outcome: Option<Outcome>,
}

async fn show_page(
    app: &App,
    holder: &Holder,
    refusal: Option<String>,
    outcome: Option<Outcome>,
) -> Result<Response, Problem> {
    let look = licensing::look(app, holder.visitor.tenant.id, holder.license).await?;
    let frame = Frame::new(&holder.visitor, &look.catalog.product, Section::Files);
    page(&FilesPage { frame, max: UPLOAD_MAX_WORDS, refusal, outcome })
}

/// `GET /portal/files`
pub(super) async fn show(State(app): State<App>, holder: Holder) -> Result<Response, Problem> {
    show_page(&app, &holder, None, None).await
}

async fn answer(app: &App, holder: &Holder, request: Request) -> Result<Exchanged, Problem> {
    let visitor = &holder.visitor;
    let file = upload::file(request, app, &visitor.form_token).await?;
    if file.is_empty() {
        return Err(Problem::field("/file", "Choose a file; this one is empty."));
    }
    let call = app.call(visitor.customer.actor());
    let own = Scope::License(visitor.tenant.id, holder.license);
    files::exchange(app, &call, file, own).await
}

/// `POST /portal/files`. The answer is shown at once: the same file sent again, by reloading the
/// page too, gets the same answer.
pub(super) async fn submit(
    State(app): State<App>,
    holder: Holder,
    request: Request,
) -> Result<Response, Response> {
    let sent = async {
        match answer(&app, &holder, request).await {
            Ok(exchanged) => show_page(&app, &holder, None, Some(Outcome::new(exchanged))).await,
            Err(problem) if matches!(problem.status, 404 | 409 | 413 | 422 | 503) => {
                let mut page =
                    show_page(&app, &holder, Some(upload::plain(&problem.detail)), None).await?;
                *page.status_mut() =
                    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
                Ok(page)
            }
            Err(problem) => Err(problem),
        }
    };
    sent.await.map_err(Problem::into_response)
}
