//! Both profiles on both carriers in one server, with bytes written down from the description of the format.

use duet_testkit::{Peer, Server, Wire, guest};

/// `{"name":"Ada"}` on route 2 with seq 1, and what has to come back: first the push on route 3, then the reply.
struct Golden {
    wire: Wire,
    request: &'static [u8],
    answers: [&'static [u8]; 2],
}

/// A mask of zeros leaves the bytes of a frame readable.
const GOLDEN: [Golden; 4] = [
    Golden {
        wire: Wire::TCP,
        request: b"\x00\x00\x00\x13\x00\x00\x02\x00\x01{\"name\":\"Ada\"}",
        answers: [
            b"\x00\x00\x00\x1e\x00\x00\x03\x00\x00{\"message\":\"Ada is here\"}",
            b"\x00\x00\x00\x1c\x00\x00\x02\x00\x01{\"message\":\"hello Ada\"}",
        ],
    },
    Golden {
        wire: Wire::WS,
        request: b"\x82\x97\x00\x00\x00\x00\x00\x00\x00\x13\x00\x00\x02\x00\x01{\"name\":\"Ada\"}",
        answers: [
            b"\x82\x22\x00\x00\x00\x1e\x00\x00\x03\x00\x00{\"message\":\"Ada is here\"}",
            b"\x82\x20\x00\x00\x00\x1c\x00\x00\x02\x00\x01{\"message\":\"hello Ada\"}",
        ],
    },
    Golden {
        wire: Wire::SEED_TCP,
        request: b"\x00\x00\x00\x13\x00\x00\x02\x00\x01{\"name\":\"Ada\"}",
        answers: [
            b"\x00\x00\x00\x1e\x00\x00\x03\x00\x00{\"message\":\"Ada is here\"}",
            b"\x00\x00\x00\x1c\x00\x00\x02\x00\x01{\"message\":\"hello Ada\"}",
        ],
    },
    Golden {
        wire: Wire::SEED_WS,
        request: b"\x82\x93\x00\x00\x00\x00\x00\x00\x02\x00\x01{\"name\":\"Ada\"}",
        answers: [b"\x82\x1e\x00\x00\x03\x00\x00{\"message\":\"Ada is here\"}", b"\x82\x1c\x00\x00\x02\x00\x01{\"message\":\"hello Ada\"}"],
    },
];

#[test]
fn greet_answers_each_profile_on_each_carrier_with_its_bytes() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("greet", guest("greet"));
    let server = GOLDEN.iter().fold(server, |server, golden| server.listener(&golden.wire.listener())).start();
    for round in 0..3 {
        for (golden, address) in GOLDEN.iter().zip(server.addresses()) {
            let mut peer = Peer::connect(address, golden.wire);
            peer.write(golden.request);
            for answer in golden.answers {
                let came = peer.bytes(answer.len());
                assert_eq!(came, answer, "{}, round {round}", golden.wire.name());
            }
        }
    }
}
