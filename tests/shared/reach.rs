//! The ways to reach Redis.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Coherence, QueryCache, QueryCacheBuilder};

use crate::coherent::prices;
use crate::processes::{Process, World};
use crate::support::redis::{Client, eventually, free_port, is_there};

/// Two processes that reach Redis in the same way share what they read and write.
async fn share(world: &World, set: impl Fn(QueryCacheBuilder) -> QueryCacheBuilder) {
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let one = at(world, &set, coherence).await;
        let two = at(world, &set, coherence).await;
        prices(&one.db, 1).await;
        prices(&two.db, 1).await;
        assert_eq!((one.hits(), two.hits()), (0, 1), "{:?}", two.log.take());
        one.sql("UPDATE book SET price = 7 WHERE id = 1").await;
        eventually("the other sees it", async || prices(&two.db, 1).await == [7, 200]).await;
        one.sql("UPDATE book SET price = 100 WHERE id = 1").await;
        eventually("and this", async || prices(&two.db, 1).await == [100, 200]).await;
        one.cache.invalidate_all().await;
    }
}

async fn at(
    world: &World,
    set: impl Fn(QueryCacheBuilder) -> QueryCacheBuilder,
    coherence: Coherence,
) -> Process {
    let process =
        world.process_at("redis://unused", |builder| set(builder).coherence(coherence)).await;
    assert!(!process.away());
    process
}

#[tokio::test]
async fn by_a_unix_socket() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("redis.sock").display().to_string();
    let world = World::with(&["--unixsocket", &socket]).await;
    share(&world, |builder| builder.redis(RedisConfig::new(format!("unix://{socket}")))).await;
}

/// A certificate of that authority, and its key.
fn certified(authority: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("names").signed_by(&key, authority);
    (certificate.expect("a certificate").pem(), key.serialize_pem())
}

#[tokio::test]
async fn by_tls_with_certificates_of_an_own_authority() {
    if !is_there() {
        return;
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let ((certificate, key), (own, own_key)) = (certified(&authority), certified(&authority));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let [root, certificate, key] =
        [("root", authority.pem()), ("certificate", certificate), ("key", key)]
            .map(|(name, text)| file(name, &text));
    let port = free_port().to_string();
    let (listen, trust) = (["--tls-port", &port], ["--tls-ca-cert-file", &root]);
    let show = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
    let world = World::with(&[&listen[..], &trust, &show].concat()).await;
    let config = || RedisConfig::new(format!("rediss://127.0.0.1:{port}"));
    let trusting = || config().root_certificate(authority.pem());
    share(&world, |builder| builder.redis(trusting().client_certificate(&*own, &*own_key))).await;

    // A server that nobody vouches for, and one that wants to know who we are.
    for config in [config().client_certificate(&*own, &*own_key), trusting()] {
        let cache = QueryCache::builder().redis(config).build().await.expect("a cache");
        assert!(cache.stats().store.expect("a store").away);
    }
    for (config, words) in [
        (trusting().root_certificate("s3cr3t"), "root_certificate"),
        (trusting().client_certificate(&*own, "s3cr3t"), "client_certificate"),
        (RedisConfig::new("redis://x").root_certificate(authority.pem()), "is not rediss://"),
    ] {
        assert!(!format!("{config:?}").contains("s3cr3t"));
        let error = QueryCache::builder().redis(config).build().await.expect_err("no certificate");
        assert!(error.is_config() && error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
}

#[tokio::test]
async fn by_several_connections() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let url = world.redis.url();
    share(&world, |builder| builder.redis(RedisConfig::new(&url).connections(3))).await;
}

#[tokio::test]
async fn as_a_user_who_may_do_what_is_needed() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let user = "ACL SETUSER shop on >secret resetkeys ~shop:* ~{shop:* resetchannels &{shop:* \
        -@all +eval +evalsha +get +mget +set +del +pttl +pexpire +info +publish +subscribe +ping";
    world.redis.command(&user.split_whitespace().collect::<Vec<_>>()).await;
    let url = world.redis.url();
    share(&world, |builder| {
        builder.prefix("shop").redis(RedisConfig::new(&url).user("shop", "secret"))
    })
    .await;
}

#[tokio::test]
async fn as_a_user_who_may_not_do_what_is_needed() {
    if !is_there() {
        return;
    }
    const NEEDED: &[&str] = &[
        "ping", "evalsha", "eval", "get", "mget", "set", "del", "pttl", "pexpire", "info",
        "publish",
    ];
    let world = World::new().await;
    for missing in NEEDED {
        world.redis.command(&["SCRIPT", "FLUSH"]).await;
        let may = NEEDED.iter().filter(|command| *command != missing);
        let may: Vec<_> = may.map(|command| format!("+{command}")).collect();
        let user = ["ACL", "SETUSER", "shop", "reset", "on", ">secret", "~*", "&*", "-@all"];
        let words: Vec<_> = user.into_iter().chain(may.iter().map(String::as_str)).collect();
        world.redis.command(&words).await;
        let config = RedisConfig::new(world.redis.url()).user("shop", "secret");
        let built = sea_orm_cache::QueryCache::builder().redis(config).build().await;
        let error = built.err().unwrap_or_else(|| panic!("not missed: {missing}"));
        assert!(error.is_config(), "{missing}: {error}");
    }
}

#[tokio::test]
async fn databases_of_other_numbers_prefixes_and_versions_share_nothing() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let url = world.redis.url();
    let one = world.process(Coherence::Strong).await;
    let others: [Box<dyn FnOnce(QueryCacheBuilder) -> QueryCacheBuilder>; 3] = [
        Box::new(|builder| builder.redis(RedisConfig::new(url).database(1))),
        Box::new(|builder| builder.prefix("other")),
        Box::new(|builder| builder.version(2)),
    ];
    prices(&one.db, 1).await;
    for other in others {
        let two = world.process_at(&world.redis.url(), other).await;
        prices(&two.db, 1).await;
        prices(&two.db, 1).await;
        assert_eq!(two.hits(), 1, "its own");
        // Nor does giving up everything of one touch the other's.
        two.cache.invalidate_all().await;
        let hits = one.hits();
        prices(&one.db, 1).await;
        assert_eq!(one.hits(), hits + 1);
    }
    let keys = world.redis.command(&["KEYS", "*"]).await.to_string();
    assert!(keys.contains("other:v1:list:book:") && keys.contains("sea-orm:v2:"), "{keys}");
}

