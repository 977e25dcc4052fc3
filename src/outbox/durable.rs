//! Bumps that a transaction of ours owes, noted by that transaction itself.
//!
//! The note is taken out again once the bump is done and delivered. What is left of a process that
//! died is done by whoever listens.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::row::{Note, now_ms};
use super::tables::placeholder;
use crate::change::Bump;
use crate::fate::has_not_written;
use crate::key::{PROTOCOL, hex};
use crate::shared::Under;
use crate::store::{Unique, unique};
use crate::tag::TagId;

/// A note that is to be taken out.
#[derive(Debug)]
pub(crate) struct Owed(pub(super) String);

/// Notes what a transaction owes, as part of it; `None` if it turns out that it has written nothing.
pub(super) async fn owe(
    conn: &impl ConnectionTrait,
    outbox: &str,
    me: &str,
    bump: &Bump,
    schema: Option<Unique>,
) -> Result<Option<Owed>, DbErr> {
    let backend = conn.get_database_backend();
    // Of none of its statements it is known that it wrote.
    let perhaps = bump.tables.is_empty();
    // PostgreSQL would undo all of it with the note.
    if perhaps && backend == DbBackend::Postgres && only_reads(conn).await? {
        return Ok(None);
    }
    match note(conn, outbox, me, &bump.ids, schema).await {
        Err(error) if perhaps && has_not_written(&error, backend) => Ok(None),
        owed => owed.map(Some),
    }
}

/// May this transaction of PostgreSQL's not write anything?
async fn only_reads(conn: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let sql = "SELECT current_setting('transaction_read_only') = 'on'";
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}

async fn note(
    conn: &impl ConnectionTrait,
    outbox: &str,
    me: &str,
    ids: &[TagId],
    schema: Option<Unique>,
) -> Result<Owed, DbErr> {
    let backend = conn.get_database_backend();
    let schema = schema.map_or_else(|| "-".to_owned(), |version| hex(&version));
    let ids: String = ids.iter().map(|id| format!("{:016x}", id.0)).collect();
    let id = uuid();
    let (column, value) = match backend {
        DbBackend::Postgres => ("id, ", format!("'{id}', ")),
        _ => ("", String::new()),
    };
    let places: Vec<_> = (1..=3).map(|number| placeholder(backend, number)).collect();
    let sql = format!(
        "INSERT INTO {outbox} ({column}table_name, operation, row_before, row_after, created_ms) \
         VALUES ({value}{}, 'B', {}, {}, {})",
        places[0],
        places[1],
        places[2],
        now_ms(backend)
    );
    let values = [me.into(), format!("{PROTOCOL}:{schema}").into(), ids.into()];
    let done = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(Owed(match backend {
        DbBackend::Postgres => id,
        _ => done.last_insert_id().to_string(),
    }))
}

/// What a note says is to be bumped, and under which schema that was found. What can't be read is
/// everything.
pub(super) fn read(note: &Note) -> (Vec<TagId>, Under) {
    let everything = (vec![TagId::all()], Under::Any);
    let parts = || {
        let (protocol, schema) = note.before.as_deref()?.split_once(':')?;
        if protocol != PROTOCOL.to_string() {
            return None;
        }
        let schema = match schema {
            "-" => None,
            hex => Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes()),
        };
        let text = note.after.as_deref().filter(|text| text.is_ascii())?;
        let id = |at: usize| u64::from_str_radix(text.get(at..at + 16)?, 16).ok().map(TagId);
        let ids = (0..text.len()).step_by(16).map(id).collect::<Option<Vec<_>>>()?;
        Some((ids, Under::Schema(schema)))
    };
    parts().unwrap_or(everything)
}

/// Sixteen bytes that no process ever had before, spelled as PostgreSQL spells them.
fn uuid() -> String {
    let text = hex(&unique());
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}

#[cfg(all(test, not(feature = "__shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_can_not_be_read_is_everything() {
        let note = |before: &str, after: &str| Note {
            id: "1".into(),
            table: "x".into(),
            operation: "B".into(),
            before: Some(before.into()),
            after: Some(after.into()),
            changed: None,
            created_ms: 0,
        };
        let good = format!("{PROTOCOL}:{}", hex(&[7; 16]));
        let (ids, under) = read(&note(&good, "00000000000000ff0000000000000001"));
        assert_eq!(ids, [TagId(255), TagId(1)]);
        assert!(matches!(under, Under::Schema(Some(version)) if version == [7; 16]));
        for (before, after) in
            [("0:-", "00"), (&*good, "xyz"), ("", ""), (&*good, "00000000000000fü")]
        {
            assert_eq!(read(&note(before, after)).0, [TagId::all()], "{before} {after}");
        }
    }
}
