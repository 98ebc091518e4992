//! A deserializer around a deserializer: each name and each level passes here
//! on its way to the type that is read.

use std::{fmt, marker::PhantomData};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::names::{Given, Name, Names, Object, RESERVED_PREFIX};

/// Where a walk is; shared by all levels of it.
pub(super) struct Walk<'de> {
    names: Names<'de>,
    depth: usize,
    depth_max: usize,
}

impl Walk<'_> {
    pub(super) fn new(depth_max: usize) -> Self {
        Self { names: Names::new(), depth: 0, depth_max }
    }

    /// Into the object or array that begins here. Whoever enters leaves, or ends
    /// the walk with an error.
    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth >= self.depth_max {
            let most = self.depth_max;
            return Err(E::custom(format_args!("values are nested more than {most} deep")));
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// A deserializer, a visitor or a seed of serde's, and where the walk is.
pub(super) struct Strict<'a, 'de, T> {
    pub(super) inner: T,
    pub(super) walk: &'a mut Walk<'de>,
}

/// Hands over to the method of the same name, with the visitor wrapped.
macro_rules! deserialize {
    ($($method:ident($($argument:ident: $type:ty),*) -> $forward:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.inner.$forward($($argument,)* Strict { inner: visitor, walk: self.walk })
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, 'de, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any() -> deserialize_any;
        deserialize_bool() -> deserialize_bool;
        deserialize_i8() -> deserialize_i8;
        deserialize_i16() -> deserialize_i16;
        deserialize_i32() -> deserialize_i32;
        deserialize_i64() -> deserialize_i64;
        deserialize_u8() -> deserialize_u8;
        deserialize_u16() -> deserialize_u16;
        deserialize_u32() -> deserialize_u32;
        deserialize_u64() -> deserialize_u64;
        deserialize_f32() -> deserialize_f32;
        deserialize_f64() -> deserialize_f64;
        deserialize_char() -> deserialize_char;
        deserialize_str() -> deserialize_str;
        deserialize_string() -> deserialize_string;
        // Numbers that other readers do not hold, and text that is not UTF-8,
        // are read as any value is, which refuses them.
        deserialize_i128() -> deserialize_any;
        deserialize_u128() -> deserialize_any;
        deserialize_bytes() -> deserialize_any;
        deserialize_byte_buf() -> deserialize_any;
        deserialize_option() -> deserialize_option;
        deserialize_unit() -> deserialize_unit;
        deserialize_unit_struct(name: &'static str) -> deserialize_unit_struct;
        deserialize_seq() -> deserialize_seq;
        deserialize_tuple(len: usize) -> deserialize_tuple;
        deserialize_tuple_struct(name: &'static str, len: usize) -> deserialize_tuple_struct;
        deserialize_map() -> deserialize_map;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) -> deserialize_struct;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) -> deserialize_enum;
        deserialize_identifier() -> deserialize_identifier;
        // What nobody looks at is walked all the same.
        deserialize_ignored_any() -> deserialize_any;
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name.starts_with(RESERVED_PREFIX) {
            return Err(D::Error::custom("raw JSON is not read strictly"));
        }
        self.inner.deserialize_newtype_struct(name, Strict { inner: visitor, walk: self.walk })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Hands a value without an inside to the visitor.
macro_rules! visit {
    ($($method:ident($type:ty);)+) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Strict { inner, walk: self.walk })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Strict { inner, walk: self.walk })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.walk.enter()?;
        let value = self.inner.visit_seq(Strict { inner, walk: &mut *self.walk })?;
        self.walk.leave();
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.walk.enter()?;
        let object = self.walk.names.open();
        let from = object.from;
        let value = self.inner.visit_map(Members { map, object, walk: &mut *self.walk })?;
        self.walk.names.close(from);
        self.walk.leave();
        Ok(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Strict { inner, walk: self.walk })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, 'de, S> {
    type Value = S::Value;
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Strict { inner, walk: self.walk })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Strict { inner: seed, walk: &mut *self.walk })
    }
}

/// The members of an object; each name is looked at before the type sees it.
struct Members<'a, 'de, A> {
    map: A,
    object: Object<'de>,
    walk: &'a mut Walk<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(name) = self.map.next_key_seed(Name)? else { return Ok(None) };
        let wanted = seed.deserialize(Given(&name, PhantomData))?;
        self.object.admit(name, &mut self.walk.names)?;
        Ok(Some(wanted))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(Strict { inner: seed, walk: &mut *self.walk })
    }
}

/// A variant with content is an object around it; one without is a text.
impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<'a, 'de, A> {
    type Error = A::Error;
    type Variant = Strict<'a, 'de, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Strict { inner, walk: self.walk }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.walk.enter()?;
        let value =
            self.inner.newtype_variant_seed(Strict { inner: seed, walk: &mut *self.walk })?;
        self.walk.leave();
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.walk.enter()?;
        let visitor = Strict { inner: visitor, walk: &mut *self.walk };
        let value = self.inner.tuple_variant(len, visitor)?;
        self.walk.leave();
        Ok(value)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.walk.enter()?;
        let visitor = Strict { inner: visitor, walk: &mut *self.walk };
        let value = self.inner.struct_variant(fields, visitor)?;
        self.walk.leave();
        Ok(value)
    }
}
