// What handlers can do, and what happens when they fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Context, definePlugin, PluginError, type Route, route } from "../src/index.js";
import { type Effect, type Message, testHost, type TestHostOptions } from "../src/testing.js";

function host(handle: (context: Context, request: any) => unknown, options: TestHostOptions & { route?: Partial<Route> } = {}) {
  return testHost(definePlugin({ name: "t", version: "1", routes: { 1: { ...options.route, handle } as Route } }), options);
}

/** Effects with their bodies as text. */
function told(effects: Effect[]): unknown[] {
  return effects.map((effect) => ("body" in effect ? { ...effect, body: Buffer.from(effect.body).toString() } : effect));
}

const one: Message = { route: 1, body: { name: "you" } };

test("what a handler returns is the reply", () => {
  assert.deepEqual(told(host((_, { name }) => ({ message: `hello ${name}` })).send(one)), [
    { kind: "reply", request: 0, body: '{"message":"hello you"}' },
  ]);
});

test("a handler that returns nothing sends nothing", () => {
  assert.deepEqual(host(() => undefined).send(one), []);
});

test("bytes and json may be mixed in one batch", () => {
  const replies = host((_, request) => (request === 1 ? new Uint8Array([0xff, 0]) : "é")).send({ route: 1, body: 1 }, { route: 1, body: 2 });
  assert.deepEqual(replies.map((effect) => Array.from((effect as { body: Uint8Array }).body)), [[0xff, 0], [0x22, 0xc3, 0xa9, 0x22]]);
});

test("pushes keep their order around the reply", () => {
  const effects = host((context) => {
    context.push(2 ** 40 + 1, -5, "a");
    context.reply("b");
    context.push(context.conn, 3, "c");
  }).send({ ...one, conn: 8 });
  assert.deepEqual(told(effects), [
    { kind: "push", request: 0, conn: 2 ** 40 + 1, route: -5, body: '"a"' },
    { kind: "reply", request: 0, body: '"b"' },
    { kind: "push", request: 0, conn: 8, route: 3, body: '"c"' },
  ]);
});

test("a handler that throws takes back its own effects and no others", () => {
  const plugin = host((context, request) => {
    context.push(1, 2, request);
    if (request === "bad") throw new PluginError(1001, "not\nso");
    return request;
  });
  assert.deepEqual(told(plugin.send({ route: 1, body: "a" }, { route: 1, body: "bad" }, { route: 1, body: "b" })), [
    { kind: "push", request: 0, conn: 1, route: 2, body: '"a"' },
    { kind: "reply", request: 0, body: '"a"' },
    { kind: "error", request: 1, code: 1001, text: "not so" },
    { kind: "push", request: 2, conn: 1, route: 2, body: '"b"' },
    { kind: "reply", request: 2, body: '"b"' },
  ]);
});

test("other errors are code 1 for the client and go to the log", () => {
  const plugin = host(() => {
    throw new TypeError("secret \ud800");
  });
  assert.deepEqual(plugin.send(one), [{ kind: "error", request: 0, code: 1, text: "the handler failed" }]);
  assert.match(plugin.log[0], /^1 route 1: TypeError: secret \ufffd/);
});

test("the text of an error may be any string", () => {
  const plugin = host(() => {
    throw new PluginError(1000, "\x1e\0 half \udc00");
  });
  assert.deepEqual(plugin.send(one, one).map((effect) => (effect as { text: string }).text), ["   half \ufffd", "   half \ufffd"]);
});

test("a body that is not json is code 2", () => {
  const plugin = host(() => "never");
  for (const body of ["", "{", "nul", '{"a":1}x', "\x1e1", '"\xff']) {
    const bad = Buffer.from(body, "latin1");
    for (const batch of [[bad], [bad, bad, bad]]) {
      const codes = plugin.send(...batch.map((body) => ({ route: 1, body }))).map((effect) => (effect as { code: number }).code);
      assert.deepEqual(codes, batch.map(() => 2), JSON.stringify(body));
    }
  }
});

