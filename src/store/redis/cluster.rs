//! What is different in a Cluster: an entry lies on another node than its versions.

use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{RedisResult, Value};

use super::config::RedisConfig;
use super::link::{Link, Lua, within};
use super::{RedisStore, format};
use crate::key::Key;
use crate::store::{Got, StoreError};

static CHECK: Lua = Lua::new(include_str!("check.lua"));

impl RedisStore {
    /// An entry in a Cluster: its bytes, then whether its versions hold.
    pub(super) async fn get_spread(&self, key: &Key, known: &[u8]) -> Result<Got, StoreError> {
        let text = key.to_string();
        let mut ask = redis::pipe();
        ask.cmd("PTTL").arg(&text).cmd("GET").arg(&text);
        let Link::Cluster(mut link) = self.link()? else { return Ok(Got::Nothing) };
        let ask = ask.query_async(&mut link);
        let answer: Vec<Value> = within(2 * self.config.response_timeout, ask).await?;
        let [Value::Int(left), Value::BulkString(bytes)] = &answer[..] else {
            return Ok(Got::Nothing);
        };
        let Some(parts) = format::parts(&key.digest, bytes) else { return Ok(Got::Nothing) };
        let arguments = [&self.versions[..], &parts.epoch, parts.ids, parts.versions];
        match self.run(&CHECK, &[&self.versions], &arguments).await? {
            Value::Int(1) if parts.fill == known => Ok(Got::Same),
            Value::Int(1) => Ok(parts.found(*left).map_or(Got::Nothing, Got::Found)),
            _ => Ok(Got::Nothing),
        }
    }
}

/// Connects to all of them.
pub(super) async fn open(config: &RedisConfig) -> RedisResult<Link> {
    let nodes = config.nodes.iter().map(|url| config.info(url));
    let mut client = ClusterClientBuilder::new(nodes.collect::<Result<Vec<_>, _>>()?)
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
    #[cfg(feature = "redis-tls")]
    if let Some(certificates) = config.certificates.given() {
        client = client.certs(certificates);
    }
    Ok(Link::Cluster(client.build()?.get_async_connection().await?))
}

/// The host and port of the server that a channel belongs to.
pub(super) async fn owner(
    config: &RedisConfig,
    mut link: ClusterConnection,
    channel: &str,
) -> Result<(String, u16), StoreError> {
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
