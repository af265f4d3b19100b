//! The control socket itself.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use duet_testkit::{Peer, Wire};

use super::{ask, count, counting, told};
use crate::program::{Place, Running};

#[test]
fn only_its_user_reaches_it_and_it_is_gone_with_the_server() {
    let (server, _peer) = counting("");
    let socket = server.folder().join(".duet/control.sock");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    server.stop();
    assert!(!socket.exists(), "it stays behind");
}

#[test]
fn that_of_a_dead_server_is_replaced_and_that_of_a_living_one_is_not() {
    let place = Place::warm("");
    let mut dead = Running::start(&mut place.serve());
    place.wait_until_open(&mut dead);
    dead.send("KILL");
    dead.wait();
    assert!(place.path(".duet/control.sock").exists());
    let mut living = Running::start(&mut place.serve());
    place.wait_until_open(&mut living);
    let mut second = Running::start(place.serve().stderr(Stdio::piped()));
    let mut said = String::new();
    second.stderr().read_to_string(&mut said).unwrap();
    assert_eq!(second.wait().code(), Some(1));
    assert!(said.contains(&format!("process {}", living.id())) && said.contains("control.sock"), "{said}");
    assert_eq!(ask(&place.path(""), &["list"]).0, Some(0));
    living.terminate();
}

#[test]
fn without_a_place_for_it_the_server_serves_and_says_so() {
    let (server, mut peer) = counting("control = \"/proc/nowhere/control.sock\"");
    assert_eq!(count(&mut peer), (1, 1));
    server.wait_for_log("no control socket: /proc/nowhere", crate::program::PATIENCE);
    let (server, mut peer) = counting("control = \"\"");
    assert_eq!(count(&mut peer), (1, 1));
    assert!(!server.folder().join(".duet").exists());
}

#[test]
fn a_client_of_it_that_is_slow_or_hostile_holds_up_nobody() {
    let (server, mut peer) = counting("");
    let connect = || UnixStream::connect(server.folder().join(".duet/control.sock")).unwrap();
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![b'x'; 1 << 20], vec![0; 100], b"{\"v\":1,\"verb\":\"plugin.list\"".to_vec()] {
        let mut stream = connect();
        // It may have been closed before all is sent.
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
    }
    told(&server, &["list"]);
    // Some that say nothing, some that ask and never read.
    let idle: Vec<UnixStream> = (0..16).map(|_| connect()).collect();
    for mut stream in idle.iter().take(8) {
        stream.write_all(b"{\"v\":1,\"verb\":\"plugin.list\"}\n").unwrap();
    }
    let (code, _, error) = ask(server.folder(), &["list"]);
    assert!(code == Some(1) && error.contains("try again"), "{code:?} {error}");
    assert_eq!(count(&mut peer), (1, 1));
    assert!(Peer::connect(server.tcp(), Wire::TCP).call(1, b"").is_ok());
    drop(idle);
    super::wait_until("free again", &server, || ask(server.folder(), &["list"]).0 == Some(0));
    server.stop();
}