test("a body cannot disturb its neighbours in a batch", () => {
  const bodies = [Buffer.from('"a'), Buffer.from('"b\xe2\x82', "latin1"), Buffer.from('"\x1e"'), Buffer.from('"c"'), Buffer.from(',"'), Buffer.from("1")];
  for (const batch of [bodies, bodies.filter((_, i) => i !== 2)]) {
    const effects = told(host((_, request) => request).send(...batch.map((body) => ({ route: 1, body })))) as { body?: string }[];
    assert.deepEqual(effects.map(({ body }) => body), batch.map((body) => (["1", '"c"'].includes(String(body)) ? String(body) : undefined)));
  }
});

test("text that is not ascii arrives in small and large batches", () => {
  for (const text of ["Grüße, 世界 🎲", "世界 🎲 ".repeat(100)]) {
    const effects = told(host((_, request) => request).send(...Array(5).fill({ route: 1, body: { text } }))) as { body: string }[];
    assert.deepEqual(effects.map(({ body }) => JSON.parse(body)), Array(5).fill({ text }));
  }
});

test("long bodies get their own text whatever stands beside them in the batch", () => {
  const long = "x".repeat(300);
  const texts = [`a${long}`, `b\n"${long}\\`, `c${long}`, `d${long}é`, "short", `e${long}`];
  const bodies: Buffer[] = texts.map((text) => Buffer.from(JSON.stringify({ text })));
  // Ended in the middle of a character, and a byte that is none: the text has as many characters as there are bytes.
  const cut = Buffer.from(`{"text":"f${long}\xe2\x82`, "latin1");
  const odd = Buffer.from(`{"text":"g${long}\xff"}`, "latin1");
  for (const batch of [bodies, bodies.filter((body) => body.every((byte) => byte < 0x80)), bodies.concat(cut), [bodies[0], odd, bodies[2]], [odd, odd]]) {
    const effects = host((_, request) => request).send(...batch.map((body) => ({ route: 1, body })));
    const expected = batch.map((body) => (body === cut ? "not json" : JSON.parse(body.toString())));
    assert.deepEqual(effects.map((effect) => (effect.kind === "reply" ? JSON.parse(Buffer.from(effect.body).toString()) : "not json")), expected);
  }
});

test("a reply that repeats a long string of the request is quoted as JSON.stringify does it, also where the handler changed it", () => {
  const text = "x".repeat(300);
  const replies: ((request: { text: string }) => unknown)[] = [
    (request) => request,
    (request) => ({ a: request.text, b: undefined, c: request.text, d: "" }),
    (request) => ((request.text = `"${"x".repeat(299)}`), request),
    (request) => ({ text: `${request.text}\n` }),
    (request) => [request.text],
  ];
  for (const reply of replies) {
    const effects = told(host((context, request) => (context.push(1, 2, reply(request)), reply(request))).send({ route: 1, body: { text } }, { route: 1, body: { text } }));
    const body = (times: number) => {
      const request = { text };
      for (let i = 1; i < times; i++) reply(request);
      return JSON.stringify(reply(request));
    };
    assert.deepEqual(effects.map((effect) => (effect as { body: string }).body), [body(1), body(2), body(1), body(2)]);
  }
});

test("json that is nested too deeply is code 2, in a batch too", () => {
  const nested = (levels: number) => Buffer.from(`${" ".repeat(300)}${'{"[":['.repeat(levels / 2)}${"]}".repeat(levels / 2)}`);
  const plugin = host(() => "fine");
  assert.deepEqual(told(plugin.send({ route: 1, body: nested(128) })), [{ kind: "reply", request: 0, body: '"fine"' }]);
  const barely = Buffer.from(`${" ".repeat(300)}${"[".repeat(129)}${"]".repeat(129)}`);
  for (const body of [nested(130), barely, Buffer.from("[".repeat(5000)), Buffer.from("[".repeat(1000)), Buffer.from(`["\\"${"]".repeat(300)}",${"[".repeat(300)}`)]) {
    assert.deepEqual(plugin.send({ route: 1, body }), [{ kind: "error", request: 0, code: 2, text: "json is nested too deeply" }]);
    const effects = plugin.send({ route: 1, body }, { route: 1, body: nested(128) }, { route: 1, body });
    assert.deepEqual(effects.map(({ kind }) => kind), ["error", "reply", "error"]);
  }
  const flat = Array.from({ length: 400 }, (_, i) => ({ i, s: "[[[" }));
  assert.equal((plugin.send({ route: 1, body: flat })[0] as Effect).kind, "reply");
});

