//! The two tasks of a connection: one reads and sorts packets, one writes them and keeps the heartbeat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use duet_codec::Packet;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};

use super::incoming::{Incoming, Reply};
use super::pending::Refusal;
use super::shared::Shared;
use crate::error::CloseReason;
use crate::link::{LinkReader, LinkWriter};
use crate::options::ClientOptions;

/// Packets handed to the system in one write.
const BATCH_PACKETS: usize = 64;

pub(super) async fn read(shared: Arc<Shared>, mut link: LinkReader, inbox: mpsc::Sender<Incoming>, silence: Option<Duration>) {
    let mut end = shared.end.subscribe();
    let reason = loop {
        let packet = async {
            match silence {
                Some(limit) => time::timeout(limit, link.read()).await.unwrap_or(Err(CloseReason::Silent)),
                None => link.read().await,
            }
        };
        let packet = tokio::select! {
            packet = packet => packet,
            () = ended(&mut end) => return,
        };
        if let Err(reason) = packet.and_then(|packet| take(&shared, &inbox, &packet)) {
            break reason;
        }
        // A stream that can end does so next.
        if !link.can_end() && shared.ledger().has_farewell() {
            break CloseReason::EndOfStream;
        }
    };
    shared.end(reason);
}

pub(super) async fn write(shared: Arc<Shared>, mut link: LinkWriter, mut outbox: mpsc::Receiver<Bytes>, options: ClientOptions) {
    let mut end = shared.end.subscribe();
    let mut packets = Vec::with_capacity(BATCH_PACKETS);
    let mut heartbeat_at = options.heartbeat_interval.map(|interval| Instant::now() + interval);
    loop {
        let count = tokio::select! {
            count = outbox.recv_many(&mut packets, BATCH_PACKETS) => count,
            interval = due(heartbeat_at, options.heartbeat_interval) => {
                let mut packet = Vec::new();
                shared.format.encode_heartbeat(shared.carrier, None, &mut packet);
                packets.push(packet.into());
                heartbeat_at = Some(Instant::now() + interval);
                1
            }
            () = ended(&mut end) => {
                // The end is already known; whether the good-bye arrives changes nothing.
                drop(time::timeout(options.write_timeout, link.release()).await);
                return;
            }
        };
        let written = async { if count == 0 { link.finish().await } else { link.write(&mut packets).await } };
        match time::timeout(options.write_timeout, written).await.unwrap_or(Err(CloseReason::WriteTimeout)) {
            Ok(()) if count == 0 => break,
            Ok(()) => {}
            Err(reason) => {
                shared.end(reason);
                return;
            }
        }
    }
    // The halves of a tcp socket close together: stay until the peer has ended its side too.
    ended(&mut end).await;
}

/// Waits until the connection has ended. The guard that the channel returns must not live across another await.
async fn ended(end: &mut watch::Receiver<Option<CloseReason>>) {
    drop(end.wait_for(Option::is_some).await);
}

/// Waits until the next heartbeat has to be sent; for ever if there is none.
async fn due(at: Option<Instant>, interval: Option<Duration>) -> Duration {
    match (at, interval) {
        (Some(at), Some(interval)) => {
            time::sleep_until(at).await;
            interval
        }
        _ => std::future::pending().await,
    }
}

/// Counts a packet and gives it to its request, or to the inbox. One step: a session is taken either before or after it.
fn take(shared: &Shared, inbox: &mpsc::Sender<Incoming>, packet: &Bytes) -> Result<(), CloseReason> {
    let decoded = shared.format.decode(shared.carrier, packet).map_err(|error| CloseReason::Malformed(error.to_string()))?;
    let mut ledger = shared.ledger();
    ledger.received(&decoded);
    if let Some(incoming) = sort(shared, packet, &decoded)? {
        deliver(shared, inbox, incoming);
    }
    drop(ledger);
    Ok(())
}

/// Gives an answer to its request; what no request waits for comes back to be delivered.
fn sort(shared: &Shared, packet: &Bytes, decoded: &Packet<'_>) -> Result<Option<Incoming>, CloseReason> {
    let (extcode, route, seq, body) = match *decoded {
        Packet::Empty => return Ok(None),
        Packet::Heartbeat { time } => return Ok(Some(Incoming::Heartbeat { time })),
        Packet::Data { extcode, route, seq, body } => (extcode, route, seq, body),
    };
    let answer = match extcode {
        0 => Ok(Reply { route, seq, body: packet.slice_ref(body) }),
        1 => {
            let (code, message) =
                shared.format.decode_error(body).ok_or_else(|| CloseReason::Malformed("an error packet without a code".to_owned()))?;
            Err(Refusal { code, message: message.to_owned() })
        }
        _ => return Ok(Some(Incoming::Unknown { extcode, route, seq, body: packet.slice_ref(body) })),
    };
    let unasked = if seq == 0 { Some(answer) } else { shared.pending.resolve(route, seq, answer).err() };
    Ok(unasked.map(|answer| match answer {
        Ok(Reply { route, seq: 0, body }) => Incoming::Push { route, body },
        Ok(reply) => Incoming::Reply(reply),
        Err(Refusal { code, message }) => Incoming::Error { route, seq, code, message },
    }))
}

fn deliver(shared: &Shared, inbox: &mpsc::Sender<Incoming>, incoming: Incoming) {
    // A handle that only makes requests never looks here, so a full inbox must not stop the reading.
    match inbox.try_send(incoming) {
        Ok(()) | Err(TrySendError::Closed(_)) | Err(TrySendError::Full(Incoming::Heartbeat { .. })) => {}
        Err(TrySendError::Full(_)) => {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
