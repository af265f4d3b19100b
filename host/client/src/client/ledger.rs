//! What a client counts so that a session can go on with another connection: packets received, and packets sent that may not have arrived.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use duet_codec::Packet;
use serde::Deserialize;

use crate::error::CloseReason;

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The session, once there is one.
    account: Option<Account>,
    /// A question about a session that is not answered yet, and what its answer makes the session.
    asked: Option<Asked>,
    /// What the last packet so far says about the end, if it does turn out to be the last.
    farewell: Option<CloseReason>,
    packets_max: usize,
}

#[derive(Debug)]
struct Asked {
    route: i32,
    seq: i32,
    account: Account,
}

/// The state of a session on this side.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) token: String,
    pub(super) ttl: Duration,
    /// Packets received since the first token.
    pub(super) received: u64,
    /// Packets that the server had taken when it answered last.
    pub(super) taken: u64,
    /// The number of the first packet in `sent`; unknown for a session that only has a token.
    first: Option<u64>,
    /// The last packets sent, without those that were certainly taken.
    sent: VecDeque<Sent>,
}

#[derive(Debug, Clone)]
struct Sent {
    route: i32,
    seq: i32,
    packet: Bytes,
}

/// What the server says about a session.
#[derive(Debug, Deserialize)]
struct Answer {
    token: String,
    ttl_ms: u64,
    received: u64,
}

impl Ledger {
    pub(super) fn new(packets_max: usize) -> Self {
        Self { packets_max, ..Self::default() }
    }

    /// Notes a question that is being sent. The answer begins, or continues, this account.
    pub(super) fn ask(&mut self, route: i32, seq: i32, account: Account) {
        self.asked = Some(Asked { route, seq, account });
    }

    /// Notes a packet that is being sent.
    pub(super) fn sent(&mut self, route: i32, seq: i32, packet: &Bytes) {
        let asked = self.asked.as_mut().map(|asked| &mut asked.account);
        for account in asked.into_iter().chain(&mut self.account) {
            account.push(Sent { route, seq, packet: packet.clone() }, self.packets_max);
        }
    }

    /// Notes a packet that was received.
    pub(super) fn received(&mut self, packet: &Packet<'_>) {
        let Packet::Data { extcode, route, seq, body } = *packet else { return };
        if self.settle(extcode, route, seq, body) {
            return;
        }
        // What looked like a farewell was not one.
        if self.farewell.take().is_some() {
            self.count();
        }
        if (extcode, route, seq) == (1, 0, 0)
            && let Some((code, text)) = body.split_first_chunk()
        {
            self.farewell = CloseReason::of_farewell(u16::from_be_bytes(*code), &String::from_utf8_lossy(text));
        }
        if self.farewell.is_none() {
            self.count();
        }
        if seq != 0
            && let Some(account) = &mut self.account
        {
            account.answered(route, seq);
        }
    }

    /// Whether the last packet looks like a farewell.
    pub(super) fn has_farewell(&self) -> bool {
        self.farewell.is_some()
    }

    /// What the server said in its very last packet.
    pub(super) fn take_farewell(&mut self) -> Option<CloseReason> {
        self.farewell.take()
    }

    pub(super) fn account(&mut self) -> Option<&mut Account> {
        self.account.as_mut()
    }

    pub(super) fn take_account(&mut self) -> Option<Account> {
        self.account.take()
    }

    /// Takes back an account that could not be resumed.
    pub(super) fn put_account(&mut self, account: Account) {
        self.account = Some(account);
    }

    fn count(&mut self) {
        if let Some(account) = &mut self.account {
            account.received += 1;
        }
    }

    /// Whether the packet is the answer to a question about the session. Neither side counts those.
    fn settle(&mut self, extcode: u8, route: i32, seq: i32, body: &[u8]) -> bool {
        let Some(asked) = self.asked.take_if(|asked| (asked.route, asked.seq) == (route, seq)) else { return false };
        if extcode == 0
            && let Ok(Answer { token, ttl_ms, received }) = serde_json::from_slice(body)
        {
            self.account = Some(Account { token, ttl: Duration::from_millis(ttl_ms), taken: received, ..asked.account });
        }
        true
    }
}

impl Account {
    /// An account that counts from now on.
    pub(super) fn begin() -> Self {
        Self { first: Some(0), ..Self::default() }
    }

    /// An account of which only this is known.
    pub(super) fn of_token(token: String, received: u64) -> Self {
        Self { token, received, ..Self::default() }
    }

    /// Packets that may have to be sent again.
    pub(super) fn unsettled(&self) -> usize {
        self.sent.len()
    }

    /// The packets that the server has not taken, oldest first.
    ///
    /// # Errors
    /// How many of them are no longer kept.
    pub(super) fn missing(&mut self) -> Result<Vec<Bytes>, u64> {
        let first = *self.first.get_or_insert(self.taken);
        let settled = self.taken.checked_sub(first).ok_or_else(|| first - self.taken)?;
        self.settle(usize::try_from(settled).unwrap_or(usize::MAX));
        self.first = Some(self.taken);
        Ok(self.sent.iter().map(|sent| sent.packet.clone()).collect())
    }

    fn push(&mut self, sent: Sent, packets_max: usize) {
        self.sent.push_back(sent);
        self.settle(self.sent.len().saturating_sub(packets_max));
    }