test("an unknown route is code 3", () => {
  assert.deepEqual(host(() => 1).send({ route: 2, body: 1 }), [{ kind: "error", request: 0, code: 3, text: "unknown route" }]);
});

test("an integer that would be rounded is code 2 in a body, code 1 in a reply, and an error in the configuration", () => {
  const body = Buffer.from('{"account":9007199254740993}');
  const text = "`account`: the integer 9007199254740993 is not exact as a number of JavaScript; from 2^53 on send it as text";
  for (const batch of [1, 3]) {
    const effects = host(() => "never").send(...Array(batch).fill({ route: 1, body }));
    assert.deepEqual(effects, Array.from({ length: batch }, (_, request) => ({ kind: "error", request, code: 2, text })));
  }
  const rounded = host(() => ({ account: 2 ** 53 + 2 }));
  assert.deepEqual(rounded.send(one), [{ kind: "error", request: 0, code: 1, text: "the handler failed" }]);
  assert.match(rounded.log[0], /RangeError: `account`: the integer 9007199254740994 is not exact/);
  const configured = host((context) => context.config("limit"), { config: { limit: 2 ** 53 } });
  assert.equal((configured.send(one)[0] as { code: number }).code, 1);
  assert.match(configured.log[0], /RangeError: config limit: the integer/);
});

test("a check refuses requests with code 2", () => {
  const check = (body: unknown) => {
    if (typeof body !== "number") throw new Error("a number, please");
    return body + 1;
  };
  const plugin = host((_, request) => request, { route: { check } });
  assert.deepEqual(told(plugin.send({ route: 1, body: 1 }, { route: 1, body: "x" })), [
    { kind: "reply", request: 0, body: "2" },
    { kind: "error", request: 1, code: 2, text: "a number, please" },
  ]);
});

test("what has no json form, two replies and promises are failures of the handler", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const bad: ((context: Context) => unknown)[] = [
    () => circle,
    () => 1n,
    () => () => 1,
    () => Promise.resolve(1),
    (context) => (context.reply(1), 2),
    (context) => (context.reply(1), context.reply(2)),
    (context) => context.push(-1, 1, 1),
    (context) => context.push(1.5, 1, 1),
    (context) => context.push(1, 2 ** 31, 1),
    (context) => context.pushUid(0, 1, 1),
    (context) => context.pushUid(2 ** 53, 1, 1),
    (context) => context.bind(-1n),
    (context) => context.bind(2n ** 63n),
    (context) => context.bind(1, NaN),
    (context) => context.multicast([1, -1], 1, 1),
    (context) => context.multicastUids([1, 0n], 1, 1),
    (context) => context.broadcast(0.5, 1),
    (context) => context.publish("", 1, 1),
    (context) => context.publish("é".repeat(128), 1, 1),
    (context) => context.publish("room", NaN, 1),
    (context) => context.publish("room", 1, circle),
    (context) => context.subscribe("half \ud800"),
    (context) => context.subscribe("two\nlines"),
    (context) => context.unsubscribe(""),
    (context) => context.kick(1, { code: 65536 }),
    (context) => context.kickUid(1.5),
    (context) => context.sessions.online(0),
    (context) => context.sessions.online(2n ** 53n),
    (context) => context.sessions.members("\ud800"),
  ];
  for (const handle of bad) {
    assert.deepEqual(host(handle).send(one), [{ kind: "error", request: 0, code: 1, text: "the handler failed" }], String(handle));
  }
});

test("a context is over when its handler has returned", () => {
  let kept: Context | undefined;
  const plugin = host((context) => {
    if (kept === undefined) kept = context;
    else kept.push(1, 1, 1);
  });
  assert.deepEqual(plugin.send(one, one), [{ kind: "error", request: 1, code: 1, text: "the handler failed" }]);
  assert.throws(() => kept?.reply(1), /the request is over/);
});

