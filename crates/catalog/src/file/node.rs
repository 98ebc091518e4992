//! A TOML text as a tree that remembers where everything stood.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    /// Kept as written.
    Float(String),
    Flag(bool),
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and what it holds.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn of_table(table: &DeTable<'_>, span: Range<usize>) -> Self {
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Self::of_value(value.get_ref(), value.span()),
        });
        Self { span, value: Value::Table(entries.collect()) }
    }

    fn of_value(value: &DeValue<'_>, span: Range<usize>) -> Self {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Whole(number),
                    Err(_) => Value::Float(number.as_str().to_owned()),
                }
            }
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => {
                Value::List(list.iter().map(|v| Self::of_value(v.get_ref(), v.span())).collect())
            }
            DeValue::Table(table) => return Self::of_table(table, span),
        };
        Self { span, value }
    }

    /// For messages: `a number`.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Whole(_) => "a whole number",
            Value::Float(_) => "a number with a point",
            Value::Flag(_) => "true or false",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn whole(&self) -> Option<u64> {
        match self.value {
            Value::Whole(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }

    /// A text under `key`; empty when there is none.
    pub(super) fn text_of(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Node::text).map(str::to_owned)
    }

    /// Whether `key` is `true`.
    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.get(key).map(|node| &node.value), Some(Value::Flag(true)))
    }

    /// A whole number under `key`.
    pub(super) fn whole_of(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(Node::whole)
    }

    /// The texts of a list under `key`.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let list = self.get(key).map(Node::list).unwrap_or_default();
        list.iter().filter_map(Node::text).map(str::to_owned).collect()
    }

    /// What `key` holds, read with `FromStr`; mistakes were reported by the
    /// grammar check.
    pub(super) fn read<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(Node::text).and_then(|text| text.parse().ok())
    }
}
