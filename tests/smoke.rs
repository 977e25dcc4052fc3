mod support;
use sea_orm::*;
use support::*;
use sea_orm_cache::prelude::*;

#[tokio::test]
async fn smoke() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let db = &shop.db;
    let list = || book::Entity::find().filter(book::Column::AuthorId.eq(1)).order_by_asc(book::Column::Id).cached(TTL);
    for _ in 0..2 { println!("{:?}", list().all(db).await?.len()); }
    println!("{:?}", book::Entity::find_by_id(3).cached(TTL).one(db).await?);
    println!("{:?}", review::Entity::find().filter(review::Column::BookId.eq(1)).cached(TTL).count(db).await?);
    book::ActiveModel { id: Set(1), price: Set(150), ..Default::default() }.update(db).await?;
    list().all(db).await?;
    review::Entity::delete_by_id(2).exec(db).await?;
    println!("{:?}", review::Entity::find().filter(review::Column::BookId.eq(1)).cached(TTL).count(db).await?);
    db.transaction::<_, (), DbErr>(|t| Box::pin(async move {
        author::ActiveModel { name: Set("X".into()), ..Default::default() }.insert(t).await?;
        author::Entity::delete_by_id(1).exec(t).await?;
        Ok(())
    })).await.unwrap();
    list().all(db).await?;
    shop.sql("UPDATE book SET price = price + 1 WHERE genre = 1").await?;
    shop.sql("CREATE TABLE foo (id INTEGER PRIMARY KEY)").await?;
    println!("{}", db.explain(&book::Entity::find().filter(book::Column::Genre.eq(1)).order_by_desc(book::Column::Price).limit(20)));
    println!("{}", db.explain(&book::Entity::delete_by_id(1)));
    for line in shop.log.take() { println!("{line}"); }
    println!("{:?}", shop.cache.stats());
    Ok(())
}
