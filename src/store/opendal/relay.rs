//! A way to Memcached over TCP that does not wait.
//!
//! OpenDAL's client (0.59) writes a request in a dozen small pieces, and leaves its sockets as they
//! are: so the kernel holds all but the first piece back until the server has acknowledged that, which
//! it puts off for 40 milliseconds. Through a Unix socket, from which this passes everything on at once,
//! a request takes a tenth of a millisecond.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::key::hex;
use crate::store::unique;

/// As long as it is there, who connects to its socket is connected to the server.
#[derive(Debug)]
pub(super) struct Relay {
    folder: PathBuf,
    passing: JoinHandle<()>,
}

impl Relay {
    /// To `host:port`. `None` where there can be no such socket; then requests take their time.
    pub(super) fn to(address: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("sea-orm-cache-{}", hex(&unique())));
        // For this user alone: whoever can connect is let in by the server.
        std::fs::DirBuilder::new().mode(0o700).create(&folder).ok()?;
        let Ok(listener) = UnixListener::bind(socket(&folder)) else {
            let _ = std::fs::remove_dir(&folder);
            return None;
        };
        let passing = tokio::spawn(pass(listener, address.to_owned()));
        Some(Self { folder, passing })
    }

    /// What to connect to.
    pub(super) fn endpoint(&self) -> String {
        format!("unix://{}", socket(&self.folder).display())
    }

    /// Is the runtime still there that passes things on?
    pub(super) fn is_open(&self) -> bool {
        !self.passing.is_finished()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.passing.abort();
        // What is left in a folder for temporary files is nobody's loss.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

async fn pass(listener: UnixListener, address: String) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(one(client, address.clone()));
    }
}

/// Ends with either side; the other one sees that.
async fn one(mut client: UnixStream, address: String) {
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    if server.set_nodelay(true).is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
