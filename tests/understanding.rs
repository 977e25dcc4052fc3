//! What SQL texts are understood to depend on and to change, on the bookshop's schema.

mod support;

use sea_orm::{DbBackend, Statement, Value};
use support::*;

async fn explain(shop: &Shop, sql: &str, values: Vec<Value>) -> sea_orm_cache::Explanation {
    shop.cache.explain_statement(&Statement::from_sql_and_values(DbBackend::Sqlite, sql, values))
}

async fn tags(shop: &Shop, sql: &str) -> String {
    let explanation = explain(shop, sql, Vec::new()).await;
    if let Some(reason) = explanation.uncacheable() {
        return format!("uncached: {reason}");
    }
    let mut tags: Vec<_> = explanation.tags().iter().map(ToString::to_string).collect();
    tags.sort();
    tags.join(" ")
}

#[tokio::test]
async fn a_read_depends_on_what_decides_its_result() {
    let shop = Shop::new().await;
    let cases = [
        // By rows, bounded by the slice; quoting, case, aliases and schema names are the same.
        (
            "SELECT * FROM book WHERE author_id = 7",
            "* book* book+author_id=* book+author_id=7 book:pk=*",
        ),
        (
            "SELECT b.* FROM \"BOOK\" b WHERE b.[author_id] = 7",
            "* book* book+author_id=* book+author_id=7 book:pk=*",
        ),
        (
            "SELECT `book`.* FROM main.book WHERE 7 = (author_id)",
            "* book* book+author_id=* book+author_id=7 book:pk=*",
        ),
        // A filter and an order by plain columns.
        (
            "SELECT * FROM book WHERE price < 5 ORDER BY stock",
            "* book#price book#stock book* book+ book:pk=*",
        ),
        (
            "SELECT id, title AS t FROM book ORDER BY t LIMIT 3",
            "* book#title book* book+ book:pk=*",
        ),
        ("SELECT id, price FROM book ORDER BY 2", "* book#price book* book+ book:pk=*"),
        (
            "SELECT * FROM book WHERE author_id IN (1, 2)",
            "* book* book+author_id=* book+author_id=1 book+author_id=2 book:pk=*",
        ),
        (
            "SELECT * FROM book WHERE author_id IS NULL",
            "* book* book+author_id=* book+author_id=NULL book:pk=*",
        ),
        // OR bounds nothing.
        (
            "SELECT * FROM book WHERE author_id = 1 OR price = 2",
            "* book#author_id book#price book* book+ book:pk=*",
        ),
        // A value that is equal under another type has no canonical form.
        ("SELECT * FROM book WHERE author_id = '7'", "* book#author_id book* book+ book:pk=*"),
        ("SELECT * FROM book WHERE author_id = 7.0", "* book#author_id book* book+ book:pk=*"),
        // By columns: counts, aggregates, offsets, DISTINCT, no primary key.
        (
            "SELECT COUNT(*) FROM book WHERE author_id = 7",
            "* book* book+author_id=* book+author_id=7 book-author_id=* book-author_id=7",
        ),
        (
            "SELECT COUNT(*) FROM (SELECT id, title FROM book WHERE author_id = 7) q",
            "* book* book+author_id=* book+author_id=7 book-author_id=* book-author_id=7",
        ),
        ("SELECT SUM(stock) FROM book", "* book#stock book* book+ book-"),
        (
            "SELECT id, title FROM book ORDER BY price LIMIT 2 OFFSET 2",
            "* book#price book#title book* book+ book-",
        ),
        ("SELECT DISTINCT id FROM book", "* book* book+ book-"),
        ("SELECT title FROM book", "* book#title book* book+ book-"),
        (
            "SELECT id, row_number() OVER (ORDER BY price) FROM book",
            "* book#price book* book+ book-",
        ),
        // Joins: an ON bounds both sides of an inner join, the right side of a left one.
        (
            "SELECT b.id, a.id FROM book b JOIN author a ON a.id = b.author_id AND b.genre = 3",
            "* author* author+ author:pk=* book#author_id¦genre=* book#author_id¦genre=3 book* book+genre=* book+genre=3 book:pk=*",
        ),
        (
            "SELECT b.id, a.id FROM book b LEFT JOIN author a ON a.id = b.author_id AND b.genre = 3",
            "* author* author+ author- author:pk=* book#author_id book#genre book* book+ book:pk=*",
        ),
        // The anti-join: IS NULL says nothing about the nullable side.
        (
            "SELECT b.id FROM book b LEFT JOIN review r ON r.book_id = b.id WHERE r.id IS NULL",
            "* book* book+ book:pk=* review#book_id review* review+ review-",
        ),
        (
            "SELECT a.id, b.id FROM book a JOIN book b ON a.genre = b.genre",
            "* book#genre book* book+ book-",
        ),
        // Subqueries anywhere.
        (
            "SELECT * FROM book WHERE id IN (SELECT book_id FROM review WHERE rating = 5)",
            "* book* book+ book:pk=* review#book_id review#rating review* review+ review-",
        ),
        (
            "SELECT * FROM author WHERE NOT EXISTS (SELECT 1 FROM book WHERE author_id = author.id AND genre = 2)",
            "* author* author+ author:pk=* book#author_id¦genre=* book#author_id¦genre=2 book* book+genre=* book+genre=2 book-genre=* book-genre=2",
        ),
        (
            "SELECT id, COALESCE((SELECT MAX(rating) FROM review WHERE book_id = book.id), 0) FROM book",
            "* book* book+ book:pk=* review#book_id review#rating review* review+ review-",
        ),
        (
            "SELECT id FROM book ORDER BY (SELECT COUNT(*) FROM review r WHERE r.book_id = book.id), id",
            "* book* book+ book:pk=* review#book_id review* review+ review-",
        ),
        (
            "SELECT b.id FROM book b JOIN author a ON a.id = (SELECT MIN(r.rating) FROM review r)",
            "* author* author+ author- book* book+ book:pk=* review#rating review* review+ review-",
        ),
        (
            "SELECT genre FROM book GROUP BY genre HAVING COUNT(*) > (SELECT COUNT(*) FROM author)",
            "* author* author+ author- book#genre book* book+ book-",
        ),
        // CTEs, set operations, views.
        (
            "WITH c AS (SELECT id, genre FROM book WHERE author_id = 1) SELECT genre FROM c",
            "* book#genre¦author_id=* book#genre¦author_id=1 book* book+author_id=* book+author_id=1 book-author_id=* book-author_id=1",
        ),
        (
            "SELECT id FROM book UNION SELECT id FROM author",
            "* author* author+ author- book* book+ book-",
        ),
        ("SELECT id FROM cheap WHERE genre = 1", "* book#genre book#price book* book+ book-"),
        // What can't be resolved makes it depend on the whole table: row ids, text in wrong quotes.
        ("SELECT rowid FROM book", "* book! book*"),
        ("SELECT * FROM book WHERE title = \"no such column\"", "* book! book*"),
        ("SELECT 1", "*"),
    ];
    for (sql, expected) in cases {
        assert_eq!(tags(&shop, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_may_change_by_itself_is_not_cached() {
    let shop = Shop::new().await;
    shop.sql("CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(x)").await.expect("fts5");
    let cases = [
        ("SELECT random()", "random()"),
        ("SELECT * FROM book WHERE price > abs(random())", "random()"),
        ("SELECT id FROM book WHERE title = strftime('%Y', 'now')", "strftime()"),
        ("SELECT CURRENT_TIMESTAMP", "current_timestamp"),
        ("SELECT my_function(id) FROM book", "my_function()"),
        ("SELECT last_insert_rowid()", "last_insert_rowid()"),
        ("SELECT * FROM f", "virtual"),
        ("SELECT * FROM sqlite_master", "sqlite_master"),
        ("SELECT * FROM pragma_table_info('book')", "pragma_table_info"),
        ("SELECT * FROM other.book", "other.book"),
        ("SELECT * FROM nothing", "nothing"),
        ("SELECT * FROM book FOR UPDATE", "lock"),
        ("SELEC * FROM book", "bumps everything"),
        ("SELECT * FROM (book", "not understood"),
        ("SELECT * FROM book; SELECT * FROM author", "not a plain query"),
        ("EXPLAIN SELECT * FROM book", "not a plain query"),
        ("PRAGMA table_info(book)", "not a plain query"),
    ];
    for (sql, expected) in cases {
        let text = explain(&shop, sql, Vec::new()).await.to_string();
        assert!(text.contains("not cached") || text.contains("bumps everything"), "{text}");
        assert!(text.to_lowercase().contains(expected), "{expected} in {text}");
    }
}

#[tokio::test]
async fn a_write_bumps_what_it_may_change() {
    let shop = Shop::new().await;
    let cases = [
        (
            "INSERT INTO review (id, book_id, rating) VALUES (9, 4, 5)",
            "review! review+ review+book_id=4 review+id=9",
        ),
        // A generated key is unknown, and so is an expression.
        (
            "INSERT INTO review (book_id, rating) VALUES (2 + 2, 5)",
            "review! review+ review+book_id=* review+id=*",
        ),
        ("INSERT INTO review VALUES (9, 4, 5)", "review! review+ review+book_id=4 review+id=9"),
        (
            "INSERT INTO review (book_id, rating) SELECT id, 5 FROM book",
            "review! review+ review+book_id=* review+id=*",
        ),
        (
            "INSERT INTO author (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING",
            "author! author+ author+id=1",
        ),
        (
            "INSERT INTO author (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y'",
            "author! author#name author#name¦id=1 author+ author+id=1 author:pk=1",
        ),
        (
            "REPLACE INTO review (id, book_id, rating) VALUES (1, 2, 3)",
            "review! review+ review+book_id=2 review+id=1 review- review-book_id=* review-id=1 review:pk=1",
        ),
        (
            "UPDATE author SET name = 'x' WHERE id = 2",
            "author! author#name author#name¦id=2 author:pk=2",
        ),
        (
            "UPDATE author AS a SET name = 'x' WHERE a.id IN (2, 3)",
            "author! author#name author#name¦id=2 author#name¦id=3 author:pk=2 author:pk=3",
        ),
        ("UPDATE author SET name = 'x'", "author! author#name author#name¦id=* author:pk=*"),
        (
            "UPDATE review SET book_id = 3 WHERE id = 1 AND book_id = 2",
            "review! review#book_id review#book_id¦book_id=3 review#book_id¦id=1 review+book_id=3 review-book_id=2 review:pk=1",
        ),
        (
            "DELETE FROM review WHERE id = 1",
            "review! review- review-book_id=* review-id=1 review:pk=1",
        ),
        (
            "DELETE FROM review WHERE book_id = 2",
            "review! review- review-book_id=2 review-id=* review:pk=*",
        ),
        // A cascade of two steps: the children of a known parent are a slice, theirs are unknown.
        (
            "DELETE FROM author WHERE id = 1",
            "author! author- author-id=1 author:pk=1 \
             book! book- book-author_id=1 book-genre=* book-id=* book:pk=* \
             review! review- review-book_id=* review-id=* review:pk=*",
        ),
        ("UPDATE author SET rowid = 3", "author! author* book! book* review! review*"),
        (
            "UPDATE author SET name = 'x' WHERE id = 1; DELETE FROM review WHERE id = 1",
            "author! author#name author#name¦id=1 author:pk=1 review! review- review-book_id=* review-id=1 review:pk=1",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(tags(&shop, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_is_not_understood_bumps_everything() {
    let shop = Shop::new().await;
    let texts = [
        "UPDATE nothing SET a = 1",
        "UPDATE other.book SET price = 1",
        "CREATE TABLE x (id)",
        "DROP TABLE review",
        "ALTER TABLE book ADD COLUMN y",
        "ATTACH DATABASE 'x.db' AS other",
        "PRAGMA foreign_keys = OFF",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "frobnicate the books",
        "UPDATE book SET price = 1; frobnicate",
        "SELECT 1; frobnicate",
        "WITH x AS (SELECT 1) frobnicate",
    ];
    for sql in texts {
        let text = explain(&shop, sql, Vec::new()).await.to_string();
        assert!(text.contains("bumps everything"), "{text}");
    }
}

#[tokio::test]
async fn parameters_count_like_literals_of_their_own_type() {
    let shop = Shop::new().await;
    let sql = "SELECT * FROM book WHERE price < ? AND author_id = ? AND genre = ?";
    for (value, bounded) in [
        (Value::Int(Some(7)), true),
        (Value::BigUnsigned(Some(7)), true),
        (Value::Int(None), true),
        (Value::String(Some("7".into())), false),
        (Value::Double(Some(7.0)), false),
        (Value::BigUnsigned(Some(u64::MAX)), false),
    ] {
        let values = vec![Value::Int(Some(1)), value.clone(), Value::Double(Some(1.0))];
        let text = explain(&shop, sql, values).await.to_string();
        assert_eq!(text.contains("book+author_id="), bounded, "{value:?}: {text}");
    }
}
