//! Redis servers of a test's own, which it may kill, stop and set up anew. They need the program
//! `redis-server`; without it the tests that need one say so and pass, but not in `scripts/test`.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(10);

/// Can servers be started? With a word about it if not.
pub fn is_there() -> bool {
    let there = program().arg("--version").stdout(Stdio::null()).status().is_ok();
    // `scripts/test` must not pass because a server is missing.
    assert!(there || std::env::var("REQUIRE_SERVERS").is_err(), "redis-server is not installed");
    if !there {
        println!("left out: Redis, because redis-server is not installed");
    }
    there
}

fn program() -> Command {
    Command::new("redis-server")
}

/// A server on a port of its own that forgets everything when it is killed, unless its arguments say
/// otherwise, and is killed when dropped.
pub struct Server {
    pub port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    state: Mutex<State>,
}

struct State {
    process: Child,
    /// The port of the server that this one is a replica of, also after its next start.
    primary: Option<u16>,
}

impl Server {
    /// The arguments are what could stand in its configuration: `["--appendonly", "yes"]`.
    pub async fn start(arguments: &[&str]) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let server = Self::begin(arguments);
            match server.ready().await {
                Ok(()) => return server,
                // Another took the port first.
                Err(log) if log.contains("already in use") && Instant::now() < deadline => {}
                Err(log) => panic!("redis-server did not start: {log}"),
            }
        }
    }

    fn begin(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let port = free_port();
        let process = spawn(port, &folder, &arguments, None);
        Self { port, arguments, folder, state: Mutex::new(State { process, primary: None }) }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A proxy before it.
    pub async fn proxy(&self) -> Proxy {
        Proxy::before(format!("127.0.0.1:{}", self.port)).await
    }

    /// An answer, which may be an error, on a connection of its own.
    pub async fn command(&self, words: &[&str]) -> Reply {
        let reply = async { Client::connect(self.port).await?.command(words).await };
        reply.await.unwrap_or_else(|error| panic!("{words:?} at {}: {error}", self.port))
    }

    /// It ends at once, in the middle of whatever it does.
    pub fn kill9(&self) {
        let process = &mut self.state().process;
        // It may be gone already.
        let _ = process.kill();
        process.wait().expect("its end");
    }

    /// On the same port and with the same files, after an end if it has not come to one.
    pub async fn restart(&self) {
        self.kill9();
        {
            let mut state = self.state();
            state.process = spawn(self.port, &self.folder, &self.arguments, state.primary);
        }
        self.ready().await.unwrap_or_else(|log| panic!("redis-server did not restart: {log}"));
    }

    /// It does nothing any more, and its connections stay open.
    pub async fn pause(&self) {
        self.signal("STOP");
        // The signal is under way.
        let stat = format!("/proc/{}/stat", self.id());
        let stopped =
            async || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        eventually("redis-server stops", stopped).await;
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// A server with the same arguments that has what this one has, and gets what it gets.
    pub async fn replica(&self) -> Self {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let replica = Self::start(&arguments).await;
        replica.follow(self).await;
        replica
    }

    /// It throws away what it has and becomes a replica.
    pub async fn follow(&self, primary: &Self) {
        self.state().primary = Some(primary.port);
        self.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]).await;
        eventually("the replica follows", async || {
            let info = self.command(&["INFO", "replication"]).await.to_string();
            info.contains(&format!("master_port:{}\r", primary.port))
                && info.contains("master_link_status:up")
        })
        .await;
    }

    /// A replica becomes a primary, with what it has.
    pub async fn promote(&self) {
        self.state().primary = None;
        self.command(&["REPLICAOF", "NO", "ONE"]).await;
    }

    /// Waits until it answers; what it wrote if it does not.
    async fn ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.state().process.try_wait().expect("its state").is_some();
            if !ended && self.answers().await.is_ok_and(|answers| answers) {
                return Ok(());
            }
            if ended || Instant::now() > deadline {
                return Err(std::fs::read_to_string(self.folder.path().join("log"))
                    .unwrap_or_else(|error| error.to_string()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn answers(&self) -> io::Result<bool> {
        let mut client = Client::connect(self.port).await?;
        // No longer loading its files, and not another server on this port.
        let pong = client.command(&["PING"]).await?.to_string() == "PONG";
        let info = client.command(&["INFO", "server"]).await?.to_string();
        Ok(pong && info.contains(&format!("process_id:{}\r", self.id())))
    }

    fn id(&self) -> u32 {
        self.state().process.id()
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: the program of that name need not be there.
        let kill = format!("kill -{signal} {}", self.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(status.success(), "{kill}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = state.process.kill();
        let _ = state.process.wait();
    }
}

fn spawn(
    port: u16,
    folder: &tempfile::TempDir,
    arguments: &[String],
    primary: Option<u16>,
) -> Child {
    let log = File::create(folder.path().join("log")).expect("a log");
    let mut command = program();
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(folder.path());
    // Otherwise a replica waits five seconds for others that might come.
    command.args(["--repl-diskless-sync-delay", "0"]).args(arguments);
    if let Some(primary) = primary {
        command.args(["--replicaof", "127.0.0.1", &primary.to_string()]);
    }
    let spawned = command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log).spawn();
    spawned.unwrap_or_else(|error| panic!("redis-server: {error} (apt-get install redis-server)"))
}

/// Between the ports of `scripts/with-servers` and those that the system gives to connections.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000));
    ports.by_ref().take(100).find(is_free).expect("a free port")
}

/// Waits until this is so, but not for long.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Number(i64),
    Nil,
    List(Vec<Reply>),
    Error(String),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Error(text) => f.write_str(text),
            other => write!(f, "{other:?}"),
        }
    }
}

/// One connection, to a server or a proxy.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(port: u16) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?)))
    }

    pub async fn command(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words).await?;
        self.next().await
    }

    pub async fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.write_all(bytes.as_bytes()).await
    }

    /// The next answer, or message to a subscriber.
    pub async fn next(&mut self) -> io::Result<Reply> {
        tokio::time::timeout(PATIENCE, self.read()).await?
    }

    fn read(&mut self) -> Pin<Box<dyn Future<Output = io::Result<Reply>> + Send + '_>> {
        Box::pin(async move {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
            let (kind, rest) = line.split_at(1);
            let number = || rest.parse::<usize>().map_err(io::Error::other);
            Ok(match kind {
                "+" => Reply::Text(rest.into()),
                "-" => Reply::Error(rest.into()),
                ":" => Reply::Number(rest.parse().map_err(io::Error::other)?),
                "$" | "*" if rest == "-1" => Reply::Nil,
                "$" => {
                    let mut bytes = vec![0; number()? + "\r\n".len()];
                    self.0.read_exact(&mut bytes).await?;
                    bytes.truncate(number()?);
                    Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
                }
                "*" => {
                    let mut list = Vec::new();
                    for _ in 0..number()? {
                        list.push(self.read().await?);
                    }
                    Reply::List(list)
                }
                _ => return Err(io::Error::other(format!("not an answer: {line}"))),
            })
        })
    }
}
