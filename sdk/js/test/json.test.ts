// The fast way of writing JSON writes what JSON.stringify writes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findRounded, JsonWriter } from "../src/json.js";

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

test("a string that is known to need no escape is written as JSON.stringify writes it", () => {
  const writer = new JsonWriter();
  const known = long("");
  for (const value of [known, { known }, { known, other: long('"') }, { a: undefined, b: "", known, c: null }, { inner: { known } }, {}]) {
    for (const text of ["", known, long("!")]) assert.equal(writer.write(value, true, text), JSON.stringify(value));
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

test("an integer that a number cannot hold is found, and named by its key", () => {
  const told = (text: string) => findRounded(JSON.parse(text), text);
  const rest = "is not exact as a number of JavaScript; from 2^53 on send it as text";
  assert.equal(told('{"a":1,"uid" : 9007199254740993}'), `\`uid\`: the integer 9007199254740993 ${rest}`);
  assert.equal(told('{"ids":[1,{"x":"9007199254740993"},-9007199254740992]}'), `\`x\`: the integer -9007199254740992 ${rest}`);
  assert.equal(told("9223372036854775807"), `the integer 9223372036854775807 ${rest}`);
  assert.equal(told(`["\\"9007199254740993", ${"9".repeat(400)}]`), `the integer ${"9".repeat(24)} ${rest}`);
});

test("numbers that are exact, or were never integers, are left alone", () => {
  for (const text of ['{"uid":9007199254740991}', "-9007199254740991", '"9007199254740993"', '{"9007199254740993":1}', "9007199254740993.5", "12345678901234567e3"]) {
    assert.equal(findRounded(JSON.parse(text), text), undefined, text);
  }
});

test("an integer that was rounded is not written", () => {
  const writer = new JsonWriter();
  for (const value of [2 ** 53, { text: long(""), uid: -(2 ** 53) }, [[2 ** 60]], { toJSON: () => ({ uid: 2 ** 53, a: 2n ** 53n < 1n }), big: 1n }]) {
    for (const simple of [true, false]) assert.throws(() => writer.write(value, simple), /^RangeError: (`uid`: )?the integer -?\d+ is not exact/);
  }
  for (const value of [2 ** 53 - 1, 1e300, { at: 1e21 }]) assert.equal(writer.write(value, false), JSON.stringify(value));
  let deep: unknown = 1;
  for (let i = 0; i < 2000; i++) deep = [deep];
  assert.equal(writer.write(deep, false), JSON.stringify(deep), "deep values cost no stack");
});
