//! What surrounds every page of the portal.

use tenure_catalog::Product;

use super::session::Visitor;
use crate::{identity::portal::Customer, web::icons};

/// The pages of whoever holds a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    License,
    Instances,
    Reports,
    Files,
    Usage,
    Plans,
    Invoices,
}

/// An entry of the navigation.
pub(super) struct Link {
    pub(super) title: &'static str,
    pub(super) path: &'static str,
    pub(super) icon: &'static str,
    pub(super) current: bool,
}

/// The view model of the frame.
pub(super) struct Frame {
    pub(super) customer: String,
    pub(super) product: String,
    pub(super) opened_with: &'static str,
    pub(super) form_token: String,
    pub(super) links: Vec<Link>,
}

impl Frame {
    pub(super) fn new(visitor: &Visitor, product: &Product, section: Section) -> Self {
        let link =
            |one: Section, title, path, icon| Link { title, path, icon, current: one == section };
        let (opened_with, links) = match visitor.customer {
            Customer::License(..) => (
                "License key",
                vec![
                    link(Section::License, "License", "/portal", icons::LICENSE),
                    link(Section::Instances, "Instances", "/portal/instances", icons::INSTANCES),
                    link(Section::Reports, "Usage reports", "/portal/reports", icons::OVERVIEW),
                    link(Section::Files, "Carry a file", "/portal/files", icons::FILE),
                ],
            ),
            Customer::Key(_) => (
                "API key",
                vec![
                    link(Section::Usage, "Usage and bill", "/portal/usage", icons::OVERVIEW),
                    link(Section::Plans, "Plans", "/portal/plans", icons::PRODUCTS),
                    link(Section::Invoices, "Invoices", "/portal/invoices", icons::INVOICE),
                ],
            ),
        };
        Self {
            customer: visitor.tenant.name.clone(),
            product: product.name.clone(),
            opened_with,
            form_token: visitor.form_token.clone(),
            links,
        }
    }
}
