// Events of connections.
import assert from "node:assert/strict";
import { test } from "node:test";
import { definePlugin, type EventHandlers, PluginError } from "../src/index.js";
import { testHost } from "../src/testing.js";

function host(events: EventHandlers) {
  return testHost(definePlugin({ name: "t", version: "1", routes: { 1: { handle: (_, request) => request } }, events }));
}

test("a handler gets the connection, the uid and what happened", () => {
  const seen: unknown[] = [];
  const plugin = host({
    connect: ({ conn, uid }, { address }) => seen.push("connect", conn, uid, address),
    bind: ({ conn, uid }, event) => seen.push("bind", conn, uid, event),
    disconnect: ({ conn, uid }, { cause }) => seen.push("disconnect", conn, uid, cause),
    suspend: ({ conn, uid }, { cause }) => seen.push("suspend", conn, uid, cause),
    resume: ({ conn, uid }, { address }) => seen.push("resume", conn, uid, address),
  });
  const effects = plugin.send(
    { event: "connect", conn: 5, detail: "[2001:db8::1]:4711" },
    { event: "bind", conn: 5, uid: 9 },
    { event: "suspend", conn: 5, uid: 9, detail: "lost" },
    { event: "resume", conn: 5, uid: 9, detail: "203.0.113.9:4712" },
    { event: "disconnect", conn: 5, uid: 9, detail: "client_left" },
  );
  assert.deepEqual(effects, []);
  assert.deepEqual(seen, [
    ...["connect", 5, 0, "[2001:db8::1]:4711"],
    ...["bind", 5, 9, {}],
    ...["suspend", 5, 9, "lost"],
    ...["resume", 5, 9, "203.0.113.9:4712"],
    ...["disconnect", 5, 9, "client_left"],
  ]);
});

test("the manifest wants the events that have a handler", () => {
  const plugin = definePlugin({ name: "t", version: "1", routes: {}, events: { resume() {}, connect() {}, bind: undefined } });
  assert.deepEqual(JSON.parse(plugin.manifest).events, ["connect", "resume"]);
});

test("an event that nobody handles is skipped and still counts", () => {
  const plugin = host({ connect: (context) => context.push(context.conn, 2, "hello") });
  const effects = plugin.send({ event: "disconnect", conn: 4, detail: "lost" }, { event: "connect", conn: 5, detail: "" }, { route: 1, body: 1 });
  assert.deepEqual(effects.map(({ kind, request }) => [kind, request]), [["push", 1], ["reply", 2]]);
});

test("an event handler that throws is logged and its effects are taken back", () => {
  const plugin = host({
    connect(context) {
      context.subscribe("lobby");
      throw new PluginError(1000, "full");
    },
    bind: (context) => context.subscribe("lobby"),
  });
  const effects = plugin.send({ event: "bind", conn: 1, uid: 1 }, { event: "connect", conn: 2 }, { route: 1, body: 1 });
  assert.deepEqual(effects.map(({ kind, request }) => [kind, request]), [["subscribe", 0], ["reply", 2]]);
  assert.match(plugin.log[0], /^1 event connect: PluginError: full/);
});

test("an event cannot be answered", () => {
  const plugin = host({
    connect: (context) => (context as unknown as { reply(body: unknown): void }).reply(1),
    bind: (() => Promise.resolve()) as () => void,
    resume: () => 1,
  });
  assert.deepEqual(plugin.send({ event: "connect" }, { event: "bind" }, { event: "resume" }), []);
  assert.equal(plugin.log.length, 2);
  assert.match(plugin.log[0], /an event never/);
  assert.match(plugin.log[1], /not async/);
});

test("messages among events keep their texts", () => {
  const plugin = host({ disconnect: (context, { cause }) => context.broadcast(2, cause) });
  const effects = plugin.send({ route: 1, body: "a" }, { event: "disconnect", detail: "\x1e" }, { route: 1, body: "b" });
  assert.deepEqual(effects.map((effect) => Buffer.from((effect as { body: Uint8Array }).body).toString()), ['"a"', '"\\u001e"', '"b"']);
});
