// The packed layout against the golden bytes of the contract.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Context, definePlugin, type EventContext, PluginError, route } from "../src/index.js";
import { type ConnectionEvent, type Message, packRequests, readEffects, restOf, testHost } from "../src/testing.js";

// Tests run from the folder of the package. Names may begin with other names.
const golden = new Map(
  readFileSync("../../wit/packed-v1.golden", "utf8")
    .trim()
    .split("\n")
    .map((line) => [line.slice(0, line.indexOf(" ")), new Uint8Array(Buffer.from(line.slice(line.indexOf(" ")).replaceAll(" ", ""), "hex"))]),
);

function line(name: string): Uint8Array {
  const bytes = golden.get(name);
  assert.ok(bytes, `no golden line ${name}`);
  return bytes;
}

const text = (text: string) => new TextEncoder().encode(text);

/** Requests by golden line, and what a handler sees of them. */
const requests: Record<string, { sent: Message | ConnectionEvent; seen: unknown[] }> = {
  request: { sent: { route: 7, conn: 5, uid: 9, seq: 2, body: text("hi") }, seen: [5, 9, 7, 2, "hi"] },
  connect: { sent: { event: "connect", conn: 5, detail: "192.0.2.1:80" }, seen: [5, 0, { address: "192.0.2.1:80" }] },
  "bind-event": { sent: { event: "bind", conn: 5, uid: 9 }, seen: [5, 9, {}] },
  disconnect: { sent: { event: "disconnect", conn: 5, uid: 9, detail: "silence" }, seen: [5, 9, { cause: "silence" }] },
  suspend: { sent: { event: "suspend", conn: 5, uid: 9, detail: "lost" }, seen: [5, 9, { cause: "lost" }] },
  resume: { sent: { event: "resume", conn: 5, uid: 9, detail: "192.0.2.1:81" }, seen: [5, 9, { address: "192.0.2.1:81" }] },
};

/** Effects by golden line: how they are made, and how the test host tells them. The message is `!`. */
const effects: Record<string, { make: (context: Context, message: unknown) => void; told: object }> = {
  reply: { make: (context) => context.reply(text("yo")), told: { kind: "reply", body: text("yo") } },
  error: {
    make() {
      throw new PluginError(1000, "no");
    },
    told: { kind: "error", code: 1000, text: "no" },
  },
  push: { make: (context, message) => context.push(6, 8, message), told: { kind: "push", conn: 6, route: 8 } },
  "push-uid": { make: (context, message) => context.pushUid(9, 8, message), told: { kind: "pushUid", uid: 9, route: 8 } },
  multicast: { make: (context, message) => context.multicast([5, 6], 8, message), told: { kind: "multicast", conns: [5, 6], route: 8 } },
  "multicast-uids": {
    make: (context, message) => context.multicastUids([9, 10n], 8, message),
    told: { kind: "multicastUids", uids: [9, 10], route: 8 },
  },
  broadcast: { make: (context, message) => context.broadcast(8, message), told: { kind: "broadcast", bound: false, route: 8 } },
  "broadcast-bound": {
    make: (context, message) => context.broadcast(8, message, { bound: true }),
    told: { kind: "broadcast", bound: true, route: 8 },
  },
  publish: { make: (context, message) => context.publish("room", 8, message), told: { kind: "publish", channel: "room", route: 8 } },
  subscribe: { make: (context) => context.subscribe("room", 6), told: { kind: "subscribe", channel: "room", conn: 6 } },
  "subscribe-uid": { make: (context) => context.subscribeUid("room", 9), told: { kind: "subscribeUid", channel: "room", uid: 9 } },
  unsubscribe: { make: (context) => context.unsubscribe("room", 6), told: { kind: "unsubscribe", channel: "room", conn: 6 } },
  "unsubscribe-all": { make: (context) => context.unsubscribe(undefined, 6), told: { kind: "unsubscribe", channel: "", conn: 6 } },
  bind: { make: (context) => context.bind(9), told: { kind: "bind", uid: 9, conn: 5 } },
  unbind: { make: (context) => context.unbind(), told: { kind: "unbind", conn: 5 } },
  "unbind-uid": { make: (context) => context.unbindUid(9n), told: { kind: "unbindUid", uid: 9 } },
  kick: {
    make: (context) => context.kick(6, { code: 1001, reason: "bye" }),
    told: { kind: "kick", conn: 6, code: 1001, reason: "bye", now: false },
  },
  "kick-uid-at-once": { make: (context) => context.kickUid(9, { now: true }), told: { kind: "kickUid", uid: 9, code: 0, reason: "", now: true } },
};

const seen: unknown[] = [];
const see = ({ conn, uid }: EventContext, event: object) => seen.push(conn, uid, event);
const plugin = definePlugin({
  name: "golden",
  version: "1",
  routes: {
    7: {
      body: "bytes",
      handle(context, request) {
        seen.push(context.conn, context.uid, context.route, context.seq, Buffer.from(request).toString());
        context.reply(text("yo"));
        context.push(6, 8, text("!"));
      },
    },
    9: { handle: (context) => [context.conn, String(context.uidBig), context.seq] },
  },
  events: { connect: see, bind: see, disconnect: see, suspend: see, resume: see },
});

function making(make: (context: Context) => void): Uint8Array {
  const routes = { 7: route({ body: "bytes", handle: (context) => void make(context) }) };
  return testHost(definePlugin({ name: "golden", version: "1", routes })).handleBatch(line("request"));
}

/** Requests with a header that is longer than what an SDK reads of it. */
const longer = ["request-key", "request-longer-header", "request-odd-header"];

