//! A primary, a replica and a Sentinel that watches them, of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::redis::{Client, Reply, Server, eventually};

const NAME: &str = "main";

pub struct Sentinel {
    pub port: u16,
    pub servers: [Server; 2],
    process: Child,
    _folder: tempfile::TempDir,
}

impl Sentinel {
    /// The arguments are both servers'.
    pub async fn start(arguments: &[&str]) -> Self {
        let first = Server::start(arguments).await;
        let second = first.replica().await;
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = folder.path().join("conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {NAME} 500\n\
             sentinel failover-timeout {NAME} 3000\n",
            folder.path().display(),
            first.port,
        );
        // It writes what it learns there, too.
        std::fs::write(&settings, text).expect("its settings");
        let mut command = Command::new("redis-server");
        command.arg(&settings).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.stderr(Stdio::null()).spawn().expect("a Sentinel");
        let sentinel = Self { port, servers: [first, second], process, _folder: folder };
        eventually("the Sentinel answers", async || sentinel.command(&["PING"]).await.is_some())
            .await;
        // By itself it looks for replicas every ten seconds.
        sentinel.command(&["SENTINEL", "DEBUG", "info-period", "200"]).await;
        sentinel.knows_both().await;
        sentinel
    }

    pub fn name(&self) -> String {
        NAME.to_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn command(&self, words: &[&str]) -> Option<Reply> {
        ask(self.port, words).await
    }

    /// Waits until the replica could take over; after a failover that takes some seconds.
    pub async fn knows_both(&self) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !self.has_replica().await {
            assert!(Instant::now() < deadline, "the Sentinel knows no replica");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn has_replica(&self) -> bool {
        let replicas = self.command(&["SENTINEL", "REPLICAS", NAME]).await;
        let known = format!("{replicas:?}").contains("\"flags\"), Text(\"slave\")");
        let Some(primary) = self.primary().await.filter(|_| known) else { return false };
        let info = ask(self.servers[1 - primary].port, &["INFO", "replication"]).await;
        info.is_some_and(|info| info.to_string().contains("master_link_status:up"))
    }

    /// Which of the two it calls the primary.
    pub async fn primary(&self) -> Option<usize> {
        let asked = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await;
        let Some(Reply::List(address)) = asked else { return None };
        let port = address.get(1)?.to_string();
        self.servers.iter().position(|server| server.port.to_string() == port)
    }

    /// Makes the replica the primary, as planned.
    pub async fn fail_over(&self) {
        let before = self.primary().await;
        let answer = self.command(&["SENTINEL", "FAILOVER", NAME]).await;
        assert_eq!(answer, Some(Reply::Text("OK".into())));
        self.is_another(before).await;
    }

    /// Waits until the Sentinel calls another one the primary than before.
    pub async fn is_another(&self, before: Option<usize>) {
        eventually("there is another primary", async || self.primary().await != before).await;
    }
}

/// A server whose role changes closes its connections.
async fn ask(port: u16, words: &[&str]) -> Option<Reply> {
    Client::connect(port).await.ok()?.command(words).await.ok()
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
