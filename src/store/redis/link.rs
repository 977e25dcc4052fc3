//! A connection to Redis of whatever kind.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, Script,
    ServerErrorKind, Value,
};
use tokio::time::timeout;

use super::config::{Kind, RedisConfig};
use super::sentinel::Watch;
use crate::store::StoreError;

/// A script, and the hash by which a server that has seen it knows it.
pub(super) struct Lua {
    code: &'static str,
    hash: OnceLock<String>,
}

impl Lua {
    pub(super) const fn new(code: &'static str) -> Self {
        Self { code, hash: OnceLock::new() }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| Script::new(self.code).get_hash().to_owned())
    }
}

#[derive(Clone)]
pub(super) enum Link {
    /// Several connections to one server, and the turn they are used in; and whether it still is
    /// the one that Sentinels name.
    One(Arc<[MultiplexedConnection]>, Arc<AtomicUsize>, Option<Arc<Watch>>),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StoreError> {
        let watch = match &config.kind {
            Kind::Sentinel { name } => Some(Watch::begin(config, name).await?),
            _ => None,
        };
        within(config.connect_timeout, async {
            #[cfg(feature = "redis-cluster")]
            if config.kind == Kind::Cluster {
                return super::cluster::open(config).await;
            }
            let client = client(config, watch.as_deref())?;
            let settings = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(config.connect_timeout))
                .set_response_timeout(Some(config.response_timeout));
            let mut all = Vec::with_capacity(config.connections);
            for _ in 0..config.connections {
                all.push(client.get_multiplexed_async_connection_with_config(&settings).await?);
            }
            // One that wants a password has no better answer to longer requests.
            redis::cmd("PING").exec_async(&mut all[0]).await?;
            Ok(Self::One(all.into(), Arc::default(), watch))
        })
        .await
    }

    /// What Sentinels say about the server, where there are some.
    pub(super) fn watch(&self) -> Option<&Arc<Watch>> {
        match self {
            Self::One(_, _, watch) => watch.as_ref(),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => None,
        }
    }

    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(all, turn, _) => {
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
        script: &Lua,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> RedisResult<Value> {
        let known = call("EVALSHA", script.hash().as_bytes(), keys, arguments);
        match self.send(&known).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call("EVAL", script.code.as_bytes(), keys, arguments)).await
            }
            answer => answer,
        }
    }
}

/// A client of the only server, or of the one that is watched.
pub(super) fn client(config: &RedisConfig, watch: Option<&Watch>) -> RedisResult<Client> {
    match watch {
        Some(watch) => watch.client(config),
        None => Client::open(config.info(&config.nodes[0])?),
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
