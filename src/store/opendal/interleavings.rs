//! Calls that meet in every order of their steps, of which each reads, replaces or removes one file.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::files::{Did, Files, Life, Listed, Read};
use super::format::{Is, Stamp};
use super::protocol::Core;
use crate::fault::{Fault, set};
use crate::key::{Family, Key};
use crate::store::{Bumps, Got, Kept, Mark, Marked, Put, StoreError, TagId, Unique, unique};
use crate::sync::{Mutex, lock};

/// One step of somebody's; the others may do theirs before it.
async fn step() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Files in memory: each call is one step.
#[derive(Default)]
struct Fake {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    now_ms: AtomicU64,
    lists: bool,
}

impl Files for Fake {
    async fn read(&self, path: String, _: Option<u64>) -> Read {
        step().await;
        Ok(lock(&self.files).get(&path).cloned())
    }

    async fn write(&self, path: String, bytes: Vec<u8>, _: Life) -> Did {
        step().await;
        lock(&self.files).insert(path, bytes);
        Ok(())
    }

    async fn create(&self, _: String, _: Vec<u8>) -> Result<Option<bool>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, path: String) -> Did {
        step().await;
        lock(&self.files).remove(&path);
        Ok(())
    }

    async fn list(&self, folder: String) -> Result<Option<Vec<Listed>>, StoreError> {
        if !self.lists {
            return Ok(None);
        }
        step().await;
        let files = lock(&self.files);
        let names = files.keys().filter_map(|path| path.strip_prefix(&folder));
        let listed = names.map(|name| Listed { name: name.to_owned(), written: None });
        Ok(Some(listed.collect()))
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn keeps(&self, _: Life) -> bool {
        true
    }

    fn width(&self) -> usize {
        1
    }
}

const GUARD: TagId = TagId(9);
const KNOWN: TagId = TagId(1);
const LATE: TagId = TagId(3);
const HOUR_MS: u64 = 3_600_000;

/// A row in a database, and a store of files.
struct World {
    core: Core<Fake>,
    key: Key,
    row: AtomicU64,
    /// The newest value whose write was acknowledged.
    acknowledged: AtomicU64,
    stale: Mutex<Vec<String>>,
}

impl World {
    fn new(lists: bool) -> Arc<Self> {
        let files = Fake { lists, ..Fake::default() };
        files.now_ms.store(HOUR_MS, Ordering::SeqCst);
        let core = Core { files, folder: "f".into(), epoch: [1; 16], one_clock: true };
        let key = Key::new("p", 1, Family::List, "book", [7; 32]);
        let (row, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { core, key, row, acknowledged, stale: Mutex::default() })
    }

    async fn hit(&self) {
        let floor = self.acknowledged.load(Ordering::SeqCst);
        if let Ok(Got::Found(found)) = self.core.get(&self.key, None).await {
            let value = u64::from_le_bytes(found.body.try_into().unwrap_or_default());
            if value < floor {
                lock(&self.stale).push(format!("{value}, where {floor} was acknowledged"));
            }
        }
    }