    /// A server that answers a request has taken it, and all before it.
    fn answered(&mut self, route: i32, seq: i32) {
        if let Some(at) = self.sent.iter().position(|sent| (sent.route, sent.seq) == (route, seq)) {
            self.settle(at + 1);
        }
    }

    fn settle(&mut self, count: usize) {
        let count = count.min(self.sent.len());
        self.sent.drain(..count);
        self.first = self.first.map(|first| first + count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: i32 = -1;

    fn data(route: i32, seq: i32) -> Packet<'static> {
        Packet::Data { extcode: 0, route, seq, body: b"" }
    }

    fn error(code: u16) -> [u8; 2] {
        code.to_be_bytes()
    }

    fn opened(packets_max: usize) -> Ledger {
        let mut ledger = Ledger::new(packets_max);
        ledger.ask(ROUTE, 1, Account::begin());
        answer(&mut ledger, 0);
        ledger
    }

    fn answer(ledger: &mut Ledger, received: u64) {
        let body = format!(r#"{{"token":"t","ttl_ms":30000,"received":{received}}}"#);
        ledger.received(&Packet::Data { extcode: 0, route: ROUTE, seq: 1, body: body.as_bytes() });
    }

    fn send(ledger: &mut Ledger, seqs: impl IntoIterator<Item = u8>) {
        for seq in seqs {
            ledger.sent(7, seq.into(), &Bytes::from(vec![seq]));
        }
    }

    fn numbers(packets: &[Bytes]) -> Vec<u8> {
        packets.iter().map(|packet| packet[0]).collect()
    }

    #[test]
    fn only_packets_after_the_token_are_counted_and_never_heartbeats_or_answers_about_the_session() {
        let mut ledger = Ledger::new(9);
        ledger.ask(ROUTE, 1, Account::begin());
        ledger.received(&data(7, 1));
        answer(&mut ledger, 0);
        let body = error(3);
        for packet in
            [data(7, 2), data(30, 0), Packet::Heartbeat { time: None }, Packet::Data { extcode: 1, route: 9, seq: 4, body: &body }]
        {
            ledger.received(&packet);
        }
        assert_eq!(ledger.account().unwrap().received, 3);
        ledger.ask(ROUTE, 2, Account::begin());
        ledger.received(&Packet::Data { extcode: 1, route: ROUTE, seq: 2, body: &body });
        let account = ledger.account().unwrap();
        assert_eq!((account.received, account.token.as_str()), (3, "t"), "a refused question changes nothing");
    }

    #[test]
    fn what_was_sent_behind_the_question_is_kept_until_it_is_answered() {
        let mut ledger = Ledger::new(9);
        send(&mut ledger, [1]);
        ledger.ask(ROUTE, 1, Account::begin());
        send(&mut ledger, [2, 3, 4, 5]);
        answer(&mut ledger, 0);
        ledger.received(&data(7, 3));
        ledger.received(&data(7, 1));
        let account = ledger.account().unwrap();
        assert_eq!(account.unsettled(), 2);
        account.taken = 3;
        assert_eq!(numbers(&account.missing().unwrap()), [5]);
        account.taken = 9;
        assert!(account.missing().unwrap().is_empty());
    }

    #[test]
    fn numbers_go_on_after_a_resumption() {
        let mut ledger = opened(9);
        send(&mut ledger, [1, 2, 3]);
        let mut account = ledger.take_account().unwrap();
        account.received = 5;
        let mut ledger = Ledger::new(9);
        ledger.ask(ROUTE, 1, account);
        answer(&mut ledger, 1);
        let account = ledger.account().unwrap();
        assert_eq!((account.received, numbers(&account.missing().unwrap())), (5, vec![2, 3]));
        send(&mut ledger, [4]);
        let account = ledger.account().unwrap();
        account.taken = 3;
        assert_eq!(numbers(&account.missing().unwrap()), [4]);
    }

    #[test]
    fn packets_that_are_not_kept_any_more_are_a_gap() {
        let mut ledger = opened(2);
        send(&mut ledger, 1..=5);
        let account = ledger.account().unwrap();
        account.taken = 1;
        assert_eq!(account.missing(), Err(2));
        account.taken = 3;
        assert_eq!(numbers(&account.missing().unwrap()), [4, 5]);
    }

    #[test]
    fn of_a_bare_token_nothing_is_missing() {
        let mut ledger = Ledger::new(9);
        ledger.ask(ROUTE, 1, Account::of_token("old".to_owned(), 4));
        answer(&mut ledger, 17);
        assert!(ledger.account().unwrap().missing().unwrap().is_empty());
        send(&mut ledger, [1]);
        let account = ledger.account().unwrap();
        account.taken = 17;
        assert_eq!((account.received, numbers(&account.missing().unwrap())), (4, vec![1]));
    }

    #[test]
    fn a_farewell_is_not_counted_unless_more_comes() {
        let mut ledger = opened(9);
        let body = error(12);
        let kick = Packet::Data { extcode: 1, route: 0, seq: 0, body: &body };
        ledger.received(&kick);
        assert_eq!(ledger.account().unwrap().received, 0);
        ledger.received(&data(7, 1));
        assert_eq!(ledger.account().unwrap().received, 2);
        assert_eq!(ledger.take_farewell(), None);
        ledger.received(&kick);
        assert_eq!(ledger.take_farewell(), Some(CloseReason::Kicked(String::new())));
    }
}
