//! The servers and the proxy that Redis's fault tests stand on do what they say.

mod support;

use std::io;
use std::time::{Duration, Instant};

use support::proxy::{Fate, Proxy, When};
use support::redis::{Client, Reply, Server, eventually, is_there};

fn text(text: &str) -> Reply {
    Reply::Text(text.into())
}

/// A server, a proxy before it, and a connection through that.
async fn line() -> (Server, Proxy, Client) {
    let server = Server::start(&[]).await;
    let proxy = server.proxy().await;
    let mut client = Client::connect(proxy.port).await.expect("a connection");
    assert_eq!(client.command(&["SET", "key", "old"]).await.expect("an answer"), text("OK"));
    (server, proxy, client)
}

async fn ping(port: u16) -> io::Result<Reply> {
    Client::connect(port).await?.command(&["PING"]).await
}

/// Nothing has come so far; there is no moment at which to ask whether anything will.
async fn is_silent(client: &mut Client) -> bool {
    tokio::time::timeout(Duration::from_millis(50), client.next()).await.is_err()
}

#[tokio::test]
async fn every_kind_of_answer_is_understood() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    assert_eq!(server.command(&["RPUSH", "list", "a", "ü\r\n"]).await, Reply::Number(2));
    let list = Reply::List(vec![text("a"), text("ü\r\n")]);
    assert_eq!(server.command(&["LRANGE", "list", "0", "-1"]).await, list);
    assert_eq!(server.command(&["GET", "none"]).await, Reply::Nil);
    let reply = server.command(&["GET", "list"]).await;
    assert!(matches!(&reply, Reply::Error(why) if why.starts_with("WRONGTYPE")), "{reply}");

    let mut listener = Client::connect(server.port).await.expect("a connection");
    listener.command(&["SUBSCRIBE", "news"]).await.expect("an answer");
    assert_eq!(server.command(&["PUBLISH", "news", "it rains"]).await, Reply::Number(1));
    let message = Reply::List(vec![text("message"), text("news"), text("it rains")]);
    assert_eq!(listener.next().await.expect("a message"), message);
}

#[tokio::test]
async fn a_server_ends_with_its_test_even_if_that_panics() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    let port = server.port;
    server.pause().await;
    let test = tokio::spawn(async move {
        let _server = server;
        panic!("as a test does that fails");
    });
    assert!(test.await.is_err());
    assert!(ping(port).await.is_err());
}

#[tokio::test]
async fn a_killed_server_forgets_all_or_nothing_as_its_arguments_say() {
    if !is_there() {
        return;
    }
    let durable: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
    for (arguments, kept) in [(&[][..], Reply::Nil), (durable, text("value"))] {
        let server = Server::start(arguments).await;
        server.command(&["SET", "key", "value"]).await;
        server.kill9();
        assert!(ping(server.port).await.is_err());
        server.restart().await;
        assert_eq!(server.command(&["GET", "key"]).await, kept);
    }
}

#[tokio::test]
async fn a_paused_server_is_silent_until_it_is_resumed() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    let mut client = Client::connect(server.port).await.expect("a connection");
    server.pause().await;
    client.send(&["PING"]).await.expect("sent");
    assert!(is_silent(&mut client).await);
    server.resume();
    assert_eq!(client.next().await.expect("an answer"), text("PONG"));
}

#[tokio::test]
async fn a_replica_follows_and_takes_over() {
    if !is_there() {
        return;
    }
    let primary = Server::start(&[]).await;
    primary.command(&["SET", "before", "1"]).await;
    let replica = primary.replica().await;
    assert_eq!(replica.command(&["GET", "before"]).await, text("1"));
    primary.command(&["SET", "since", "2"]).await;
    eventually("the write arrives", async || replica.command(&["GET", "since"]).await == text("2"))
        .await;
    assert!(matches!(replica.command(&["SET", "since", "3"]).await, Reply::Error(_)));

    primary.kill9();
    replica.promote().await;
    assert_eq!(replica.command(&["SET", "since", "3"]).await, text("OK"));
    primary.restart().await;
    assert_eq!(primary.command(&["GET", "since"]).await, Reply::Nil);
    primary.follow(&replica).await;
    assert_eq!(primary.command(&["GET", "since"]).await, text("3"));
    // It stays a replica.
    primary.restart().await;
    assert!(matches!(primary.command(&["SET", "since", "4"]).await, Reply::Error(_)));
}

