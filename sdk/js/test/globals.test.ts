// What the SDK puts into the place of globals that QuickJS lacks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { installGlobals } from "../src/globals.js";
import { fakeImports } from "../src/testing.js";

/** Runs `body` with the globals of a component, and puts those of Node back. */
function inComponent(body: (log: string[]) => void): void {
  const log: string[] = [];
  const host = { ...fakeImports(log, { nowMs: () => 1_700_000_000_123 }), randomNumber: () => -1, randomBytes: (count: number) => new Uint8Array(count), monotonicUs: () => 2500 };
  const names = ["console", "Date", "performance", "crypto", "TextEncoder", "TextDecoder"];
  const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  const random = Math.random;
  const native = Date;
  installGlobals(host);
  try {
    body(log);
  } finally {
    for (const [name, property] of before) Object.defineProperty(globalThis, name, property as PropertyDescriptor);
    Math.random = random;
    native.prototype.constructor = native;
  }
}

test("dates ask the host for the time", () => {
  inComponent(() => {
    assert.equal(Date.now(), 1_700_000_000_123);
    assert.equal(new Date().toISOString(), "2023-11-14T22:13:20.123Z");
    assert.equal(new Date(5).getTime(), 5);
    assert.equal(new Date(2020, 1, 2).getMonth(), 1);
    assert.equal(typeof Date(), "string");
    assert.ok(new Date() instanceof Date);
    assert.equal(new Date(1).constructor, Date);
    assert.equal(Date.UTC(1970, 0, 1), 0);
    class Later extends Date {}
    assert.ok(new Later() instanceof Later);
  });
});

test("random numbers and the timer come from the host", () => {
  inComponent(() => {
    assert.equal(Math.random(), 1 - 2 ** -32);
    assert.equal(performance.now(), 2.5);
    assert.equal(crypto.getRandomValues(new Uint16Array(4)).length, 4);
    assert.throws(() => crypto.getRandomValues(new Uint8Array(65537)), RangeError);
  });
});

test("console writes log lines", () => {
  inComponent((log) => {
    console.error("a", { b: 1n < 2n }, undefined);
    console.log("half \ud800");
    console.debug(1n, () => 1);
    assert.deepEqual(log, ['1 a {"b":true} undefined', "3 half \ufffd", "4 1 () => 1"]);
  });
});

test("text is encoded and decoded as utf-8", () => {
  inComponent(() => {
    assert.deepEqual(Array.from(new TextEncoder().encode("é\ud800")), [0xc3, 0xa9, 0xef, 0xbf, 0xbd]);
    assert.equal(new TextDecoder("UTF-8").decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9])), "é");
    assert.equal(new TextDecoder().decode(), "");
    assert.throws(() => new TextDecoder("latin1"), RangeError);
    assert.throws(() => new TextDecoder("utf-8", { fatal: true }), RangeError);
  });
});
