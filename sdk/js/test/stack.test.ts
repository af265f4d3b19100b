// Errors in the log: one line, and places in the files of the author.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, framesOf } from "../src/stack.js";

/** Lines 1 to 9 are the SDK's, 10 and 11 from one file, 12 from another up to column 40. */
const map = { sources: ["src/plugin.ts", "", "src/dice.ts"], marks: [1, 1, -1, 0, 10, 1, 0, 7, 11, 5, 0, 9, 12, 1, 2, 3, 12, 40, -1, 0] };
const at = (...places: string[]) => places.map((place) => `    at ${place}\n`).join("");

test("frames name the file and the line of the author, and the others are left out", () => {
  const stack = at(
    "roll (componentize-qjs:user.js:12:39)",
    "parse (native)",
    "handle (componentize-qjs:user.js:11:4)",
    "handle (componentize-qjs:user.js:11:5)",
    "handleBatch (componentize-qjs:user.js:12:40)",
    "<anonymous> (componentize-qjs:user.js:9:1)",
    "componentize-qjs:user.js:10:1",
  );
  assert.deepEqual(framesOf(stack, map), ["at roll (src/dice.ts:3)", "at handle (src/plugin.ts:7)", "at handle (src/plugin.ts:9)", "at src/plugin.ts:7"]);
});

test("an error is one line with its name, its text and at most three frames", () => {
  const error = new TypeError("two\n  lines");
  error.stack = at("a (x.ts:1:2)", "b (x.ts:3:4)", "c (x.ts:5:6)", "d (x.ts:7:8)");
  assert.equal(describe(error), "TypeError: two lines at a (x.ts:1:2) at b (x.ts:3:4) at c (x.ts:5:6)");
  error.stack = undefined;
  assert.equal(describe(error), "TypeError: two lines");
  assert.equal(describe("text"), "thrown: text");
});
