//! The names of an object's members: text, given once, and none of the library's own.

use std::{borrow::Cow, collections::HashSet, fmt, marker::PhantomData};

use serde::{
    de::{DeserializeSeed, Deserializer, Error, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

/// Names that the JSON library gives a meaning of its own: it would read the
/// member's text as JSON, past everything that is refused here.
pub(super) const RESERVED_PREFIX: &str = "$serde_json::private::";
/// Members of an object among which a name is looked for one by one.
const FEW: usize = 32;

/// The names seen in all objects that are open, outermost first.
pub(super) struct Names<'de>(Vec<Cow<'de, str>>);

impl<'de> Names<'de> {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(FEW))
    }

    #[inline]
    pub(super) fn open(&self) -> Object<'de> {
        Object { from: self.0.len(), marks: 0, many: None }
    }

    #[inline]
    pub(super) fn close(&mut self, from: usize) {
        self.0.truncate(from);
    }
}

/// The names of one object so far.
pub(super) struct Object<'de> {
    /// Where its names begin among those of all.
    pub(super) from: usize,
    /// A bit for each name seen; several names share one.
    marks: u64,
    /// All its names, once they are more than a few.
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> Object<'de> {
    /// Takes note of a name, or says what is wrong with it.
    pub(super) fn admit<E: Error>(
        &mut self,
        name: Cow<'de, str>,
        names: &mut Names<'de>,
    ) -> Result<(), E> {
        if name.starts_with(RESERVED_PREFIX) {
            return Err(E::custom(format_args!("the field `{name}` is reserved")));
        }
        let mark = mark(&name);
        let own = &names.0[self.from..];
        let again = match &self.many {
            Some(many) => many.contains(&name),
            // Names that share no bit are not equal.
            None => self.marks & mark != 0 && own.contains(&name),
        };
        if again {
            return Err(E::custom(format_args!("the field `{name}` is given twice")));
        }
        self.marks |= mark;
        match &mut self.many {
            Some(many) => drop(many.insert(name)),
            None if own.len() == FEW => {
                self.many = Some(own.iter().cloned().chain([name]).collect());
            }
            None => names.0.push(name),
        }
        Ok(())
    }
}

/// One of 64 bits, by length and ends: what tells the names of a license apart.
#[inline]
fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let end = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    let middle = bytes.get(bytes.len() / 2);
    let sum = bytes.len() + 5 * end(bytes.first()) + 11 * end(bytes.last()) + 23 * end(middle);
    1 << (sum % 64)
}

/// Reads a name as it means; borrowed unless it was escaped.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Gives a name that was read to the type that wants it.
pub(super) struct Given<'a, 'de, E>(pub(super) &'a Cow<'de, str>, pub(super) PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Given<'_, 'de, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.0 {
            Cow::Borrowed(name) => visitor.visit_borrowed_str(name),
            Cow::Owned(name) => visitor.visit_str(name),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_enum(StrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