/** What else a later host or plugin may write. The last is for hosts, which refuse it. */
const later = ["request-unknown-kind", "reply-longer-header", "effect-unknown-kind"];

test("every golden line has its test", () => {
  assert.deepEqual([...golden.keys()].sort(), [...Object.keys(requests), ...Object.keys(effects), "rest", ...longer, ...later].sort());
});

test("golden: a longer header is stepped over, a request of an unknown kind skipped", () => {
  for (const name of longer) {
    seen.length = 0;
    testHost(plugin).handleBatch(line(name));
    assert.deepEqual(seen, [5, 9, 7, 2, "hi"], name);
  }
  assert.equal(testHost(plugin).handleBatch(line("request-unknown-kind")).length, 0);
  assert.deepEqual(readEffects(line("reply-longer-header")), [{ kind: "reply", request: 0, body: text("yo") }]);
});

test("golden: what a call leaves of its requests is handled by the next, in order and once", () => {
  const handled: number[] = [];
  const large = definePlugin({
    name: "large",
    version: "1",
    routes: {
      7: {
        handle(context, bytes: number) {
          handled.push(context.seq);
          if (context.seq % 2 === 0) context.push(6, 8, "x".repeat(bytes));
          return "x".repeat(bytes);
        },
      },
    },
  });
  const batch = (...bodies: number[]) => bodies.map((body, seq) => ({ route: 7, seq, body }));
  const host = testHost(large);
  const list = host.handleBatch(packRequests(batch(1 << 20, 0)));
  assert.deepEqual(Buffer.from(list.slice(-24)), Buffer.from(line("rest")));
  assert.equal(restOf(list), 1);
  assert.deepEqual(readEffects(list).map(({ kind, request }) => [kind, request]), [["push", 0], ["reply", 0]]);
  // The last one leaves nothing, however much it makes.
  assert.equal(restOf(host.handleBatch(packRequests(batch(0, 1 << 20)))), undefined);
  handled.length = 0;
  const bodies = Array.from({ length: 12 }, () => 300_000);
  const made = host.send(...batch(...bodies));
  assert.deepEqual(handled, [...bodies.keys()]);
  assert.deepEqual(made.filter(({ kind }) => kind === "reply").map(({ request }) => request), [...bodies.keys()]);
  assert.equal(made.length, 18);
});

for (const [name, { sent, seen: expected }] of Object.entries(requests)) {
  test(`golden request: ${name}`, () => {
    seen.length = 0;
    testHost(plugin).handleBatch(line(name));
    assert.deepEqual(seen, expected);
    assert.deepEqual(Buffer.from(packRequests([sent])), Buffer.from(line(name)));
  });
}

for (const [name, { make, told }] of Object.entries(effects)) {
  test(`golden effect: ${name}`, () => {
    const made = making((context) => make(context, text("!")));
    assert.deepEqual(Buffer.from(made), Buffer.from(line(name)));
    const [effect] = readEffects(made);
    assert.deepEqual(effect, { request: 0, ...("body" in effect ? { body: text("!") } : {}), ...told });
    // The same as JSON, which takes another way until it is bytes.
    const digit = making((context) => make(context, 1));
    assert.deepEqual(Buffer.from(digit).toString("latin1").replace(/1$/, "!"), Buffer.from(line(name)).toString("latin1"));
  });
}

test("several effects are written one after the other", () => {
  assert.deepEqual(Buffer.from(testHost(plugin).handleBatch(line("request"))), Buffer.concat([line("reply"), line("push")]));
});

test("an empty batch has no effects", () => {
  assert.equal(testHost(plugin).handleBatch(new Uint8Array(0)).length, 0);
});

test("a longer header of a later host is stepped over, together and alone", () => {
  for (const copies of [1, 3]) {
    const plain = packRequests([{ route: 9, conn: 2 ** 53 - 1, uid: -3, seq: -1, body: "x" }]);
    const longer = new Uint8Array(plain.length + 8).fill(0xff);
    longer.set(plain.subarray(0, 32));
    longer.set(plain.subarray(32), 40);
    new DataView(longer.buffer).setUint32(0, longer.length, true);
    new DataView(longer.buffer).setUint16(4, 40, true);
    const batch = Buffer.concat(Array(copies).fill(longer));
    const replies = readEffects(testHost(plugin).handleBatch(batch));
    assert.equal(replies.length, copies);
    for (const reply of replies) assert.equal(Buffer.from((reply as { body: Uint8Array }).body).toString(), `[${2 ** 53 - 1},"-3",-1]`);
  }
});

test("a request of an unknown kind is skipped and still counts", () => {
  const batch = packRequests([{ route: 9, body: 1 }, { route: 9, body: 2 }]);
  batch[6] = 200;
  assert.deepEqual(readEffects(testHost(plugin).handleBatch(batch)).map(({ request }) => request), [1]);
});

test("a view into a larger buffer is read in its own bounds", () => {
  const request = line("request");
  const larger = Buffer.alloc(request.length + 7, 0xee);
  larger.set(request, 3);
  assert.deepEqual(Buffer.from(testHost(plugin).handleBatch(larger.subarray(3, 3 + request.length))), Buffer.concat([line("reply"), line("push")]));
});

test("a record that does not fit is refused", () => {
  const broken: [number, number][] = [[0, 31], [0, 255], [4, 31], [4, 200]];
  for (const [at, value] of broken) {
    const batch = packRequests([{ route: 9, body: "abc" }]);
    batch[at] = value;
    assert.throws(() => testHost(plugin).handleBatch(batch), /malformed request record/);
  }
  assert.throws(() => testHost(plugin).handleBatch(packRequests([{ route: 9, body: 1 }]).subarray(0, 20)), /malformed/);
});
