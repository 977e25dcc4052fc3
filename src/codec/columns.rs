//! A model through its SeaORM columns: no serde derive is needed, and none can change it.

use std::marker::PhantomData;

use sea_orm::{ActiveModelTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, TryIntoModel};

use super::scalar;
use super::{Codec, Fingerprint, Input, Unencodable};
use crate::value::heap_bytes;

/// An entity whose models can be kept. Every one that SeaORM's derive macros make is: there is
/// nothing to implement.
pub trait StorableEntity:
    EntityTrait<Model: Send + Sync + 'static, ActiveModel: TryIntoModel<Self::Model>>
{
}

impl<E> StorableEntity for E
where
    E: EntityTrait,
    E::Model: Send + Sync + 'static,
    E::ActiveModel: TryIntoModel<E::Model>,
{
}

/// The model of an entity.
#[derive(Debug)]
pub struct Columns<E>(PhantomData<fn() -> E>);

impl<E: StorableEntity> Codec for Columns<E> {
    type Value = E::Model;
    const HAS_BYTES: bool = true;

    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint) {
        into.text("model");
        into.text(E::default().table_name());
        // Each value says its own type.
        E::Column::iter().for_each(|column| into.text(column.as_str()));
    }

    fn encode(model: &E::Model, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        E::Column::iter().try_for_each(|column| scalar::encode(&model.get(column), out))
    }

    /// A column that SeaORM ignores gets its default, as on a fresh read.
    #[allow(private_interfaces)]
    fn decode(input: &mut Input<'_>) -> Option<E::Model> {
        let mut model = <E::ActiveModel as ActiveModelTrait>::default();
        for column in E::Column::iter() {
            model.try_set(column, scalar::decode(input)?).ok()?;
        }
        model.try_into_model().ok()
    }

    fn heap_bytes(model: &E::Model) -> usize {
        E::Column::iter().map(|column| heap_bytes(&model.get(column))).sum()
    }

    fn same(a: &E::Model, b: &E::Model) -> bool {
        E::Column::iter().all(|column| a.get(column) == b.get(column))
    }
}
