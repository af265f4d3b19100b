//! kcp-go as the client, with and without its error correction.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use duet_transport::KcpOptions;

use super::server::echo;

/// The client, built once.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-kcp{}", env::consts::EXE_SUFFIX));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/peers/go-kcp");
        let output = Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(folder).output();
        let output = output.expect("Go 1.25 or newer is needed; without it set DUET_SKIP_CLIENTS=go");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    })
}

async fn passes(address: SocketAddr, arguments: &str) {
    let command = Command::new(program());
    let mut command = tokio::process::Command::from(command);
    let output = command.args(["-addr", &address.to_string()]).args(arguments.split_whitespace()).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.ends_with("result=pass\n"), "{arguments}: {text}");
}

fn is_skipped() -> bool {
    let skipped = env::var("DUET_SKIP_CLIENTS").is_ok_and(|list| list.split(',').any(|name| name == "go"));
    if skipped {
        eprintln!("SKIPPED: DUET_SKIP_CLIENTS says that there is no go");
    }
    skipped
}

#[tokio::test]
async fn kcp_go_on_the_same_port_and_conversation_is_answered_again_and_again() {
    if is_skipped() {
        return;
    }
    let (address, stats) = echo(KcpOptions::default());
    let local = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for life in 1..=3 {
        for more in ["-nodelay -ack-no-delay", "-fec-data 10 -fec-parity 3", "-write-bytes 1 -bytes 5 -greeting-bytes 5"] {
            // Before the client gives up waiting, which is long before the old session ends by itself.
            passes(address, &format!("-conv 7 -local {local} -timeout 5s {more}")).await;
        }
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 3 * life);
    }
}

#[tokio::test]
async fn kcp_go_with_and_without_error_correction_gets_its_data_back() {
    if is_skipped() {
        return;
    }
    let (address, stats) = echo(KcpOptions::default());
    let (small, _) = echo(KcpOptions { mtu: 512, nodelay: false, nc: false, stream: false, ack_no_delay: false, ..KcpOptions::default() });
    for address in [address, small] {
        // The first is how due's client dials.
        for arguments in [
            "-fec-data 10 -fec-parity 3",
            "-fec-data 10 -fec-parity 3 -nodelay -ack-no-delay -stream",
            "-fec-data 10 -fec-parity 3 -nodelay -mtu 512 -write-bytes 100",
            "",
            "-nodelay -ack-no-delay",
            "-nodelay -stream -mtu 512 -write-bytes 30000",
        ] {
            passes(address, arguments).await;
        }
    }
    assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 6);
    assert!(stats.ignored_frames.load(Ordering::Relaxed) > 0, "parity came and was not used");
    assert_eq!(stats.refused_malformed.load(Ordering::Relaxed), 0);
}
