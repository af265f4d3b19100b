//! Clients that check certificates, over TLS: Go's own TLS under due's packets, and npm `ws`.

use std::path::Path;
use std::process::Command;

use duet_testkit::{Pki, Server};

use super::programs::{all_pass, fails, go_due, is_skipped, npm_ws};
use super::server;

fn secure(protocol: &str, pki: &Pki) -> Server {
    server().listener(&format!("protocol = \"{protocol}\"\n{}", pki.settings())).start()
}

/// due's client echoes on a listener of TLS.
fn go(protocol: &str, server: &Server) -> Command {
    let mut command = Command::new(go_due());
    command.args(["-proto", protocol, "-addr", &server.addresses()[0].to_string(), "-script", "echo", "-count", "20"]);
    command
}

/// npm `ws` greets on a listener of TLS.
fn node(server: &Server) -> Command {
    let mut command = Command::new("node");
    command.current_dir(npm_ws()).args(["greet.mjs", "--heartbeat", "0", "--url", server.url(0)]);
    command
}

fn trusting(mut command: Command, variable: &str, authority: &Path) -> Command {
    command.env(variable, authority);
    command
}

#[test]
fn a_due_client_echoes_over_tls_and_over_wss_if_it_trusts_the_certificate() {
    if is_skipped("go") {
        return;
    }
    let pki = Pki::new();
    let (tcp, ws) = (secure("tcp", &pki), secure("ws", &pki));
    let peers = [go("tls", &tcp), go("wss", &ws)].map(|peer| trusting(peer, "SSL_CERT_FILE", &pki.certificate()));
    all_pass(peers.into());
    fails(go("tls", &tcp), "x509: certificate signed by unknown authority");
    fails(go("tcp", &tcp), "closed before");
}

#[test]
fn npm_ws_greets_over_wss_if_it_trusts_the_certificate() {
    if is_skipped("node") {
        return;
    }
    let pki = Pki::new();
    let server = secure("ws", &pki);
    all_pass(vec![trusting(node(&server), "NODE_EXTRA_CA_CERTS", &pki.certificate())]);
    // Browsers, and so this client, do not say why.
    fails(node(&server), "code=1006");
}
