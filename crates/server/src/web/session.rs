//! Who looks at a page, and whether a form may change something.

use std::collections::HashMap;

use axum::{
    extract::{Form, FromRequest, FromRequestParts, OriginalUri, Request},
    http::{HeaderMap, Method, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

use crate::{
    App,
    call::Actor,
    http::Problem,
    identity::{Role, StaffMember, sessions},
};

/// Where staff sign in.
pub(super) const SIGN_IN: &str = "/console/sign-in";

/// Staff with a session. Others are sent to the sign-in page and back.
pub(super) struct SignedIn {
    pub(super) staff: StaffMember,
    /// What forms of this session carry.
    pub(super) form_token: String,
}

impl SignedIn {
    async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(secret) = sessions::secret(headers) else { return Ok(None) };
        let Some(staff) = sessions::staff(app, secret).await? else { return Ok(None) };
        Ok(Some(Self { staff, form_token: sessions::form_token(app, secret) }))
    }

    /// Whether buttons that change something are shown.
    pub(super) fn may_change(&self) -> bool {
        self.staff.role == Role::Admin
    }

    /// As the trail names them, where they may change something.
    pub(super) fn admin(&self) -> Result<Actor, Problem> {
        if self.may_change() {
            return Ok(self.staff.actor());
        }
        Err(Problem::forbidden("Your credential may look but not change. Ask an admin to do it."))
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let found = Self::find(app, &parts.headers).await.map_err(Problem::into_response)?;
        found.ok_or_else(|| {
            let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
            let back = (parts.method == Method::GET)
                .then(|| uri.path_and_query().map(|target| target.as_str()))
                .flatten()
                .filter(|target| *target != "/console");
            let address = match back {
                Some(target) => format!("{SIGN_IN}?next={}", encode(target)),
                None => SIGN_IN.to_owned(),
            };
            Redirect::to(&address).into_response()
        })
    }
}

/// A path of the console to go to after signing in: nothing that a browser
/// could read as another site.
pub(super) fn safe_next(next: Option<&str>) -> &str {
    let ours = |path: &str| {
        path.strip_prefix("/console").is_some_and(|rest| {
            (rest.is_empty() || rest.starts_with(['/', '?']))
                && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
                && !path.contains("//")
        })
    };
    next.filter(|path| ours(path)).unwrap_or("/console")
}

/// A text as one value of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A form that an admin sent from a page of their own session.
pub(super) struct AdminForm {
    pub(super) signed_in: SignedIn,
    pub(super) actor: Actor,
    pub(super) fields: HashMap<String, String>,
}

impl AdminForm {
    /// A field that was filled in.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl FromRequest<App> for AdminForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (signed_in, fields) = own_form(request, app).await?;
        let actor = signed_in.admin().map_err(Problem::into_response)?;
        Ok(Self { signed_in, actor, fields })
    }
}

/// A form of the session itself; what it may do is checked by the caller.
pub(super) async fn own_form(
    request: Request,
    app: &App,
) -> Result<(SignedIn, HashMap<String, String>), Response> {
    let (mut parts, body) = request.into_parts();
    let signed_in = SignedIn::from_request_parts(&mut parts, app).await?;
    let request = Request::from_parts(parts, body);
    let Form(fields) = Form::<HashMap<String, String>>::from_request(request, app)
        .await
        .map_err(|error| Problem::bad_request(error.body_text()).into_response())?;
    let given = fields.get("form_token").map_or("", String::as_str);
    if !bool::from(given.as_bytes().ct_eq(signed_in.form_token.as_bytes())) {
        let detail = "This form is not from your session. Go back, reload the page and try again.";
        return Err(Problem::forbidden(detail).into_response());
    }
    Ok((signed_in, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_console_are_returned_to() {
        for good in ["/console", "/console/tenants?q=a%20b", "/console?x=1"] {
            assert_eq!(safe_next(Some(good)), good);
        }
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/console//evil.example",
            "/\\evil.example",
            "/console\\..",
            "/consoles",
            "/api/v1",
            "/console/\n",
        ] {
            assert_eq!(safe_next(Some(bad)), "/console", "{bad}");
        }
    }
}
