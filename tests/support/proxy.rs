//! A TCP proxy before a server that can lose a connection while a statement is under way.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

/// What becomes of the bytes that were under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server gets them after all.
    Late,
    Never,
}

struct Trap {
    text: &'static str,
    sprung: oneshot::Sender<()>,
    fate: oneshot::Receiver<Fate>,
    /// Told when the server has answered, or its connection was closed.
    over: oneshot::Sender<()>,
}

/// The far end of a [`Trap`].
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

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    trap: Arc<Mutex<Option<Trap>>>,
}

impl Proxy {
    /// Passes everything on to this address, until the runtime ends.
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self { port, trap: Arc::default() };
        let trap = proxy.trap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(pass(client, server, trap.clone()));
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
        let (sprung, told) = oneshot::channel();
        let (fate, decided) = oneshot::channel();
        let (over, ended) = oneshot::channel();
        let trap = Trap { text, sprung, fate: decided, over };
        *self.trap.lock().expect("the trap") = Some(trap);
        Lost { sprung: told, fate, over: ended }
    }
}

async fn pass(client: TcpStream, server: TcpStream, trap: Arc<Mutex<Option<Trap>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = Arc::new(Notify::new());
    let told = cut.clone();
    let answers = tokio::spawn(async move {
        let copy = tokio::io::copy(&mut from_server, &mut to_client);
        let was_cut = tokio::select! {
            _ = copy => false,
            () = told.notified() => true,
        };
        was_cut.then_some(from_server)
    });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        let sprung = {
            let mut trap = trap.lock().expect("the trap");
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            trap.take_if(|trap| text.contains(trap.text))
        };
        let Some(trap) = sprung else {
            if to_server.write_all(&bytes[..length]).await.is_err() {
                break;
            }
            continue;
        };
        // Both halves of the client's connection go, and with them the connection.
        cut.notify_one();
        drop(from_client);
        let from_server = answers.await.expect("the other direction");
        trap.sprung.send(()).expect("the test waits");
        if trap.fate.await == Ok(Fate::Late) {
            to_server.write_all(&bytes[..length]).await.expect("the server takes it");
            let mut from_server = from_server.expect("the server is there");
            let _ = from_server.read(&mut bytes).await;
        }
        drop(to_server);
        let _ = trap.over.send(());
        return;
    }
    let _ = to_server.shutdown().await;
}
