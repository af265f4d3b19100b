//! Listeners: what they take over, and what each protocol allows.

use duet_transport::{Origin, Origins};

use super::*;

fn listener(protocol: &str, more: &str) -> ListenerSettings {
    let text = format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:1\"\n{more}");
    Settings::parse("duet.toml", &text).unwrap().listeners.remove(0)
}

#[test]
fn a_listener_takes_what_it_does_not_say_from_codec_and_gateway() {
    let text = "\
[codec]
byte_order = \"little\"
route_bytes = 4
[gateway]
heartbeat = \"tick\"
heartbeat_interval = \"3s\"
error_packets = false
authorize_timeout = \"15s\"
duplicate_login = \"reject\"
session_route = 9
resume_bytes = 2000
[[listener]]
protocol = \"tcp\"
address = \"0.0.0.0:4000\"
[[listener]]
protocol = \"ws\"
address = \"[::1]:4001\"
path = \"/game\"
profile = \"seed\"
byte_order = \"big\"
route_bytes = 1
seq_bytes = 0
heartbeat = \"off\"
heartbeat_interval = \"0s\"
error_packets = true
authorize_timeout = \"0s\"
duplicate_login = \"kick-old\"
resume = false
session_route = 1000
resume_timeout = \"1m\"
resume_packets = 5
resume_bytes = 1024
";
    let settings = Settings::parse("duet.toml", text).unwrap();
    let [tcp, ws] = settings.listeners.as_slice() else {
        panic!("{:#?}", settings.listeners);
    };
    let tcp_codec = (tcp.codec.byte_order, tcp.codec.route_bytes, tcp.codec.seq_bytes);
    assert_eq!(tcp_codec, (ByteOrder::Little, 4, 2));
    assert_eq!((tcp.client.timeouts.heartbeat, tcp.client.timeouts.heartbeat_interval), (Heartbeat::Tick, Duration::from_secs(3)));
    assert!(!tcp.client.notices.error_packets && !tcp.client.notices.heartbeat_time);
    assert_eq!((ws.codec.byte_order, ws.codec.route_bytes, ws.codec.seq_bytes), (ByteOrder::Big, 1, 0));
    assert_eq!((ws.client.timeouts.heartbeat, ws.client.timeouts.heartbeat_interval), (Heartbeat::Off, Duration::ZERO));
    assert_eq!((ws.ws.path.as_str(), ws.own.profile), ("/game", Profile::Seed));
    assert!(ws.client.notices.error_packets);
    assert_eq!((tcp.client.timeouts.authorize, ws.client.timeouts.authorize), (Duration::from_secs(15), Duration::ZERO));
    let inherited = SessionOptions {
        duplicate_login: DuplicateLogin::Reject,
        session_route: Route(9),
        resume_bytes: 2000,
        ..SessionOptions::default()
    };
    assert_eq!(tcp.client.sessions, inherited);
    let own = SessionOptions {
        duplicate_login: DuplicateLogin::KickOld,
        resume: false,
        session_route: Route(1000),
        resume_timeout: Duration::from_secs(60),
        resume_packets: 5,
        resume_bytes: 1024,
    };
    assert_eq!(ws.client.sessions, own);
}

#[test]
fn a_seed_listener_sends_the_time_unless_it_says_otherwise() {
    assert!(listener("ws", "profile = \"seed\"").client.notices.heartbeat_time);
    assert!(!listener("ws", "profile = \"seed\"\nheartbeat_time = false").client.notices.heartbeat_time);
}

#[test]
fn listeners_may_share_a_port_on_different_addresses_or_leave_it_to_the_system() {
    let one = |protocol: &str, address: &str| format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"{address}\"\n");
    let two = |a: &str, b: &str| mistakes(&(one("tcp", a) + &one("ws", b)));
    assert_eq!(two("127.0.0.1:1", "127.0.0.2:1"), []);
    assert_eq!(two("127.0.0.1:0", "127.0.0.1:0"), []);
    assert_eq!(two("0.0.0.0:1", "[::]:1"), []);
    assert_eq!(two("127.0.0.1:1", "[::]:1"), []);
    assert_eq!(two("0.0.0.0:1", "[::1]:1"), []);
    assert_eq!(two("0.0.0.0:1", "[::ffff:127.0.0.1]:1").len(), 1, "the same address, written in another way");
    assert_eq!(two("127.0.0.1:1", "127.0.0.1:2"), []);
    assert_eq!(mistakes(&(one("tcp", "127.0.0.1:1") + &one("kcp", "127.0.0.1:1"))), [], "udp has ports of its own");
    assert_eq!(mistakes(&(one("kcp", "0.0.0.0:1") + &one("kcp", "127.0.0.1:1"))).len(), 1);
    let taken = two("[::]:1", "[::1]:1");
    assert_eq!(
        taken[0].to_string(),
        "duet.toml:6: listener[1].address = \"[::1]:1\": taken by listener[0].address in line 3: only one listener for each address is allowed"
    );
}

