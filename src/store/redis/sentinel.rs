//! Which server is the primary, in the words of most Sentinels, and for how long that holds.
//!
//! A primary that was replaced does not know it for some seconds, and answers those who are
//! connected to it as before. So a primary is believed for a second only after most Sentinels were
//! asked for it, and one that is new to us not until a second after they first named it: of any two
//! majorities one Sentinel is in both, so by then every process has left the old one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisConnectionInfo, RedisResult};
use tokio::time::{Instant, sleep};

use super::config::RedisConfig;
use super::link::within;
use crate::store::StoreError;

/// How long the Sentinels' word holds.
const HOLDS: Duration = Duration::from_secs(1);

type Address = (String, u16);

/// A primary, as long as it is one.
pub(super) struct Watch {
    address: Address,
    began: Instant,
    /// Until when it is believed, in milliseconds since then.
    until_ms: AtomicU64,
}

impl Watch {
    /// Asks for the primary, and waits until nobody believes another.
    pub(super) async fn begin(config: &RedisConfig, name: &str) -> Result<Arc<Self>, StoreError> {
        let mut sentinels = Sentinels::new(config, name);
        let unknown = || StoreError::away("most Sentinels do not agree about the primary");
        let address = sentinels.primary().await.ok_or_else(unknown)?;
        sleep(HOLDS).await;
        let watch = Self { address, began: Instant::now(), until_ms: AtomicU64::new(0) };
        if !watch.ask(&mut sentinels).await {
            return Err(unknown());
        }
        let watch = Arc::new(watch);
        tokio::spawn(keep_asking(Arc::downgrade(&watch), sentinels));
        Ok(watch)
    }

    /// Is it still believed?
    pub(super) fn holds(&self) -> bool {
        (self.began.elapsed().as_millis() as u64) < self.until_ms.load(Ordering::SeqCst)
    }

    /// `false` if they do not say so.
    async fn ask(&self, sentinels: &mut Sentinels) -> bool {
        let asked = self.began.elapsed();
        let named = sentinels.primary().await.is_some_and(|address| address == self.address);
        if named {
            let until_ms = (asked + HOLDS).as_millis() as u64;
            self.until_ms.store(until_ms, Ordering::SeqCst);
        }
        named
    }

    /// A client of the server, with the settings that are for it.
    pub(super) fn client(&self, config: &RedisConfig) -> RedisResult<Client> {
        let info = config.at(self.address.clone())?;
        let settings = config.over(RedisConnectionInfo::default());
        Client::open(info.set_redis_settings(settings))
    }
}

/// Asks again and again, as long as somebody uses the connection.
async fn keep_asking(watch: Weak<Watch>, mut sentinels: Sentinels) {
    loop {
        sleep(HOLDS / 4).await;
        let Some(watch) = watch.upgrade() else { return };
        watch.ask(&mut sentinels).await;
    }
}

struct Sentinels {
    config: RedisConfig,
    name: String,
    /// In the order of their addresses.
    connections: Vec<Option<MultiplexedConnection>>,
}

impl Sentinels {
    fn new(config: &RedisConfig, name: &str) -> Self {
        let connections = config.nodes.iter().map(|_| None).collect();
        Self { config: config.clone(), name: name.to_owned(), connections }
    }

    /// What most of them say.
    async fn primary(&mut self) -> Option<Address> {
        let (config, name) = (&self.config, &self.name);
        let asked = self.connections.iter_mut().zip(&config.nodes).map(|(connection, url)| {
            let answer = ask(config, name, url, connection);
            async move { within(config.connect_timeout, answer).await.ok().flatten() }
        });
        let named = join_all(asked).await;
        let most = named.len() / 2 + 1;
        let by_most = |address: &&Option<Address>| {
            address.is_some() && named.iter().filter(|other| other == address).count() >= most
        };
        named.iter().find(by_most).cloned().flatten()
    }
}

/// What one of them says; its connection is kept while it answers.
async fn ask(
    config: &RedisConfig,
    name: &str,
    url: &str,
    connection: &mut Option<MultiplexedConnection>,
) -> RedisResult<Option<Address>> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => {
            let settings = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(config.connect_timeout))
                .set_response_timeout(Some(config.response_timeout));
            let client = Client::open(config.info(url)?)?;
            client.get_multiplexed_async_connection_with_config(&settings).await?
        }
    };
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(name);
    let address = question.query_async(&mut open).await?;
    *connection = Some(open);
    Ok(address)
}
