//! The benchmark's own Redis.

use std::error::Error;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

pub struct Server {
    process: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let process = command.arg("--dir").arg(folder.path()).stdout(Stdio::null()).spawn()?;
        let server = Self { process, url: format!("redis://127.0.0.1:{port}"), _folder: folder };
        for _ in 0..500 {
            if server.connect().await.is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("redis-server does not answer".into())
    }

    /// A connection of the kind that the cache has.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(&*self.url)?.get_multiplexed_async_connection().await
    }

    pub fn kill(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How often the server has run a command by now, and how long one takes there, in microseconds.
pub async fn calls(
    bare: &mut MultiplexedConnection,
    command: &str,
) -> redis::RedisResult<(u64, f64)> {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(bare).await?;
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let value = |name: &str| {
        let part = line?.split(',').find_map(|part| part.strip_prefix(name))?;
        part.parse::<f64>().ok()
    };
    Ok((value("calls=").unwrap_or(0.0) as u64, value("usec_per_call=").unwrap_or(0.0)))
}
