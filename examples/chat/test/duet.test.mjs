// The client against a fake server.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { WebSocket } from "ws";
import { Duet, DuetError } from "../web/dist/web/duet.js";
import { decode, encode, HEARTBEAT } from "../web/dist/web/packets.js";
import { FakeServer } from "./fake.mjs";

const LOGIN = 100;
const opened = [];

afterEach(async () => {
  for (const thing of opened.splice(0)) await (thing.leave ?? thing.stop).call(thing);
});

async function connected(options = {}, server = new FakeServer()) {
  if (!opened.includes(server)) opened.push(server);
  const heard = [];
  const states = [];
  const waiting = [];
  let logins = 0;
  const duet = new Duet({
    url: await server.url(),
    // A refused connection is an error event first, which browsers only log.
    open: (url) => Object.assign(new WebSocket(url), { onerror() {} }),
    login: () => (logins++, duet.request(LOGIN, "me")),
    onState(state) {
      states.push(state);
      for (const { is, done } of waiting.splice(0)) state.is === is ? done(state) : waiting.push({ is, done });
    },
    backoff: 5,
    ...options,
  });
  opened.unshift(duet);
  duet.on(7, (body) => heard.push(body));
  /** The next time the client becomes that. */
  const becomes = (is) => new Promise((done) => waiting.push({ is, done }));
  const open = becomes("open");
  duet.start();
  if (options.until !== "started") await open;
  return { server, duet, heard, states, becomes, logins: () => logins };
}

/** A store that lasts longer than a page. */
function memory() {
  const items = new Map();
  return { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value), removeItem: (key) => items.delete(key), items };
}

test("packets are the bytes of the documentation", () => {
  const body = new TextEncoder().encode('{"sides":6}');
  assert.equal(Buffer.from(encode(100, 1, body)).toString("hex"), "0000001000006400017b227369646573223a367d");
  assert.equal(Buffer.from(HEARTBEAT).toString("hex"), "0000000180");
  const data = (hex) => new Uint8Array(Buffer.from(hex, "hex")).buffer;
  assert.deepEqual(decode(data("0000001000006400017b227369646573223a367d")), { route: 100, seq: 1, body });
  assert.equal(decode(data("0000000180")), undefined);
  assert.equal(decode(data("00000009800000000000000001")), undefined);
  assert.equal(decode(data("0000")), undefined);
  const { route, seq, error } = decode(data("0000000801fffffffe000b6e6f"));
  assert.deepEqual([route, seq, error.code, error.message], [-1, -2, 11, "no"]);
});

test("a request gets its own answer, or its error", async () => {
  const { server, duet } = await connected();
  const held = [];
  server.answer = (route, body, seq) => (route === 1 ? void held.push([body, seq]) : route === 2 ? void server.fail(2, seq, 1000, "no") : body);
  const answers = [duet.request(1, "a"), duet.request(1, "b"), duet.request(3, "c")];
  await answers[2];
  for (const [body, seq] of held.reverse()) server.send(1, `${body}!`, seq);
  assert.deepEqual(await Promise.all(answers), ["a!", "b!", "c"]);
  await assert.rejects(duet.request(2, 0), (error) => error instanceof DuetError && error.code === 1000 && error.message === "no");
});

test("a request without an answer fails in time", async () => {
  const { server, duet } = await connected({ timeout: 20 });
  server.answer = () => undefined;
  await assert.rejects(duet.request(1, 0), /no answer in time/);
});

test("without a connection there are no requests", async () => {
  const { duet } = await connected();
  duet.leave();
  await assert.rejects(duet.request(1, 0), /no connection/);
});

test("what was missed comes once and in order, however often the connection is lost", async () => {
  const { server, duet, heard, becomes, logins } = await connected();
  for (let i = 0; i < 30; i++) {
    server.send(7, i);
    if (i % 7 !== 3) continue;
    const open = becomes("open");
    server.cut();
    server.send(7, `missed ${i}`);
    await open;
  }
  await duet.request(1, "last");
  assert.deepEqual(heard, Array.from({ length: 30 }, (_, i) => (i % 7 === 3 ? [i, `missed ${i}`] : [i])).flat());
  assert.equal(logins(), 1);
  assert.equal(server.connections, 5);
});

