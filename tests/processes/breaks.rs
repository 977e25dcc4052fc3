//! What can happen to a Redis while everybody uses it.

use crate::clock;
use crate::scene::{Scene, Span, load, recovered};
use crate::support::proxy::When;
use crate::support::redis::{Reply, eventually};

#[derive(Debug, Clone, Copy)]
pub enum Break {
    Nothing,
    KilledAndEmpty,
    KilledAndOld,
    Stopped,
    Cut(&'static str, When),
    ClientsKilled(&'static str),
    Reloaded,
    FailedOver,
    Demoted,
    Full(&'static str),
    Slow,
    ChannelOverflows,
    Flushed,
    OneRefused,
    OneStalled,
}

/// In this order: one that was restored from a snapshot would find it again after the next end.
pub const ALL: &[(&str, Break)] = &[
    ("nothing", Break::Nothing),
    ("kill -9, restarted empty", Break::KilledAndEmpty),
    ("kill -9, restarted from an old snapshot", Break::KilledAndOld),
    ("SIGSTOP", Break::Stopped),
    ("cut before a script was sent", Break::Cut("EVALSHA", When::Before)),
    ("cut while a script was sent", Break::Cut("EVALSHA", When::Midway)),
    ("cut before a script's answer", Break::Cut("EVALSHA", When::After)),
    ("cut before an invalidation was sent", Break::Cut("PUBLISH", When::Before)),
    ("cut while an invalidation was sent", Break::Cut("PUBLISH", When::Midway)),
    ("cut before an invalidation's answer", Break::Cut("PUBLISH", When::After)),
    ("CLIENT KILL TYPE normal", Break::ClientsKilled("normal")),
    ("CLIENT KILL TYPE pubsub", Break::ClientsKilled("pubsub")),
    ("DEBUG RELOAD", Break::Reloaded),
    ("FAILOVER to a replica and back", Break::FailedOver),
    ("REPLICAOF another and back", Break::Demoted),
    ("maxmemory, noeviction", Break::Full("noeviction")),
    ("maxmemory, allkeys-lru", Break::Full("allkeys-lru")),
    ("maxmemory, volatile-ttl", Break::Full("volatile-ttl")),
    ("maxmemory, allkeys-random", Break::Full("allkeys-random")),
    ("100 ms in each direction", Break::Slow),
    ("the channel's output buffer overflows", Break::ChannelOverflows),
    ("FLUSHALL, ten times", Break::Flushed),
    ("one process alone has no connection", Break::OneRefused),
    ("one process alone gets no answers", Break::OneStalled),
];

impl Break {
    /// Breaks it, mends it, and waits until all is as before.
    pub async fn happens(self, what: &str, scene: &Scene) -> Span {
        let replica = match self {
            Self::FailedOver | Self::Demoted => Some(scene.server.replica().await),
            _ => None,
        };
        let begin = clock::now();
        let redis = &scene.server;
        match self {
            Self::Nothing => load(500).await,
            Self::KilledAndEmpty => {
                redis.kill9();
                load(300).await;
                redis.restart().await;
            }
            Self::KilledAndOld => {
                ok(scene, &["SAVE"]).await;
                load(300).await;
                redis.kill9();
                redis.restart().await;
            }
            Self::Stopped => {
                redis.pause().await;
                tokio::time::sleep(scene.long()).await;
                redis.resume();
            }
            Self::Cut(text, when) => self.cut(scene, text, when).await,
            Self::ClientsKilled(kind) => {
                for _ in 0..5 {
                    redis.command(&["CLIENT", "KILL", "TYPE", kind]).await;
                    load(100).await;
                }
            }
            Self::Reloaded => {
                for _ in 0..5 {
                    ok(scene, &["DEBUG", "RELOAD"]).await;
                    load(100).await;
                }
            }
            Self::FailedOver => {
                let replica = replica.as_ref().expect("a replica");
                for (from, to) in [(redis, replica), (replica, redis)] {
                    assert_eq!(from.command(&["FAILOVER"]).await, text("OK"));
                    eventually("it fails over", async || role(to).await == "master").await;
                    eventually("it follows", async || role(from).await == "slave").await;
                    load(300).await;
                }
            }
            Self::Demoted => {
                redis.follow(replica.as_ref().expect("a replica")).await;
                load(300).await;
                redis.promote().await;
            }
            Self::Full(policy) => {
                let used = used_memory(scene).await.to_string();
                set(scene, "maxmemory-policy", policy).await;
                set(scene, "maxmemory", &used).await;
                load(700).await;
                set(scene, "maxmemory", "0").await;
            }
            Self::Slow => {
                scene
                    .proxies
                    .iter()
                    .for_each(|proxy| proxy.delay(std::time::Duration::from_millis(100)));
                load(1_000).await;
                scene.proxies.iter().for_each(|proxy| proxy.delay(std::time::Duration::ZERO));
            }
            Self::ChannelOverflows => {
                set(scene, "client-output-buffer-limit", "pubsub 1kb 1kb 0").await;
                load(700).await;
                set(scene, "client-output-buffer-limit", "pubsub 32mb 8mb 60").await;
            }
            Self::Flushed => {
                for _ in 0..10 {
                    ok(scene, &["FLUSHALL"]).await;
                    load(50).await;
                }
            }
            Self::OneRefused => {
                scene.proxies[0].refuse(true);
                load(700).await;
                scene.proxies[0].refuse(false);
            }
            Self::OneStalled => {
                scene.proxies[0].stall(true);
                tokio::time::sleep(scene.long()).await;
                scene.proxies[0].stall(false);
            }
        }
        recovered(&scene.crew, what, begin).await
    }

    /// Several times, in turn for each process.
    async fn cut(self, scene: &Scene, text: &'static str, when: When) {
        for round in 0..6 {
            let sprung = scene.proxies[round % scene.proxies.len()].cut(text, when);
            tokio::time::timeout(std::time::Duration::from_secs(10), sprung)
                .await
                .expect("there is load")
                .expect("the proxy tells");
            load(50).await;
        }
    }
}

fn text(text: &str) -> Reply {
    Reply::Text(text.into())
}

async fn ok(scene: &Scene, words: &[&str]) {
    assert_eq!(scene.server.command(words).await, text("OK"), "{words:?}");
}

async fn set(scene: &Scene, name: &str, value: &str) {
    ok(scene, &["CONFIG", "SET", name, value]).await;
}

async fn role(server: &crate::support::redis::Server) -> String {
    match server.command(&["ROLE"]).await {
        Reply::List(list) => list[0].to_string(),
        other => other.to_string(),
    }
}

async fn used_memory(scene: &Scene) -> u64 {
    let info = scene.server.command(&["INFO", "memory"]).await.to_string();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.expect("a line").trim().parse().expect("a number")
}
