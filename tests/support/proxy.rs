//! A TCP proxy before a server, of whatever protocol, that loses connections when a test wants it:
//! while a statement is under way, all at once, or for a while; and that can be slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// What becomes of the bytes that were under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server gets them after all.
    Late,
    Never,
}

/// When a connection is cut: before the server got anything of the bytes, when it has got half of
/// them, or when it has done what they say, but before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    Midway,
    After,
}

struct Trap {
    text: &'static str,
    sprung: oneshot::Sender<()>,
    then: Then,
}

enum Then {
    Cut(When),
    Hold {
        fate: oneshot::Receiver<Fate>,
        /// Told when the server has answered, or its connection was closed.
        over: oneshot::Sender<()>,
    },
}

/// The far end of a [`Trap`] that holds.
pub struct Lost {
    pub sprung: oneshot::Receiver<()>,
    fate: oneshot::Sender<Fate>,
    over: oneshot::Receiver<()>,
}

impl Lost {
    /// Decides, and waits until it has come to that.
    pub async fn ends(self, fate: Fate) {
        self.fate.send(fate).expect("the proxy waits");
        self.over.await.expect("the proxy tells");
    }
}

#[derive(Default)]
struct Weather {
    delay: Duration,
    stalled: bool,
    refused: bool,
    /// How often all connections were cut.
    cuts: u64,
}

impl Weather {
    /// Is a connection cut that has begun after so many cuts?
    fn cuts(&self, begun: u64) -> bool {
        self.refused || self.cuts != begun
    }
}

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    trap: Arc<Mutex<Option<Trap>>>,
    weather: Arc<watch::Sender<Weather>>,
}

impl Proxy {
    /// Passes everything on to this address, until the runtime ends.
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self { port, trap: Arc::default(), weather: Arc::default() };
        let passes = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let begun = passes.weather.borrow().cuts;
                if passes.weather.borrow().refused {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(passes.clone().pass(client, server, begun));
                }
            }
        });
        proxy
    }

    /// The same database as this URL, reached through the proxy.
    pub async fn of(url: &str) -> (Self, String) {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (user, rest) = rest.split_once('@').expect("a user");
        let (address, name) = rest.split_once('/').expect("a database");
        let proxy = Self::before(address.to_owned()).await;
        let url = format!("{scheme}://{user}@127.0.0.1:{}/{name}", proxy.port);
        (proxy, url)
    }

    /// The next bytes with this text in them are held, and their sender's connection is cut.
    pub fn cut_at(&self, text: &'static str) -> Lost {
        let (fate, decided) = oneshot::channel();
        let (over, ended) = oneshot::channel();
        let sprung = self.set(text, Then::Hold { fate: decided, over });
        Lost { sprung, fate, over: ended }
    }

    /// The connection of the next bytes with this text in them is cut, at both ends, and it is told
    /// when that is done.
    pub fn cut(&self, text: &'static str, when: When) -> oneshot::Receiver<()> {
        self.set(text, Then::Cut(when))
    }

    fn set(&self, text: &'static str, then: Then) -> oneshot::Receiver<()> {
        let (sprung, told) = oneshot::channel();
        *self.trap.lock().expect("the trap") = Some(Trap { text, sprung, then });
        told
    }

    /// Cuts the connections there are; what their clients send from now on reaches nobody.
    pub fn cut_all(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Cuts the connections there are, and closes new ones at once.
    pub fn refuse(&self, refuse: bool) {
        self.weather.send_modify(|weather| weather.refused = refuse);
        if refuse {
            self.cut_all();
        }
    }

    /// Nothing passes, not even a connection's end, until told otherwise; then all of it does.
    pub fn stall(&self, stall: bool) {
        self.weather.send_modify(|weather| weather.stalled = stall);
    }

    /// Everything takes so much longer, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    async fn pass(self, client: TcpStream, server: TcpStream, begun: u64) {
        for end in [&client, &server] {
            end.set_nodelay(true).expect("a socket");
        }
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut weather = self.weather.subscribe();
        let (trap, bytes) = tokio::select! {
            biased;
            _ = weather.wait_for(|weather| weather.cuts(begun)) => return,
            () = self.answers(&mut from_server, &mut to_client, begun) => return,
            sprung = self.requests(&mut from_client, &mut to_server, begun) => sprung,
        };
        match trap.then {
            Then::Cut(when) => {
                cut(&bytes, &mut from_server, &mut to_server, when).await;
                // All four halves go, and with them the connections.
                drop((from_client, to_client, from_server, to_server));
                // The test may have heard of it from its client.
                let _ = trap.sprung.send(());
            }
            Then::Hold { fate, over } => {
                drop((from_client, to_client));
                trap.sprung.send(()).expect("the test waits");
                if fate.await == Ok(Fate::Late) {
                    to_server.write_all(&bytes).await.expect("the server takes it");
                    let _ = from_server.read(&mut [0; 1024]).await;
                }
                drop((from_server, to_server));
                let _ = over.send(());
            }
        }
    }

    /// Passes on what the client sends, until the trap springs.
    async fn requests(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        begun: u64,
    ) -> (Trap, Vec<u8>) {
        let mut bytes = vec![0; 64 * 1024];
        while let Some(length) = self.next(from, &mut bytes, begun).await {
            if let Some(trap) = self.springs(&bytes[..length]) {
                bytes.truncate(length);
                return (trap, bytes);
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
        // The server closes its end when it has read to ours.
        let _ = to.shutdown().await;
        std::future::pending().await
    }

    /// Passes on what the server sends, until it or the client is gone.
    async fn answers(&self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, begun: u64) {
        let mut bytes = vec![0; 64 * 1024];
        while let Some(length) = self.next(from, &mut bytes, begun).await {
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }

    /// The next bytes, when they may pass; none at the end.
    async fn next(&self, from: &mut OwnedReadHalf, bytes: &mut [u8], begun: u64) -> Option<usize> {
        let length = from.read(bytes).await.unwrap_or(0);
        let delay = self.weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut weather = self.weather.subscribe();
        let weather = weather.wait_for(|weather| !weather.stalled).await.ok()?;
        (length > 0 && !weather.cuts(begun)).then_some(length)
    }

    fn springs(&self, bytes: &[u8]) -> Option<Trap> {
        let text = String::from_utf8_lossy(bytes);
        self.trap.lock().expect("the trap").take_if(|trap| text.contains(trap.text))
    }
}

/// Gives the server as much of the bytes as it is to have.
async fn cut(bytes: &[u8], from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, when: When) {
    let bytes = match when {
        When::Before => &[],
        When::Midway => &bytes[..bytes.len() / 2],
        When::After => bytes,
    };
    let _ = to.write_all(bytes).await;
    if when == When::After {
        // It reads to the end, and so it has done all before it closes.
        let _ = to.shutdown().await;
        let _ = tokio::io::copy(from, &mut tokio::io::sink()).await;
    }
}
