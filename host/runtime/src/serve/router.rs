//! The router: which instance gets a request. It knows who serves what, and not how.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use duet_core::{Dispatch, Egress, ErrorCode, Full, Request, Requests, Route};

use crate::serve::inbox::Inbox;
use crate::serve::plugin::{Plugin, refuse};

/// Who serves what. It is exchanged as a whole, so that one read is routed by one table.
#[derive(Clone, Default)]
struct Table {
    /// By seat.
    plugins: Vec<Arc<Plugin>>,
    routes: HashMap<Route, Arc<Plugin>>,
}

impl Table {
    /// The table with this version, instead of one that may be in its seat.
    fn with(&self, plugin: &Arc<Plugin>) -> Self {
        let mut table = self.clone();
        match table.plugins.iter_mut().find(|other| other.shares_seat(plugin)) {
            Some(place) => *place = Arc::clone(plugin),
            None => table.plugins.push(Arc::clone(plugin)),
        }
        table.routes.retain(|_, other| !other.shares_seat(plugin));
        table.routes.extend(plugin.version.manifest.routes().iter().map(|entry| (entry.route, Arc::clone(plugin))));
        table
    }

    fn without(&self, plugin: &Plugin) -> Self {
        let mut table = self.clone();
        table.plugins.retain(|other| !other.shares_seat(plugin));
        table.routes.retain(|_, other| !other.shares_seat(plugin));
        table
    }

    /// The mark of the seat with this inbox.
    fn mark(&self, inbox: &Arc<Inbox>) -> Route {
        self.plugins.iter().find(|plugin| plugin.seat.has(inbox)).map_or(Route(0), |plugin| plugin.seat.mark)
    }
}

/// Sends requests to the instances of this process.
pub(crate) struct Router {
    table: ArcSwap<Table>,
    egress: Arc<dyn Egress>,
}

impl Router {
    /// A router that knows no plugin yet; what it refuses is answered through `egress`.
    pub(crate) fn new(egress: Arc<dyn Egress>) -> Self {
        Self { table: ArcSwap::default(), egress }
    }

    /// All plugins that serve.
    pub(crate) fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.table.load().plugins.clone()
    }

    /// The plugin of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Plugin>> {
        self.table.load().plugins.iter().find(|plugin| &*plugin.seat.name == name).cloned()
    }

    /// The plugin that has this route.
    pub(crate) fn holder(&self, route: Route) -> Option<Arc<Plugin>> {
        self.table.load().routes.get(&route).cloned()
    }

    /// Lets a plugin serve from now on, instead of the version that was in its seat.
    pub(crate) fn add(&self, plugin: &Arc<Plugin>) {
        self.table.rcu(|table| table.with(plugin));
    }

    /// Sends nothing more to a plugin.
    pub(crate) fn remove(&self, plugin: &Plugin) {
        self.table.rcu(|table| table.without(plugin));
    }

    /// Splits one read by instance. What meets a full queue is given back, and with it whatever else goes to that queue.
    fn dispatch_mixed(&self, table: &Table, mut requests: Requests, waker: &Waker) -> Result<(), Full> {
        let mut groups: Vec<(Target<'_>, Requests)> = Vec::new();
        for request in &requests {
            if !request.kind.is_event() {
                add(&mut groups, target(table, &request), &request);
                continue;
            }
            // An event goes to all who want it. A copy that was given back carries the mark of the one it is for.
            for plugin in &table.plugins {
                if [Route(0), plugin.seat.mark].contains(&request.route)
                    && plugin.version.events.contains(&request.kind)
                    && !plugin.is_quarantined()
                    && let Some(inbox) = plugin.inbox_for(&request)
                {
                    add(&mut groups, Target::Inbox(inbox), &Request { route: Route(0), ..request });
                }
            }
        }
        let mut left = Requests::default();
        let mut waiting = requests.take_in_flight();
        for (target, mut group) in groups {
            group.depart_with(&mut waiting);
            match target {
                Target::Refused(code) => refuse(&*self.egress, group.iter(), code),
                Target::Inbox(inbox) => {
                    if let Err(Full(mut group)) = inbox.offer(group, waker) {
                        let route = table.mark(inbox);
                        group.iter().for_each(|r| left.push(&if r.kind.is_event() { Request { route, ..r } } else { r }));
                        group.take_in_flight().into_iter().for_each(|own| left.depart(own));
                    }
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(Full(left)) }
    }
}

/// How often somebody looks which routes were called.
const COUNTED_EVERY: Duration = Duration::from_secs(30);

/// Notes again and again which routes were called, so that it need not be noted with each call.
pub(crate) async fn count_now_and_then(router: Weak<Router>) {
    loop {
        tokio::time::sleep(COUNTED_EVERY).await;
        let Some(router) = router.upgrade() else { return };
        router.plugins().iter().for_each(|plugin| plugin.count(Instant::now()));
    }
}

impl Dispatch for Router {
    fn dispatch(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        let table = self.table.load();
        match common_target(&table, &requests) {
            Some(Target::Inbox(inbox)) => inbox.offer(requests, waker),
            Some(Target::Refused(code)) => {
                refuse(&*self.egress, requests.iter(), code);
                Ok(())
            }
            None => self.dispatch_mixed(&table, requests, waker),
        }
    }

    fn is_idle(&self) -> bool {
        self.table.load().plugins.iter().all(|plugin| plugin.seat.in_flight() == 0)
    }
}

/// Where a request goes.
enum Target<'a> {
    Inbox(&'a Arc<Inbox>),
    Refused(ErrorCode),
}

impl Target<'_> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Target::Inbox(a), Target::Inbox(b)) => Arc::ptr_eq(a, b),
            (Target::Refused(a), Target::Refused(b)) => a == b,
            _ => false,
        }
    }
}

fn target<'a>(table: &'a Table, request: &Request<'_>) -> Target<'a> {
    match table.routes.get(&request.route) {
        None => Target::Refused(ErrorCode::UNKNOWN_ROUTE),
        Some(plugin) if plugin.is_quarantined() => Target::Refused(ErrorCode::UNAVAILABLE),
        Some(plugin) => plugin.inbox_for(request).map_or(Target::Refused(ErrorCode::UNAVAILABLE), Target::Inbox),
    }
}

/// Where all of them go, if that is one place: the usual read comes from one connection and is about one thing.
fn common_target<'a>(table: &'a Table, requests: &Requests) -> Option<Target<'a>> {
    let mut requests = requests.iter();
    let mut last = requests.next().filter(|r| !r.kind.is_event())?;
    let first = target(table, &last);
    for request in requests {
        // A target depends on route, key, connection and uid, unless any instance will do.
        let same = request.route == last.route && request.key == last.key && request.conn == last.conn && request.uid == last.uid;
        if request.kind.is_event() || (!same && !target(table, &request).is(&first)) {
            return None;
        }
        last = request;
    }
    Some(first)
}

fn add<'a>(groups: &mut Vec<(Target<'a>, Requests)>, target: Target<'a>, request: &Request<'_>) {
    if let Some((_, group)) = groups.iter_mut().find(|(t, _)| t.is(&target)) {
        return group.push(request);
    }
    let mut group = Requests::default();
    group.push(request);
    groups.push((target, group));
}
