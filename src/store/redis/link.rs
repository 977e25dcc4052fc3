//! A connection to Redis of whatever kind.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, Script, ServerErrorKind, TlsMode, Value,
};
use tokio::time::timeout;

use super::config::{Kind, RedisConfig};
use crate::store::StoreError;

#[derive(Clone)]
pub(super) enum Link {
    /// Several connections to one server, and the turn they are used in.
    One(Arc<[MultiplexedConnection]>, Arc<AtomicUsize>),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StoreError> {
        within(config.connect_timeout, async {
            #[cfg(feature = "redis-cluster")]
            if config.kind == Kind::Cluster {
                return cluster(config).await;
            }
            let client = server(config).await?;
            let settings = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(config.connect_timeout))
                .set_response_timeout(Some(config.response_timeout));
            let mut all = Vec::with_capacity(config.connections);
            for _ in 0..config.connections {
                all.push(client.get_multiplexed_async_connection_with_config(&settings).await?);
            }
            // One that wants a password has no better answer to longer requests.
            redis::cmd("PING").exec_async(&mut all[0]).await?;
            Ok(Self::One(all.into(), Arc::default()))
        })
        .await
    }

    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(all, turn) => {
                let turn = turn.fetch_add(1, Ordering::Relaxed) % all.len();
                command.query_async(&mut all[turn].clone()).await
            }
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Runs a script; a server that does not know it yet is told.
    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> RedisResult<Value> {
        let known = call("EVALSHA", script.get_hash().as_bytes(), keys, arguments);
        match self.send(&known).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call("EVAL", super::source(script), keys, arguments)).await
            }
            answer => answer,
        }
    }
}

fn call(verb: &str, script: &[u8], keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
    let mut command = redis::cmd(verb);
    command.arg(script).arg(keys.len());
    for part in keys.iter().chain(arguments) {
        command.arg(part);
    }
    command
}

/// The server that is the primary now.
pub(super) async fn server(config: &RedisConfig) -> RedisResult<Client> {
    let Kind::Sentinel { name } = &config.kind else {
        return Client::open(config.info(&config.nodes[0])?);
    };
    let sentinels = config.nodes.iter().map(|url| url.as_str().into_connection_info());
    let sentinels = sentinels.collect::<RedisResult<Vec<_>>>()?;
    let settings = config.over(RedisConnectionInfo::default());
    let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
    if config.nodes.iter().any(|url| url.starts_with("rediss")) {
        node = node.set_tls_mode(TlsMode::Secure);
    }
    let primary = SentinelServerType::Master;
    SentinelClient::build(sentinels, name.clone(), Some(node), primary)?.async_get_client().await
}

#[cfg(feature = "redis-cluster")]
async fn cluster(config: &RedisConfig) -> RedisResult<Link> {
    let nodes = config.nodes.iter().map(|url| config.info(url));
    let mut client =
        redis::cluster::ClusterClientBuilder::new(nodes.collect::<Result<Vec<_>, _>>()?)
            .connection_timeout(config.connect_timeout)
            .response_timeout(config.response_timeout)
            // Whoever waits has a database to ask: one more attempt is for a slot that has moved.
            .retries(2);
    if let Some(username) = &config.username {
        client = client.username(username);
    }
    if let Some(password) = &config.password {
        client = client.password(password);
    }
    Ok(Link::Cluster(client.build()?.get_async_connection().await?))
}

/// Bounds what the client library does not bound by itself.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| said(&error)),
        Err(_) => Err(StoreError::away(format!("no answer within {} ms", limit.as_millis()))),
    }
}

/// What an error means to us.
pub(super) fn said(error: &RedisError) -> StoreError {
    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    match error.kind() {
        ErrorKind::AuthenticationFailed => StoreError::denied(text),
        _ if matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM") => StoreError::denied(text),
        // It is there, and takes no more; or it did not understand us.
        ErrorKind::Server(ServerErrorKind::ResponseError) => StoreError::refused(text),
        ErrorKind::Extension if matches!(code, "OOM" | "WRONGTYPE") => StoreError::refused(text),
        _ => StoreError::away(text),
    }
}

/// The host and port of the server that a channel belongs to.
#[cfg(feature = "redis-cluster")]
pub(super) async fn owner(
    config: &RedisConfig,
    mut link: redis::cluster_async::ClusterConnection,
    channel: &str,
) -> Result<(String, u16), StoreError> {
    use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

    let anywhere = || RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
    let (slot, ranges) = within(2 * config.response_timeout, async {
        let mut ask = redis::cmd("CLUSTER");
        let slot = link.route_command(ask.arg("KEYSLOT").arg(channel).clone(), anywhere()).await?;
        let ask = redis::cmd("CLUSTER").arg("SLOTS").clone();
        Ok((slot, link.route_command(ask, anywhere()).await?))
    })
    .await?;
    let unknown = || StoreError::away("nobody owns the channel's slot");
    let (Value::Int(slot), Value::Array(ranges)) = (slot, ranges) else { return Err(unknown()) };
    let primary = ranges.iter().find_map(|range| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..] else {
            return None;
        };
        (*first..=*last).contains(&slot).then_some(primary)
    });
    match primary.map(|primary| &primary[..]) {
        Some([Value::BulkString(host), Value::Int(port), ..]) => {
            let host = String::from_utf8(host.clone()).map_err(|_| unknown())?;
            Ok((host, u16::try_from(*port).map_err(|_| unknown())?))
        }
        _ => Err(unknown()),
    }
}
