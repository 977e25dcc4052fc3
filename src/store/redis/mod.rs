//! Entries and versions in Redis or Valkey.
//!
//! Each call is one script, which Redis runs alone: so looking at an entry and at its versions is
//! one moment, and so is a bump. The epoch is the server's replication id, which changes whenever
//! its state may have gone back in time: at each start and each promotion. Every script asks the
//! server for it (about a microsecond), and whether it still is a primary.
//!
//! The keys of one cache:
//!
//! - `{prefix:vN}2:t:` and a tag's number: its version;
//! - `{prefix:vN}2:l:` and an entry's digest: the right to load it;
//! - `prefix:vN:family:table:digest`: an entry;
//! - `{prefix:vN}2:bumps`: the channel;
//! - `prefix:vN:kv:…` and `prefix:vN:lock:…`: single values and locks (see cells.rs).
//!
//! In a Cluster the part in braces keeps all versions of a cache in one slot, so bumps are atomic
//! there, too; entries are spread, and each is confirmed by the versions' slot after it was read.

mod cells;
mod channel;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod config;
mod format;
mod link;
mod sentinel;
#[cfg(feature = "redis-tls")]
mod tls;

use std::fmt;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use redis::{Cmd, Value};

use self::channel::Subscription;
pub use self::config::RedisConfig;
use self::link::{Link, Lua, within};
use super::{
    Bumped, Bumps, Cells, FillId, Found, Got, Kept, Listener, Mark, Marked, Put, Store, StoreError,
    Turn, Unique,
};
use crate::error::Error;
use crate::key::{Family, Key, PROTOCOL};
use crate::store::{Lease, TagId, unique};

/// How long what is written by a try stays at most, in milliseconds.
const PROBE_MS: u64 = 1_000;

static GET: Lua = Lua::new(concat!(include_str!("valid.lua"), include_str!("get.lua")));
static MARK: Lua = Lua::new(concat!(include_str!("valid.lua"), include_str!("mark.lua")));
static PUT: Lua = Lua::new(concat!(include_str!("valid.lua"), include_str!("put.lua")));
static BUMP: Lua = Lua::new(include_str!("bump.lua"));
static RELEASE: Lua = Lua::new(include_str!("release.lua"));

/// Entries and versions in Redis or Valkey. What [`QueryCacheBuilder::redis`] makes of a
/// [`RedisConfig`]; by itself it is for tests.
///
/// [`QueryCacheBuilder::redis`]: crate::QueryCacheBuilder::redis
pub struct RedisStore {
    config: RedisConfig,
    prefix: String,
    version: u32,
    /// What the keys of versions, and those of leases, begin with.
    versions: Vec<u8>,
    leases: Vec<u8>,
    channel: String,
    link: RwLock<Option<Link>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.config).finish()
    }
}

impl RedisStore {
    /// A store for the cache of this prefix and version. Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an address is wrong.
    pub fn new(config: RedisConfig, prefix: &str, version: u32) -> Result<Self, Error> {
        config.check()?;
        let start = format!("{{{prefix}:v{version}}}{PROTOCOL}:");
        Ok(Self {
            config,
            prefix: prefix.to_owned(),
            version,
            versions: format!("{start}t:").into(),
            leases: format!("{start}l:").into(),
            channel: format!("{start}bumps"),
            link: RwLock::default(),
        })
    }

    fn link(&self) -> Result<Link, StoreError> {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        let link = link.clone().ok_or_else(|| StoreError::away("not connected"))?;
        match link.watch() {
            Some(watch) if !watch.holds() => {
                Err(StoreError::away("most Sentinels no longer name this server the primary"))
            }
            _ => Ok(link),
        }
    }

    async fn run(
        &self,
        script: &Lua,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let link = self.link()?;
        // The client bounds each answer; a call takes at most two.
        within(2 * self.config.response_timeout, link.run(script, keys, arguments)).await
    }

