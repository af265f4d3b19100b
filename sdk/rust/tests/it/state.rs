//! State that is saved and restored.

use std::collections::BTreeMap;

use duet_plugin::prelude::*;
use duet_plugin::state::Schema;
use duet_plugin::testing::Harness;

#[state(schema = 3, from = WorldOf2)]
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct World {
    doors: BTreeMap<(i32, i32), Door>,
    price: f64,
    #[serde(default)]
    news: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Door {
    Open,
    Locked { by: u64 },
}

#[state(schema = 2, from = WorldOf1)]
#[derive(Serialize, Deserialize)]
struct WorldOf2 {
    doors: BTreeMap<i32, bool>,
}

#[state(schema = 1)]
#[derive(Serialize, Deserialize)]
struct WorldOf1 {
    doors: Vec<String>,
}

impl From<WorldOf2> for World {
    fn from(old: WorldOf2) -> Self {
        let door = |(at, open)| ((at, 0), if open { Door::Open } else { Door::Locked { by: 1 } });
        Self { doors: old.doors.into_iter().map(door).collect(), price: f64::NAN, news: None }
    }
}

impl TryFrom<WorldOf1> for WorldOf2 {
    type Error = std::num::ParseIntError;

    fn try_from(old: WorldOf1) -> Result<Self, Self::Error> {
        Ok(Self { doors: old.doors.iter().map(|door| Ok((door.parse()?, true))).collect::<Result<_, Self::Error>>()? })
    }
}

#[route(1)]
fn lock(ctx: &mut Ctx, at: (i32, i32)) -> Result<usize> {
    let mut world = World::state();
    world.doors.insert(at, Door::Locked { by: ctx.conn() });
    Ok(world.doors.len())
}

#[route(2)]
fn lock_twice(_ctx: &mut Ctx) -> Result<()> {
    let _world = World::state();
    duet_plugin::state::save::<World>(0).map(drop)
}

duet_plugin::plugin! { routes: [lock, lock_twice], state: World }

mod stateless {
    use duet_plugin::prelude::*;

    #[route(1)]
    fn nothing(_ctx: &mut Ctx) -> Result<()> {
        Ok(())
    }

    duet_plugin::plugin! { routes: [nothing], state: none }
}

fn harness() -> Harness<Plugin> {
    Harness::new()
}

#[test]
fn the_manifest_says_what_is_saved_and_what_is_restored() {
    assert!(Plugin::manifest().ends_with(r#","state":{"schema":3,"reads":[3,2,1]}}"#), "{}", Plugin::manifest());
    assert!(stateless::Plugin::manifest().ends_with(r#","state":"none"}"#), "{}", stateless::Plugin::manifest());
}

#[test]
fn whatever_serde_can_write_comes_back() {
    let mut old = harness();
    old.conn(9).send_json(1, &(1, -2));
    old.call(|_| World::state().price = f64::INFINITY);
    let mut new = harness();
    new.restore(3, &old.save().unwrap()).unwrap();
    let expected = World { doors: BTreeMap::from([((1, -2), Door::Locked { by: 9 })]), price: f64::INFINITY, news: None };
    new.call(|_| assert_eq!(*World::state(), expected));
}

#[test]
fn a_harness_has_a_state_of_its_own() {
    let (mut one, mut other) = (harness(), harness());
    assert_eq!(one.send_json(1, &(1, 1)).json::<usize>(), 1);
    assert_eq!(one.send_json(1, &(2, 2)).json::<usize>(), 2);
    assert_eq!(other.send_json(1, &(3, 3)).json::<usize>(), 1);
}

#[test]
fn old_schemas_are_converted_one_after_the_other() {
    let mut new = harness();
    new.restore_from(&WorldOf1 { doors: vec!["4".to_owned()] }).unwrap();
    new.call(|_| assert_eq!(World::state().doors, BTreeMap::from([((4, 0), Door::Open)])));
    let error = new.restore_from(&WorldOf1 { doors: vec!["x".to_owned()] }).unwrap_err();
    assert_eq!(error.message(), "the state cannot be brought from schema 1 to 2: invalid digit found in string");
    new.call(|_| assert_eq!(World::state().doors.len(), 1, "what was there stays"));
}

#[test]
fn a_struct_that_changed_without_a_new_number_is_an_error_or_has_a_default() {
    #[derive(Serialize)]
    struct Fewer {
        doors: BTreeMap<(i32, i32), u8>,
        price: f64,
    }
    #[derive(Serialize)]
    struct Others {
        doors: BTreeMap<(i32, i32), u8>,
        cost: f64,
    }
    #[derive(Serialize)]
    struct OtherType {
        doors: BTreeMap<(i32, i32), u8>,
        price: String,
    }
    let read = |bytes: Result<Vec<u8>, rmp_serde::encode::Error>| harness().restore(3, &bytes.unwrap()).map_err(|e| e.message().to_owned());
    assert_eq!(read(rmp_serde::to_vec_named(&Fewer { doors: BTreeMap::new(), price: 1.0 })), Ok(()), "`news` has a default");
    let error = read(rmp_serde::to_vec_named(&Others { doors: BTreeMap::new(), cost: 1.0 })).unwrap_err();
    assert_eq!(error, "the saved state is of another shape: missing field `price`");
    let error = read(rmp_serde::to_vec_named(&OtherType { doors: BTreeMap::new(), price: "1".to_owned() })).unwrap_err();
    assert!(error.starts_with("the saved state is of another shape: "), "{error}");
    assert!(harness().restore(3, b"").is_err() && harness().restore(3, &[0xc1]).is_err());
}

#[test]
fn what_cannot_be_restored_or_saved_says_why() {
    let saved = harness().save().unwrap();
    assert_eq!(harness().restore(4, &saved).unwrap_err().message(), "schema 4 is not one that this version reads");
    assert_eq!(WorldOf1::reads(), [1]);
    let error = harness().send(2, "").error().unwrap().message().to_owned();
    assert!(error.contains("already"), "{error}");
    let stateless = Harness::<stateless::Plugin>::new().save().unwrap_err();
    assert!(stateless.message().starts_with("this plugin keeps no state"), "{stateless}");
    assert_eq!(duet_plugin::state::save::<World>(1).unwrap_err().message(), "piece 1 is asked for, but it is the turn of 0");
}
