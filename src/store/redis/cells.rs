//! Single values in Redis: one command, or one script, for each call.
//!
//! Beside a cell's key lies the right to fill it, beside a lock's its last token: in a Cluster the
//! part in braces keeps them in one slot, and different cells in different ones.

use std::str::FromStr;

use async_trait::async_trait;
use redis::{Cmd, Value, cmd};

use super::link::Lua;
use super::{RedisStore, unexpected};
use crate::store::{Cells, Counted, StoreError, Unique, When};

/// How long a lock's last token outlives it, in milliseconds: a day, in which the server's clock
/// may be set back by as much and tokens grow all the same.
const TOKEN_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

static SET: Lua = Lua::new(include_str!("cells/set.lua"));
static INCR: Lua = Lua::new(include_str!("cells/incr.lua"));
static LEASE: Lua = Lua::new(include_str!("cells/lease.lua"));
static LOCK: Lua = Lua::new(include_str!("cells/lock.lua"));
static UNLOCK: Lua = Lua::new(include_str!("cells/unlock.lua"));

impl RedisStore {
    /// Runs a script on a key and on what lies beside it.
    async fn run_beside(
        &self,
        script: &Lua,
        key: &str,
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let beside = format!("{key}+");
        self.run(script, &[key.as_bytes(), beside.as_bytes()], arguments).await
    }
}

fn command(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

fn bytes(answer: Value) -> Option<Vec<u8>> {
    match answer {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// A number that came as text.
fn number<N: FromStr>(answer: &Value) -> Result<N, StoreError> {
    let number = match answer {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok().and_then(|n| n.parse().ok()),
        _ => None,
    };
    number.ok_or_else(|| unexpected(answer))
}

#[async_trait]
impl Cells for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.send(&command("GET", key)).await.map(bytes)
    }

    async fn set(
        &self,
        key: &str,
        bytes: &[u8],
        ttl_ms: u64,
        when: When,
    ) -> Result<bool, StoreError> {
        let when = match &when {
            When::Always => &b""[..],
            When::Absent => b"absent",
            When::Leased(token) => token,
        };
        let ttl = ttl_ms.to_string();
        let answer = self.run_beside(&SET, key, &[bytes, ttl.as_bytes(), when]).await?;
        Ok(answer == Value::Int(1))
    }

    async fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.set(key, b"", 0, When::Always).await
    }

    async fn touch(&self, key: &str, ttl_ms: u64) -> Result<bool, StoreError> {
        let mut command = command("PEXPIRE", key);
        command.arg(ttl_ms);
        Ok(self.send(&command).await? == Value::Int(1))
    }

    async fn ttl_ms(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.send(&command("PTTL", key)).await? {
            Value::Int(left) => Ok(u64::try_from(left).ok()),
            _ => Ok(None),
        }
    }

    async fn incr(&self, key: &str, by: i64, ttl_ms: u64) -> Result<Counted, StoreError> {
        let (by, ttl) = (by.to_string(), ttl_ms.to_string());
        let answer = self.run_beside(&INCR, key, &[by.as_bytes(), ttl.as_bytes()]).await?;
        match &answer {
            Value::BulkString(text) if text == b"overflow" => Ok(Counted::Overflow),
            Value::BulkString(text) if text == b"other" => Ok(Counted::NoCounter),
            answer => number(answer).map(Counted::Now),
        }
    }

    async fn lease(
        &self,
        key: &str,
        token: &Unique,
        ttl_ms: u64,
    ) -> Result<(Unique, Option<Vec<u8>>), StoreError> {
        let ttl = ttl_ms.to_string();
        let answer = self.run_beside(&LEASE, key, &[token, ttl.as_bytes()]).await?;
        let Value::Array(mut values) = answer else { return Err(unexpected(&answer)) };
        let there = values.pop().and_then(bytes);
        let who = values.pop().and_then(bytes).and_then(|who| who.try_into().ok());
        Ok((who.ok_or_else(|| unexpected(&Value::Array(values)))?, there))
    }

    async fn lock(&self, key: &str, ttl_ms: u64) -> Result<Option<u64>, StoreError> {
        let (ttl, kept) = (ttl_ms.to_string(), (ttl_ms + TOKEN_KEPT_MS).to_string());
        let answer = self.run_beside(&LOCK, key, &[ttl.as_bytes(), kept.as_bytes()]).await?;
        match answer {
            Value::Nil => Ok(None),
            answer => number(&answer).map(Some),
        }
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, StoreError> {
        let token = token.to_string();
        let answer = self.run(&UNLOCK, &[key.as_bytes()], &[token.as_bytes()]).await?;
        Ok(answer == Value::Int(1))
    }
}
