//! What surrounds every page: navigation, who is signed in, the way out.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::{db, session::SignedIn, words};
use crate::{App, http::Problem, products};

/// Colours that products and stacked bars take in turn.
pub(super) const SERIES: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Tenants,
    Invoices,
    Products,
    Analytics,
    Files,
}

/// A product's two letters on its colour.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) letters: String,
    pub(super) series: &'static str,
    pub(super) current: bool,
}

/// The view model of the frame.
pub(super) struct Frame {
    section: Section,
    pub(super) who: String,
    pub(super) role: &'static str,
    pub(super) form_token: String,
    pub(super) tenants: String,
    pub(super) may_change: bool,
    pub(super) products: Vec<Mark>,
}

impl Frame {
    /// Reads what the navigation shows.
    pub(super) async fn new(
        app: &App,
        signed_in: &SignedIn,
        section: Section,
    ) -> Result<Self, Problem> {
        let mut tx = app.db().vendor().await?;
        let tenants = db::count_tenants(&mut tx).await?;
        tx.commit().await?;
        let products = products::list(app).await?;
        let marks = products.into_iter().enumerate().map(|(index, product)| Mark {
            letters: words::monogram(&product.name),
            series: SERIES[index % SERIES.len()],
            current: false,
            slug: product.slug,
            name: product.name,
        });
        Ok(Self {
            section,
            who: signed_in.staff.name.clone(),
            role: if signed_in.may_change() { "Admin" } else { "Viewer" },
            form_token: signed_in.form_token.clone(),
            tenants: words::number(tenants),
            may_change: signed_in.may_change(),
            products: marks.collect(),
        })
    }

    pub(super) fn in_overview(&self) -> bool {
        self.section == Section::Overview
    }

    pub(super) fn in_tenants(&self) -> bool {
        self.section == Section::Tenants
    }

    pub(super) fn in_invoices(&self) -> bool {
        self.section == Section::Invoices
    }

    pub(super) fn in_products(&self) -> bool {
        self.section == Section::Products
    }

    pub(super) fn in_analytics(&self) -> bool {
        self.section == Section::Analytics
    }

    pub(super) fn in_files(&self) -> bool {
        self.section == Section::Files
    }

    /// The mark of a product; plain where the product is not known.
    pub(super) fn mark(&self, slug: &str) -> Mark {
        self.products.iter().find(|mark| mark.slug == slug).cloned().unwrap_or_else(|| Mark {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            letters: words::monogram(slug),
            series: SERIES[0],
            current: false,
        })
    }
}

/// A page as the answer.
pub(super) fn page(template: &impl Template) -> Result<Response, Problem> {
    let html = template.render().map_err(Problem::internal)?;
    Ok(Html(html).into_response())
}

/// The share of a whole in per cent, as a bar shows it.
pub(super) struct Bar {
    /// Of the bar's length, at most 100.
    pub(super) width: u32,
    /// Of the limit, without end.
    pub(super) percent: u32,
    /// Class of the fill.
    pub(super) tone: &'static str,
}

impl Bar {
    /// From a share; past 80 per cent it warns, from 100 on it is full.
    pub(super) fn new(percent: u32) -> Self {
        let tone = match percent {
            100.. => "bad",
            80.. => "warn",
            _ => "",
        };
        Self { width: percent.min(100), percent, tone }
    }
}
