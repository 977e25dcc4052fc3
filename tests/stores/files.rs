//! What is particular to stores of files: in a folder, and in Memcached.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use sea_orm_cache::store::{
    Bumps, Consistency, Got, Kept, Mark, OpendalConfig, OpendalStore, Store, TagId,
};
use sea_orm_cache::{Family, Key, ManualClock, QueryCache};

use crate::subject::{Subject, fresh, ids, urls};
use crate::support::proxy::{Fate, Proxy};
use crate::support::redis::eventually;

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

struct Stage {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Arc<OpendalStore>,
    subject: Subject,
}

/// A store in a folder, by a clock that stands still.
async fn stage() -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(1_000_000));
    let config = OpendalConfig::filesystem(folder.path()).clock(clock.clone());
    let store = Arc::new(OpendalStore::new(config, "shop", 1).expect("a store"));
    let subject = Subject::of("files", store.clone(), "shop").await;
    Stage { folder, clock, store, subject }
}

#[tokio::test]
async fn an_entry_ends_when_its_time_is_over_and_none_comes_from_the_future() {
    let stage = stage().await;
    let key = stage.subject.key(1);
    // Half a second old already.
    stage.subject.fill(&key).await;
    stage.clock.advance(Duration::from_millis(59_499));
    assert_eq!(stage.subject.found(&key).await.age_ms, 59_999);
    stage.clock.advance(Duration::from_millis(1));
    assert_eq!(stage.subject.get(&key).await, Got::Nothing);
    // As if the clock was set back by an hour.
    stage.subject.fill(&key).await;
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(1_000_059 - 3_600));
    let config = OpendalConfig::filesystem(stage.folder.path()).clock(clock);
    let other = OpendalStore::new(config, "shop", 1).expect("a store");
    assert_eq!(other.get(&key, None).await, Ok(Got::Nothing));
}

