//! SQL that is written by hand, and changes of the schema.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{
    FromQueryResult, JsonValue, QueryOrder, QueryResult, Schema, Statement, TransactionSession,
    TransactionTrait, Value, raw_sql,
};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::{Db, dialect};

#[tokio::test]
async fn raw_reads_are_answered() {
    same_on_connections!(watched, reads);
}

#[tokio::test]
async fn raw_reads_are_answered_in_a_transaction() {
    same_in_transactions!(watched, reads);
}

#[tokio::test]
async fn raw_writes_are_noticed() {
    same_on_connections!(watched, writes);
}

#[tokio::test]
async fn raw_writes_are_noticed_in_a_transaction() {
    same_in_transactions!(watched, writes);
}

#[tokio::test]
async fn the_schema_may_change() {
    same_on_connections!(watched, schema);
}

/// The text with the placeholders of the database.
fn statement<const N: usize>(run: &Run<'_>, sql: &str, values: [Value; N]) -> Statement {
    let sql = (1..=N).fold(sql.to_owned(), |sql, index| {
        let native = if run.is(Backend::Postgres) { format!("${index}") } else { "?".into() };
        sql.replacen(":p", &native, 1)
    });
    Statement::from_sql_and_values(dialect(run.backend), sql, values)
}

#[derive(Debug, FromQueryResult)]
#[allow(dead_code, reason = "read by Debug")]
struct Offer {
    title: String,
    price: i32,
    #[sea_orm(nested)]
    at: Option<At>,
}

#[derive(Debug, FromQueryResult)]
#[allow(dead_code, reason = "read by Debug")]
struct At {
    #[sea_orm(alias = "at_name")]
    name: String,
}

fn offers(rows: &[QueryResult]) -> Result<Vec<Offer>, DbErr> {
    rows.iter().map(|row| Offer::from_query_result(row, "")).collect()
}