    async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        let link = self.link()?;
        within(2 * self.config.response_timeout, link.send(command)).await
    }

    /// May we do what we shall have to? An entry of our own is put, found, bumped and removed.
    async fn try_all(&self) -> Result<(), StoreError> {
        let fill = unique();
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&fill);
        let key = Key::new(&self.prefix, self.version, Family::Model, "probe", digest);
        // A tag that nobody has, since it is as new as this.
        let id = TagId(u64::from_le_bytes(std::array::from_fn(|byte| fill[byte] ^ fill[byte + 8])));
        let lease = Some(Lease { key: &key, token: fill, ms: PROBE_MS });
        let ids = [id];
        let mark = Mark { entry: Some(&key), ids: &ids, create: fill, keep_ms: PROBE_MS, lease };
        let marked = self.mark(mark).await?;
        let put = Put {
            key: &key,
            fill,
            epoch: marked.epoch,
            guards: &[],
            ids: &ids,
            versions: &[fill],
            late: &[],
            body: &[],
            age_ms: 0,
            ttl_ms: PROBE_MS,
            keep_ms: PROBE_MS,
            replace: false,
            token: None,
        };
        self.put(put).await?;
        Store::get(self, &key, None).await?;
        // In the scripts it is called so that keys of other types are no errors, nor are rules.
        let mut get = redis::cmd("GET");
        get.arg(key.to_string());
        self.send(&get).await?;
        // Too short to be anybody's message.
        self.bump(Bumps { ids: &ids, message: b"?", ..Bumps::default() }).await?;
        self.release(&key, &fill, false).await?;
        self.remove(&key).await
    }

    fn lease(&self, key: &Key) -> Vec<u8> {
        [&self.leases[..], &key.digest].concat()
    }

    fn in_cluster(&self) -> bool {
        #[cfg(feature = "redis-cluster")]
        return self.config.kind == config::Kind::Cluster;
        #[cfg(not(feature = "redis-cluster"))]
        false
    }
}

/// Is it an access rule that stands against it? Within a script Redis says so in words only.
fn forbidden(error: &StoreError) -> bool {
    let text = error.to_string();
    error.is_denied()
        || ["NOPERM", "ACL failure", "can't run this command", "can't access at least one"]
            .iter()
            .any(|words| text.contains(words))
}

/// The entry in a script's answer, if there is one.
fn found(key: &Key, answer: &Value) -> Option<Found> {
    let Value::Array(values) = answer else { return None };
    let [Value::Int(left), Value::BulkString(bytes)] = &values[..] else { return None };
    format::parts(&key.digest, bytes)?.found(*left)
}

