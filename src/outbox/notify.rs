//! PostgreSQL's notifications: a hint by which the listener looks at once. What is lost of them, and
//! what comes while there is no session, a look finds by itself.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::sqlx::Error;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sea_orm::{DatabaseConnection, DatabaseConnectionType};
use tokio::time::sleep;

use super::follower::Follower;
use super::listen::SHORTEST_PAUSE;

/// Between two attempts to have a session.
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes the listener on each note, for good; `None` if that was not asked for or can't be had.
pub(super) fn wake(
    connection: &dyn Any,
    follower: &Arc<Follower>,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let connection = connection.downcast_ref::<DatabaseConnection>()?;
    let DatabaseConnectionType::SqlxPostgresPoolConnection(_) = &connection.inner else {
        return None;
    };
    let options = (*connection.get_postgres_connection_pool().connect_options()).clone();
    follower.config.notified.then(|| wake_for_good(options, follower.clone()))
}

/// In a session of its own: it takes none from the pool, whose end waits for all that it gave.
async fn wake_for_good(options: PgConnectOptions, follower: Arc<Follower>) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options);
    loop {
        let Err(_) = wake_on_each(&pool, &follower).await;
        sleep(AGAIN).await;
    }
}

async fn wake_on_each(pool: &PgPool, follower: &Follower) -> Result<Infallible, Error> {
    let mut notifications = PgListener::connect_with(pool).await?;
    notifications.listen(&follower.config.table).await?;
    loop {
        // `None`: the session is a new one.
        notifications.try_recv().await?;
        if follower.listening.load(Ordering::Relaxed) {
            follower.wake();
        }
        // More may have come meanwhile: they need no look each.
        sleep(SHORTEST_PAUSE).await;
    }
}
