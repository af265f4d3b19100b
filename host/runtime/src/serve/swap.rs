//! Exchanging the code of a plugin while it serves: hold the instances of the old version, move their state, go on with one or the other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use duet_core::{PublishError, Route};

use crate::call::lane::wait_here;
use crate::call::meter::WALL_FACTOR;
use crate::call::state::{Carried, StateBudget, StateError, carry};
use crate::host::log::one_line;
use crate::load::id::VersionId;
use crate::load::manifest::{Keeps, Manifest};
use crate::load::{LoadError, Loaded, Reason};
use crate::panic::{contained, contained_async};
use crate::serve::Runtime;
use crate::serve::hold::{Held, Hold, Post};
use crate::serve::instance::Instance;
use crate::serve::plugin::Plugin;
use crate::serve::record::{Change, Happened, Past, StateMoved};
use crate::serve::seat::Seat;
use crate::serve::version::Version;

/// How much longer than a call may take a slot may take to give way.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often somebody who waits for a slot looks whether the process is to stop.
const STOP_SEEN_WITHIN: Duration = Duration::from_millis(50);
/// How long a plugin that is withdrawn may take to handle what it was given.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(30);

/// Code was exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// The plugin.
    pub name: String,
    /// The version that served before.
    pub from: VersionId,
    /// The version that serves now.
    pub to: VersionId,
    /// What became of the state.
    pub state: StateMoved,
    /// Bytes of state that all instances saved.
    pub state_bytes: u64,
    /// How long saving took, all instances together.
    pub save: Duration,
    /// How long restoring took, all instances together.
    pub restore: Duration,
    /// How long nothing was handled.
    pub pause: Duration,
}

/// Code was not exchanged, and the version that served goes on.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{name}`: {} is not replaced by {}: {}", shown(from), shown(to), one_line(&reason.to_string()))]
pub struct SwapError {
    /// The plugin.
    pub name: Box<str>,
    /// The version that goes on, if there is one.
    pub from: Option<VersionId>,
    /// The version that was to take its place, as far as it is known.
    pub to: Option<VersionId>,
    reason: Box<Refusal>,
}

impl SwapError {
    /// Why, in one line.
    pub fn reason(&self) -> String {
        one_line(&self.reason.to_string())
    }
}

fn shown(id: &Option<VersionId>) -> String {
    id.as_ref().map_or_else(|| "its version".to_owned(), ToString::to_string)
}

/// Why code is not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no plugin of this name serves")]
    NotServed,
    #[error("the process is stopping")]
    Stopped,
    #[error(transparent)]
    Route(#[from] PublishError),
    #[error("it lacks {}, called within the last hour; swap with `force` if that is meant", listed(.0))]
    Missing(Vec<Route>),
    #[error("its state is of schema {schema}, and the new version {}; swap with `force` to begin anew without it", restored(.reads))]
    Schema { schema: u32, reads: Option<Vec<u32>> },
    #[error("{0}")]
    Start(String),
    #[error("an instance did not end its call within {0:?}; try again")]
    Busy(Duration),
    #[error("the state of instance {instance} could not be moved: {error}")]
    State { instance: usize, error: StateError },
    #[error("no version that served before {}", .0.as_ref().map_or_else(|| "is known".to_owned(), |hash| format!("has a hash that begins with `{hash}`")))]
    NoVersion(Option<String>),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{0}")]
    Publish(Reason),
    #[error("the host panicked: {0}")]
    Panic(String),
}

fn listed(routes: &[Route]) -> String {
    let shown: Vec<String> = routes.iter().take(16).map(|route| route.0.to_string()).collect();
    let more = if routes.len() > shown.len() { " and more" } else { "" };
    format!("route{} {}{more}", if routes.len() == 1 { "" } else { "s" }, shown.join(", "))
}