/// A script that answers in another shape than its own was not run by us.
fn unexpected(answer: &Value) -> StoreError {
    StoreError::refused(format!("unexpected answer of a script: {}", kind_of(answer)))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "bytes",
        Value::Array(_) => "a list",
        _ => "something else",
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn connect(&self) -> Result<(), StoreError> {
        let link = Link::open(&self.config).await?;
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link);
        match self.try_all().await {
            Err(error) if forbidden(&error) => Err(StoreError::denied(error.to_string())),
            // It is there, and perhaps full: it can be told of bumps all the same.
            Err(error) if error.is_refused() => Ok(()),
            done => done,
        }
    }

    async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        let known = known.map_or(&[][..], |fill| fill);
        #[cfg(feature = "redis-cluster")]
        if self.in_cluster() {
            return self.get_spread(key, known).await;
        }
        let text = key.to_string();
        let answer = self.run(&GET, &[text.as_bytes()], &[&self.versions, known]).await?;
        match answer {
            Value::Int(1) => Ok(Got::Same),
            answer => Ok(found(key, &answer).map_or(Got::Nothing, Got::Found)),
        }
    }

    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        let ids = format::ids(mark.ids);
        let keep = mark.keep_ms.to_string();
        let (lease, token, ms) = match &mark.lease {
            Some(lease) => (self.lease(lease.key), &lease.token[..], lease.ms.to_string()),
            None => (self.leases.clone(), &[][..], String::new()),
        };
        let arguments =
            [&self.versions[..], &mark.create, keep.as_bytes(), &ids, token, ms.as_bytes()];
        let entry = mark.entry.map(Key::to_string);
        let mut keys = vec![&lease[..]];
        if let Some(entry) = &entry {
            keys.push(entry.as_bytes());
        }
        #[cfg(feature = "redis-cluster")]
        if let Some(key) = mark.entry.filter(|_| self.in_cluster()) {
            keys.truncate(1);
            if let Got::Found(found) = self.get_spread(key, &[]).await? {
                return Ok(Marked::found(found));
            }
        }
        let answer = self.run(&MARK, &keys, &arguments).await?;
        if let Some(found) = mark.entry.and_then(|key| found(key, &answer)) {
            return Ok(Marked::found(found));
        }
        let Value::Array(values) = &answer else { return Err(unexpected(&answer)) };
        let [Value::BulkString(epoch), Value::BulkString(versions), Value::Int(turn)] = &values[..]
        else {
            return Err(unexpected(&answer));
        };
        let versions = format::versions(versions);
        let epoch = epoch[..].try_into().map_err(|_| unexpected(&answer))?;
        if versions.len() != mark.ids.len() {
            return Err(unexpected(&answer));
        }
        let turn = match turn {
            0 => Turn::Ours,
            1 => Turn::Theirs,
            _ => Turn::Free,
        };
        Ok(Marked { found: None, epoch, versions, turn })
    }

    async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        let (lease, text) = (self.lease(put.key), put.key.to_string());
        let (head, late) = (format::head(&put), format::ids(put.late));
        let guards: Vec<_> = put.guards.iter().map(|(id, _)| *id).collect();
        let guarded: Vec<u8> = put.guards.iter().flat_map(|(_, version)| *version).collect();
        let guards = format::ids(&guards);
        let left = put.ttl_ms.saturating_sub(put.age_ms).max(1).to_string();
        let keep = put.keep_ms.to_string();
        let token = put.token.as_ref().map_or(&[][..], |token| token);
        let arguments: [&[u8]; 12] = [
            &self.versions,
            &put.epoch,
            &guards,
            &guarded,
            &late,
            &put.fill,
            keep.as_bytes(),
            token,
            &head,
            put.body,
            left.as_bytes(),
            if put.replace { b"1" } else { b"" },
        ];
        if !self.in_cluster() {
            let answer = self.run(&PUT, &[&lease, text.as_bytes()], &arguments).await?;
            let stored = answer == Value::Int(1);
            return Ok(if stored { Kept::Stored } else { Kept::Refused });
        }
        #[cfg(feature = "redis-cluster")]
        if !put.replace && self.get_spread(put.key, &[]).await? != Got::Nothing {
            return Ok(Kept::Refused);
        }
        let mut arguments = arguments;
        (arguments[8], arguments[9]) = (&[], &[]);
        match self.run(&PUT, &[&lease], &arguments).await? {
            Value::BulkString(versions) => {
                let bytes = [&head[..], &versions, put.body].concat();
                let mut set = redis::cmd("SET");
                set.arg(&text).arg(bytes).arg("PX").arg(left);
                self.send(&set).await?;
                Ok(Kept::Stored)
            }
            _ => Ok(Kept::Refused),
        }
    }

    async fn release(&self, key: &Key, token: &Unique, never: bool) -> Result<(), StoreError> {
        let never: &[u8] = if never { b"1" } else { b"0" };
        self.run(&RELEASE, &[&self.lease(key)], &[token, never]).await.map(drop)
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let mut command = redis::cmd("DEL");
        command.arg(key.to_string());
        self.send(&command).await.map(drop)
    }

    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        let (ids, watch) = (format::ids(bump.ids), format::ids(bump.watch));
        let [block, unblock] = [bump.block, bump.unblock].map(format::blocks);
        let verb: &[u8] = if self.in_cluster() { b"SPUBLISH" } else { b"PUBLISH" };
        let arguments = [
            &self.versions[..],
            &ids,
            &block,
            &unblock,
            &watch,
            verb,
            self.channel.as_bytes(),
            bump.message,
        ];
        let answer = self.run(&BUMP, &[&self.versions], &arguments).await?;
        let Value::Array(values) = &answer else { return Err(unexpected(&answer)) };
        let version = |value: &Value| match value {
            Value::BulkString(bytes) => bytes[..].try_into().ok(),
            _ => None,
        };
        Ok(Bumped { watched: values.iter().map(version).collect() })
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError> {
        #[cfg(feature = "redis-cluster")]
        if let Link::Cluster(link) = self.link()? {
            let owner = cluster::owner(&self.config, link, &self.channel).await?;
            let info = within(self.config.connect_timeout, async { self.config.at(owner) }).await?;
            let (verb, channel) = ("SSUBSCRIBE", &self.channel);
            return Subscription::open(&self.config, info, None, verb, channel).await;
        }
        let watch = self.link()?.watch().cloned();
        let client = async { link::client(&self.config, watch.as_deref()) };
        let client = within(self.config.connect_timeout, client).await?;
        let info = client.get_connection_info().clone();
        Subscription::open(&self.config, info, watch, "SUBSCRIBE", &self.channel).await
    }
    fn cells(&self) -> Option<&dyn Cells> {
        Some(self)
    }
}
