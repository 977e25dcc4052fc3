//! The statements, written once for a store.

use super::dialect::Dialect;
use super::schema::Names;

/// Statements of which only the values change, so that they are prepared once.
#[derive(Debug)]
pub(super) struct Sql {
    /// The entry that the caller has, or nothing; a key.
    pub(super) get: String,
    /// The key of an entry; a list of tags.
    pub(super) look: String,
    /// A version; how long it is kept; a list of tags.
    pub(super) create: String,
    /// A tag; who blocks it, behind a comma; for how long.
    pub(super) block: String,
    /// Key, name, epoch, tags and versions, checksum, TTL, what is left of it, size, value.
    pub(super) put: String,
    /// A key.
    pub(super) remove: String,
    /// A name for a history that has none.
    pub(super) begin_epoch: String,
    pub(super) now: String,
    pub(super) cells: CellSql,
}

/// The same for single values, leases and locks.
#[derive(Debug)]
pub(super) struct CellSql {
    /// A key; tells the value, what is left of it, the holder, the token, whether the holder's time
    /// goes on, the database's clock, and the number that the value is.
    pub(super) find: String,
    /// Key, value, number, its time, who holds it, for how long, token, how long all of it is kept, size.
    pub(super) insert: String,
    /// Value, number, its time, how long the row is kept, size; a key.
    pub(super) set: String,
    /// The same, where nothing is.
    pub(super) set_absent: String,
    /// The same, for who has the right.
    pub(super) set_leased: String,
    /// What is added; a key; the least and the greatest number that it may be added to.
    pub(super) add: String,
    /// Time to live, twice; a key.
    pub(super) touch: String,
    /// A key.
    pub(super) delete_value: String,
    pub(super) delete_rest: String,
    /// A token, time, twice; a key.
    pub(super) share: String,
    /// The same, where nobody has it.
    pub(super) take: String,
    /// Who has it from now on, for how long, twice; a key; who had it.
    pub(super) hand_over: String,
    /// A key; who has it.
    pub(super) give_back: String,
    /// New token, for how long, how long it is kept; a key, the last token.
    pub(super) lock: String,
    /// A key, a token.
    pub(super) unlock: String,
}

/// What a put sets, beside the key.
const ENTRY: [&str; 6] = ["fill", "epoch", "checksum", "ttl_ms", "ends_at", "size"];

impl Sql {
    /// `boot`: see the module's words on epochs.
    pub(super) fn new(names: &Names, boot: &str) -> Self {
        let Names { dialect, entries, versions, epoch, .. } = names;
        let (dialect, now) = (*dialect, names.dialect.now());
        let history = dialect.epoch(epoch, boot);
        let here = format!(
            "e.id = ? AND e.ends_at > {now} AND e.epoch = {history} AND {}",
            dialect.is_valid(versions)
        );
        let (insert, end) = dialect.insert_missing();
        let (from, tag) = dialect.listed();
        let (mark, read) = dialect.version();
        let own = dialect.dependency_columns();
        let columns: Vec<_> = ENTRY.iter().chain(own).chain(&["body"]).copied().collect();
        let blockers = dialect.join(
            &format!(
                "CASE WHEN {versions}.ends_at > {now} \
                 THEN REPLACE(COALESCE({versions}.blockers, ''), {new}, '') ELSE '' END",
                new = dialect.new_value("blockers")
            ),
            &dialect.new_value("blockers"),
        );
        let replace = dialect.or_replace(&["version", "ends_at"]);
        // The blockers first: where the order counts, it is to see the old end.
        let block = replace.replacen("version =", &format!("blockers = {blockers}, version ="), 1);
        let block = block.replacen("(id)", "(tag)", 1);
        let state = format!(
            "CASE WHEN v.version IS NOT NULL THEN 0 \
             WHEN v.blockers <> '' AND v.ends_at > {now} THEN 1 ELSE 2 END"
        );
        let number = if dialect == Dialect::MySql { "SIGNED" } else { "bigint" };
        let numbered = |sql: String| dialect.numbered(&sql);
        Self {
            get: numbered(format!(
                "SELECT e.fill, e.epoch, {tags}, e.checksum, e.ttl_ms, e.ends_at - {now}, \
                 CASE WHEN e.fill = ? THEN NULL ELSE e.body END FROM {entries} e WHERE {here}",
                tags = dialect.tags_text()
            )),
            look: numbered(format!(
                "SELECT h.epoch, h.there, v.tag, v.version{read}, CAST({state} AS {number}), \
                 v.ends_at - {now} \
                 FROM (SELECT {history} AS epoch, \
                 (SELECT COUNT(*) FROM {entries} e WHERE {here}) AS there) h \
                 LEFT JOIN ({from} JOIN {versions} v ON v.tag = {tag}) ON 1 = 1"
            )),
            create: numbered(format!(
                "{insert} {versions} (tag, version, ends_at) \
                 SELECT {tag}, {mark}, {now} + ? FROM {from}{end}"
            )),
            block: numbered(format!(
                "INSERT INTO {versions} (tag, version, blockers, ends_at) \
                 VALUES (?, NULL, ?, {now} + ?){block}"
            )),
            put: numbered(format!(
                "INSERT INTO {entries} (id, fill, epoch, {own}, checksum, ttl_ms, ends_at, size, \
                 body) VALUES (?, ?, ?, {marks}, ?, ?, {now} + ?, ?, ?){replace}",
                own = own.join(", "),
                marks = dialect.dependency_marks(),
                replace = dialect.or_replace(&columns)
            )),
            remove: numbered(format!("DELETE FROM {entries} WHERE id = ?")),
            begin_epoch: numbered(format!("{insert} {epoch} (n, id) VALUES (1, ?){end}")),
            now: format!("SELECT {now}"),
            cells: CellSql::new(names),
        }
    }
}

