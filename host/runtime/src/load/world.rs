//! The worlds of the contract: what a plugin of each exports, and how it is called.

use crate::load::contract::{BATCH_HANDLER, EVENT_HANDLER, HANDLER, LIFECYCLE, STATE};

/// One of the worlds in `wit/`.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    /// Interfaces that are called, each with all its functions.
    pub(crate) exports: &'static [&'static str],
    /// The same of those that a plugin may do without.
    pub(crate) optional: &'static [&'static str],
    pub(crate) handlers: Handlers,
}

impl World {
    /// All that is called of a plugin, if it exports it.
    pub(crate) fn called(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.exports.iter().chain(self.optional).copied()
    }
}

/// What a plugin is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handlers {
    /// A list of request records, events among them.
    Batch,
    /// One message.
    Single {
        /// Whether it is also called with one event, by an interface of its own.
        events: bool,
    },
}

/// All that this host serves. A plugin that fits several belongs to the first.
pub(crate) const WORLDS: [World; 3] = [
    World { name: "game", exports: &[LIFECYCLE, BATCH_HANDLER], optional: &[STATE], handlers: Handlers::Batch },
    World {
        name: "game-single-events",
        exports: &[LIFECYCLE, HANDLER, EVENT_HANDLER],
        optional: &[STATE],
        handlers: Handlers::Single { events: true },
    },
    World { name: "game-single", exports: &[LIFECYCLE, HANDLER], optional: &[STATE], handlers: Handlers::Single { events: false } },
];

/// The world of a plugin that has these exports.
///
/// # Errors
/// The nearest world and what is missing for it.
pub(crate) fn world_of(has: impl Fn(&str) -> bool) -> Result<&'static World, Option<(&'static World, Vec<&'static str>)>> {
    let missing = |world: &'static World| (world, world.exports.iter().copied().filter(|export| !has(export)).collect::<Vec<_>>());
    let nearest = WORLDS.iter().map(missing).min_by_key(|(_, missing)| missing.len());
    match nearest {
        Some((world, missing)) if missing.is_empty() => Ok(world),
        nearest => Err(nearest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exports: &[&str]) -> Result<&'static str, (&'static str, Vec<&'static str>)> {
        let world = world_of(|export| exports.contains(&export));
        world.map(|world| world.name).map_err(|nearest| nearest.map(|(world, missing)| (world.name, missing)).unwrap())
    }

    #[test]
    fn a_plugin_is_of_the_first_world_that_it_fits() {
        assert_eq!(of(&[LIFECYCLE, BATCH_HANDLER, HANDLER, EVENT_HANDLER]), Ok("game"));
        assert_eq!(of(&[LIFECYCLE, HANDLER, EVENT_HANDLER]), Ok("game-single-events"));
        assert_eq!(of(&[LIFECYCLE, HANDLER]), Ok("game-single"));
    }

    #[test]
    fn of_a_plugin_that_fits_none_the_nearest_is_told() {
        assert_eq!(of(&[]), Err(("game", vec![LIFECYCLE, BATCH_HANDLER])));
        assert_eq!(of(&[LIFECYCLE, EVENT_HANDLER]), Err(("game", vec![BATCH_HANDLER])));
        assert_eq!(of(&[HANDLER]), Err(("game-single", vec![LIFECYCLE])));
    }

    #[test]
    fn every_world_is_one_of_the_contract() {
        let text = include_str!("../../../../wit/world.wit");
        for world in &WORLDS {
            assert!(text.contains(&format!("\nworld {} {{", world.name)), "{}", world.name);
        }
    }
}
