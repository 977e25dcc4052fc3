//! Changing a schema: nothing is known of it from before the statement is sent until it is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::change::Bump;
use crate::database::Database;
use crate::event::Cause;
use crate::store::{Unique, unique};
use crate::tag::TagId;

/// A change of the schema, from before it is sent until it is known.
pub(crate) struct SchemaChange {
    database: Arc<Database>,
    /// Names it for other processes.
    own: Unique,
    counted: bool,
}

impl SchemaChange {
    /// It is done, or undone: reads the catalog, then forgets everything. Other connections of
    /// the cache, which may be to the same database, read it when they next need it.
    pub(crate) async fn done(mut self, sql: &str) {
        let database = self.database.clone();
        if self.end() {
            if database.engine.shared.is_some() {
                // What others made under the old schema ends before anybody reads the new one.
                database.engine.bump(&Bump::all(), || Cause::Ddl { sql: sql.into() });
                let _ = database.engine.delivered().await;
            }
            database.load().await;
        }
        database.engine.bump(&Bump::all(), || Cause::Ddl { sql: sql.into() });
    }

    /// It is done, or undone, and nobody may wait here: the catalog is read when it is next needed.
    pub(crate) fn forgotten(mut self, sql: &str) {
        self.end();
        self.database.engine.bump(&Bump::all(), || Cause::Ddl { sql: sql.into() });
    }

    fn end(&mut self) -> bool {
        let counted = std::mem::take(&mut self.counted);
        if counted {
            if let Some(shared) = &self.database.engine.shared {
                shared.delivery.block([TagId::schema()], self.own, false);
            }
            self.database.engine.schema_changes.fetch_sub(1, Ordering::SeqCst);
        }
        counted
    }
}

impl Drop for SchemaChange {
    fn drop(&mut self) {
        self.end();
    }
}

impl Database {
    /// Somebody is about to change the schema. Until that is over nothing is known, so a write
    /// that is acknowledged meanwhile invalidates everything.
    pub(crate) fn change_schema(self: &Arc<Self>) -> SchemaChange {
        let own = unique();
        let forget = !crate::fault::broken(crate::fault::Fault::OldSchema);
        if forget {
            if let Some(shared) = &self.engine.shared {
                // Nor is it known to other processes, once this is delivered.
                shared.delivery.block([TagId::schema()], own, true);
            }
            self.engine.schema_changes.fetch_add(1, Ordering::SeqCst);
            self.engine.forget_schemas();
        }
        SchemaChange { database: self.clone(), own, counted: forget }
    }
}
