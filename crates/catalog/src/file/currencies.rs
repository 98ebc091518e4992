//! Prices in several currencies: `{ USD = "499", EUR = "459" }` where a price stands.
//!
//! A file that names several is read once for each, as if it named no other: this makes
//! the tree of one currency. Nothing is converted: a price that is not stated is a mistake.

use tenure_core::Currency;

use super::{
    check::fits,
    node::{Node, Value},
    report::{Report, suggest},
};
use crate::{
    grammar::{FILE, Shape},
    price::Amount,
};

/// Currencies beside the first, at most.
const OTHERS_MAX: usize = 20;

/// The currencies of a product, the one of plain prices first.
pub(super) struct Currencies {
    pub(super) base: Currency,
    pub(super) others: Vec<Currency>,
}

impl Currencies {
    pub(super) fn read(report: &mut Report<'_>, root: &Node) -> Self {
        let head = root.get("product");
        let base = head.and_then(|head| head.get("currency"));
        let base = base.map_or(Currency::USD, |node| code(report, node).unwrap_or(Currency::USD));
        let mut others: Vec<Currency> = Vec::new();
        let list = head.and_then(|head| head.get("currencies"));
        for (index, node) in list.map(Node::list).unwrap_or_default().iter().enumerate() {
            if index == OTHERS_MAX {
                let message = format!("too many currencies: at most {OTHERS_MAX}");
                report.error(&node.span, message, None);
                break;
            }
            let Some(currency) = code(report, node) else { continue };
            if currency == base || others.contains(&currency) {
                report.warn(&node.span, format!("`{currency}` is listed twice"), None);
                continue;
            }
            others.push(currency);
        }
        Self { base, others }
    }

    /// The file as it reads in `currency`.
    pub(super) fn tree(&self, report: &mut Report<'_>, root: &Node, currency: Currency) -> Node {
        let mut tree = root.clone();
        Reading { report, of: self, currency }.walk(&mut tree, &Shape::Table(&FILE));
        tree
    }

    fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.base).chain(&self.others).map(|currency| currency.code())
    }
}

fn code(report: &mut Report<'_>, node: &Node) -> Option<Currency> {
    match Currency::from_code(node.text()?) {
        Ok(currency) => Some(currency),
        Err(error) => {
            report.error(&node.span, error.to_string(), None);
            None
        }
    }
}

struct Reading<'r, 'a> {
    report: &'r mut Report<'a>,
    of: &'r Currencies,
    currency: Currency,
}

impl Reading<'_, '_> {
    fn walk(&mut self, node: &mut Node, shape: &Shape) {
        match shape {
            Shape::Price | Shape::ExactPrice => self.price(node),
            Shape::Either(shapes) => {
                let priced = shapes.iter().any(|shape| matches!(shape, Shape::Price));
                if priced && (node.text().is_some() || is_by_currency(node)) {
                    return self.price(node);
                }
                if let Some(shape) = shapes.iter().find(|shape| fits(node, shape)) {
                    self.walk(node, shape);
                }
            }
            Shape::Table(table) => {
                for entry in entries(node) {
                    if let Some(known) = table.keys.iter().find(|key| key.name == entry.key) {
                        self.walk(&mut entry.node, &known.shape);
                    }
                }
            }
            Shape::Map(_, inner) => {
                entries(node).iter_mut().for_each(|entry| self.walk(&mut entry.node, inner));
            }
            Shape::List(inner) => {
                if let Value::List(list) = &mut node.value {
                    list.iter_mut().for_each(|item| self.walk(item, inner));
                }
            }
            _ => {}
        }
    }

    /// Puts the price in this currency in the place of all of them.
    fn price(&mut self, node: &mut Node) {
        let code = self.currency.code();
        if !is_by_currency(node) {
            return self.plain(node);
        }
        for entry in node.entries() {
            if !self.of.codes().any(|known| known == entry.key) {
                let hint = suggest(&entry.key, self.of.codes());
                let message = format!("the product is not sold in {}", entry.key);
                let how = "list it under currencies of [product]".to_owned();
                self.report.error(&entry.key_span, message, hint.or(Some(how)));
            }
        }
        match node.get(code).cloned() {
            Some(price) => *node = price,
            None => {
                let hint = format!("add {code} = \"...\"");
                self.report.error(&node.span, format!("there is no price in {code}"), hint);
                node.value = Value::Text("custom".to_owned());
            }
        }
    }

    /// A price that names no currency is in the first; nothing, and a quote, are in each.
    fn plain(&mut self, node: &Node) {
        let Some(text) = node.text().filter(|_| self.currency != self.of.base) else { return };
        let same = match Amount::parse(text) {
            Ok(Amount::Custom) => true,
            Ok(amount) => amount.numbers().iter().all(|number| number.is_zero()),
            // Told by whoever checks its form.
            Err(_) => true,
        };
        if !same {
            let (base, code) = (self.of.base, self.currency.code());
            let message =
                format!("`{text}` is in {base} alone, and the product is sold in {code} too");
            let hint = format!("write {{ {base} = \"{text}\", {code} = \"...\" }}");
            self.report.error(&node.span, message, hint);
        }
    }
}

fn entries(node: &mut Node) -> &mut [super::node::Entry] {
    match &mut node.value {
        Value::Table(entries) => entries,
        _ => &mut [],
    }
}

/// Every key is three capital letters: no key of a charge is.
fn is_by_currency(node: &Node) -> bool {
    let code = |key: &str| key.len() == 3 && key.bytes().all(|byte| byte.is_ascii_uppercase());
    !node.entries().is_empty() && node.entries().iter().all(|entry| code(&entry.key))
}