impl CellSql {
    fn new(names: &Names) -> Self {
        let (dialect, cells, now) = (names.dialect, &names.cells, names.dialect.now());
        let (insert, end) = dialect.insert_missing();
        let greatest = dialect.greatest();
        let numbered = |sql: String| dialect.numbered(&sql);
        // In this order: where each sees what those before it have set, nothing is asked that was.
        let write = format!(
            "UPDATE {cells} SET holder = NULL, held_until = 0, value = ?, number = ?, \
             value_until = {now} + ?, ends_at = {now} + ?, size = ? WHERE id = ?"
        );
        let (add, tell) = dialect.set_and_tell("number", "number + ?");
        let live = format!("value IS NOT NULL AND value_until > {now}");
        let number = match dialect {
            Dialect::MySql => "SIGNED",
            _ => "bigint",
        };
        Self {
            find: numbered(format!(
                "SELECT CASE WHEN value_until > {now} THEN value END, value_until - {now}, holder, \
                 token, CAST(CASE WHEN held_until > {now} THEN 1 ELSE 0 END AS {number}), {now}, \
                 number FROM {cells} WHERE id = ?"
            )),
            insert: numbered(format!(
                "{insert} {cells} (id, value, number, value_until, holder, held_until, token, ends_at, \
                 size) VALUES (?, ?, ?, {now} + ?, ?, {now} + ?, ?, {now} + ?, ?){end}"
            )),
            set: numbered(write.clone()),
            set_absent: numbered(format!("{write} AND NOT ({live})")),
            set_leased: numbered(format!("{write} AND holder = ? AND held_until > {now}")),
            add: numbered(format!(
                "UPDATE {cells} SET holder = NULL, held_until = 0, {add} \
                 WHERE id = ? AND {live} AND number BETWEEN ? AND ?{tell}"
            )),
            touch: numbered(format!(
                "UPDATE {cells} SET value_until = {now} + ?, \
                 ends_at = {greatest}(held_until, {now} + ?) WHERE id = ? AND {live}"
            )),
            delete_value: numbered(format!("DELETE FROM {cells} WHERE id = ? AND {live}")),
            delete_rest: numbered(format!("DELETE FROM {cells} WHERE id = ? AND NOT ({live})")),
            share: numbered(format!(
                "UPDATE {cells} SET holder = CASE WHEN held_until > {now} AND holder IS NOT NULL \
                 THEN holder ELSE ? END, held_until = {now} + ?, \
                 ends_at = {greatest}(ends_at, {now} + ?) WHERE id = ?"
            )),
            take: numbered(format!(
                "UPDATE {cells} SET holder = ?, held_until = {now} + ?, ends_at = {now} + ? \
                 WHERE id = ? AND held_until <= {now}"
            )),
            hand_over: numbered(format!(
                "UPDATE {cells} SET holder = ?, held_until = {now} + ?, ends_at = {now} + ? \
                 WHERE id = ? AND holder = ?"
            )),
            give_back: numbered(format!("DELETE FROM {cells} WHERE id = ? AND holder = ?")),
            lock: numbered(format!(
                "UPDATE {cells} SET token = ?, held_until = {now} + ?, ends_at = {now} + ? \
                 WHERE id = ? AND token = ? AND held_until <= {now}"
            )),
            unlock: numbered(format!(
                "UPDATE {cells} SET held_until = 0 WHERE id = ? AND token = ? AND held_until > {now}"
            )),
        }
    }
}
