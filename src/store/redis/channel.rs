//! Listening to the messages that tell of bumps.
//!
//! Redis sends them in order to each connection, and loses none while the connection lives: one
//! that reads too slowly is closed. So what may have been lost is known. In a Cluster the channel
//! belongs to a slot (`SSUBSCRIBE`), and its owner alone knows who listens: there, too, the order
//! is that of one server.

use std::sync::Arc;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisResult, Value,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::config::RedisConfig;
use super::link::within;
use super::sentinel::Watch;
use crate::store::{Listener, StoreError};

pub(super) struct Subscription {
    pushed: UnboundedReceiver<PushInfo>,
    connection: MultiplexedConnection,
    /// The server's history; another one has not told us everything.
    history: String,
    /// Nor has one that is no longer the primary.
    watch: Option<Arc<Watch>>,
}

impl Subscription {
    pub(super) async fn open(
        config: &RedisConfig,
        info: ConnectionInfo,
        watch: Option<Arc<Watch>>,
        verb: &str,
        channel: &str,
    ) -> Result<Box<dyn Listener>, StoreError> {
        let subscription = within(config.connect_timeout, async {
            // Only so are commands allowed beside messages.
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            let (sender, pushed) = unbounded_channel();
            let with = AsyncConnectionConfig::new()
                .set_response_timeout(Some(config.response_timeout))
                .set_push_sender(sender);
            let client = Client::open(info.set_redis_settings(settings))?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&with).await?;
            redis::cmd(verb).arg(channel).exec_async(&mut connection).await?;
            let history = history(&mut connection).await?;
            Ok(Self { pushed, connection, history, watch })
        });
        let subscription = subscription.await?;
        if subscription.history.is_empty() {
            return Err(StoreError::away("the server that tells of bumps is a replica"));
        }
        Ok(Box::new(subscription))
    }
}

/// The server's replication id; empty if it is no primary.
async fn history(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    let info: String = redis::cmd("INFO").arg("replication").query_async(connection).await?;
    let value = |name| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let primary = value("role:") == "master";
    Ok(if primary { value("master_replid:").to_owned() } else { String::new() })
}

/// The message in what was pushed: `Some(None)` if it is none of ours.
fn message(PushInfo { kind, mut data }: PushInfo) -> Option<Option<Vec<u8>>> {
    match (kind, data.pop()) {
        (PushKind::Message | PushKind::SMessage, Some(Value::BulkString(text))) => Some(Some(text)),
        (PushKind::Subscribe | PushKind::SSubscribe, _) => Some(None),
        // The slot went elsewhere, or the connection is lost.
        _ => None,
    }
}

#[async_trait]
impl Listener for Subscription {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(text) = message(self.pushed.recv().await?)? {
                return Some(text);
            }
        }
    }

    async fn catch_up(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.watch.as_ref().is_some_and(|watch| !watch.holds()) {
            return None;
        }
        // The answer comes after whatever was sent to this connection before.
        if history(&mut self.connection).await.ok()? != self.history {
            return None;
        }
        let mut all = Vec::new();
        while let Ok(push) = self.pushed.try_recv() {
            all.extend(message(push)?);
        }
        Some(all)
    }
}