#[tokio::test]
async fn files_of_no_use_are_removed_some_at_a_time() {
    let stage = stage().await;
    for number in 0..50 {
        stage.subject.fill(&stage.subject.key(number)).await;
    }
    let sweep = async |at_a_time: usize| {
        let mut removed = 0;
        for _ in 0..60 {
            let step = stage.store.cull(at_a_time).await.expect("culled");
            assert!(step <= at_a_time);
            removed += step;
        }
        removed
    };
    assert_eq!(sweep(5).await, 0);
    assert_eq!(files(stage.folder.path()).len(), 50 + 4);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(sweep(5).await, 50);
    assert_eq!(files(stage.folder.path()).len(), 4, "the versions of four tags");
    stage.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    assert_eq!(sweep(5).await, 4);
    assert_eq!(files(stage.folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test(start_paused = true)]
async fn they_are_removed_in_the_background() {
    let stage = stage().await;
    for number in 0..50 {
        stage.subject.fill(&stage.subject.key(number)).await;
    }
    stage.clock.advance(Duration::from_secs(60));
    for _ in 0..1_000 {
        // Time that passes at once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if files(stage.folder.path()).len() == 4 {
            return;
        }
    }
    panic!("{} files are left", files(stage.folder.path()).len());
}

#[tokio::test]
async fn damaged_files_are_as_if_there_were_none() {
    let stage = stage().await;
    let key = stage.subject.key(1);
    let mut rng = Rng::with_seed(5);
    for round in 0..300 {
        stage.subject.fill(&key).await;
        let all = files(stage.folder.path());
        let path = &all[rng.usize(0..all.len())];
        // The guard's version is no part of the entry.
        let guard = path.ends_with("0000000000000009");
        let mut bytes = std::fs::read(path).expect("a file");
        let length = bytes.len() - if path.to_string_lossy().contains("/e/") { 5 } else { 0 };
        match round % 4 {
            0 => bytes.truncate(rng.usize(0..length)),
            // Not in the value: that has a checksum of its own.
            1 => bytes[rng.usize(0..length)] ^= 1 << rng.u8(0..8),
            2 => bytes = (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect(),
            // Another file of ours.
            _ => bytes = std::fs::read(&all[rng.usize(0..all.len())]).expect("a file"),
        }
        let same = bytes == std::fs::read(path).expect("a file");
        std::fs::write(path, bytes).expect("written");
        let got = stage.subject.get(&key).await;
        assert_eq!(matches!(got, Got::Found(_)), guard || same, "round {round}: {path:?}");
        // Bumped and made anew as if it was whole.
        stage.subject.bump(&[1, 2, 3, 9]).await;
        assert_eq!(stage.subject.get(&key).await, Got::Nothing);
    }
}

#[tokio::test]
async fn nothing_in_a_prefix_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    let long = "x".repeat(10_000);
    for prefix in ["..", "../..", "/etc/x", "a/../../b", "C:\\x", "\0", "ü*?", &long] {
        let config = OpendalConfig::filesystem(&inner);
        let store = Arc::new(OpendalStore::new(config, prefix, 1).expect("a store"));
        let subject = Subject::of("files", store, prefix).await;
        let key = Key::new(prefix, 1, Family::Value, "../../../value", [1; 32]);
        subject.fill(&key).await;
        assert!(matches!(subject.get(&key).await, Got::Found(_)));
    }
    let all = files(folder.path());
    assert_eq!(all.len(), 8 * 5);
    assert!(all.iter().all(|path| path.starts_with(&inner)), "{all:?}");
}

#[tokio::test]
async fn what_was_put_before_a_restart_of_the_machine_is_not_answered() {
    // The kernel's boot id stands in each entry as its history; the contract's test puts under
    // another one. Here: it is there at all.
    let stage = stage().await;
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    let id: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    let epoch = stage.subject.mark(&[1]).await.epoch;
    assert_eq!(epoch.map(|byte| format!("{byte:02x}")).concat(), id);
    assert_eq!(stage.store.consistency(), Consistency::Full, "{:?}", stage.store);
}

#[tokio::test]
async fn a_store_that_promises_less_is_refused_unless_it_is_asked_for_by_name() {
    // Nobody need be there.
    let config = || OpendalConfig::memcached("tcp://127.0.0.1:1");
    let error = QueryCache::builder().opendal(config()).build().await.expect_err("refused");
    let text = error.to_string();
    assert!(error.is_config(), "{text}");
    for words in ["Memcached at tcp://127.0.0.1:1", "same moment", "Consistency::PerKey"] {
        assert!(text.contains(words), "{text}");
    }
    for level in [Consistency::PerKey, Consistency::Eventual] {
        let builder = QueryCache::builder().opendal(config()).weaker_consistency(level);
        assert!(builder.build().await.expect("a cache").stats().store.expect("a store").away);
    }
    // Nor does it tell of writes.
    let folder = tempfile::tempdir().expect("a folder");
    let bounded = QueryCache::builder()
        .opendal(OpendalConfig::filesystem(folder.path()))
        .coherence(sea_orm_cache::Coherence::bounded());
    assert!(bounded.build().await.expect_err("refused").is_config());
}

#[tokio::test]
async fn an_operator_of_ones_own_promises_least() {
    let service = opendal::services::Memory::default();
    let operator = opendal::Operator::new(service).expect("an operator");
    let config = || OpendalConfig::operator(operator.clone());
    let store = OpendalStore::new(config(), "shop", 1).expect("a store");
    assert_eq!(store.consistency(), Consistency::Eventual);
    let builder = || QueryCache::builder().opendal(config());
    let error = builder().weaker_consistency(Consistency::PerKey).build().await;
    assert!(error.expect_err("refused").to_string().contains("Consistency::Eventual"));
    builder().weaker_consistency(Consistency::Eventual).build().await.expect("a cache");
    let subject = Subject::of("memory", Arc::new(store), "shop").await;
    let key = subject.key(1);
    subject.fill(&key).await;
    assert!(matches!(subject.get(&key).await, Got::Found(_)));
    subject.bump(&[2]).await;
    assert_eq!(subject.get(&key).await, Got::Nothing);
}

#[tokio::test]
async fn addresses_and_folders_that_are_none_are_mistakes() {
    for endpoint in ["", "127.0.0.1", "ftp://127.0.0.1:1", "tcp://"] {
        let error = OpendalStore::new(OpendalConfig::memcached(endpoint), "shop", 1);
        assert!(error.expect_err("no address").is_config(), "{endpoint}");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = OpendalStore::new(OpendalConfig::filesystem(file.path().join("x")), "shop", 1);
    assert!(error.expect_err("no folder").is_config());
}

/// A Memcached behind a proxy, and the same directly.
async fn memcached() -> Option<(Proxy, Subject, Subject)> {
    let urls = urls("MEMCACHED_URL")?;
    let proxy = Proxy::before(urls[0].trim_start_matches("tcp://").to_owned()).await;
    let prefix = format!("t{:x}", u128::from_le_bytes(fresh()));
    let far = OpendalConfig::memcached(format!("tcp://127.0.0.1:{}", proxy.port))
        .timeout(Duration::from_millis(300));
    let far = OpendalStore::new(far, &prefix, 1).expect("a store");
    let near = OpendalConfig::memcached(&urls[0]).timeout(Duration::from_secs(5));
    let near = OpendalStore::new(near, &prefix, 1).expect("a store");
    let near = Subject::of("Memcached", Arc::new(near), &prefix).await;
    Some((proxy, Subject::of("Memcached, far away", Arc::new(far), &prefix).await, near))
}

fn mark(ids: &[TagId]) -> Mark<'_> {
    Mark { entry: None, ids, create: fresh(), keep_ms: 60_000, lease: None }
}

#[tokio::test]
async fn a_version_whose_write_was_not_answered_in_time_is_not_used_and_arrives_once() {
    let Some((proxy, far, near)) = memcached().await else { return };
    let (key, tags) = (near.key(1), ids(&[1]));
    near.fill(&key).await;
    near.bump(&[1]).await;
    // The bytes of a version.
    let lost = proxy.cut_at("sORV");
    let late = mark(&tags);
    far.store.mark(late).await.expect_err("no answer");
    // Who is answered uses a version of its own.
    let marked = near.mark(&[1]).await;
    assert_ne!(marked.versions, [Some(late.create)]);
    near.fill(&key).await;
    near.bump(&[1]).await;
    lost.ends(Fate::Late).await;
    // Now it is there, after the bump, and ends nothing but what others did meanwhile.
    assert_eq!(near.mark(&[1]).await.versions, [Some(late.create)]);
    assert_eq!(near.get(&key).await, Got::Nothing);
    let fill = near.fill(&key).await;
    assert_eq!(near.found(&key).await.fill, fill);
    near.bump(&[1]).await;
    assert_eq!(near.get(&key).await, Got::Nothing);
    for _ in 0..20 {
        assert_ne!(near.mark(&[1]).await.versions, [Some(late.create)]);
    }
}

#[tokio::test]
async fn answers_that_nobody_waited_for_are_not_taken_for_others() {
    let Some((proxy, far, near)) = memcached().await else { return };
    for number in 0..20 {
        near.fill(&near.key(number)).await;
    }
    for round in 0..5 {
        proxy.stall(true);
        let key = near.key(round);
        far.store.get(&key, None).await.expect_err("no answer");
        far.store.bump(Bumps { ids: &ids(&[70, 71]), ..Bumps::default() }).await.expect_err("none");
        proxy.stall(false);
        eventually("it answers", async || far.store.connect().await.is_ok()).await;
        for number in 0..20 {
            let (far, near) = (far.get(&far.key(number)).await, near.get(&near.key(number)).await);
            // Asked one after the other, so the ages differ.
            let fill = |got: &Got| match got {
                Got::Found(found) => found.fill,
                other => panic!("{other:?}"),
            };
            assert_eq!(fill(&far), fill(&near));
        }
    }
}

#[tokio::test]
async fn clocks_that_differ_make_nothing_live_longer_in_memcached() {
    let Some(urls) = urls("MEMCACHED_URL") else { return };
    let prefix = format!("t{:x}", u128::from_le_bytes(fresh()));
    let by = async |seconds: u64| {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(seconds));
        let config = OpendalConfig::memcached(&urls[0]).clock(clock);
        let store = OpendalStore::new(config, &prefix, 1).expect("a store");
        Subject::of("Memcached", Arc::new(store), &prefix).await
    };
    let (behind, ahead) = (by(1_000_000).await, by(1_000_030).await);
    let (one, two) = (ahead.key(1), ahead.key(2));
    // Put by a clock that is ahead: as young as can be.
    ahead.fill(&one).await;
    assert_eq!(behind.found(&one).await.age_ms, 0);
    // Put by one that is behind: older than it is.
    behind.fill(&two).await;
    assert_eq!(ahead.found(&two).await.age_ms, 30_500);
    // It counts in seconds, so what has less left is not kept.
    let marked = ahead.mark(&[1, 2, 9]).await;
    let versions: Vec<_> = marked.versions.iter().map(|v| v.expect("a version")).collect();
    let tags = ids(&[1, 2]);
    let put = sea_orm_cache::store::Put {
        key: &one,
        fill: fresh(),
        epoch: marked.epoch,
        guards: &[],
        ids: &tags,
        versions: &versions[..2],
        late: &[],
        body: b"value",
        age_ms: 500,
        ttl_ms: 1_400,
        keep_ms: 60_000,
        replace: true,
        token: None,
    };
    assert_eq!(ahead.store.put(put).await, Ok(Kept::Refused));
}

#[tokio::test]
async fn what_is_too_large_for_memcached_is_refused_and_hurts_nobody() {
    let Some((_, _, near)) = memcached().await else { return };
    let key = near.key(1);
    let marked = near.mark(&[1]).await;
    let versions = [marked.versions[0].expect("a version")];
    let (tags, body) = (ids(&[1]), vec![7; 3 << 20]);
    let put = sea_orm_cache::store::Put {
        key: &key,
        fill: fresh(),
        epoch: marked.epoch,
        guards: &[],
        ids: &tags,
        versions: &versions,
        late: &[],
        body: &body,
        age_ms: 0,
        ttl_ms: 60_000,
        keep_ms: 60_000,
        replace: true,
        token: None,
    };
    let error = near.store.put(put).await.expect_err("too large");
    assert!(error.is_refused(), "{error}");
    for number in 0..30 {
        near.fill(&near.key(number)).await;
        near.found(&near.key(number)).await;
    }
}
