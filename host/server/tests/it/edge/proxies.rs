//! Proxies that say for whom they speak, and those that only pretend to be some.

use std::net::{Ipv4Addr, SocketAddr};

use duet_testkit::{Dial, Message, Peer, Server, ServerBuilder, Wire, report};

use super::{ask, counted, lobby, lobby_server};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Connections that an address may have.
const MOST: usize = 3;
const TWO: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn server() -> ServerBuilder {
    let limits = "[limits]\nexempt = []\ntrusted_proxies = [\"127.0.0.9\"]\nconnections_burst = 1000\n";
    lobby_server().settings(&format!("{limits}connections_per_address = {MOST}\n"))
}

/// Whose address the server sees.
fn seen(peer: &mut Peer) -> Result<String, Message> {
    super::try_ask(peer, lobby::WHOAMI, "{}").map(|answer| answer["address"].as_str().expect("an address").to_owned())
}

/// A header of version 1.
fn v1(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let here = if client.contains(':') { "::1" } else { "127.0.0.1" };
    format!("PROXY {family} {client} {here} 5000 3554\r\n").into_bytes()
}

/// A header of version 2 for an IPv4 client, with an extension after the addresses.
fn v2(client: Ipv4Addr) -> Vec<u8> {
    let addresses = [client.octets().as_slice(), &[127, 0, 0, 1], &5000_u16.to_be_bytes(), &3554_u16.to_be_bytes(), &[4, 0, 1, 9]].concat();
    [TWO, &[0x21, 0x11], &(addresses.len() as u16).to_be_bytes(), &addresses].concat()
}

fn proxied(server: &Server, header: &[u8]) -> Dial {
    Dial::new(server.tcp(), Wire::TCP).from(PROXY).preface(header)
}

fn forwarded(server: &Server, by: Ipv4Addr, value: &str) -> Dial {
    Dial::new(server.ws(), Wire::WS).from(by).header(&format!("X-Forwarded-For: {value}"))
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let listeners = server().listener("protocol = \"tcp\"\nproxy_protocol = true\n").listener("protocol = \"ws\"\n");
    let server = listeners.start();
    let local = [TWO, &[0x20, 0, 0, 0]].concat();
    let mut cases = 0;
    let mut check = |what: &str, dial: &Dial, expected: &str| {
        let address = seen(&mut dial.connect()).unwrap_or_else(|other| panic!("{what}: {other:?}"));
        let socket: SocketAddr = address.parse().unwrap_or_else(|_| panic!("{what}: {address}"));
        assert_eq!(socket.ip().to_string(), expected, "{what}");
        cases += 1;
    };
    check("version 1", &proxied(&server, &v1("192.0.2.7")), "192.0.2.7");
    check("version 1, IPv6", &proxied(&server, &v1("2001:db8::7")), "2001:db8::7");
    check("version 1, unknown", &proxied(&server, b"PROXY UNKNOWN\r\n"), "127.0.0.9");
    check("version 2", &proxied(&server, &v2(Ipv4Addr::new(192, 0, 2, 8))), "192.0.2.8");
    check("version 2, itself", &proxied(&server, &local), "127.0.0.9");
    check("forwarded", &forwarded(&server, PROXY, "192.0.2.7"), "192.0.2.7");
    check("forwarded, with what the client wrote", &forwarded(&server, PROXY, "6.6.6.6, 192.0.2.7"), "192.0.2.7");
    check("forwarded by two", &forwarded(&server, PROXY, "192.0.2.7, 127.0.0.9"), "192.0.2.7");
    check("forwarded, garbage", &forwarded(&server, PROXY, "192.0.2.7, <script>"), "127.0.0.9");
    check("no header", &Dial::new(server.ws(), Wire::WS).from(PROXY), "127.0.0.9");
    check("a stranger on tcp", &Dial::new(server.tcp(), Wire::TCP).from(STRANGER), "127.0.0.2");
    check("a stranger who forwards", &forwarded(&server, STRANGER, "192.0.2.7"), "127.0.0.2");
    // From a stranger the header counts as a packet, and a broken one.
    for header in [v1("192.0.2.7"), v2(Ipv4Addr::new(192, 0, 2, 7))] {
        assert_eq!(Dial::new(server.tcp(), Wire::TCP).from(STRANGER).preface(&header).bare().closed(), None);
    }
    // A trusted proxy has to begin with one.
    for header in ["PROXY TCP4 192.0.2.7\r\n", "PROXY TCP4 192.0.2.7 127.0.0.1 1 99999\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(proxied(&server, header.as_bytes()).bare().closed(), None, "{header}");
    }
    let stopped = server.stop();
    assert_eq!((counted(&stopped, "handshake"), counted(&stopped, "oversize")), (3, 2), "{stopped}");
    report!("proxies: {cases} connections through and around proxies, each with the right address; 5 wrong headers, 5 closed");
}

#[test]
fn limits_count_for_the_client_behind_a_trusted_proxy_and_cannot_be_charged_to_others() {
    let server = server().listener("protocol = \"tcp\"\nproxy_protocol = true\n").listener("protocol = \"ws\"\n").start();
    let mut held = Vec::new();
    let mut admitted = |dial: &dyn Fn(usize) -> Dial, tries: usize| {
        let mut count = 0;
        for number in 0..tries {
            let Ok(mut peer) = dial(number).try_connect() else { continue };
            if seen(&mut peer).is_ok() {
                count += 1;
                held.push(peer);
            }
        }
        count
    };
    // Clients behind the proxy have their limit each, whatever carries it.
    assert_eq!(admitted(&|_| proxied(&server, &v1("192.0.2.7")), 10), MOST);
    assert_eq!(admitted(&|_| proxied(&server, &v2(Ipv4Addr::new(192, 0, 2, 7))), 5), 0, "the same client");
    assert_eq!(admitted(&|_| forwarded(&server, PROXY, "192.0.2.7"), 5), 0, "the same client");
    assert_eq!(admitted(&|_| forwarded(&server, PROXY, "192.0.2.8"), 10), MOST);
    // One that writes the header itself does not get more, and takes nothing from the client it names.
    assert_eq!(admitted(&|number| forwarded(&server, STRANGER, &format!("203.0.113.{number}")), 10), MOST);
    assert_eq!(admitted(&|_| forwarded(&server, PROXY, "203.0.113.0"), 10), MOST);
    // Nor does one behind the proxy that writes something into it: the proxy's own entry is the last.
    assert_eq!(admitted(&|number| forwarded(&server, PROXY, &format!("203.0.113.{number}, 192.0.2.9")), 10), MOST);
    // A whole IPv6 network counts as one client.
    assert_eq!(admitted(&|number| proxied(&server, &v1(&format!("2001:db8::{number:x}"))), 10), MOST);
    let mut other = Dial::new(server.tcp(), Wire::TCP).from(Ipv4Addr::new(127, 0, 0, 3)).connect();
    ask(&mut other, lobby::WHOAMI, "{}");
    let stopped = server.stop();
    let refused = counted(&stopped, "address_connections");
    report!("limits behind proxies: 70 connections tried, {} admitted, {refused} refused, 0 dodged, 0 charged to others", held.len());
    assert_eq!((held.len(), refused), (6 * MOST, 70 - 6 * MOST as u64), "{stopped}");
}
