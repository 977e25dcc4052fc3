//! What else may stand under our keys in Redis.

use fastrand::Rng;
use sea_orm_cache::store::{Bumps, Got, RedisConfig, RedisStore, Store};
use sea_orm_cache::{Family, Key};

use crate::subject::ids;
use crate::support::redis::{Client, Reply, Server, is_there};

/// A server, a store on it, and a way to write whatever we like.
async fn stage() -> Option<(Server, RedisStore, Client)> {
    if !is_there() {
        return None;
    }
    let server = Server::start(&[]).await;
    let store = RedisStore::new(RedisConfig::new(server.url()), "shop", 1).expect("a store");
    store.connect().await.expect("connected");
    let client = Client::connect(server.port).await.expect("a client");
    Some((server, store, client))
}

fn key() -> Key {
    Key::new("shop", 1, Family::List, "book", [7; 32])
}

async fn fill(store: &RedisStore) {
    use sea_orm_cache::store::{Kept, Mark, Put};

    let mark =
        Mark { entry: None, ids: &ids(&[1, 2]), create: [1; 16], keep_ms: 60_000, lease: None };
    let marked = store.mark(mark).await.expect("marked");
    let versions: Vec<_> = marked.versions.into_iter().map(|v| v.expect("a version")).collect();
    let put = Put {
        key: &key(),
        fill: [2; 16],
        epoch: marked.epoch,
        guards: &[],
        ids: &ids(&[1, 2]),
        versions: &versions,
        late: &[],
        body: b"value",
        age_ms: 0,
        ttl_ms: 60_000,
        keep_ms: 60_000,
        replace: true,
        token: None,
    };
    assert_eq!(store.put(put).await, Ok(Kept::Stored));
}

#[tokio::test]
async fn damaged_entries_are_no_entries() {
    let Some((server, store, _)) = stage().await else { return };
    let client = redis::Client::open(server.url()).expect("a client");
    let mut raw = client.get_multiplexed_async_connection().await.expect("a connection");
    fill(&store).await;
    let name = key().to_string();
    let whole: Vec<u8> = redis::cmd("GET").arg(&name).query_async(&mut raw).await.expect("bytes");
    let mut rng = Rng::with_seed(5);
    for round in 0..2_000 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(rng.usize(0..bytes.len())),
            1 => {
                // Not in the value: that has a checksum of its own.
                let place = rng.usize(0..bytes.len() - 5);
                bytes[place] ^= 1 << rng.u8(0..8);
            }
            _ => bytes = (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect(),
        }
        let mut set = redis::cmd("SET");
        set.arg(&name).arg(&bytes).arg("PX").arg(60_000);
        set.exec_async(&mut raw).await.expect("set");
        // Cut within the value, the head is whole.
        let got = store.get(&key(), None).await;
        let cut = bytes.len() < whole.len() && bytes.len() >= whole.len() - 5;
        assert!(cut || got == Ok(Got::Nothing), "round {round}: {got:?}");
    }
    // Another key's entry, and one that never ends.
    let mut set = redis::cmd("SET");
    set.arg(&name).arg(&whole);
    set.exec_async(&mut raw).await.expect("set");
    assert_eq!(store.get(&key(), None).await, Ok(Got::Nothing));
    let other = Key::new("shop", 1, Family::List, "book", [8; 32]);
    let mut set = redis::cmd("SET");
    set.arg(other.to_string()).arg(&whole).arg("PX").arg(60_000);
    set.exec_async(&mut raw).await.expect("set");
    assert_eq!(store.get(&other, None).await, Ok(Got::Nothing));
}