fn restored(reads: &Option<Vec<u32>>) -> String {
    match reads.as_deref() {
        None => "has no state".to_owned(),
        Some(reads) => format!("restores {}", reads.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// What became of the state of all instances.
#[derive(Clone, Copy, Debug)]
struct Moves {
    state: StateMoved,
    carried: Carried,
}

impl Moves {
    const NONE: Self = Self { state: StateMoved::Nothing, carried: Carried::NONE };

    fn add(&mut self, state: StateMoved, carried: Carried) {
        self.state = self.state.max(state);
        self.carried.add(carried);
    }
}

impl Runtime {
    /// Puts a version into the place of the one that serves under its name, with its state and without losing or reordering a message. Blocks
    /// while instances start, and a slot may take as long as a call: call it on a thread of its own, outside of any runtime of tokio.
    ///
    /// # Errors
    /// Why the version that serves goes on, with its memory as it was. With `force` it matters neither that routes go away that are being called
    /// nor that the state cannot be read by the new version.
    pub fn swap(&self, loaded: Loaded, force: bool) -> Result<Swapped, SwapError> {
        let _underway = self.loader.underway();
        let (name, id) = (loaded.name.clone(), loaded.id());
        let _placing = self.placing.lock();
        let old = self.router.named(&name);
        let swapped = contained(|| {
            let old = old.as_ref().ok_or(Refusal::NotServed)?;
            self.admit(old, &loaded, force)?;
            let new = self.successor(old, loaded);
            self.exchange(old, &new, &Rule { may_begin_anew: force })
        });
        self.conclude(old.as_deref(), &name, Some(id), Happened::Swapped, swapped)
    }

    /// Goes back to the version before the one that serves, or to the one before it whose hash begins with `to`. Its state is kept if that
    /// version can read it, and begins anew if not. Blocks as [`Self::swap`] does.
    ///
    /// # Errors
    /// Why the version that serves goes on.
    pub fn roll_back(&self, name: &str, to: Option<&str>) -> Result<Swapped, SwapError> {
        let _underway = self.loader.underway();
        let _placing = self.placing.lock();
        let old = self.router.named(name);
        let past = old.as_ref().and_then(|old| old.seat.record.lock().before(to));
        let id = past.as_ref().map(|past| past.id.clone());
        let swapped = contained(|| {
            let old = old.as_ref().ok_or(Refusal::NotServed)?;
            let Past { source, file, options, .. } = past.ok_or_else(|| Refusal::NoVersion(to.map(str::to_owned)))?;
            let loaded = self.loader.recall(name, &file, source, options)?;
            self.admit(old, &loaded, true)?;
            let new = self.successor(old, loaded);
            self.exchange(old, &new, &Rule { may_begin_anew: true })
        });
        self.conclude(old.as_deref(), name, id, Happened::RolledBack, swapped)
    }

    /// Takes a plugin out of service: its routes go, what it was given is handled, and then its instances end. Blocks until they have.
    ///
    /// # Errors
    /// If no plugin of this name serves, or its instances are still busy after half a minute. They end when they are done.
    pub fn withdraw(&self, name: &str) -> Result<(), SwapError> {
        let _underway = self.loader.underway();
        let _placing = self.placing.lock();
        let refused = |from: Option<VersionId>, reason| SwapError { name: name.into(), from, to: None, reason: Box::new(reason) };
        let plugin = self.router.named(name).ok_or_else(|| refused(None, Refusal::NotServed))?;
        // The gate first, so that it sends nothing more to a plugin that the router does not know.
        self.registry.withdraw(name);
        self.router.remove(&plugin);
        plugin.seat.close();
        if !plugin.seat.wait_until_served(WITHDRAWN_WITHIN) {
            return Err(refused(Some(plugin.version.id.clone()), Refusal::Busy(WITHDRAWN_WITHIN)));
        }
        tracing::info!(plugin = name, version = %plugin.version.id, "plugin withdrawn");
        Ok(())
    }

    /// What happened to the code of a plugin, the newest first; nothing if there is no plugin of this name.
    pub fn history(&self, name: &str) -> Vec<Change> {
        self.router.named(name).map_or_else(Vec::new, |plugin| plugin.seat.record.lock().changes())
    }

    /// Whether a version may take the place of another, as far as that can be told before anything of it runs.
    fn admit(&self, old: &Plugin, loaded: &Loaded, force: bool) -> Result<(), Refusal> {
        if self.loader.is_stopped() {
            return Err(Refusal::Stopped);
        }
        let routes: Vec<Route> = loaded.manifest.routes().iter().map(|entry| entry.route).collect();
        for route in &routes {
            if let Some(holder) = self.router.holder(*route).filter(|holder| !holder.shares_seat(old)) {
                return Err(PublishError { route: *route, holder: Arc::clone(&holder.seat.name) }.into());
            }
        }
        if force {
            return Ok(());
        }
        let now = Instant::now();
        old.count(now);
        let mut missing = old.seat.record.lock().called(now);
        missing.retain(|route| !routes.contains(route));
        if !missing.is_empty() {
            return Err(Refusal::Missing(missing));
        }
        readable(&old.version.manifest, &loaded.manifest).map(drop)
    }

    /// The plugin with a new version in its seat, which it does not serve with yet.
    fn successor(&self, old: &Plugin, loaded: Loaded) -> Arc<Plugin> {
        let seat = Arc::clone(&old.seat);
        let instances = seat.inboxes.len();
        let (plugin, options) = (&*seat.name, &loaded.options);
        if self.instances(options) != instances {
            tracing::warn!(
                plugin,
                "goes on with {instances} instances; another number takes a restart, because the state of each is its own"
            );
        }
        if options.affinity != seat.affinity {
            tracing::warn!(plugin, "goes on with its `affinity`; another one takes a restart, because messages would overtake each other");
        }
        Arc::new(Plugin { version: Arc::new(Version::of(loaded, instances)), seat })
    }

    /// Exchanges the code of all instances in one step, or of none.
    fn exchange(&self, old: &Arc<Plugin>, new: &Arc<Plugin>, rule: &Rule) -> Result<(Moves, Duration), Refusal> {
        let mut fresh = new.seat.inboxes.iter().map(|_| self.instance(new)).collect::<Result<Vec<_>, _>>()?;
        // From here on, whatever ends this function lets every slot go on: `held` is dropped.
        let mut held = self.hold(old)?;
        let begun = held.iter().map(|held| held.since).min().unwrap_or_else(Instant::now);
        let mut moves = Moves::NONE;
        for (held, fresh) in held.iter_mut().zip(&mut fresh) {
            if self.loader.is_stopped() {
                return Err(Refusal::Stopped);
            }
            let (state, carried) = rule.carry(old, new, held, fresh)?;
            moves.add(state, carried);
        }
        self.router.add(new);
        if let Err(reason) = contained(|| self.publish(new)).unwrap_or_else(|panic| Err(Reason::Panic(panic))) {
            self.router.add(old);
            return Err(Refusal::Publish(reason));
        }
        let posts = fresh.into_iter().zip(&new.version.counters).map(|(instance, counters)| Post {
            version: Arc::clone(&new.version),
            counters: Arc::clone(counters),
            instance: Some(instance),
        });
        let ended: Vec<Instance> = held.into_iter().zip(posts).filter_map(|(held, post)| held.go_on(post)).collect();
        let pause = begun.elapsed();
        ended.into_iter().for_each(|instance| end(old, instance));
        Ok((moves, pause))
    }

    /// A new instance, made on this thread.
    fn instance(&self, plugin: &Plugin) -> Result<Instance, Refusal> {
        if self.loader.is_stopped() {
            return Err(Refusal::Stopped);
        }
        let made = wait_here(contained_async(pin!(plugin.version.code.instantiate())));
        made.map_err(Refusal::Panic)?.map_err(|fault| Refusal::Start(fault.to_string()))
    }

    /// Waits until every slot of a plugin has handed its instance over, in their order.
    fn hold(&self, plugin: &Plugin) -> Result<Vec<Held>, Refusal> {
        let Version { options, code, .. } = &*plugin.version;
        let wait = if code.waits() { options.wait_timeout } else { Duration::ZERO };
        let limit = options.call_budget.saturating_mul(WALL_FACTOR).max(wait) + PATIENCE;
        let (to, from) = sync_channel(plugin.seat.inboxes.len());
        let orders = Orders(&plugin.seat);
        for (number, inbox) in orders.0.inboxes.iter().enumerate() {
            if !inbox.hold(Hold::new(number, to.clone())) {
                return Err(Refusal::Stopped);
            }
        }
        drop(to);
        let deadline = Instant::now() + limit;
        let mut held: Vec<Held> = Vec::with_capacity(orders.0.inboxes.len());
        while held.len() < orders.0.inboxes.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            match from.recv_timeout(left.min(STOP_SEEN_WITHIN)) {
                Ok(slot) => held.push(slot),
                Err(_) if self.loader.is_stopped() => return Err(Refusal::Stopped),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Err(Refusal::Busy(limit)),
            }
        }
        held.sort_by_key(|slot| slot.number);
        Ok(held)
    }

    /// Says how it ended, in the log and in the history of the seat.
    fn conclude(
        &self,
        old: Option<&Plugin>,
        name: &str,
        to: Option<VersionId>,
        what: Happened,
        exchanged: Result<Result<(Moves, Duration), Refusal>, String>,
    ) -> Result<Swapped, SwapError> {
        let from = old.map(|old| old.version.id.clone());
        let refused = |from, to, reason| SwapError { name: name.into(), from, to, reason: Box::new(reason) };
        match (exchanged.unwrap_or_else(|panic| Err(Refusal::Panic(panic))), from, to, self.router.named(name)) {
            (Ok((moves, pause)), Some(from), Some(to), Some(new)) => {
                let Carried { save, restore, bytes } = moves.carried;
                let state = moves.state;
                let why = format!("instead of {from}; state {}", state.name());
                new.seat.record.lock().serves(&new.version, what, Some(state), why);
                told(|| {
                    tracing::info!(
                        plugin = name, version = %to, before = %from, state = state.name(), bytes, ?save, ?restore, ?pause,
                        "plugin {}", if what == Happened::RolledBack { "rolled back" } else { "replaced" }
                    );
                    if state == StateMoved::Lost {
                        tracing::warn!(plugin = name, version = %to, "begins anew: its state could not be kept");
                    }
                });
                Ok(Swapped { name: name.to_owned(), from, to, state, state_bytes: bytes, save, restore, pause })
            }
            (Err(reason), from, to, _) => {
                let error = refused(from, to, reason);
                if let (Some(old), Some(to)) = (old, &error.to) {
                    old.seat.record.lock().note(to.clone(), Happened::Refused, error.reason());
                }
                told(|| tracing::error!(plugin = name, "plugin not replaced: {error}"));
                Err(error)
            }
            (Ok(_), from, to, _) => Err(refused(from, to, Refusal::NotServed)),
        }
    }
}

/// A log that panics takes nothing back.
fn told(tell: impl FnOnce()) {
    drop(contained(tell));
}

/// Orders that were given to all slots of a seat, and are taken back from those that did not follow.
struct Orders<'a>(&'a Seat);

impl Drop for Orders<'_> {
    fn drop(&mut self) {
        self.0.inboxes.iter().for_each(|inbox| drop(inbox.take_order()));
    }
}

