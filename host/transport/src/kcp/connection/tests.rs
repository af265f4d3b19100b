use std::net::{Ipv4Addr, SocketAddr};
use std::task::Wake;

use tokio::net::UdpSocket;

use super::segment::{ACK, ASK_WINDOW, PUSH};
use super::*;
use crate::kcp::KcpOptions;

const CONV: u32 = 7;

/// A connection whose datagrams go to a socket that nobody reads.
fn connection(port: &Arc<Port>, peer: SocketAddr) -> Connection {
    let client = Head { conv: CONV, command: ACK, window: 32, timestamp: 0, number: 0, expected: 1, length: 0 };
    Connection::open(Key { peer, conv: CONV }, Arc::clone(port), &client, Instant::now()).expect("options are good")
}

async fn port(options: KcpOptions) -> (Arc<Port>, SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("free port");
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("free port");
    (Arc::new(Port::new(socket, options)), sink.local_addr().expect("bound"), sink)
}

fn segment(command: u8, number: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = u32::try_from(data.len()).expect("short");
    Head { conv: CONV, command, window: 32, timestamp: 0, number, expected: 1, length }.write(&mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

fn read(connection: &Connection, room: usize) -> Poll<Vec<u8>> {
    let mut bytes = vec![0; room];
    let mut buf = ReadBuf::new(&mut bytes);
    match connection.poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
        Poll::Ready(result) => Poll::Ready(result.map(|()| buf.filled().to_vec()).expect("alive")),
        Poll::Pending => Poll::Pending,
    }
}

#[tokio::test]
async fn data_is_read_in_order_into_buffers_of_any_size() {
    let (port, peer, _sink) = port(KcpOptions::default()).await;
    let connection = connection(&port, peer);
    let now = Instant::now();
    assert_eq!(read(&connection, 9), Poll::Pending);
    for (number, data) in [(2, "defg"), (1, "c"), (3, ""), (0, "ab")] {
        connection.feed(&mut segment(PUSH, number, data.as_bytes()), now).expect("possible");
    }
    assert_eq!(read(&connection, 1), Poll::Ready(b"a".to_vec()));
    assert_eq!(read(&connection, 4), Poll::Ready(b"bcde".to_vec()));
    assert_eq!(read(&connection, 9), Poll::Ready(b"fg".to_vec()));
    assert_eq!(read(&connection, 9), Poll::Pending);
}

struct Faulty;

impl Wake for Faulty {
    fn wake(self: Arc<Self>) {
        panic!("a fault of the test");
    }
}

#[tokio::test]
async fn a_panic_of_the_driver_ends_the_session_it_was_busy_with_and_the_driver_forgets_it() {
    let (port, peer, _sink) = port(KcpOptions::default()).await;
    let connection = connection(&port, peer);
    let now = Instant::now();
    let mut buf = [0; 9];
    let mut poll = |waker: &Waker| connection.poll_read(&mut Context::from_waker(waker), &mut ReadBuf::new(&mut buf));
    assert!(poll(&Arc::new(Faulty).into()).is_pending());
    connection.feed(&mut segment(PUSH, 0, b"a"), now).expect("possible");
    assert!(connection.contain(|| connection.settle(now)).is_none());
    assert!(matches!(poll(Waker::noop()), Poll::Ready(Err(_))));
    let (at, key) = port.timers().due(Instant::now()).expect("a last look");
    assert_eq!((key, connection.contain(|| connection.tick(at, Instant::now()))), (connection.key, Some(false)));
    assert_eq!(port.stats().panics.load(Ordering::Relaxed), 1);
    connection.feed(&mut segment(PUSH, 1, b"b"), now).expect_err("it has ended");
}

#[tokio::test]
async fn an_empty_segment_is_not_the_end() {
    let (port, peer, _sink) = port(KcpOptions::default()).await;
    let connection = connection(&port, peer);
    connection.feed(&mut segment(PUSH, 0, b""), Instant::now()).expect("possible");
    assert_eq!(read(&connection, 9), Poll::Pending);
}

#[tokio::test]
async fn a_message_that_never_ends_is_read_like_any_other() {
    let (port, peer, _sink) = port(KcpOptions::default()).await;
    let connection = connection(&port, peer);
    let mut fragment = segment(PUSH, 0, b"part");
    fragment[5] = 255;
    connection.feed(&mut fragment, Instant::now()).expect("possible");
    assert_eq!(read(&connection, 9), Poll::Ready(b"part".to_vec()));
}

#[tokio::test]
async fn a_session_without_work_has_no_timer() {
    let (port, peer, _sink) = port(KcpOptions::default()).await;
    let connection = connection(&port, peer);
    let now = Instant::now();
    assert_eq!(port.timers().plan(None), None);
    connection.feed(&mut segment(PUSH, 0, b"a"), now).expect("possible");
    connection.settle(now);
    assert_eq!(port.timers().plan(None), None, "acknowledged at once");
    connection.try_write(b"reply").expect("room");
    assert!(port.timers().plan(None).is_some());
    connection.feed(&mut segment(ACK, 1, b""), now).expect("possible");
    connection.settle(now);
    let later = now + Duration::from_secs(1);
    while let Some((at, _)) = port.timers().due(later) {
        assert!(connection.tick(at, later));
    }
    assert_eq!(port.timers().plan(None), None);
}

#[tokio::test]
async fn writing_stops_at_two_windows_and_goes_on_when_the_client_acknowledges() {
    let (port, peer, _sink) = port(KcpOptions { send_window: 4, ..KcpOptions::default() }).await;
    let connection = connection(&port, peer);
    let data = vec![1; 100_000];
    assert_eq!(connection.try_write(&data).expect("room"), 8 * 1376);
    assert_eq!(connection.try_write(&data).expect_err("full").kind(), ErrorKind::WouldBlock);
    assert!(connection.poll_write_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    let now = Instant::now();
    (1..=4).for_each(|number| assert!(connection.feed(&mut segment(ACK, number, b""), now).is_ok()));
    connection.settle(now);
    assert_eq!(connection.try_write(&data).expect("room"), 4 * 1376);
    connection.shutdown();
    assert_eq!(connection.try_write(&data).expect_err("shut down").kind(), ErrorKind::BrokenPipe);
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn is_one_of(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Mostly a small number, sometimes one at an edge.
    fn field(&mut self, near: usize) -> u32 {
        if self.is_one_of(4) {
            return self.pick(&[0, 1, 127, 128, 256, 1 << 20, 1 << 30, (1 << 31) - 1, 1 << 31, u32::MAX - 1, u32::MAX]);
        }
        u32::try_from(self.below(near)).expect("31 bits")
    }

    fn datagram(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..=self.below(3) {
            let command =
                if self.is_one_of(20) { self.below(256).to_le_bytes()[0] } else { self.pick(&[PUSH, PUSH, ACK, ASK_WINDOW, TELL_WINDOW]) };
            let data = vec![3; self.below(30)];
            let length = if self.is_one_of(50) { self.field(50) } else { u32::try_from(data.len()).expect("short") };
            let (timestamp, number, expected, window) =
                (self.field(1000), self.field(150), self.field(4), self.pick(&[0, 1, 32, u16::MAX]));
            Head { conv: CONV, command, window, timestamp, number, expected, length }.write(&mut bytes);
            bytes.extend_from_slice(&data);
        }
        if self.is_one_of(3) {
            let at = self.below(bytes.len());
            bytes[at] ^= 1 << self.below(8);
        }
        if self.is_one_of(10) {
            bytes.truncate(self.below(bytes.len()));
        }
        bytes
    }
}

/// Datagrams of all shapes, most of them nearly possible, for connections that read and write a little.
#[tokio::test]
async fn no_datagram_makes_a_session_panic_or_grow_without_bound() {
    let (port, peer, _sink) = port(KcpOptions { ack_no_delay: false, nc: false, ..KcpOptions::default() }).await;
    let mut random = Random(0x5eed);
    let (mut taken, mut most) = (0, [0; 5]);
    for _ in 0..200 {
        let connection = connection(&port, peer);
        let start = Instant::now();
        for _ in 0..1000 {
            let now = start + Duration::from_millis(random.below(2000) as u64);
            taken += usize::from(connection.feed(&mut random.datagram(), now).is_ok());
            match random.below(10) {
                0 => drop(connection.try_write(&[4; 3000])),
                1 => drop(read(&connection, 700)),
                2 => connection.settle(now),
                _ => {}
            }
            assert!(connection.state.lock().wanting <= 131);
        }
        let state = connection.state.lock();
        let core = format!("{:?}", state.core.as_ref().expect("not ended"));
        for (queue, most) in ["rcv_queue", "rcv_buf", "acklist", "snd_buf", "snd_queue"].into_iter().zip(&mut most) {
            let (_, length) = core.split_once(&format!("{queue}.len: ")).expect("shown");
            *most = length.split(',').next().expect("a number").parse::<usize>().expect("a number").max(*most);
        }
    }
    assert!(taken > 50_000, "{taken} of 200000 datagrams passed: the others cannot have shown much");
    assert!(most.into_iter().zip([128, 128, 131, 128, 256]).all(|(most, limit)| most <= limit), "{most:?}");
    assert!(most.into_iter().all(|most| most > 0), "{most:?}");
}