#[tokio::test]
async fn keys_of_other_types_are_no_entries_and_no_versions() {
    let Some((_server, store, mut client)) = stage().await else { return };
    let name = key().to_string();
    let version = |tag: u8| format!("{{shop:v1}}2:t:{}\0\0\0\0\0\0\0", char::from(tag));
    let kinds: [&[&str]; 4] = [
        &["RPUSH", "KEY", "x"],
        &["HSET", "KEY", "x", "y"],
        &["SADD", "KEY", "x"],
        &["SET", "KEY", "a string of another length"],
    ];
    for kind in kinds {
        for place in [name.clone(), version(1), version(2)] {
            fill(&store).await;
            client.command(&["DEL", &place]).await.expect("deleted");
            let words: Vec<_> = kind.iter().map(|word| word.replace("KEY", &place)).collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let reply = client.command(&words).await.expect("done");
            assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
            assert_eq!(store.get(&key(), None).await, Ok(Got::Nothing), "{words:?}");
            // It is overwritten, or deleted, as if it was ours.
            fill(&store).await;
            assert!(matches!(store.get(&key(), None).await, Ok(Got::Found(_))), "{words:?}");
            client.command(&["DEL", &place]).await.expect("deleted");
            client.command(&words).await.expect("done");
            let bump = Bumps { ids: &ids(&[1, 2]), watch: &ids(&[1]), ..Bumps::default() };
            store.bump(bump).await.expect("bumped");
            assert_eq!(store.get(&key(), None).await, Ok(Got::Nothing), "{words:?}");
            client.command(&["DEL", &place]).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn writes_to_what_nobody_cached_leave_nothing_behind() {
    let Some((_server, store, mut client)) = stage().await else { return };
    fill(&store).await;
    let size = |reply: Reply| match reply {
        Reply::Number(number) => number,
        other => panic!("{other:?}"),
    };
    let before = size(client.command(&["DBSIZE"]).await.expect("a size"));
    // A million tags of rows, in writes of 500.
    for write in 0..2_000_u64 {
        let tags: Vec<_> = (0..500).map(|row| 1_000 + write * 500 + row).collect();
        let bumps = Bumps { ids: &ids(&tags), ..Bumps::default() };
        store.bump(bumps).await.expect("bumped");
    }
    assert_eq!(size(client.command(&["DBSIZE"]).await.expect("a size")), before);
    assert!(matches!(store.get(&key(), None).await, Ok(Got::Found(_))));
}

#[tokio::test]
async fn a_replica_and_a_demoted_primary_answer_nothing() {
    let Some((server, store, _)) = stage().await else { return };
    fill(&store).await;
    let replica = server.replica().await;
    let reader = RedisStore::new(RedisConfig::new(replica.url()), "shop", 1).expect("a store");
    assert!(reader.connect().await.is_err());
    assert!(!matches!(reader.get(&key(), None).await, Ok(Got::Found(_) | Got::Same)));
    // The connection lives through the change of roles.
    replica.promote().await;
    server.follow(&replica).await;
    assert!(!matches!(store.get(&key(), None).await, Ok(Got::Found(_) | Got::Same)));
    let bump = Bumps { ids: &ids(&[1]), ..Bumps::default() };
    assert!(store.bump(bump).await.is_err());
    // Nor does the new one answer with what it has from before.
    reader.connect().await.expect("a primary now");
    assert_eq!(reader.get(&key(), None).await, Ok(Got::Nothing));
}

#[tokio::test]
async fn a_restart_from_an_old_snapshot_resurrects_nothing() {
    if !is_there() {
        return;
    }
    let server = Server::start(&["--save", "3600 1000000"]).await;
    let store = RedisStore::new(RedisConfig::new(server.url()), "shop", 1).expect("a store");
    store.connect().await.expect("connected");
    fill(&store).await;
    server.command(&["SAVE"]).await;
    let bump = Bumps { ids: &ids(&[1]), ..Bumps::default() };
    store.bump(bump).await.expect("bumped");
    server.kill9();
    server.restart().await;
    store.connect().await.expect("connected");
    let keys = server.command(&["EXISTS", &key().to_string()]).await;
    assert!(matches!(keys, Reply::Number(1)), "the snapshot has it: {keys:?}");
    assert_eq!(store.get(&key(), None).await, Ok(Got::Nothing));
}

#[tokio::test]
async fn a_primary_whose_replicas_have_left_it_answers_nothing() {
    let Some((server, store, _)) = stage().await else { return };
    let replica = server.replica().await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    crate::support::redis::eventually("the replica counts", async || {
        store.bump(Bumps::default()).await.is_ok() && store.connect().await.is_ok()
    })
    .await;
    fill(&store).await;
    assert!(matches!(store.get(&key(), None).await, Ok(Got::Found(_))));
    // As if a Sentinel had made the other one the primary, and this one does not know.
    replica.promote().await;
    crate::support::redis::eventually("it is noticed", async || {
        store.get(&key(), None).await.is_err()
    })
    .await;
}
