//! A reader of plain JSON: what signers write, and a part of what [`super`] takes.
//!
//! Plain is a document without escapes in texts, without fractions, exponents
//! and numbers of more than 18 digits, and with structs, options, sequences and
//! unit variants only where a type wants them. Refuses everything else, without
//! saying why: whoever asks reads it again with the strict reader, whose word
//! counts. So what is read here must mean the same there, and is held against
//! it by tests.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::de::{
    DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor, value::StrDeserializer,
};

use super::names::{Given, Names, Object, RESERVED_PREFIX};

/// Most digits of a number: fewer than would overflow.
const DIGITS_MAX: usize = 18;

/// Not plain, or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain JSON")
    }
}

impl std::error::Error for NotPlain {}

impl Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }

    fn invalid_type(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }
}

/// A place in a document.
pub(super) struct Plain<'de> {
    text: &'de str,
    at: usize,
    names: Names<'de>,
    /// How many levels deeper it may go.
    room: usize,
}

impl<'de> Plain<'de> {
    pub(super) fn new(text: &'de str, depth_max: usize) -> Self {
        Self { text, at: 0, names: Names::new(), room: depth_max }
    }

    /// Nothing but blanks after the document.
    pub(super) fn end(&mut self) -> Result<(), NotPlain> {
        self.skip_blanks();
        if self.at == self.text.len() { Ok(()) } else { Err(NotPlain) }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    /// The first byte of what follows, which stays.
    #[inline]
    fn peek(&mut self) -> Result<u8, NotPlain> {
        self.skip_blanks();
        self.byte().ok_or(NotPlain)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), NotPlain> {
        if self.peek()? != wanted {
            return Err(NotPlain);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), NotPlain> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(NotPlain);
        }
        self.at += word.len();
        Ok(())
    }

    /// A text, its opening quote first.
    #[inline]
    fn text(&mut self) -> Result<&'de str, NotPlain> {
        self.expect(b'"')?;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        let len = rest.iter().position(ends).ok_or(NotPlain)?;
        if rest.get(len) != Some(&b'"') {
            return Err(NotPlain);
        }
        let text = self.text.get(self.at..self.at + len).ok_or(NotPlain)?;
        self.at += len + 1;
        Ok(text)
    }

    /// A whole number: whether it is negative, and how much it is.
    #[inline]
    fn number(&mut self) -> Result<(bool, u64), NotPlain> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let from = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            if self.at - from == DIGITS_MAX {
                return Err(NotPlain);
            }
            value = value * 10 + u64::from(digit - b'0');
            self.at += 1;
        }
        let first = self.text.as_bytes().get(from).copied();
        let leads_with_zero = first == Some(b'0') && (negative || self.at - from > 1);
        let goes_on = matches!(self.byte(), Some(b'.' | b'e' | b'E'));
        if self.at == from || leads_with_zero || goes_on {
            return Err(NotPlain);
        }
        Ok((negative, value))
    }

    fn give_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.number()? {
            (false, value) => visitor.visit_u64(value),
            (true, value) => visitor.visit_i64(-i64::try_from(value).map_err(|_| NotPlain)?),
        }
    }

    fn give_bool<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        let value = self.peek()? == b't';
        self.word(if value { "true" } else { "false" })?;
        visitor.visit_bool(value)
    }

    fn null(&mut self) -> Result<(), NotPlain> {
        self.skip_blanks();
        self.word("null")
    }

    fn give_array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        self.expect(b'[')?;
        self.room = self.room.checked_sub(1).ok_or(NotPlain)?;
        let value = visitor.visit_seq(Items { of: self, first: true })?;
        self.expect(b']')?;
        self.room += 1;
        Ok(value)
    }

    fn give_object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        self.expect(b'{')?;
        self.room = self.room.checked_sub(1).ok_or(NotPlain)?;
        let object = self.names.open();
        let from = object.from;
        let value = visitor.visit_map(Members { of: self, object, first: true })?;
        self.expect(b'}')?;
        self.names.close(from);
        self.room += 1;
        Ok(value)
    }

    /// Whether there is another one of what `end` ends, and to its beginning.
    #[inline]
    fn another(&mut self, first: &mut bool, end: u8) -> Result<bool, NotPlain> {
        let next = self.peek()?;
        if next == end {
            return Ok(false);
        }
        if !std::mem::replace(first, false) {
            self.expect(b',')?;
        }
        Ok(true)
    }
}

macro_rules! numbers {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            self.give_number(visitor)
        }
    )+};
}

macro_rules! not_plain {
    ($($method:ident($($argument:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, NotPlain> {
            Err(NotPlain)
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Plain<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.peek()? {
            b'"' => visitor.visit_borrowed_str(self.text()?),
            b'{' => self.give_object(visitor),
            b'[' => self.give_array(visitor),
            b't' | b'f' => self.give_bool(visitor),
            b'n' => {
                self.null()?;
                visitor.visit_unit()
            }
            _ => self.give_number(visitor),
        }
    }

    /// What nobody looks at is walked all the same.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.deserialize_any(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.give_bool(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        if self.peek()? == b'n' {
            self.null()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.give_array(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.give_object(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        self.give_object(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        if name.starts_with(RESERVED_PREFIX) {
            return Err(NotPlain);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        visitor.visit_enum(StrDeserializer::new(self.text()?))
    }

    not_plain! {
        deserialize_i128();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit();
        deserialize_unit_struct(&'static str);
        deserialize_tuple(usize);
        deserialize_tuple_struct(&'static str, usize);
    }
}

struct Items<'a, 'de> {
    of: &'a mut Plain<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = NotPlain;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotPlain> {
        if !self.of.another(&mut self.first, b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.of).map(Some)
    }
}

struct Members<'a, 'de> {
    of: &'a mut Plain<'de>,
    object: Object<'de>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = NotPlain;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotPlain> {
        if !self.of.another(&mut self.first, b'}')? {
            return Ok(None);
        }
        let name = Cow::Borrowed(self.of.text()?);
        self.of.expect(b':')?;
        self.object.admit::<NotPlain>(name.clone(), &mut self.of.names)?;
        seed.deserialize(Given(&name, PhantomData)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, NotPlain> {
        seed.deserialize(&mut *self.of)
    }
}
