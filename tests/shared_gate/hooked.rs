//! A store at which tests can step in.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sea_orm_cache::Key;
use sea_orm_cache::store::{
    Bumped, Bumps, FillId, Got, Kept, Listener, Mark, Marked, Put, RedisStore, Store, StoreError,
    Unique,
};

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
pub struct Hooked {
    inner: Arc<RedisStore>,
    hooks: Arc<Hooks>,
}

#[derive(Default)]
pub struct Hooks {
    before_bump: Mutex<Option<Action>>,
    after_found: Mutex<Option<Action>>,
    /// Bumps fail, and so does connecting; reads do not.
    deaf: AtomicBool,
}

impl Hooked {
    pub fn new(inner: RedisStore) -> Self {
        Self { inner: Arc::new(inner), hooks: Arc::default() }
    }

    /// Before the next bump is sent.
    pub fn before_bump(&self, action: impl Future<Output = ()> + Send + 'static) {
        *self.hooks.before_bump.lock().expect("hooks") = Some(Box::pin(action));
    }

    /// After an entry was found, before the cache is given it.
    pub fn after_found(&self, action: impl Future<Output = ()> + Send + 'static) {
        *self.hooks.after_found.lock().expect("hooks") = Some(Box::pin(action));
    }

    pub fn deaf(&self, deaf: bool) {
        self.hooks.deaf.store(deaf, Ordering::SeqCst);
    }

    fn hears(&self) -> Result<(), StoreError> {
        match self.hooks.deaf.load(Ordering::SeqCst) {
            true => Err(StoreError::away("deaf")),
            false => Ok(()),
        }
    }

    async fn found(&self, found: bool) {
        let action = match found {
            true => self.hooks.after_found.lock().expect("hooks").take(),
            false => None,
        };
        if let Some(action) = action {
            action.await;
        }
    }
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Store for Hooked {
    async fn connect(&self) -> Result<(), StoreError> {
        self.hears()?;
        self.inner.connect().await
    }

    async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        let got = self.inner.get(key, known).await;
        self.found(matches!(got, Ok(Got::Found(_)))).await;
        got
    }

    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        let marked = self.inner.mark(mark).await;
        self.found(marked.as_ref().is_ok_and(|marked| marked.found.is_some())).await;
        marked
    }

    async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        self.inner.put(put).await
    }

    async fn release(&self, key: &Key, token: &Unique, never: bool) -> Result<(), StoreError> {
        self.inner.release(key, token, never).await
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.inner.remove(key).await
    }

    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        self.hears()?;
        let action = self.hooks.before_bump.lock().expect("hooks").take();
        if let Some(action) = action {
            action.await;
        }
        self.inner.bump(bump).await
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError> {
        self.inner.listen().await
    }
}
