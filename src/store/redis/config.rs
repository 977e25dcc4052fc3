//! How to reach Redis.

use std::fmt;
use std::time::Duration;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::error::Error;

/// Where Redis (or Valkey) is, and how to talk to it. Give one to
/// [`QueryCacheBuilder::redis`](crate::QueryCacheBuilder::redis).
///
/// URLs are `redis://[user][:password@]host[:port][/database]`, `rediss://…` for TLS (feature
/// `redis-tls`), and `unix:///path/to/socket[?db=…&user=…&pass=…]`. Passwords are never shown.
///
/// ```
/// use std::time::Duration;
/// use sea_orm_cache::store::RedisConfig;
///
/// let config = RedisConfig::new("redis://cache:secret@127.0.0.1/2")
///     .response_timeout(Duration::from_millis(100));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    pub(super) nodes: Vec<String>,
    pub(super) kind: Kind,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<i64>,
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    #[cfg(feature = "redis-tls")]
    pub(super) certificates: super::tls::Certificates,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Sentinel {
        name: String,
    },
    #[cfg(feature = "redis-cluster")]
    Cluster,
}

impl RedisConfig {
    fn of(nodes: Vec<String>, kind: Kind) -> Self {
        Self {
            nodes,
            kind,
            username: None,
            password: None,
            database: None,
            connections: 1,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(250),
            #[cfg(feature = "redis-tls")]
            certificates: super::tls::Certificates::default(),
        }
    }

    /// One server.
    pub fn new(url: impl Into<String>) -> Self {
        Self::of(vec![url.into()], Kind::Single)
    }

    /// The server that Sentinels call the primary of this name. What the URLs say of users and
    /// passwords is for the Sentinels; the server's own are [`user`](Self::user) and
    /// [`database`](Self::database). With `rediss://` the server is spoken to by TLS, too.
    ///
    /// ```
    /// use sea_orm_cache::store::RedisConfig;
    /// let config = RedisConfig::sentinel(["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"], "main");
    /// ```
    pub fn sentinel(urls: impl IntoIterator<Item = impl Into<String>>, name: &str) -> Self {
        let nodes = urls.into_iter().map(Into::into).collect();
        Self::of(nodes, Kind::Sentinel { name: name.to_owned() })
    }

    /// A Cluster, by some of its nodes. All versions of one cache lie in one slot, so that an
    /// invalidation is atomic; its entries are spread over all slots.
    ///
    /// ```
    /// use sea_orm_cache::store::RedisConfig;
    /// let config = RedisConfig::cluster(["redis://10.0.0.1", "redis://10.0.0.2"]);
    /// ```
    #[cfg(feature = "redis-cluster")]
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::of(urls.into_iter().map(Into::into).collect(), Kind::Cluster)
    }

    /// The user and password; they go before the URL's.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.username = Some(name.to_owned());
        self.password = Some(password.to_owned());
        self
    }

    /// The number of the database; it goes before the URL's.
    pub fn database(mut self, number: i64) -> Self {
        self.database = Some(number);
        self
    }

    /// Over how many connections requests are spread. Each carries any number of requests at a
    /// time, so more than the one by default only pay where large entries hold up small ones.
    pub fn connections(mut self, number: usize) -> Self {
        self.connections = number.max(1);
        self
    }

    /// How long connecting may take. The default is 1 second: nobody waits for it but the task
    /// that tries to reach a Redis which was away.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an answer may take before Redis counts as away. The default is 250 milliseconds:
    /// most queries take less, and then the database is the better cache.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// The certificates of the authorities that a server's may come from, as PEM, instead of those
    /// that this machine trusts. For `rediss://`.
    ///
    /// ```
    /// use sea_orm_cache::store::RedisConfig;
    /// # fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join("sea-orm-cache-authority.pem");
    /// # std::fs::write(&path, "-----BEGIN CERTIFICATE-----")?;
    /// let config = RedisConfig::new("rediss://cache.example").root_certificate(std::fs::read(path)?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.root = Some(pem.into());
        self
    }

    /// Our own certificate and its private key, as PEM, for servers that ask who we are. For
    /// `rediss://`. The key is never shown.
    #[cfg(feature = "redis-tls")]
    pub fn client_certificate(
        mut self,
        pem: impl Into<Vec<u8>>,
        private_key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.client = Some((pem.into(), private_key_pem.into()));
        self
    }

    /// Are the addresses ones? Tells it without repeating them: they may hold passwords.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.nodes.is_empty() {
            return Err(Error::config("RedisConfig: not one address was given"));
        }
        for (position, url) in self.nodes.iter().enumerate() {
            let wrong = |why: &str| {
                Error::config(format!(
                    "RedisConfig: address {} is wrong ({why}); it must be redis://, rediss:// \
                     (feature `redis-tls`) or unix://",
                    position + 1
                ))
            };
            let info = url.as_str().into_connection_info();
            let info = info.map_err(|error| wrong(error.category()))?;
            if !info.addr().is_supported() {
                return Err(wrong("this build has no TLS, or no Unix sockets"));
            }
            #[cfg(feature = "redis-tls")]
            self.certificates.check(&info, position + 1)?;
            Client::open(info).map_err(|error| wrong(error.category()))?;
        }
        Ok(())
    }

    /// One address, with the settings of its own and ours.
    pub(super) fn info(&self, url: &str) -> redis::RedisResult<ConnectionInfo> {
        let info = url.into_connection_info()?;
        #[cfg(feature = "redis-tls")]
        let info = self.certificates.of(info)?;
        // Of a Sentinel's address only the Sentinel's own.
        if matches!(self.kind, Kind::Sentinel { .. }) {
            return Ok(info);
        }
        let settings = self.over(info.redis_settings().clone());
        Ok(info.set_redis_settings(settings))
    }

    /// Another server, reached in the same way.
    pub(super) fn at(&self, (host, port): (String, u16)) -> redis::RedisResult<ConnectionInfo> {
        use redis::ConnectionAddr;

        let known = self.info(&self.nodes[0])?;
        let addr = match known.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(known.set_addr(addr))
    }

    pub(super) fn over(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        match self.database {
            Some(number) => settings.set_db(number),
            None => settings,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |url: &String| match url.as_str().into_connection_info() {
            Ok(info) => info.addr().to_string(),
            Err(_) => "?".to_owned(),
        };
        f.debug_struct("RedisConfig")
            .field("addresses", &self.nodes.iter().map(address).collect::<Vec<_>>())
            .field("kind", &self.kind)
            .field("database", &self.database)
            .field("connections", &self.connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}
