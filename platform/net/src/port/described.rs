//! How questions and answers stand in a contract's document.

use banyan_kernel::{Answer, Command, Refusal};
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema, Type,
        schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref},
    },
};

use crate::Problem;

type Schemas = Vec<(String, RefOr<Schema>)>;

/// An answer as a port gives it: one, or one for each item.
pub trait Described {
    /// Its schema; what it refers to is added to the list.
    fn described(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;
}

/// As serde writes it, and written by hand, since a generic type's schema refers to a list by no name of its own.
impl<T: ToSchema> Described for Answer<T> {
    fn described(schemas: &mut Schemas) -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String).build().into();
        let pending = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["pending"]));
        let refused = Ref::from_schema_name(Refusal::name()).into();
        let any_of_five = OneOfBuilder::new()
            .item(field("done", whole::<T>(schemas)))
            .item(pending.build())
            .item(field("rejected", refused))
            .item(field("unavailable", text()))
            .item(field("broken", text()));
        Schema::OneOf(any_of_five.build()).into()
    }
}

impl<T: ToSchema> Described for Vec<Answer<T>> {
    fn described(schemas: &mut Schemas) -> RefOr<Schema> {
        ArrayBuilder::new().items(Answer::<T>::described(schemas)).build().into()
    }
}

fn field(name: &str, schema: RefOr<Schema>) -> Schema {
    ObjectBuilder::new().property(name, schema).required(name).build().into()
}

/// A type's schema; what it refers to is added to the list.
pub(super) fn whole<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    T::schemas(schemas);
    T::schema()
}

/// A batch of commands, whose bodies are named.
pub(super) fn commands<B: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    named::<B>(schemas);
    let command = whole::<Command<B>>(schemas);
    ArrayBuilder::new().items(command).build().into()
}

/// What every port says.
pub(super) fn shared() -> Schemas {
    let mut schemas = Vec::new();
    named::<Problem>(&mut schemas);
    named::<Refusal>(&mut schemas);
    schemas
}

fn named<T: ToSchema>(schemas: &mut Schemas) {
    let schema = whole::<T>(schemas);
    schemas.push((T::name().into_owned(), schema));
}
