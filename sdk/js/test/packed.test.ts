// The packed layout against the golden bytes of the contract.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { definePlugin } from "../src/index";
import { packRequests, readEffects, testHost } from "../src/testing";

function golden(): { request: Uint8Array; effects: Uint8Array } {
  // Tests run from the folder of the package.
  const lines = readFileSync("../../wit/packed-v1.golden", "utf8").trim().split("\n");
  const hex = (name: string) => lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length).replaceAll(" ", "")).join("");
  return { request: bytes(hex("request")), effects: bytes(hex("reply") + hex("push")) };
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

const seen: unknown[] = [];
const plugin = definePlugin({
  name: "golden",
  version: "1",
  routes: {
    7: {
      body: "bytes",
      handle(context, request) {
        seen.push(context.conn, context.uid, context.route, context.seq, Buffer.from(request).toString());
        context.reply(new TextEncoder().encode("yo"));
        context.push(6, 8, new TextEncoder().encode("!"));
      },
    },
    9: { handle: (context) => [context.conn, String(context.uidBig), context.seq] },
  },
});

test("the golden request is read and the golden effects are written", () => {
  const { request, effects } = golden();
  seen.length = 0;
  assert.deepEqual(Buffer.from(testHost(plugin).handleBatch(request)), Buffer.from(effects));
  assert.deepEqual(seen, [5, 9, 7, 2, "hi"]);
});

test("the golden request comes out of the test host as well", () => {
  const message = { route: 7, conn: 5, uid: 9, seq: 2, body: new TextEncoder().encode("hi") };
  assert.deepEqual(Buffer.from(packRequests([message])), Buffer.from(golden().request));
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
  const { request, effects } = golden();
  const larger = Buffer.alloc(request.length + 7, 0xee);
  larger.set(request, 3);
  assert.deepEqual(Buffer.from(testHost(plugin).handleBatch(larger.subarray(3, 3 + request.length))), Buffer.from(effects));
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
