// The chat plugin on a fake host. The memory of the plugin is one for all tests, so each has its own room and names.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Effect, testHost } from "@duet/plugin/testing";
import plugin from "../plugin/plugin";
import { JOIN, LEAVE, LOGIN, MEMBERS, PRESENCE, SAID, SAY } from "../plugin/protocol";

const host = testHost(plugin, { nowMs: () => 77 });
let lastConn = 0;

function bodyOf(effect: Effect | undefined): any {
  assert.ok(effect !== undefined && "body" in effect, `no message: ${JSON.stringify(effect)}`);
  return JSON.parse(new TextDecoder().decode(effect.body));
}

function find(effects: Effect[], kind: Effect["kind"]): Effect | undefined {
  return effects.find((effect) => effect.kind === kind);
}

/** Somebody who is logged in, and in a room if there is one. */
function player(name: string, room?: string) {
  const conn = ++lastConn;
  const login = host.send({ route: LOGIN, conn, body: { name } });
  const bind = find(login, "bind");
  assert.ok(bind?.kind === "bind");
  const { uid } = bind;
  const send = (route: number, body: unknown = {}) => host.send({ route, conn, uid, body });
  const event = (event: "suspend" | "resume" | "disconnect") => host.send({ event, conn, uid, detail: "lost" });
  if (room !== undefined) send(JOIN, { room });
  return { conn, uid, login, send, event };
}

/** What a room hears of somebody: `left` and so on. */
function news(effects: Effect[]): string[] {
  return effects.filter((effect) => effect.kind === "publish" && effect.route === PRESENCE).map((effect) => bodyOf(effect).what);
}

function names(effects: Effect[]): string[] {
  return bodyOf(find(effects, "reply")).members.map(({ name, away }: { name: string; away: boolean }) => (away ? `${name} (away)` : name));
}

test("a login binds before it replies, and the uid of a name is always the same", () => {
  const { login, conn, uid } = player("Ann");
  assert.deepEqual(login.map(({ kind }) => kind), ["bind", "reply"]);
  assert.deepEqual(login[0], { kind: "bind", request: 0, uid, conn });
  assert.deepEqual(bodyOf(login[1]), { uid, name: "Ann" });
  assert.equal(player("ann").uid, uid);
  assert.notEqual(player("Anne").uid, uid);
});

test("names, rooms and texts are checked", () => {
  const { conn, uid } = player("Bea", "checks");
  for (const [route, body] of [[LOGIN, { name: "" }], [LOGIN, {}], [LOGIN, null], [LOGIN, { name: "x".repeat(25) }], [LOGIN, { name: "a\nb" }], [JOIN, { room: 1 }], [SAY, { text: "  " }]] as const) {
    const [effect] = host.send({ route, conn, uid, body });
    assert.ok(effect?.kind === "error" && effect.code === 2, JSON.stringify(effect));
  }
});

test("all routes but login want a login", () => {
  const { routes } = JSON.parse(plugin.manifest);
  assert.deepEqual(routes.filter(({ authorized }: { authorized?: boolean }) => !authorized).map(({ route }: { route: number }) => route), [LOGIN]);
});

test("who joins is announced to the others and told who is there", () => {
  player("Cid", "joins");
  const dora = player("Dora");
  const effects = dora.send(JOIN, { room: "joins" });
  assert.deepEqual(effects.map(({ kind }) => kind), ["publish", "subscribe", "reply"]);
  assert.deepEqual(bodyOf(effects[0]), { uid: dora.uid, name: "Dora", what: "joined" });
  assert.deepEqual(effects[1], { kind: "subscribe", request: 0, channel: "room:joins", conn: dora.conn });
  assert.deepEqual(names(effects), ["Cid", "Dora"]);
  assert.deepEqual(names(dora.send(MEMBERS)), ["Cid", "Dora"]);
});

test("what is said goes to the room, and nowhere without one", () => {
  const eve = player("Eve", "says");
  const effects = eve.send(SAY, { text: " hi " });
  assert.deepEqual(effects.map(({ kind }) => kind), ["publish", "reply"]);
  assert.ok(effects[0]?.kind === "publish" && effects[0].channel === "room:says" && effects[0].route === SAID);
  assert.deepEqual(bodyOf(effects[0]), { uid: eve.uid, name: "Eve", text: "hi", at: 77 });
  assert.deepEqual(news(eve.send(LEAVE)), ["left"]);
  const [refused] = eve.send(SAY, { text: "hi" });
  assert.ok(refused?.kind === "error" && refused.code === 1002);
});

test("joining another room leaves the first", () => {
  const fay = player("Fay", "first");
  const effects = fay.send(JOIN, { room: "second" });
  assert.deepEqual(effects.map(({ kind }) => kind), ["unsubscribe", "publish", "publish", "subscribe", "reply"]);
  assert.deepEqual(news(effects), ["left", "joined"]);
  assert.deepEqual(fay.send(JOIN, { room: "second" }).map(({ kind }) => kind), ["reply"]);
});

test("a lost connection is away until it is back, or gone", () => {
  const gus = player("Gus", "presence");
  const hal = player("Hal", "presence");
  assert.deepEqual(news(hal.event("suspend")), ["away"]);
  assert.deepEqual(names(gus.send(MEMBERS)), ["Gus", "Hal (away)"]);
  assert.deepEqual(news(hal.event("resume")), ["back"]);
  assert.deepEqual(names(gus.send(MEMBERS)), ["Gus", "Hal"]);
  assert.deepEqual(news(hal.event("disconnect")), ["left"]);
  assert.deepEqual(names(gus.send(MEMBERS)), ["Gus"]);
});

test("who takes over from an older connection stays in the room, whatever comes first", () => {
  const ida = player("Ida", "replaced");
  const old = player("Joe", "replaced");
  const taking = player("Joe");
  assert.deepEqual(news(taking.send(JOIN, { room: "replaced" })), []);
  assert.deepEqual(news(old.event("disconnect")), []);
  const again = player("Joe");
  assert.deepEqual(news(taking.event("disconnect")), ["left"]);
  assert.deepEqual(news(again.send(JOIN, { room: "replaced" })), ["joined"]);
  assert.deepEqual(names(ida.send(MEMBERS)), ["Ida", "Joe"]);
});

test("a login that was refused is not one", () => {
  const { conn } = player("Kim");
  const [effect] = host.send({ route: JOIN, conn, uid: 5, body: { room: "refused" } });
  assert.ok(effect?.kind === "error" && effect.code === 1001);
});

test("events of connections that never logged in are nobody's", () => {
  for (const event of ["suspend", "resume", "disconnect"] as const) assert.deepEqual(host.send({ event, conn: 9999, detail: "lost" }), []);
});

test("a room is full at 200", () => {
  for (let i = 0; i < 200; i++) player(`crowd ${i}`, "full");
  const late = player("late", "elsewhere");
  const [effect] = late.send(JOIN, { room: "full" });
  assert.ok(effect?.kind === "error" && effect.code === 1003);
  assert.deepEqual(names(late.send(MEMBERS)), ["late"]);
});
