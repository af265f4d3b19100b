// Effects other than replies and pushes, and look-ups.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Context, definePlugin } from "../src/index.js";
import { type Effect, testHost, type TestHostOptions } from "../src/testing.js";

function host(handle: (context: Context, request: any) => unknown, options: TestHostOptions = {}) {
  return testHost(definePlugin({ name: "t", version: "1", routes: { 1: { handle } } }), options);
}

function effectsOf(handle: (context: Context) => unknown): Effect[] {
  const effects = host(handle).send({ route: 1, conn: 5, uid: 9, body: 0 });
  // Bodies as text, for comparing.
  return effects.map((effect) => ("body" in effect ? { ...effect, body: Buffer.from(effect.body).toString() as never } : effect));
}

test("effects are about the connection of the request unless another is named", () => {
  const effects = effectsOf((context) => {
    context.bind(7);
    context.subscribe("a");
    context.subscribe("b", 6);
    context.unsubscribe("a");
    context.unsubscribe("b", 6);
    context.unsubscribe();
    context.unbind();
    context.unbind(6);
  });
  assert.deepEqual(effects.map(({ request: _, ...effect }) => effect), [
    { kind: "bind", uid: 7, conn: 5 },
    { kind: "subscribe", channel: "a", conn: 5 },
    { kind: "subscribe", channel: "b", conn: 6 },
    { kind: "unsubscribe", channel: "a", conn: 5 },
    { kind: "unsubscribe", channel: "b", conn: 6 },
    { kind: "unsubscribe", channel: "", conn: 5 },
    { kind: "unbind", conn: 5 },
    { kind: "unbind", conn: 6 },
  ]);
});

test("large uids and connections arrive exactly", () => {
  const uids = [1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 53n, 2n ** 63n - 1n];
  const conns = [0, 1, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1];
  const effects = effectsOf((context) => {
    context.multicastUids(uids, 1, "x");
    context.multicast(new Set(conns), 1, "x");
    for (const uid of uids) context.bind(uid);
    for (const uid of uids) context.pushUid(uid, 1, "x");
  });
  assert.deepEqual((effects[0] as { uids: unknown }).uids, uids);
  assert.deepEqual((effects[1] as { conns: unknown }).conns, conns);
  assert.deepEqual(effects.slice(2, 8).map((effect) => (effect as { uid: unknown }).uid), uids);
  assert.deepEqual(effects.slice(8).map((effect) => (effect as { uid: unknown }).uid), uids);
});

test("text that is not ascii keeps its place behind names and numbers, with and without bytes beside it", () => {
  // 0x1e is what separates texts while they are encoded; as a number it must not.
  const conns = [0x1e, 0x1e1e1e, 2 ** 40 + 0x1e];
  const told = { kind: "multicast", request: 0, conns, route: 1, body: '"Grüße 世界"' };
  for (const bytes of [false, true]) {
    const effects = effectsOf((context) => {
      context.multicast(conns, 1, "Grüße 世界");
      context.publish("zimmer:größe🎲", 2, { text: "é" });
      context.publish("zimmer:größe🎲", 2, new TextEncoder().encode("ü"));
      if (!bytes) return "ß";
      return new TextEncoder().encode("ß");
    });
    assert.deepEqual(effects, [
      told,
      { kind: "publish", request: 0, channel: "zimmer:größe🎲", route: 2, body: '{"text":"é"}' },
      { kind: "publish", request: 0, channel: "zimmer:größe🎲", route: 2, body: "ü" },
      { kind: "reply", request: 0, body: bytes ? "ß" : '"ß"' },
    ]);
  }
  const textOnly = effectsOf((context) => {
    context.multicast(conns, 1, "Grüße 世界");
    context.bind(0x1e);
    return "ß";
  });
  assert.deepEqual(textOnly, [told, { kind: "bind", request: 0, uid: 0x1e, conn: 5 }, { kind: "reply", request: 0, body: '"ß"' }]);
});

test("a message to nobody is not sent", () => {
  assert.deepEqual(effectsOf((context) => (context.multicast([], 1, "x"), context.multicastUids(new Set<number>(), 1, "x"))), []);
});

test("a kick says why in one line", () => {
  const effects = effectsOf((context) => {
    context.kick(context.conn);
    context.kickUid(9, { code: 1001, reason: "cheating\n\ud800", now: true });
  });
  assert.deepEqual(effects, [
    { kind: "kick", request: 0, conn: 5, code: 0, reason: "", now: false },
    { kind: "kickUid", request: 0, uid: 9, code: 1001, reason: "cheating \ufffd", now: true },
  ]);
});

test("a channel has 1 to 255 bytes", () => {
  const names = ["x".repeat(255), "é".repeat(127), "世".repeat(85), "🎲".repeat(63)];
  assert.equal(effectsOf((context) => names.forEach((name) => context.subscribe(name))).length, 4);
  for (const name of names) {
    assert.deepEqual(effectsOf((context) => context.subscribe(`${name}éé`)), [{ kind: "error", request: 0, code: 1, text: "the handler failed" }]);
  }
});

test("look-ups tell what the host knows", () => {
  const sessions = {
    online: (uid: number) => (["connected", "suspended"] as const)[uid - 1] ?? "offline",
    connectionOf: (uid: number) => (uid === 1 ? 5 : undefined),
    uidOf: (conn: number) => (conn === 5 ? 1 : 0),
    address: (conn: number) => (conn === 5 ? "192.0.2.1:80" : undefined),
    counts: () => ({ connections: 3, bound: 2, suspended: 1 }),
    members: (channel: string) => (channel === "room" ? [5, 2 ** 53 - 1] : []),
  };
  const asked = (context: Context) => {
    const { sessions } = context;
    return [
      ...[1, 2n, 3].map((uid) => sessions.online(uid)),
      ...[sessions.connectionOf(1), sessions.connectionOf(2) ?? null, sessions.uidOf(5), sessions.uidOf(6)],
      ...[sessions.address(5), sessions.address(6) ?? null, sessions.counts()],
      ...[sessions.memberCount("room"), sessions.members("room"), sessions.members("room", 1), sessions.members("none")],
    ];
  };
  const [reply] = host(asked, { sessions }).send({ route: 1, body: 0 });
  assert.deepEqual(JSON.parse(Buffer.from((reply as { body: Uint8Array }).body).toString()), [
    ...["connected", "suspended", "offline", 5, null, 1, 0, "192.0.2.1:80", null],
    { connections: 3, bound: 2, suspended: 1 },
    ...[2, [5, 2 ** 53 - 1], [5], []],
  ]);
  const [nobody] = host((context) => [context.sessions.online(1), context.sessions.counts(), context.sessions.members("room")]).send({ route: 1, body: 0 });
  assert.equal(Buffer.from((nobody as { body: Uint8Array }).body).toString(), '["offline",{"connections":0,"bound":0,"suspended":0},[]]');
});

test("a uid that a number cannot hold is not told wrongly", () => {
  const plugin = host((context) => context.sessions.uidOf(5), { sessions: { uidOf: () => 2 ** 53 + 2 } });
  assert.equal(plugin.send({ route: 1, body: 0 })[0].kind, "error");
  assert.match(plugin.log[0], /does not fit into a number/);
});
