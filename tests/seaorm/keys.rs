//! Primary keys of every kind.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, Set, TransactionTrait};

use crate::run::Run;
use crate::world::{Db, Tables, Watched};

mod by_uuid {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "by_uuid")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub value: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod by_text {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "by_text")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub value: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod by_three {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "by_three")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub part: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub flag: bool,
        pub value: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod by_enum {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "season")]
    pub enum Season {
        #[sea_orm(string_value = "spring")]
        Spring,
        #[sea_orm(string_value = "summer")]
        Summer,
        #[sea_orm(string_value = "autumn")]
        Autumn,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "by_enum")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Season,
        pub value: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod by_bytes {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "by_bytes")]
    pub struct Model {
        #[sea_orm(
            primary_key,
            auto_increment = false,
            column_type = "VarBinary(StringLen::N(16))"
        )]
        pub id: Vec<u8>,
        pub value: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn rows_are_known_by_every_kind_of_key() {
    same_on_connections!(tables, every_key);
}

#[tokio::test]
async fn rows_are_known_by_every_kind_of_key_in_a_transaction() {
    same_in_transactions!(tables, every_key);
}

fn tables(tables: Tables) -> Tables {
    tables
        .add(by_uuid::Entity)
        .add(by_text::Entity)
        .add(by_three::Entity)
        .add(by_enum::Entity)
        .add(by_bytes::Entity)
        .watch(|| by_text::Entity::find().filter(by_text::Column::Id.eq("Ä ' \\ 5")))
        .watch(|| by_three::Entity::find_by_id((2, "b".to_owned(), true)))
        .watch(|| by_three::Entity::find().filter(by_three::Column::Part.eq("b")))
}

async fn every_key(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let uuids = [Uuid::nil(), Uuid::from_u128(5), Uuid::max()];
    let rows = uuids.map(|id| by_uuid::Model { id, value: 1 });
    life::<by_uuid::Entity>(db, run, rows, |row| row.value = Set(2)).await;

    let texts = ["", "Ä ' \\ 5", "a long one with 日本語"];
    let rows = texts.map(|id| by_text::Model { id: id.into(), value: 1 });
    life::<by_text::Entity>(db, run, rows, |row| row.value = Set(2)).await;

    let keys = [(i64::MIN, "", false), (2, "b", true), (i64::MAX, "c", false)];
    let rows =
        keys.map(|(id, part, flag)| by_three::Model { id, part: part.into(), flag, value: 1 });
    life::<by_three::Entity>(db, run, rows, |row| row.value = Set(2)).await;

    let seasons = [by_enum::Season::Spring, by_enum::Season::Summer, by_enum::Season::Autumn];
    let rows = seasons.map(|id| by_enum::Model { id, value: 1 });
    life::<by_enum::Entity>(db, run, rows, |row| row.value = Set(2)).await;

    let bytes = [vec![0], vec![1, 0, 255, 128], (0..16).collect()];
    let rows = bytes.map(|id| by_bytes::Model { id, value: 1 });
    life::<by_bytes::Entity>(db, run, rows, |row| row.value = Set(2)).await;
    Ok(())
}

/// Rows of an entity come, change and go; each is looked up by its key after every step.
async fn life<E>(db: &impl Db, run: &Run<'_>, rows: [E::Model; 3], change: fn(&mut E::ActiveModel))
where
    E: Watched,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let [first, second, third] = rows;
    let inserted = run.step("insert", first.clone().into_active_model().insert(db)).await;
    assert_eq!(inserted, first);
    let more = [&second, &third].map(|row| row.clone().into_active_model().reset_all());
    let more = E::insert_many(more).exec_without_returning(db);
    assert_eq!(run.step("insert two", more).await, 2);
    let mut changed = second.clone().into_active_model();
    change(&mut changed);
    let changed = run.step("update", changed.update(db)).await;
    assert_ne!(changed, second);
    let mut saved = third.clone().into_active_model();
    change(&mut saved);
    run.step("save", saved.save(db)).await;
    run.step("delete", first.clone().into_active_model().delete(db)).await;
    let back = first.into_active_model().reset_all();
    run.step("and back", back.insert(db)).await;
    run.step("delete a model", changed.delete(db)).await;
    assert_eq!(run.reads("left", db, E::find).await.len(), 2);
    run.step("delete the others", E::delete_many().exec(db)).await;
}
