//! Columns of enums: as text, as numbers, and as the database's own enums.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, FromQueryResult, NotSet, QueryOrder, QuerySelect, Set, TransactionTrait,
};

use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::{Db, Tables, dialect};

mod drink {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(1))")]
    pub enum Size {
        #[sea_orm(string_value = "S")]
        Small,
        #[sea_orm(string_value = "L")]
        Large,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Heat {
        #[sea_orm(num_value = -1)]
        Iced,
        #[sea_orm(num_value = 0)]
        Warm,
        #[sea_orm(num_value = 100)]
        Hot,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "drink_kind")]
    pub enum Kind {
        #[sea_orm(string_value = "black tea")]
        BlackTea,
        #[sea_orm(string_value = "green")]
        GreenTea,
        #[sea_orm(string_value = "café")]
        Coffee,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "drink")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(indexed)]
        pub kind: Kind,
        pub size: Option<Size>,
        pub heat: Option<Heat>,
        pub other_kind: Option<Kind>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use drink::{ActiveModel, Column, Entity, Heat, Kind, Size};

#[tokio::test]
async fn enums_are_stored_filtered_and_changed() {
    same_on_connections!(tables, enums);
}

#[tokio::test]
async fn enums_are_stored_filtered_and_changed_in_a_transaction() {
    same_in_transactions!(tables, enums);
}

fn by_id() -> Select<Entity> {
    Entity::find().order_by_asc(Column::Id)
}

fn tables(tables: Tables) -> Tables {
    tables
        .add(Entity)
        .watch(|| by_id().filter(Column::Kind.eq(Kind::BlackTea)))
        .watch(|| by_id().filter(Column::Kind.is_in([Kind::GreenTea, Kind::Coffee])))
        .watch(|| by_id().filter(Column::Kind.ne(Kind::Coffee)))
        .watch(|| by_id().filter(Column::Size.eq(Size::Large)))
        .watch(|| by_id().filter(Column::Heat.lte(Heat::Warm)))
        .watch(|| by_id().filter(Column::OtherKind.eq(Kind::GreenTea)))
        .watch(|| by_id().filter(Column::OtherKind.is_null()))
        .watch(|| Entity::find().order_by_desc(Column::Kind).order_by_asc(Column::Id))
}

fn drink(kind: Kind, size: Option<Size>, heat: Option<Heat>) -> ActiveModel {
    // In bulk SeaORM gives PostgreSQL an untyped NULL for a native enum that is not set.
    let other_kind = Set(None);
    ActiveModel { id: NotSet, kind: Set(kind), size: Set(size), heat: Set(heat), other_kind }
}

#[derive(Debug, PartialEq, FromQueryResult)]
struct Kinds {
    kind: Kind,
    other_kind: Option<Kind>,
}

async fn enums(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let tea = drink(Kind::BlackTea, Some(Size::Small), Some(Heat::Hot));
    let tea = run.step("insert", tea.insert(db)).await;
    assert_eq!((tea.kind, tea.heat), (Kind::BlackTea, Some(Heat::Hot)));
    let both =
        ActiveModel { other_kind: Set(Some(Kind::GreenTea)), ..drink(Kind::Coffee, None, None) };
    let more = [both, drink(Kind::GreenTea, Some(Size::Large), Some(Heat::Iced))];
    run.step("insert many", Entity::insert_many(more).exec(db)).await;

    let cooled = ActiveModel { heat: Set(Some(Heat::Warm)), kind: Set(Kind::Coffee), ..tea.into() };
    run.step("update", cooled.update(db)).await;
    let all = Entity::update_many()
        .col_expr(Column::OtherKind, ActiveEnum::as_enum(&Kind::BlackTea))
        .col_expr(Column::Size, Expr::val(Size::Large.to_value()))
        .filter(Column::Kind.eq(Kind::Coffee));
    assert_eq!(run.step("update many", all.exec(db)).await.rows_affected, 2);
    let set =
        ActiveModel { other_kind: Set(None), heat: Set(Some(Heat::Iced)), ..Default::default() };
    let set = Entity::update_many().set(set).filter(Column::Heat.eq(Heat::Warm));
    run.step("set many", set.exec(db)).await;

    other_shapes(db, run).await?;
    let gone = Entity::delete_many().filter(Column::OtherKind.eq(Kind::BlackTea));
    assert_eq!(run.step("delete", gone.exec(db)).await.rows_affected, 1);
    let by_hand = match run.backend {
        Backend::Postgres => "UPDATE drink SET kind = 'green'::drink_kind, size = 'S'",
        _ => "UPDATE drink SET kind = 'green', size = 'S'",
    };
    run.step("by hand", async { db.execute_unprepared(by_hand).await.map(drop) }).await;
    let left = run.reads("left", db, by_id).await;
    assert!(left.iter().all(|drink| drink.kind == Kind::GreenTea));
    Ok(())
}

async fn other_shapes(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let columns = || by_id().select_only().column(Column::Kind).column(Column::OtherKind);
    let tuples = columns().into_tuple::<(Kind, Option<Kind>)>();
    run.step("tuples", tuples.all(db)).await;
    let kinds = run.step("a struct", columns().into_model::<Kinds>().all(db)).await;
    assert_eq!(kinds[0], Kinds { kind: Kind::Coffee, other_kind: None });
    run.step("JSON", by_id().into_json().all(db)).await;
    let mut cursor = Entity::find().cursor_by(Column::Id);
    run.step("cursor", cursor.after(1).first(1).all(db)).await;
    let sql = "SELECT id, kind, size, heat, other_kind FROM drink ORDER BY id";
    let raw = sea_orm::Statement::from_string(dialect(run.backend), sql);
    run.step("raw", Entity::find().from_raw_sql(raw).all(db)).await;
    Ok(())
}

#[tokio::test]
async fn a_value_that_is_no_variant_is_refused_alike() {
    same_on_connections!(tables, no_variant);
}

async fn no_variant(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    run.step("insert", drink(Kind::Coffee, None, Some(Heat::Hot)).insert(db)).await;
    let native = db.execute_unprepared("UPDATE drink SET kind = 'gin'").await.map(drop);
    // SQLite's column is text: it takes it, and nobody can read it.
    assert_eq!(native.is_ok(), run.is(Backend::Sqlite));
    run.note("written", &native);
    run.note("read", &Entity::find().all(db).await);
    let back = "UPDATE drink SET kind = 'green'";
    run.step("mended", async { db.execute_unprepared(back).await.map(drop) }).await;
    let unknown = "UPDATE drink SET heat = 7";
    db.execute_unprepared(unknown).await?;
    let refused = Entity::find().all(db).await;
    run.note("no such heat", &refused);
    assert!(matches!(refused, Err(DbErr::Type(_))), "{refused:?}");
    let mended = "UPDATE drink SET heat = 0";
    run.step("mended again", async { db.execute_unprepared(mended).await.map(drop) }).await;
    Ok(())
}
