//! `/console/files`: files carried from installations without a network.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    http::Problem,
    licensing::{
        self,
        files::{self, Exchanged, Scope},
    },
    tenants,
    web::{
        frame::{Frame, Section, page},
        session::SignedIn,
        upload::{self, Outcome, UPLOAD_MAX_WORDS},
    },
};

/// Whose file it was.
struct Whose {
    tenant: String,
    license: String,
    /// Path of the license's page.
    path: String,
}

#[derive(Template)]
#[template(path = "console/files.html")]
struct FilesPage {
    frame: Frame,
    max: &'static str,
    refusal: Option<String>,
    outcome: Option<(Outcome, Whose)>,
}

async fn show_page(
    app: &App,
    signed_in: &SignedIn,
    refusal: Option<String>,
    outcome: Option<(Outcome, Whose)>,
) -> Result<Response, Problem> {
    let frame = Frame::new(app, signed_in, Section::Files).await?;
    page(&FilesPage { frame, max: UPLOAD_MAX_WORDS, refusal, outcome })
}

/// `GET /console/files`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    show_page(&app, &signed_in, None, None).await
}

async fn whose(app: &App, exchanged: &Exchanged) -> Result<Whose, Problem> {
    let tenant = tenants::find(app, &exchanged.tenant_id.to_string()).await?;
    let license = licensing::read(app, tenant.id, exchanged.license_id).await?.license;
    Ok(Whose {
        path: format!("/console/tenants/{}/licenses/{}", tenant.slug, license.id),
        tenant: tenant.name,
        license: license.key_hint,
    })
}

async fn answer(app: &App, signed_in: &SignedIn, request: Request) -> Result<Exchanged, Problem> {
    let actor = signed_in.admin()?;
    let file = upload::file(request, app, &signed_in.form_token).await?;
    if file.is_empty() {
        return Err(Problem::field("/file", "Choose a file; this one is empty."));
    }
    files::exchange(app, &app.call(actor), file, Scope::Vendor).await
}

/// `POST /console/files`. The answer is shown at once: the same file sent again, by reloading the
/// page too, gets the same answer.
pub(in crate::web) async fn submit(
    State(app): State<App>,
    signed_in: SignedIn,
    request: Request,
) -> Result<Response, Response> {
    let sent = async {
        match answer(&app, &signed_in, request).await {
            Ok(exchanged) => {
                let whose = whose(&app, &exchanged).await?;
                let outcome = Some((Outcome::new(exchanged), whose));
                show_page(&app, &signed_in, None, outcome).await
            }
            Err(problem) if matches!(problem.status, 404 | 409 | 413 | 422 | 503) => {
                let mut page =
                    show_page(&app, &signed_in, Some(upload::plain(&problem.detail)), None).await?;
                *page.status_mut() =
                    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
                Ok(page)
            }
            Err(problem) => Err(problem),
        }
    };
    sent.await.map_err(Problem::into_response)
}