/// Lets an instance whose place was taken run `stop`.
fn end(plugin: &Plugin, instance: Instance) {
    if let Err(why) = wait_here(contained_async(pin!(instance.stop()))).unwrap_or_else(Err) {
        let (plugin, version) = (&*plugin.seat.name, &plugin.version.id);
        told(|| tracing::warn!(plugin, %version, "instance did not end in good order: {}", one_line(&why)));
    }
}

/// The schema in which state goes from one version to another; `None` if there is none to go.
fn readable(old: &Manifest, new: &Manifest) -> Result<Option<u32>, Refusal> {
    let Keeps::State { schema, .. } = old.keeps() else { return Ok(None) };
    match new.keeps() {
        Keeps::State { reads, .. } if reads.contains(&schema) => Ok(Some(schema)),
        Keeps::State { reads, .. } => Err(Refusal::Schema { schema, reads: Some(reads) }),
        Keeps::Nothing | Keeps::Unsaid => Err(Refusal::Schema { schema, reads: None }),
    }
}

/// What is done about state that cannot be moved.
struct Rule {
    /// The new version serves all the same.
    may_begin_anew: bool,
}

impl Rule {
    /// Moves the state of one instance into its successor.
    fn carry(&self, old: &Plugin, new: &Plugin, held: &mut Held, fresh: &mut Instance) -> Result<(StateMoved, Carried), Refusal> {
        let lost = if old.version.manifest.keeps() == Keeps::Nothing { StateMoved::Nothing } else { StateMoved::Lost };
        let schema = match readable(&old.version.manifest, &new.version.manifest) {
            Ok(Some(schema)) => schema,
            Ok(None) => return Ok((lost, Carried::NONE)),
            Err(_) if self.may_begin_anew => return Ok((StateMoved::Lost, Carried::NONE)),
            Err(refusal) => return Err(refusal),
        };
        let number = held.number;
        let (Some(from), Some(to)) = (held.instance().and_then(Instance::guest), fresh.guest()) else {
            // After a fault it had begun anew in any case.
            return Ok((StateMoved::Nothing, Carried::NONE));
        };
        let budget = StateBudget::new(new.version.options.state_timeout);
        match wait_here(carry(from, to, schema, &budget, |_| Ok(()))) {
            Ok(carried) => Ok((StateMoved::Kept, carried)),
            Err(error) => {
                if error.is_end_of_saving() {
                    held.discard();
                }
                Err(Refusal::State { instance: number, error })
            }
        }
    }
}
