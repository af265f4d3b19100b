// The fast way of writing JSON writes what JSON.stringify writes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonWriter } from "../src/json";

const long = (text: string) => "x".repeat(100) + text + "y".repeat(100);

/** Texts with something in the middle that needs care, or does not. */
const texts = ["", '"', "\\", '\\"', "\\\\", "\\n", "\\u0041", "\ud800", "\udc00\ud800", "🎲", "é", "世界", "\u2028", "\x7f", '","', '" , "']
  .concat(Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)))
  .map(long);

test("long strings are written as JSON.stringify writes them", () => {
  const writer = new JsonWriter();
  for (const text of texts) {
    for (const value of [text, { text }, { a: 1, text, z: undefined }, { [text]: text }, [text], { inner: { text } }]) {
      assert.equal(writer.write(value, true), JSON.stringify(value));
    }
  }
});

test("values of all kinds are written as JSON.stringify writes them", () => {
  class Point {
    x = long("");
  }
  const keyed = { toJSON: (key: string) => `<${key}>` };
  const values: unknown[] = [
    null, true, 1.5, -0, NaN, "", [], {}, { a: undefined }, { a() {} }, { a: Symbol("s"), b: 1 }, { text: long(""), keyed },
    new Point(), Object.create({ inherited: long("") }), Object.assign(Object.create(null), { text: long("") }), { toJSON: () => "own" },
    new Date(0), { text: long(""), date: new Date(0) }, Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, long("")])),
    { "__proto__x": long("") }, JSON.parse(`{"__proto__":"${long("")}","constructor":1}`), { 2: "b", 1: long("") },
  ];
  const writer = new JsonWriter();
  for (const value of values) {
    assert.equal(writer.write(value, true), JSON.stringify(value));
    assert.equal(writer.write(value, false), JSON.stringify(value));
  }
});

test("a value without a JSON form throws", () => {
  for (const value of [undefined, () => 1, Symbol("s"), 1n, { text: long(""), big: 1n }]) {
    assert.throws(() => new JsonWriter().write(value, true), TypeError);
  }
});