test("more effects than a request may make fail that request and no other", () => {
  const plugin = host((context, count) => {
    for (let i = 0; i < count; i++) context.push(i, 1, 1);
    if (count > 4096) context.subscribe("room");
    return count;
  });
  const effects = plugin.send(...[4096, 4097, 4096, 0, 4096].map((body) => ({ route: 1, body })));
  assert.deepEqual(effects.filter(({ kind }) => kind === "error"), [{ kind: "error", request: 1, code: 1, text: "the handler failed" }]);
  for (const [request, count] of [[0, 4097], [1, 1], [2, 4097], [3, 1], [4, 4097]]) {
    assert.equal(effects.filter((effect) => effect.request === request).length, count);
  }
});

test("a reply has a place of its own, before the effects of its request, among them and behind them", () => {
  for (const before of [0, 1, 4095, 4096]) {
    for (const count of [4096, 4097]) {
      const plugin = host((context) => {
        for (let i = 0; i < count; i++) {
          if (i === before) context.reply("here");
          context.push(i, 1, 1);
        }
        if (count <= before) context.reply("here");
      });
      const effects = plugin.send({ route: 1, body: 0 }, { route: 1, body: 0 });
      assert.equal(effects.filter((effect) => effect.request === 1).length, count > 4096 ? 1 : 4097, `${before}, ${count}`);
    }
  }
});

test("a uid beyond 2^53 is exact as a bigint and refused as a number", () => {
  for (const uid of [2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n]) {
    assert.deepEqual(told(host((context) => String(context.uidBig)).send({ ...one, uid })), [{ kind: "reply", request: 0, body: `"${uid}"` }]);
    assert.equal((host((context) => context.uid).send({ ...one, uid })[0] as { code: number }).code, 1);
  }
  for (const uid of [0, -1, 2 ** 32, -(2 ** 53) + 1, 2 ** 53 - 1]) {
    assert.deepEqual(told(host((context) => context.uid).send({ ...one, uid })), [{ kind: "reply", request: 0, body: String(uid) }]);
  }
});

test("a handler reads configuration, clock and random numbers", () => {
  const effects = host(
    (context) => [context.config("a.b"), context.config("none") ?? "none", context.nowMs(), context.random.number() >= 0, context.random.bytes(3).length],
    { config: { "a.b": [1] }, nowMs: () => 77 },
  ).send(one);
  assert.deepEqual(told(effects), [{ kind: "reply", request: 0, body: '[[1],"none",77,true,3]' }]);
});

test("the manifest names the routes", () => {
  const plugin = definePlugin({
    name: "t",
    version: "2",
    routes: { 5: route({ name: "five", authorized: true, handle: (_, n: number) => n }), [-1]: { internal: true, body: "bytes", handle: () => undefined } },
  });
  assert.deepEqual(JSON.parse(plugin.manifest), {
    name: "t",
    version: "2",
    packed: 1,
    routes: [{ route: 5, name: "five", authorized: true }, { route: -1, internal: true }],
    events: [],
  });
});

test("a wrong definition is refused when the plugin is built", () => {
  const handle = () => 1;
  assert.throws(() => definePlugin({ name: "", version: "1", routes: {} }), /name/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: { 1.5: { handle } } }), /route number/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: { [2 ** 31]: { handle } } }), /route number/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: { 1: {} as Route } }), /handle/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: {}, events: { closed: handle } as object }), /"closed" is not an event/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: {}, events: { bind: 1 } as object }), /no handler function/);
  const later = async () => undefined;
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: { 1: { handle: later } } }), /the handler of route 1 is async/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: {}, events: { bind: later } }), /the handler of the event bind is async/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: {}, start: later }), /start is async/);
  assert.throws(() => definePlugin({ name: "t", version: "1", routes: {}, stop: later }), /stop is async/);
  assert.throws(() => new PluginError(0, "x"), RangeError);
});
