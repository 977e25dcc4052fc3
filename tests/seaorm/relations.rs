//! Related entities, one by one and loaded together, over one table and over several.

use sea_orm::entity::prelude::*;
use sea_orm::{
    IntoActiveModel, JoinType, LoaderTrait, QueryOrder, QuerySelect, RelationTrait, Set,
    TransactionTrait,
};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::world::{Db, Tables};

#[tokio::test]
async fn related_entities_are_found() {
    same_on_connections!(watched, related);
}

#[tokio::test]
async fn related_entities_are_found_in_a_transaction() {
    same_in_transactions!(watched, related);
}

#[tokio::test]
async fn loaders_load_what_belongs_together() {
    same_on_connections!(watched, loaders);
}

#[tokio::test]
async fn loaders_load_in_a_transaction() {
    same_in_transactions!(watched, loaders);
}

#[tokio::test]
async fn links_lead_over_several_tables() {
    same_on_connections!(watched, links);
}

#[tokio::test]
async fn links_lead_over_several_tables_in_a_transaction() {
    same_in_transactions!(watched, links);
}

#[tokio::test]
async fn a_table_is_joined_to_itself() {
    same_on_connections!(people, self_joins);
}

#[tokio::test]
async fn a_table_is_joined_to_itself_in_a_transaction() {
    same_in_transactions!(people, self_joins);
}

fn cakes() -> Select<cake::Entity> {
    cake::Entity::find().order_by_asc(cake::Column::Id)
}

fn bakeries() -> Select<bakery::Entity> {
    bakery::Entity::find().order_by_asc(bakery::Column::Id)
}

fn bakers() -> Select<baker::Entity> {
    baker::Entity::find().order_by_asc(baker::Column::Id)
}

async fn related(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        for bakery in bakeries().all(db).await? {
            let own = || bakery.find_related(cake::Entity).order_by_asc(cake::Column::Id);
            run.reads("its cakes", db, own).await;
        }
        for cake in cakes().all(db).await? {
            run.reads("its bakery", db, || cake.find_related(bakery::Entity)).await;
            let bakers = || cake.find_related(baker::Entity).order_by_asc(baker::Column::Id);
            run.reads("its bakers", db, bakers).await;
        }
        let also = cakes().find_also_related(bakery::Entity);
        run.step("also the bakery", also.all(db)).await;
        let first = cakes().find_also_related(bakery::Entity).one(db);
        assert!(run.step("the first", first).await.is_some());
        let with = bakeries().find_with_related(cake::Entity).order_by_asc(cake::Column::Id);
        let with = run.step("with cakes", with.all(db)).await;
        assert_eq!(with.len(), 3);
        let many = bakers().find_with_related(cake::Entity).order_by_asc(cake::Column::Id);
        run.step("bakers with cakes", many.all(db)).await;
        let both = cakes().find_both_related(bakery::Entity);
        run.step("both", both.all(db)).await;
        let three = cakes().find_also_related(bakery::Entity).find_also_related(baker::Entity);
        let three = three.order_by_asc(baker::Column::Id);
        run.step("three", three.all(db)).await;
        if round == 0 {
            change_hands(db, run).await;
        }
    }
    Ok(())
}

/// A cake moves, a shift begins, another ends.
async fn change_hands(db: &impl Db, run: &Run<'_>) {
    let moved = cake::ActiveModel { id: Set(2), bakery_id: Set(Some(3)), ..Default::default() };
    run.step("a cake moves", moved.update(db)).await;
    run.step("a shift begins", shift(2, 3, 3).insert(db)).await;
    run.step("a shift ends", shift::Entity::delete_by_id((1, 2)).exec(db)).await;
}