#[test]
fn origins_are_the_same_host_everybody_or_a_list() {
    let origins = |list: &str| listener("ws", &format!("origins = {list}")).ws.origins;
    assert_eq!(listener("ws", "").ws.origins, Origins::SameHost);
    assert_eq!(origins("[\"same-host\"]"), Origins::SameHost);
    assert_eq!(origins("[\"*\"]"), Origins::Any);
    assert_eq!(origins("[]"), Origins::List(Vec::new()));
    assert_eq!(origins("[\"null\"]"), Origins::List(vec![Origin::Null]));
    let list = ["https://game.example", "http://localhost:8080"].map(|origin| origin.parse().unwrap());
    assert_eq!(origins("[\"https://game.example\", \"http://localhost:8080\"]"), Origins::List(list.to_vec()));
}

#[test]
fn subprotocols_are_tokens_on_ws() {
    assert_eq!(listener("ws", "").ws.subprotocols, Vec::<String>::new());
    assert_eq!(listener("ws", "subprotocols = [\"game.v2\", \"game.v1\"]").ws.subprotocols, ["game.v2", "game.v1"]);
}

#[test]
fn tls_is_both_files_on_tcp_and_ws() {
    let files = "tls_cert = \"a.pem\"\ntls_key = \"b.pem\"";
    for protocol in ["tcp", "ws"] {
        let tls = listener(protocol, files).tls.unwrap();
        assert_eq!((tls.certificate.as_path(), tls.key.as_path()), (Path::new("a.pem"), Path::new("b.pem")));
        assert_eq!(listener(protocol, "").tls, None);
    }
    let found = mistakes(&format!("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n{files}"));
    let keys: Vec<&str> = found.iter().map(|mistake| mistake.place.key.as_str()).collect();
    assert_eq!(keys, ["listener[0].tls_cert", "listener[0].tls_key"]);
}

#[test]
fn the_proxy_protocol_needs_trusted_proxies() {
    let with = |proxies: &str, protocol: &str| {
        let head = format!("[limits]\ntrusted_proxies = {proxies}\n[[listener]]\nprotocol = \"{protocol}\"\n");
        mistakes(&(head + "address = \"127.0.0.1:1\"\nproxy_protocol = true"))
    };
    assert_eq!(with("[\"10.0.0.0/8\"]", "tcp"), []);
    assert_eq!(with("[\"10.0.0.0/8\"]", "ws"), []);
    assert_eq!(
        with("[]", "tcp")[0].to_string(),
        "duet.toml:6: listener[0].proxy_protocol = true: allowed: false while limits.trusted_proxies is empty"
    );
    assert_eq!(with("[\"10.0.0.0/8\"]", "kcp").len(), 1);
}

#[test]
fn a_kcp_listener_says_how_its_sessions_behave() {
    let kcp = "[listener.kcp]\nmtu = 1200\nnodelay = false\ninterval = \"20ms\"\nresend = 0\nnc = false\nsend_window = 16\n\
               receive_window = 256\nack_no_delay = false\nstream = false\nsessions_max = 5\ndead_link = \"30s\"\nlinger = \"0s\"";
    let expected = KcpOptions {
        mtu: 1_200,
        nodelay: false,
        interval: Duration::from_millis(20),
        resend: 0,
        nc: false,
        send_window: 16,
        receive_window: 256,
        ack_no_delay: false,
        stream: false,
        sessions_max: 5,
        dead_link: Duration::from_secs(30),
        linger: Duration::ZERO,
    };
    assert_eq!(listener("kcp", kcp).kcp, expected);
    assert_eq!(listener("kcp", "").kcp, KcpOptions::default());
}

#[test]
fn the_session_route_has_to_fit_wherever_it_comes_from() {
    let text = "[gateway]\nsession_route = 300\n[[listener]]\nprotocol = \"tcp\"\naddress = \"[::1]:1\"\nroute_bytes = 1\n";
    assert_eq!(
        mistakes(text)[0].to_string(),
        "duet.toml:3: listener[0].session_route: 300 does not fit; allowed: -128 to 127 with route_bytes = 1"
    );
    assert_eq!(mistakes(&format!("{text}session_route = 127")), []);
    assert_eq!(mistakes(&format!("{text}resume = false")), [], "nobody asks on it");
    assert_eq!(listener("tcp", "route_bytes = 4\nsession_route = -2147483648").client.sessions.session_route, Route(i32::MIN));
}

#[test]
fn a_kcp_listener_needs_heartbeats_wherever_they_are_switched_off() {
    let text = "[gateway]\nheartbeat_interval = \"0s\"\n[[listener]]\nprotocol = \"kcp\"\naddress = \"[::1]:1\"\n";
    assert_eq!(mistakes(text)[0].place.key, "listener[0].heartbeat_interval");
    assert_eq!(mistakes(&format!("{text}heartbeat_interval = \"10s\"")), []);
}