test("messages during a loss are sent once, and those that were taken are not sent again", async () => {
  const { server, duet, becomes } = await connected();
  server.taken.length = 0;
  // Taken, but the connection is lost before the answer.
  server.answer = (_, body) => (server.cut(), body);
  const first = duet.request(1, "a");
  await becomes("waiting");
  server.answer = (_, body) => body;
  const more = ["b", "c"].map((body) => duet.request(1, body));
  assert.deepEqual(await Promise.all([first, ...more]), ["a", "b", "c"]);
  assert.deepEqual(server.taken, ['1 "a"', '1 "b"', '1 "c"']);
  const open = becomes("open");
  server.cut();
  await open;
  await duet.request(1, "d");
  assert.deepEqual(server.taken, ['1 "a"', '1 "b"', '1 "c"', '1 "d"']);
});

test("what is sent while the session is being opened counts", async () => {
  const server = new FakeServer();
  const { duet, becomes } = await connected({ until: "started" }, server);
  let early;
  server.onSession = () => (early ??= duet.request(1, "early"));
  await becomes("open");
  await early;
  const open = becomes("open");
  server.cut();
  await open;
  await duet.request(1, "later");
  assert.deepEqual(server.taken, [`${LOGIN} "me"`, '1 "early"', '1 "later"']);
});

test("a session that is gone means a new login, and what waited fails", async () => {
  const { server, duet, becomes, logins } = await connected();
  const waiting = becomes("waiting");
  server.cut();
  server.forget();
  await waiting;
  const open = becomes("open");
  await assert.rejects(duet.request(1, "lost"), { code: 11 });
  await open;
  assert.equal(logins(), 2);
  assert.equal(await duet.request(1, "new"), "new");
  assert.ok(!server.taken.includes('1 "lost"'));
});

test("a page that is loaded again goes on with the session", async () => {
  const store = memory();
  const before = await connected({ store });
  const { server } = before;
  server.send(7, 1);
  await before.duet.request(1, "a");
  // The page goes away: nobody listens any more, and what it had in memory is lost.
  const [[key, value]] = store.items;
  before.duet.leave();
  server.send(7, 2);
  store.setItem(key, value);
  const after = await connected({ store }, server);
  server.send(7, 3);
  assert.equal(await after.duet.request(1, "b"), "b");
  assert.deepEqual([before.heard, after.heard, after.logins()], [[1], [2, 3], 0]);
  const open = after.becomes("open");
  server.cut();
  const late = after.duet.request(1, "c");
  server.send(7, 4);
  await open;
  await late;
  assert.deepEqual(after.heard, [2, 3, 4]);
  assert.deepEqual(server.taken, [`${LOGIN} "me"`, '1 "a"', '1 "b"', '1 "c"']);
});

test("who is replaced or kicked stays away", async () => {
  for (const [code, text] of [[14, "replaced"], [12, "kicked"], [1001, "cheating"]]) {
    const store = memory();
    const { server, becomes } = await connected({ store });
    const closed = becomes("closed");
    server.fail(0, 0, code, text);
    server.cut();
    const { error } = await closed;
    assert.deepEqual([error.code, error.message, store.items.size], [code, text, 0]);
  }
});

test("a server that goes away is left alone for as long as it says", async () => {
  const { server, becomes } = await connected();
  const waiting = becomes("waiting");
  server.fail(0, 0, 10, "going away; retry-after-ms=1350");
  server.cut();
  const { ms } = await waiting;
  assert.ok(ms >= 1350 && ms < 1400, `${ms}`);
});

test("attempts come ever later while there is no server", async () => {
  const { server, states, becomes } = await connected({ backoff: 4 });
  await server.stop();
  while (states.filter(({ is }) => is === "waiting").length < 5) await becomes("waiting");
  const delays = states.filter(({ is }) => is === "waiting").map(({ ms }) => ms);
  delays.forEach((ms, i) => assert.ok(ms >= 4 * 2 ** i * 0.5 && ms <= 4 * 2 ** i, `${delays}`));
});

test("silence is a loss", async () => {
  const { server, becomes } = await connected({ heartbeat: 15 });
  const open = becomes("open");
  server.beats = false;
  await becomes("waiting");
  server.beats = true;
  await open;
  assert.equal(server.connections, 2);
});

test("a login that is refused ends the client", async () => {
  const server = new FakeServer();
  server.answer = (route, _, seq) => void server.fail(route, seq, 13, "already online");
  const { becomes } = await connected({ until: "started" }, server);
  assert.equal((await becomes("closed")).error.code, 13);
});

test("a server without sessions is enough for the rest", async () => {
  const server = new FakeServer();
  server.sessions = false;
  const { duet, becomes, logins } = await connected({}, server);
  assert.equal(await duet.request(1, "a"), "a");
  const open = becomes("open");
  server.cut();
  await open;
  assert.equal(logins(), 2);
});
