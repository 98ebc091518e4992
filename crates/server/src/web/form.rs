//! A page with one form: what is asked, what was typed, what is wrong with it.

use std::collections::HashMap;

use askama::Template;
use axum::{http::StatusCode, response::Response};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::frame::{Frame, page};
use crate::http::Problem;

/// One of several.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

/// How a field is filled in.
pub(super) enum Input {
    /// One of several.
    Select(Vec<Choice>),
    /// A day; its first moment in UTC is meant.
    Date(String),
    /// A line of text.
    Text(String),
    /// Yes or no.
    Check(bool),
    /// Carried along and not shown: the key under which a form does its work once.
    Once(String),
}

/// One field. Its name is the one of the API, so that problems find it.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: String,
    pub(super) required: bool,
    pub(super) input: Input,
    pub(super) error: Option<String>,
}

impl Field {
    pub(super) fn new(name: &'static str, label: &'static str, input: Input) -> Self {
        Self { name, label, hint: String::new(), required: false, input, error: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// As it was typed before.
    fn filled(mut self, typed: &HashMap<String, String>) -> Self {
        let given = typed.get(self.name).map(String::as_str).unwrap_or_default();
        match &mut self.input {
            Input::Select(choices) => {
                for choice in choices {
                    choice.chosen = choice.value == given;
                }
            }
            Input::Date(value) | Input::Text(value) | Input::Once(value) => {
                *value = given.to_owned();
            }
            Input::Check(on) => *on = !given.is_empty(),
        }
        self
    }
}

/// The page.
#[derive(Template)]
#[template(path = "console/form.html")]
pub(super) struct FormPage {
    pub(super) frame: Frame,
    /// Address and text of what is above this page.
    pub(super) crumbs: Vec<(String, String)>,
    pub(super) heading: String,
    pub(super) lede: String,
    pub(super) action: String,
    pub(super) fields: Vec<Field>,
    pub(super) error: Option<String>,
    pub(super) button: &'static str,
    pub(super) danger: bool,
    pub(super) back: String,
}

impl FormPage {
    /// The same page with what was typed and why it was refused. What is not the
    /// caller's to mend goes on as it is.
    pub(super) fn refused(
        mut self,
        problem: Problem,
        typed: &HashMap<String, String>,
    ) -> Result<Response, Problem> {
        if !matches!(problem.status, 409 | 422) {
            return Err(problem);
        }
        self.fields = self.fields.into_iter().map(|field| field.filled(typed)).collect();
        let mut elsewhere = problem.errors.is_empty().then(|| problem.detail.clone());
        for error in &problem.errors {
            let name = error.pointer.trim_start_matches('/');
            match self.fields.iter_mut().find(|field| field.name == name) {
                Some(field) => field.error = Some(error.detail.clone()),
                None => elsewhere = Some(error.detail.clone()),
            }
        }
        self.error = elsewhere;
        let mut response = page(&self)?;
        *response.status_mut() =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        Ok(response)
    }
}

/// The first moment of a day that was chosen, in UTC.
pub(super) fn day(name: &str, typed: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = typed else { return Ok(None) };
    let wrong = || Problem::field(&format!("/{name}"), "A day looks like 2027-03-01.");
    let day: Date = text.parse().map_err(|_| wrong())?;
    let at = day.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(Some(at.timestamp()))
}