    async fn mark(&self, ids: &[TagId]) -> Marked {
        let mark = Mark { entry: None, ids, create: unique(), keep_ms: HOUR_MS, lease: None };
        self.core.mark(mark).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn put(&self, id: TagId, version: Unique, guard: Option<Unique>, value: u64) -> Kept {
        let guards: Vec<_> = guard.into_iter().map(|version| (GUARD, version)).collect();
        let put = Put {
            key: &self.key,
            fill: unique(),
            epoch: [1; 16],
            guards: &guards,
            ids: &[id],
            versions: &[version],
            late: if guards.is_empty() { &[] } else { &[LATE] },
            body: &value.to_le_bytes(),
            age_ms: 0,
            ttl_ms: HOUR_MS,
            keep_ms: HOUR_MS,
            replace: true,
            token: None,
        };
        self.core.put(put).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads the row and stores it, under a guard and with a tag that is known late.
    async fn fill(self: Arc<Self>) {
        let marked = self.mark(&[KNOWN, GUARD]).await;
        step().await;
        let value = self.row.load(Ordering::SeqCst);
        let [Some(known), guard] = marked.versions[..] else { return };
        self.put(KNOWN, known, guard, value).await;
        self.hit().await;
    }

    /// The same, of what one blocks.
    async fn fill_blocked(self: Arc<Self>) {
        let marked = self.mark(&[KNOWN]).await;
        step().await;
        let value = self.row.load(Ordering::SeqCst);
        if let [Some(known)] = marked.versions[..] {
            self.put(KNOWN, known, None, value).await;
        }
        self.hit().await;
    }

    async fn bump(&self, bump: Bumps<'_>) {
        self.core.bump(bump).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn write(self: Arc<Self>, ids: [TagId; 2]) {
        step().await;
        let value = self.row.fetch_add(1, Ordering::SeqCst) + 1;
        self.bump(Bumps { ids: &ids, ..Bumps::default() }).await;
        self.acknowledged.fetch_max(value, Ordering::SeqCst);
    }

    /// Writes without a bump, while it holds the others off.
    async fn import(self: Arc<Self>) {
        let block = [(KNOWN, unique())];
        self.bump(Bumps { block: &block, ..Bumps::default() }).await;
        for _ in 0..2 {
            step().await;
            let value = self.row.fetch_add(1, Ordering::SeqCst) + 1;
            self.acknowledged.fetch_max(value, Ordering::SeqCst);
        }
        self.bump(Bumps { unblock: &block, ..Bumps::default() }).await;
    }

    /// A version whose write had no answer in time, and arrives all the same.
    async fn straggler(self: Arc<Self>, id: TagId) {
        let place = format!("f/t/{:02x}/{:016x}", id.0, id.0);
        let stamp = Stamp { until_ms: u64::MAX, unique: unique() };
        let bytes = stamp.bytes(Is::Version, &place);
        let _ = self.core.files.write(place, bytes, Life::AtLeast(0)).await;
    }
}

type Actor = Pin<Box<dyn Future<Output = ()>>>;

fn actor(work: impl Future<Output = ()> + 'static) -> Actor {
    Box::pin(work)
}

/// Lets them take turns as `choose` says, among so many; what was stale then or in the end.
fn run(
    world: &Arc<World>,
    mut actors: Vec<Actor>,
    mut choose: impl FnMut(usize) -> usize,
) -> Vec<String> {
    let mut context = Context::from_waker(Waker::noop());
    while !actors.is_empty() {
        let next = choose(actors.len());
        if actors[next].as_mut().poll(&mut context).is_ready() {
            drop(actors.remove(next));
        }
    }
    let mut last = actor({
        let world = world.clone();
        async move { world.hit().await }
    });
    while last.as_mut().poll(&mut context).is_pending() {}
    std::mem::take(&mut *lock(&world.stale))
}

/// Every order. What was stale in the first that has something.
fn every(build: impl Fn() -> (Arc<World>, Vec<Actor>)) -> Vec<String> {
    let mut path: Vec<(usize, usize)> = Vec::new();
    for runs in 0.. {
        assert!(runs < 2_000_000, "too many orders");
        let (world, actors) = build();
        let mut depth = 0;
        let stale = run(&world, actors, |choices| {
            if depth == path.len() {
                path.push((0, choices));
            }
            depth += 1;
            path[depth - 1].0
        });
        if !stale.is_empty() {
            return stale;
        }
        while path.pop_if(|(chosen, choices)| *chosen + 1 == *choices).is_some() {}
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => {
                assert!(runs > 20, "nothing met");
                break;
            }
        }
    }
    Vec::new()
}

/// So many orders by chance.
fn some(number: u64, build: impl Fn() -> (Arc<World>, Vec<Actor>)) -> Vec<String> {
    for seed in 0..number {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (world, actors) = build();
        let stale = run(&world, actors, |choices| rng.usize(0..choices));
        if !stale.is_empty() {
            return stale;
        }
    }
    Vec::new()
}

/// The switch is one for all tests.
fn with(fault: Fault) -> MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    set(fault);
    guard
}

fn fill_and_write(lists: bool, ids: [TagId; 2]) -> impl Fn() -> (Arc<World>, Vec<Actor>) {
    move || {
        let world = World::new(lists);
        let actors = vec![actor(world.clone().fill()), actor(world.clone().write(ids))];
        (world, actors)
    }
}

fn fill_and_import(lists: bool) -> impl Fn() -> (Arc<World>, Vec<Actor>) {
    move || {
        let world = World::new(lists);
        let actors = vec![actor(world.clone().fill_blocked()), actor(world.clone().import())];
        (world, actors)
    }
}

/// Somebody asks for a version that ends soon, and an entry depends on it, while it is bumped.
fn ask_and_write() -> (Arc<World>, Vec<Actor>) {
    let world = World::new(true);
    let setting_up = world.clone();
    let before = actor(async move {
        let marked = setting_up.mark(&[KNOWN]).await;
        let week_ms = 7 * 24 * HOUR_MS;
        setting_up.core.files.now_ms.fetch_add(week_ms - HOUR_MS / 2, Ordering::SeqCst);
        let version = marked.versions[0].unwrap_or_else(|| panic!("a version"));
        assert_eq!(setting_up.put(KNOWN, version, None, 0).await, Kept::Stored);
    });
    assert_eq!(run(&world, vec![before], |_| 0), Vec::<String>::new());
    let asking = world.clone();
    let ask = actor(async move { drop(asking.mark(&[KNOWN]).await) });
    let actors = vec![ask, actor(world.clone().write([KNOWN, GUARD]))];
    (world, actors)
}

const ORDERS: [[TagId; 2]; 2] = [[GUARD, LATE], [LATE, GUARD]];

#[test]
fn nothing_is_stale_in_whichever_order_a_fill_and_a_write_meet() {
    let _one = with(Fault::None);
    for ids in ORDERS {
        assert_eq!(every(fill_and_write(true, ids)), Vec::<String>::new());
        assert_eq!(every(fill_and_write(false, ids)), Vec::<String>::new());
    }
    assert_eq!(every(ask_and_write), Vec::<String>::new());
}

#[test]
fn nothing_is_stored_while_a_tag_is_blocked() {
    let _one = with(Fault::None);
    for lists in [true, false] {
        assert_eq!(every(fill_and_import(lists)), Vec::<String>::new());
    }
}

#[test]
fn nothing_is_stale_where_many_meet() {
    let _one = with(Fault::None);
    for ids in ORDERS {
        let many = || {
            let world = World::new(true);
            let mut actors = vec![
                actor(world.clone().straggler(LATE)),
                actor(world.clone().straggler(GUARD)),
                actor(world.clone().straggler(KNOWN)),
            ];
            for _ in 0..2 {
                actors.push(actor(world.clone().fill()));
                actors.push(actor(world.clone().write(ids)));
            }
            (world, actors)
        };
        assert_eq!(some(20_000, many), Vec::<String>::new());
    }
    // Two who block the same, each by a file of its own.
    let many = || {
        let world = World::new(true);
        let mut actors = vec![actor(world.clone().straggler(KNOWN))];
        for _ in 0..2 {
            actors.push(actor(world.clone().import()));
            actors.push(actor(world.clone().fill_blocked()));
        }
        (world, actors)
    };
    assert_eq!(some(20_000, many), Vec::<String>::new());
}

/// Without any of them something is.
#[test]
fn each_rule_is_needed() {
    {
        let _one = with(Fault::OnePass);
        assert_ne!(every(fill_and_write(true, [LATE, GUARD])), Vec::<String>::new());
    }
    {
        let _one = with(Fault::GuardsBeforeLate);
        assert_ne!(every(fill_and_write(true, [GUARD, LATE])), Vec::<String>::new());
    }
    {
        let _one = with(Fault::BlocksBeforeVersions);
        assert_ne!(every(fill_and_import(true)), Vec::<String>::new());
    }
    {
        let _one = with(Fault::VersionWrittenAgain);
        assert_ne!(every(ask_and_write), Vec::<String>::new());
    }
    let _one = with(Fault::None);
    // Where all blocks are in one file, of two one may be lost: so such a store is not `Full`.
    let many = || {
        let world = World::new(false);
        let actors = vec![
            actor(world.clone().import()),
            actor(world.clone().import()),
            actor(world.clone().fill_blocked()),
        ];
        (world, actors)
    };
    assert_ne!(some(100_000, many), Vec::<String>::new());
}