async fn reads(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let offered = |least: i32| {
            let sql = "SELECT cake.name AS title, price, bakery.name AS at_name FROM cake \
                       LEFT JOIN bakery ON bakery.id = bakery_id WHERE price >= :p ORDER BY cake.id";
            statement(run, sql, [least.into()])
        };
        let all = run.step("all", Offer::find_by_statement(offered(0)).all(db)).await;
        assert_eq!(all.len(), 7 - round);
        run.step("one", Offer::find_by_statement(offered(900)).one(db)).await;
        run.step("none", Offer::find_by_statement(offered(90_000)).one(db)).await;
        run.step("JSON", JsonValue::find_by_statement(offered(400)).all(db)).await;
        let rows = async { offers(&db.query_all_raw(offered(500)).await?) };
        run.step("rows", rows).await;
        let row = async {
            offers(&db.query_one_raw(offered(500)).await?.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(run.step("row", row).await.len(), 1);
        let models =
            || statement(run, "SELECT * FROM cake WHERE name LIKE :p ORDER BY id", ["%pie".into()]);
        run.step("models", cake::Entity::find().from_raw_sql(models()).all(db)).await;
        let pages = cake::Entity::find().from_raw_sql(models()).paginate(db, 1);
        run.step("pages", pages.fetch_page(round as u64)).await;
        by_macro(db, run).await;
        if round == 0 {
            run.step("a cake goes", cake::Entity::delete_by_id(1).exec(db)).await;
        }
    }
    Ok(())
}

async fn by_macro(db: &impl Db, run: &Run<'_>) {
    let (least, ids) = (300, [2, 3, 4]);
    let statement = match run.backend {
        Backend::Sqlite => raw_sql!(
            Sqlite,
            "SELECT * FROM cake WHERE price > {least} AND id IN ({..ids}) ORDER BY id"
        ),
        Backend::Postgres => raw_sql!(
            Postgres,
            "SELECT * FROM cake WHERE price > {least} AND id IN ({..ids}) ORDER BY id"
        ),
        Backend::MySql => raw_sql!(
            MySql,
            "SELECT * FROM cake WHERE price > {least} AND id IN ({..ids}) ORDER BY id"
        ),
    };
    let found = run.step("macro", cake::Entity::find().from_raw_sql(statement).all(db)).await;
    assert_eq!(found.len(), 3);
}

async fn writes(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for sql in [
        "INSERT INTO cake (name, price, vegan, bakery_id) VALUES ('icing', 900, false, 2)",
        "INSERT INTO shift (cake_id, baker_id, hours) SELECT id, 1, 6 FROM cake WHERE price > 1000 AND id < 6",
        "UPDATE cake SET price = price + 50 WHERE bakery_id IN (SELECT id FROM bakery WHERE margin > 0.2)",
        "UPDATE bakery SET city = 'Rome' WHERE id = 2",
        "UPDATE cake SET bakery_id = 2 WHERE id = 6",
        "DELETE FROM shift WHERE hours < 3",
        "DELETE FROM bakery WHERE name = 'Ada''s'",
    ] {
        let done = async { db.execute_unprepared(sql).await.map(|done| done.rows_affected()) };
        assert!(run.step(sql, done).await > 0, "{sql}");
    }
    let insert = "INSERT INTO baker (name, bakery_id) VALUES (:p, :p)";
    let insert = statement(run, insert, ["Bix".into(), 2.into()]);
    let done = async { db.execute_raw(insert).await.map(|done| done.rows_affected()) };
    run.step("insert", done).await;
    let update = "UPDATE cake SET price = :p, name = :p WHERE id = :p";
    let update = statement(run, update, [1.into(), "crumb".into(), 4.into()]);
    let done = async { db.execute_raw(update).await.map(|done| done.rows_affected()) };
    assert_eq!(run.step("update", done).await, 1);
    let crumb = run.reads("crumb", db, || cake::Entity::find_by_id(4)).await;
    assert_eq!(crumb[0].price, 1);
    Ok(())
}

/// What comes and goes: an index, a column, a table, and a view.
async fn schema(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let index =
        Index::create().name("by_price").table(cake::Entity).col(cake::Column::Price).take();
    run.step("an index", done(db.execute(&index))).await;
    let column = Table::alter()
        .table(cake::Entity)
        .add_column(ColumnDef::new("layers").integer().not_null().default(3))
        .take();
    run.step("a column", done(db.execute(&column))).await;
    run.step("use it", done(db.execute_unprepared("UPDATE cake SET layers = id, price = id")))
        .await;
    let layers = statement(run, "SELECT sum(layers) FROM cake WHERE id < :p", [9.into()]);
    let row = db.query_one_raw(layers).await?.expect("a row");
    run.note("layers", &row.try_get_by_index::<i64>(0).map_err(|error| error.to_string()));

    let table = Schema::new(dialect(run.backend)).create_table_from_entity(fair::Entity);
    run.step("a table", done(db.execute(&table))).await;
    let fair = fair::ActiveModel { name: sea_orm::Set("May".into()), ..Default::default() };
    run.step("a row", fair.insert(db)).await;
    run.reads("the row", db, fair::Entity::find).await;
    let renamed = "UPDATE fair SET name = 'June'";
    run.step("a change", done(db.execute_unprepared(renamed))).await;
    let fairs = run.reads("the row", db, fair::Entity::find).await;
    assert_eq!(fairs[0].name, "June");
    let transaction = db.begin().await?;
    run.step("begin again", done(transaction.execute_unprepared("DELETE FROM fair"))).await;
    run.step("with nothing", transaction.commit()).await;
    assert!(run.reads("no row", db, fair::Entity::find).await.is_empty());
    let gone = Table::drop().table(fair::Entity).take();
    run.step("drop it", done(db.execute(&gone))).await;
    let ordered = fair::Entity::find().order_by_asc(fair::Column::Id);
    run.fails("it is gone", ordered.all(db)).await;
    Ok(())
}

async fn done(work: impl Future<Output = Result<sea_orm::ExecResult, DbErr>>) -> Result<(), DbErr> {
    work.await.map(drop)
}

mod fair {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "fair")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
