//! What the book should do, written down naively: one row for each session, and every question is a walk through all rows.

use duet_core::{ConnId, Presence, Uid};
use duet_session::{
    BindError, Bound, ChannelError, Counts, DuplicateLogin, Ended, IssueError, Lost, ResumeError, Resumed, SessionLimits, SessionState,
};

/// Time is a number, a token too.
pub(crate) struct Model {
    pub(crate) limits: SessionLimits,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) conn: ConnId,
    pub(crate) state: SessionState,
    pub(crate) token: Option<u8>,
    pub(crate) channels: Vec<&'static str>,
}

impl Model {
    pub(crate) fn row(&self, conn: ConnId) -> Option<&Row> {
        self.rows.iter().find(|row| row.conn == conn)
    }

    fn row_mut(&mut self, conn: ConnId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.conn == conn)
    }

    pub(crate) fn uid(&self, conn: ConnId) -> Option<Uid> {
        match self.row(conn)?.state {
            SessionState::Bound(uid) | SessionState::Suspended(uid) => Some(uid),
            SessionState::Anonymous | SessionState::Draining => None,
        }
    }

    pub(crate) fn holder(&self, uid: Uid) -> Option<ConnId> {
        self.rows.iter().map(|row| row.conn).find(|conn| self.uid(*conn) == Some(uid))
    }

    pub(crate) fn presence(&self, uid: Uid) -> Presence {
        match self.holder(uid).and_then(|conn| self.row(conn)).map(|row| row.state) {
            None => Presence::Offline,
            Some(SessionState::Suspended(_)) => Presence::Suspended,
            Some(_) => Presence::Connected,
        }
    }

    pub(crate) fn members(&self, channel: &str) -> Vec<ConnId> {
        let mut members: Vec<_> = self.rows.iter().filter(|row| row.channels.contains(&channel)).map(|row| row.conn).collect();
        members.sort();
        members
    }

    pub(crate) fn counts(&self) -> Counts {
        let suspended = self.rows.iter().filter(|row| matches!(row.state, SessionState::Suspended(_))).count();
        let bound = self.rows.iter().filter(|row| matches!(row.state, SessionState::Bound(_))).count();
        let mut channels: Vec<_> = self.rows.iter().flat_map(|row| &row.channels).collect();
        channels.sort();
        channels.dedup();
        Counts { connected: self.rows.len() - suspended, bound, suspended, channels: channels.len() }
    }

    fn is_out(&self, token: u8) -> bool {
        self.rows.iter().any(|row| row.token == Some(token))
    }

    pub(crate) fn open(&mut self, conn: ConnId) {
        if self.row(conn).is_none() {
            self.rows.push(Row { conn, state: SessionState::Anonymous, token: None, channels: Vec::new() });
        }
    }

    pub(crate) fn bind(&mut self, conn: ConnId, uid: Uid, policy: DuplicateLogin) -> Result<Bound, BindError> {
        if uid.0 <= 0 {
            return Err(BindError::BadUid);
        }
        match self.row(conn).map(|row| row.state) {
            None | Some(SessionState::Suspended(_)) => return Err(BindError::Gone),
            Some(SessionState::Draining) => return Err(BindError::Draining),
            Some(SessionState::Anonymous | SessionState::Bound(_)) => {}
        }
        let previous = self.uid(conn);
        if previous == Some(uid) {
            return Ok(Bound { replaced: None, changed: false, previous: None });
        }
        let replaced = self.holder(uid);
        match (self.presence(uid), policy, replaced) {
            (Presence::Connected, DuplicateLogin::Reject, Some(old)) => return Err(BindError::AlreadyOnline(old)),
            (Presence::Connected, DuplicateLogin::KickOld, Some(old)) => {
                let row = self.row_mut(old).unwrap();
                row.state = SessionState::Draining;
                row.token = None;
                row.channels.clear();
            }
            (Presence::Suspended, _, Some(old)) => self.rows.retain(|row| row.conn != old),
            (_, _, _) => {}
        }
        let row = self.row_mut(conn).unwrap();
        row.state = SessionState::Bound(uid);
        row.token = None;
        Ok(Bound { replaced, changed: true, previous })
    }

    pub(crate) fn unbind(&mut self, conn: ConnId) -> Option<Uid> {
        let row = self.row_mut(conn)?;
        row.token = None;
        match row.state {
            SessionState::Bound(uid) => {
                row.state = SessionState::Anonymous;
                Some(uid)
            }
            SessionState::Suspended(_) => self.end(conn)?.uid,
            SessionState::Anonymous | SessionState::Draining => None,
        }
    }

    pub(crate) fn issue(&mut self, conn: ConnId, token: u8) -> Result<(), IssueError> {
        match self.row(conn).map(|row| row.state) {
            None | Some(SessionState::Suspended(_)) => Err(IssueError::Gone),
            Some(SessionState::Anonymous | SessionState::Draining) => Err(IssueError::NotBound),
            Some(SessionState::Bound(_)) if self.is_out(token) => Err(IssueError::Repeated),
            Some(SessionState::Bound(_)) => {
                self.row_mut(conn).unwrap().token = Some(token);
                Ok(())
            }
        }
    }

    pub(crate) fn lose(&mut self, conn: ConnId) -> Lost {
        let room = self.counts().suspended < self.limits.suspended_max;
        let Some(row) = self.row_mut(conn) else {
            return Lost::Ended { uid: None };
        };
        match row.state {
            SessionState::Suspended(uid) => Lost::Suspended { uid },
            SessionState::Bound(uid) if row.token.is_some() && room => {
                row.state = SessionState::Suspended(uid);
                Lost::Suspended { uid }
            }
            _ => Lost::Ended { uid: self.end(conn).unwrap().uid },
        }
    }

    pub(crate) fn resume(&mut self, by: ConnId, token: u8, fresh: u8) -> Result<Resumed, ResumeError> {
        if self.row(by).map(|row| row.state) != Some(SessionState::Anonymous) {
            return Err(ResumeError::NotAnonymous);
        }
        if self.is_out(fresh) {
            return Err(ResumeError::Refused);
        }
        let row = self.rows.iter_mut().find(|row| row.token == Some(token)).ok_or(ResumeError::Refused)?;
        let (uid, was) = match row.state {
            SessionState::Bound(uid) => (uid, Presence::Connected),
            SessionState::Suspended(uid) => (uid, Presence::Suspended),
            _ => return Err(ResumeError::Refused),
        };
        row.state = SessionState::Bound(uid);
        row.token = Some(fresh);
        let conn = row.conn;
        self.rows.retain(|row| row.conn != by);
        Ok(Resumed { conn, uid, was })
    }

    pub(crate) fn drain(&mut self, conn: ConnId) -> Option<Uid> {
        let uid = self.uid(conn);
        let row = self.row_mut(conn)?;
        if let SessionState::Suspended(_) = row.state {
            self.end(conn);
        } else {
            row.state = SessionState::Draining;
            row.token = None;
            row.channels.clear();
        }
        uid
    }

    pub(crate) fn end(&mut self, conn: ConnId) -> Option<Ended> {
        let ended = Ended { uid: self.uid(conn), channels: self.row(conn)?.channels.len() };
        self.rows.retain(|row| row.conn != conn);
        Some(ended)
    }

    pub(crate) fn subscribe(&mut self, conn: ConnId, channel: &'static str) -> Result<bool, ChannelError> {
        let limits = self.limits;
        let row = self.row_mut(conn).filter(|row| row.state != SessionState::Draining).ok_or(ChannelError::Gone)?;
        if !(1..=limits.channel_bytes).contains(&channel.len()) {
            return Err(ChannelError::Name);
        }
        let is_new = !row.channels.contains(&channel);
        if is_new && row.channels.len() == limits.channels_per_session {
            return Err(ChannelError::TooMany);
        }
        if is_new {
            row.channels.push(channel);
        }
        Ok(is_new)
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnId, channel: &str) -> bool {
        let before = self.row(conn).map_or(0, |row| row.channels.len());
        if let Some(row) = self.row_mut(conn) {
            row.channels.retain(|own| *own != channel);
        }
        self.row(conn).map_or(0, |row| row.channels.len()) < before
    }

    pub(crate) fn unsubscribe_all(&mut self, conn: ConnId) -> usize {
        self.row_mut(conn).map_or(0, |row| std::mem::take(&mut row.channels).len())
    }
}
