//! What a cached read can go through.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, TransactionSession, TransactionTrait};

use crate::cache::Engine;
use crate::connection::CachedConnection;
use crate::database::Database;
use crate::event::Reason;
use crate::recorder::{Recorder, is_within, refuse_current};
use crate::replica::Replica;
use crate::schema::Name;
use crate::transaction::CachedTransaction;

/// A [`CachedConnection`] or a [`CachedTransaction`]. Inside a transaction a cached read goes to
/// the database and stores nothing, since it may see what nobody else does.
///
/// A plain connection is none: its writes would not be seen.
pub trait CacheSource: internal::Source {}

impl<S: internal::Source> CacheSource for S {}

pub(crate) mod internal {
    use super::*;

    /// Where a result is cached for.
    pub trait Place {
        /// It holds no connection while it waits for another.
        #[doc(hidden)]
        const MAY_LOAD: bool;
        /// Is this a transaction whose reads may not be everybody's?
        #[doc(hidden)]
        fn in_transaction(&self) -> bool;
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn engine(&self) -> &Arc<Engine>;
        /// The database, if the result is of one.
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn of_database(&self) -> Option<&Arc<Database>>;
        #[doc(hidden)]
        fn scope_names(&self) -> &[Arc<str>];
        /// Who wants to know what is read.
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn recorder(&self) -> Option<Arc<Recorder>>;
    }

    /// Where it is read from, too.
    pub trait Source: Place + ConnectionTrait + Sized + Send + Sync + 'static {
        #[doc(hidden)]
        type Conn: ConnectionTrait;
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn database(&self) -> &Arc<Database>;
        #[doc(hidden)]
        fn conn(&self) -> &Self::Conn;
        /// The connection for a miss that reads these tables.
        #[doc(hidden)]
        fn nearest(&self, tables: &[Name]) -> &Self::Conn;
        /// The same for a task of its own, where what it reads is nobody's but everybody's: not in
        /// a transaction, nor within the computation of a value.
        #[doc(hidden)]
        fn detached(&self) -> Option<Self>;
    }

    #[allow(private_interfaces)]
    impl<C> Place for CachedConnection<C> {
        const MAY_LOAD: bool = true;

        fn in_transaction(&self) -> bool {
            false
        }

        fn engine(&self) -> &Arc<Engine> {
            &self.database().engine
        }

        fn of_database(&self) -> Option<&Arc<Database>> {
            Some(self.database())
        }

        fn scope_names(&self) -> &[Arc<str>] {
            self.scope()
        }

        fn recorder(&self) -> Option<Arc<Recorder>> {
            self.recorder()
        }
    }

    #[allow(private_interfaces)]
    impl<C> Source for CachedConnection<C>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
    {
        type Conn = C;

        fn database(&self) -> &Arc<Database> {
            self.database()
        }

        fn conn(&self) -> &C {
            self.inner()
        }

        fn nearest(&self, tables: &[Name]) -> &C {
            let database = self.database();
            let seen = |replica: &&Arc<Replica<C>>| {
                let last = database.engine.last_bumps.of(tables);
                // Of what other processes have written, nobody knows how far a replica is.
                database.engine.shared.is_none() && replica.has_seen(last, self.primary(), database)
            };
            self.replica().filter(seen).map_or(self.inner(), |replica| &replica.conn)
        }

        fn detached(&self) -> Option<Self> {
            (self.recorder().is_none() && !is_within()).then(|| self.clone())
        }
    }

    #[allow(private_interfaces)]
    impl<T> Place for CachedTransaction<T>
    where
        T: ConnectionTrait + TransactionSession + Send + Sync + 'static,
    {
        const MAY_LOAD: bool = false;

        fn in_transaction(&self) -> bool {
            !self.is_clean()
        }

        fn engine(&self) -> &Arc<Engine> {
            &self.database().engine
        }

        fn of_database(&self) -> Option<&Arc<Database>> {
            Some(self.database())
        }

        fn scope_names(&self) -> &[Arc<str>] {
            self.scope()
        }

        /// What it reads can't be recorded.
        fn recorder(&self) -> Option<Arc<Recorder>> {
            refuse_current(&self.database().engine, &Reason::InTransaction);
            None
        }
    }

    #[allow(private_interfaces)]
    impl<T> Source for CachedTransaction<T>
    where
        T: ConnectionTrait + TransactionSession + Send + Sync + 'static,
    {
        type Conn = T;

        fn database(&self) -> &Arc<Database> {
            self.database()
        }

        fn conn(&self) -> &T {
            self.inner()
        }

        fn nearest(&self, _: &[Name]) -> &T {
            self.inner()
        }

        fn detached(&self) -> Option<Self> {
            None
        }
    }
}
