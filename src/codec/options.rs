//! Refuses `Some(None)`: most formats of serde, MessagePack too, write it as they write `None`.

use std::fmt::Display;

use serde::ser::{
    Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

/// A serializer, or a part of what one writes, behind which `Some(None)` is an error.
pub(super) struct Strict<S>(pub(super) S);

impl<T: Serialize + ?Sized> Serialize for Strict<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Strict(serializer))
    }
}

macro_rules! scalars {
    ($($method:ident($($value:ident: $type:ty),*);)+) => {$(
        fn $method(self, $($value: $type),*) -> Result<Self::Ok, Self::Error> {
            self.0.$method($($value),*)
        }
    )+};
}

macro_rules! compounds {
    ($($method:ident($($value:ident: $type:ty),*) -> $part:ident;)+) => {$(
        fn $method(self, $($value: $type),*) -> Result<Self::$part, Self::Error> {
            self.0.$method($($value),*).map(Strict)
        }
    )+};
}

impl<S: Serializer> Serializer for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<S::SerializeSeq>;
    type SerializeTuple = Strict<S::SerializeTuple>;
    type SerializeTupleStruct = Strict<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<S::SerializeTupleVariant>;
    type SerializeMap = Strict<S::SerializeMap>;
    type SerializeStruct = Strict<S::SerializeStruct>;
    type SerializeStructVariant = Strict<S::SerializeStructVariant>;

    scalars! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    compounds! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        if value.serialize(IsNothing).is_ok() {
            return Err(S::Error::custom("Some(None) and None would be the same"));
        }
        self.0.serialize_some(&Strict(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Strict(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Strict(value))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! parts {
    ($($part:ident { $($method:ident($($name:ident: $type:ty)?);)+ })+) => {$(
        impl<S: $part> $part for Strict<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.$method($($name,)? &Strict(value))
            })+

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )+};
}

parts! {
    SerializeSeq { serialize_element(); }
    SerializeTuple { serialize_element(); }
    SerializeTupleStruct { serialize_field(); }
    SerializeTupleVariant { serialize_field(); }
    SerializeMap { serialize_key(); serialize_value(); }
    SerializeStruct { serialize_field(key: &'static str); }
    SerializeStructVariant { serialize_field(key: &'static str); }
}

/// Succeeds with what is written as nothing at all.
struct IsNothing;

/// It is something.
#[derive(Debug)]
struct Something;

impl std::fmt::Display for Something {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something")
    }
}

impl std::error::Error for Something {}

impl Error for Something {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

macro_rules! something {
    ($($method:ident($($value:ident: $type:ty),*) -> $gives:ty;)+) => {$(
        fn $method(self, $($value: $type),*) -> Result<$gives, Something> {
            Err(Something)
        }
    )+};
}

impl Serializer for IsNothing {
    type Ok = ();
    type Error = Something;
    type SerializeSeq = Impossible<(), Something>;
    type SerializeTuple = Impossible<(), Something>;
    type SerializeTupleStruct = Impossible<(), Something>;
    type SerializeTupleVariant = Impossible<(), Something>;
    type SerializeMap = Impossible<(), Something>;
    type SerializeStruct = Impossible<(), Something>;
    type SerializeStructVariant = Impossible<(), Something>;

    something! {
        serialize_bool(_v: bool) -> ();
        serialize_i8(_v: i8) -> ();
        serialize_i16(_v: i16) -> ();
        serialize_i32(_v: i32) -> ();
        serialize_i64(_v: i64) -> ();
        serialize_i128(_v: i128) -> ();
        serialize_u8(_v: u8) -> ();
        serialize_u16(_v: u16) -> ();
        serialize_u32(_v: u32) -> ();
        serialize_u64(_v: u64) -> ();
        serialize_u128(_v: u128) -> ();
        serialize_f32(_v: f32) -> ();
        serialize_f64(_v: f64) -> ();
        serialize_char(_v: char) -> ();
        serialize_str(_v: &str) -> ();
        serialize_bytes(_v: &[u8]) -> ();
        serialize_unit_struct(_n: &'static str) -> ();
        serialize_unit_variant(_n: &'static str, _i: u32, _v: &'static str) -> ();
        serialize_seq(_l: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(_l: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(_n: &'static str, _l: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(_n: &'static str, _i: u32, _v: &'static str, _l: usize) -> Self::SerializeTupleVariant;
        serialize_map(_l: Option<usize>) -> Self::SerializeMap;
        serialize_struct(_n: &'static str, _l: usize) -> Self::SerializeStruct;
        serialize_struct_variant(_n: &'static str, _i: u32, _v: &'static str, _l: usize) -> Self::SerializeStructVariant;
    }

    fn serialize_none(self) -> Result<(), Something> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Something> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Something> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Something> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Something> {
        Err(Something)
    }
}