#[tokio::test]
async fn two_databases_share_no_entry() {
    if !is_there() {
        return;
    }
    let (world, other) = (World::new().await, World::new().await);
    let one = world.process(Coherence::Strong).await;
    let two = other.process_at(&world.redis.url(), |builder| builder).await;
    two.sql("UPDATE book SET price = 5 WHERE id = 1").await;
    assert_eq!(prices(&one.db, 1).await, [100, 200]);
    assert_eq!(prices(&two.db, 1).await, [5, 200]);
    assert_eq!((one.hits(), two.hits()), (0, 0));
}

#[tokio::test]
async fn in_a_cluster() {
    let Ok(urls) = std::env::var("REDIS_CLUSTER_URLS") else {
        assert!(std::env::var("REQUIRE_SERVERS").is_err(), "REDIS_CLUSTER_URLS is not set");
        return println!("left out: REDIS_CLUSTER_URLS is not set");
    };
    let world = World::new().await;
    let prefix = format!("c{}", std::process::id());
    share(&world, |builder| builder.prefix(&prefix).redis(RedisConfig::cluster(urls.split(','))))
        .await;
}

#[tokio::test]
async fn by_a_sentinel_also_after_a_failover() {
    let Ok(urls) = std::env::var("REDIS_SENTINEL_URLS") else {
        assert!(std::env::var("REQUIRE_SERVERS").is_err(), "REDIS_SENTINEL_URLS is not set");
        return println!("left out: REDIS_SENTINEL_URLS is not set");
    };
    let name = std::env::var("REDIS_SENTINEL_MASTER").expect("a name");
    let world = World::new().await;
    let prefix = format!("s{}", std::process::id());
    let set = |builder: QueryCacheBuilder| {
        builder.prefix(&prefix).redis(RedisConfig::sentinel(urls.split(','), &name))
    };
    share(&world, set).await;
    let (one, two) =
        (at(&world, set, Coherence::Strong).await, at(&world, set, Coherence::Strong).await);
    prices(&one.db, 1).await;
    prices(&two.db, 1).await;
    let port = urls.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut sentinel = Client::connect(port).await.expect("a Sentinel");
    let primary = sentinel.command(&["SENTINEL", "get-master-addr-by-name", &name]).await;
    let before = primary.expect("an address").to_string();
    sentinel.command(&["SENTINEL", "FAILOVER", &name]).await.expect("told");
    let mut price = 0;
    eventually("another one is the primary", async || {
        let mut sentinel = Client::connect(port).await.expect("a Sentinel");
        let now = sentinel.command(&["SENTINEL", "get-master-addr-by-name", &name]).await;
        now.expect("an address").to_string() != before
    })
    .await;
    for _ in 0..200 {
        price += 1;
        one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
        assert_eq!(prices(&one.db, 1).await, [price, 200]);
        // What one wrote while it was cut off may not have been told.
        if !one.away() && one.cache.stats().store.expect("a store").undelivered == 0 {
            assert_eq!(prices(&two.db, 1).await, [price, 200]);
        }
    }
    eventually("both are back", async || {
        prices(&one.db, 1).await;
        prices(&two.db, 1).await;
        !one.away() && !two.away()
    })
    .await;
    let hits = two.hits();
    prices(&two.db, 1).await;
    prices(&two.db, 1).await;
    assert!(two.hits() > hits, "{:?}", two.log.take());
}