async fn loaders(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let (cakes_, bakeries_) = (cakes().all(db).await?, bakeries().all(db).await?);
        let one = run.step("load one", cakes_.load_one(bakery::Entity, db)).await;
        assert!(one[0].is_some() && one[4].is_none());
        let rich = bakery::Entity::find().filter(bakery::Column::Margin.gt(0.3));
        run.step("load one of some", cakes_.load_one(rich, db)).await;
        let many = run.step("load many", bakeries_.load_many(cakes(), db)).await;
        assert!(many.iter().all(|cakes| !cakes.is_empty()));
        let dear = cakes().filter(cake::Column::Price.gt(400));
        run.step("load many of some", bakeries_.load_many(dear, db)).await;
        run.step("through shifts", cakes_.load_many(bakers(), db)).await;
        let through = cakes_.load_many_to_many(bakers(), shift::Entity, db);
        run.step("the older way", through).await;
        let none: Vec<cake::Model> = Vec::new();
        run.step("of none", none.load_one(bakery::Entity, db)).await;
        if round == 0 {
            change_hands(db, run).await;
        }
    }
    Ok(())
}

async fn links(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    use baker::WhereTheCakesAreSold;
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        for baker in bakers().all(db).await? {
            let sold = || baker.find_linked(WhereTheCakesAreSold).order_by_asc(bakery::Column::Id);
            run.reads("where", db, sold).await;
        }
        let also = bakers().find_also_linked(WhereTheCakesAreSold);
        let also = also.all(db).await?;
        assert!(also.iter().any(|(_, bakery)| bakery.is_some()));
        let mut also: Vec<_> = also.iter().map(|row| format!("{row:?}")).collect();
        // The link's alias can't be sorted by, so the rows come in any order.
        also.sort();
        run.note("also linked", &also);
        let with = bakers().find_with_linked(WhereTheCakesAreSold).all(db).await?;
        let with: Vec<_> = with.iter().map(|(baker, all)| (&baker.name, all.len())).collect();
        run.note("with linked", &with);
        let joined = || {
            bakers()
                .join(JoinType::InnerJoin, shift::Relation::Baker.def().rev())
                .join(JoinType::InnerJoin, shift::Relation::Cake.def())
                .filter(cake::Column::Price.gt(900))
                .distinct()
        };
        run.reads("joined by hand", db, joined).await;
        if round == 0 {
            change_hands(db, run).await;
        }
    }
    Ok(())
}

mod person {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        pub boss_id: Option<Uuid>,
        #[sea_orm(self_ref, relation_enum = "Boss", from = "boss_id", to = "id")]
        pub boss: BelongsTo<Option<Entity>>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    pub struct ToTheBoss;

    impl Linked for ToTheBoss {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Boss.def()]
        }
    }

    pub struct ToTheBossOfTheBoss;

    impl Linked for ToTheBossOfTheBoss {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Boss.def(), Relation::Boss.def()]
        }
    }
}

fn people(tables: Tables) -> Tables {
    tables.add(person::Entity).watch(those_who_have_a_boss)
}

fn by_name() -> Select<person::Entity> {
    person::Entity::find().order_by_asc(person::Column::Name)
}

fn those_who_have_a_boss() -> Select<person::Entity> {
    by_name().filter(person::Column::BossId.is_not_null())
}

fn person(id: u128, name: &str, boss: Option<u128>) -> person::Model {
    person::Model { id: Uuid::from_u128(id), name: name.into(), boss_id: boss.map(Uuid::from_u128) }
}

async fn self_joins(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    use person::{ToTheBoss, ToTheBossOfTheBoss};
    for new in [person(1, "Ann", None), person(2, "Bo", Some(1)), person(3, "Cy", Some(2))] {
        run.step("insert", new.into_active_model().insert(db)).await;
    }
    for round in 0..2 {
        for one in by_name().all(db).await? {
            run.reads("boss", db, || one.find_linked(ToTheBoss)).await;
            run.reads("boss of the boss", db, || one.find_linked(ToTheBossOfTheBoss)).await;
        }
        let also = run.step("also", by_name().find_also_linked(ToTheBoss).all(db)).await;
        assert_eq!(also.iter().filter(|(_, boss)| boss.is_some()).count(), 2);
        let all = by_name().all(db).await?;
        let bosses = all.load_self(person::Entity, person::Relation::Boss, db);
        run.step("load the bosses", bosses).await;
        let staff = all.load_self_many(by_name(), person::Relation::Boss, db);
        run.step("load the staff", staff).await;
        if round == 0 {
            let moved = person(3, "Cy", Some(1)).into_active_model().reset_all();
            run.step("Cy gets another boss", moved.update(db)).await;
        }
    }
    Ok(())
}