#[tokio::test]
async fn a_cut_comes_before_midway_or_after_the_server_did_it() {
    if !is_there() {
        return;
    }
    let whens = [(When::Before, "old"), (When::Midway, "old"), (When::After, "new")];
    for (when, value) in whens {
        let (server, proxy, mut client) = line().await;
        let mut other = Client::connect(proxy.port).await.expect("a connection");
        let done = proxy.cut("new", when);
        assert_eq!(other.command(&["PING"]).await.expect("not meant"), text("PONG"));
        assert!(client.command(&["SET", "key", "new"]).await.is_err(), "{when:?}");
        done.await.expect("the cut");
        assert_eq!(server.command(&["GET", "key"]).await, text(value), "{when:?}");
        // Only that connection, and only once.
        assert_eq!(other.command(&["SET", "key", "new"]).await.expect("not meant"), text("OK"));
    }
}

#[tokio::test]
async fn what_was_held_arrives_late_or_never() {
    if !is_there() {
        return;
    }
    for (fate, value) in [(Fate::Late, "new"), (Fate::Never, "old")] {
        let (server, proxy, mut client) = line().await;
        let mut lost = proxy.cut_at("SET");
        assert!(client.command(&["SET", "key", "new"]).await.is_err());
        (&mut lost.sprung).await.expect("the trap springs");
        assert_eq!(server.command(&["GET", "key"]).await, text("old"));
        lost.ends(fate).await;
        assert_eq!(server.command(&["GET", "key"]).await, text(value), "{fate:?}");
    }
}

#[tokio::test]
async fn cut_and_refused_connections_reach_nobody() {
    if !is_there() {
        return;
    }
    let (server, proxy, mut client) = line().await;
    proxy.cut_all();
    assert!(client.command(&["SET", "key", "new"]).await.is_err());
    let mut client = Client::connect(proxy.port).await.expect("a connection");
    assert_eq!(client.command(&["PING"]).await.expect("a new one works"), text("PONG"));

    proxy.refuse(true);
    assert!(client.command(&["SET", "key", "new"]).await.is_err());
    assert!(ping(proxy.port).await.is_err());
    proxy.refuse(false);
    assert!(client.command(&["PING"]).await.is_err(), "what was cut stays cut");
    assert_eq!(ping(proxy.port).await.expect("a new one works"), text("PONG"));
    assert_eq!(server.command(&["GET", "key"]).await, text("old"));
}

#[tokio::test]
async fn a_stall_holds_everything_and_loses_nothing() {
    if !is_there() {
        return;
    }
    let (server, proxy, mut client) = line().await;
    proxy.stall(true);
    let mut other = Client::connect(proxy.port).await.expect("new ones too");
    client.send(&["SET", "key", "new"]).await.expect("sent");
    other.send(&["PING"]).await.expect("sent");
    assert!(is_silent(&mut client).await && is_silent(&mut other).await);
    assert_eq!(server.command(&["GET", "key"]).await, text("old"));
    // Not even this is noticed.
    server.kill9();
    assert!(is_silent(&mut client).await);
    server.restart().await;
    proxy.stall(false);
    assert!(client.next().await.is_err());

    let mut client = Client::connect(proxy.port).await.expect("a connection");
    client.command(&["PING"]).await.expect("an answer");
    proxy.stall(true);
    client.send(&["SET", "key", "new"]).await.expect("sent");
    assert!(is_silent(&mut client).await);
    proxy.stall(false);
    assert_eq!(client.next().await.expect("an answer"), text("OK"));
    assert_eq!(server.command(&["GET", "key"]).await, text("new"));
}

#[tokio::test]
async fn a_delay_counts_in_each_direction() {
    if !is_there() {
        return;
    }
    let (_server, proxy, mut client) = line().await;
    let delay = Duration::from_millis(30);
    proxy.delay(delay);
    let start = Instant::now();
    client.command(&["PING"]).await.expect("an answer");
    assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());
    proxy.delay(Duration::ZERO);
    client.command(&["PING"]).await.expect("an answer");
}
