// JSON as fast as QuickJS allows, and guarded against what would trap in it.
import { ErrorCode, PluginError } from "./error.js";

/**
 * Deepest nesting that is parsed. The parser recurses on the stack of the component; a few thousand levels, which fit into one message, would
 * trap and cost the plugin its memory. The same limit as serde_json has.
 */
export const JSON_DEPTH_MAX = 128;

const TOO_DEEP = "json is nested too deeply";

/** A body up to this size may be parsed before its depth is known. The stack takes 4,000 levels, and a level has at least a byte. */
const SHALLOW_BYTES = 1536;

/** Complete JSON shorter than this is not nested too deeply, and the rest is harmless. */
export const HARMLESS_BYTES = 2 * JSON_DEPTH_MAX;

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;
const QUOTE = 0x22;
export const BACKSLASH = 0x5c;

/** Whether parsing this body would go deeper than `JSON_DEPTH_MAX`. */
export function nestedTooDeeply(body: Uint8Array): boolean {
  if (body.length < HARMLESS_BYTES) return false;
  // The native search is about a hundred times faster than looking at each byte, and few bodies have so many brackets.
  const braces = count(body, OPEN_BRACE, JSON_DEPTH_MAX);
  return braces + count(body, OPEN_BRACKET, JSON_DEPTH_MAX - braces) >= JSON_DEPTH_MAX && depth(body) > JSON_DEPTH_MAX;
}

/** How often `byte` occurs after the first place, counting no further than `limit`. */
function count(body: Uint8Array, byte: number, limit: number): number {
  let found = 0;
  for (let at = body.indexOf(byte, 1); at !== -1 && found < limit; at = body.indexOf(byte, at + 1)) found++;
  return found;
}

/** Depth of nesting, outside of strings; stops above `JSON_DEPTH_MAX`. */
function depth(body: Uint8Array): number {
  let open = 0;
  let deepest = 0;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (byte === QUOTE) {
      i = endOfString(body, i + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++open > deepest && ++deepest > JSON_DEPTH_MAX) return deepest;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      open--;
    }
  }
  return deepest;
}

/** Offset of the quote that ends a string whose content starts at `at`. */
function endOfString(body: Uint8Array, at: number): number {
  for (;;) {
    const quote = body.indexOf(QUOTE, at);
    if (quote === -1) return body.length;
    let backslashes = 0;
    while (quote - 1 - backslashes >= at && body[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

/** Fewest characters of an integer that a number cannot hold exactly: 2^53 has 16 digits. */
const ROUNDED_LENGTH = 16;
const STRINGS_AND_NUMBERS = /"(?:[^"\\]+|\\.)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
/** Digits of an integer that are shown. */
const DIGITS_SHOWN = 24;

/**
 * What is wrong if JSON has an integer that was rounded when it was read, or has been before it was written; undefined if it has none. A
 * number with a point or an exponent is not an integer, and may be rounded.
 */
export function findRounded(value: unknown, text: string): string | undefined {
  if (text.length < ROUNDED_LENGTH || !mayBeRounded(value, 0)) return undefined;
  let key = "";
  for (const [token, colon] of text.matchAll(STRINGS_AND_NUMBERS)) {
    if (colon !== undefined) key = `\`${JSON.parse(token.slice(0, -colon.length))}\`: `;
    else if (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) {
      return `${key}the integer ${token.slice(0, DIGITS_SHOWN)} is not exact as a number of JavaScript; from 2^53 on send it as text`;
    }
  }
  return undefined;
}

/** Whether there is a number that is not exact, or something whose JSON cannot be told from it, or nesting beyond `JSON_DEPTH_MAX`. */
function mayBeRounded(value: unknown, depth: number): boolean {
  if (typeof value === "number") return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER;
  if (typeof value !== "object" || value === null) return typeof value === "bigint";
  if (depth >= JSON_DEPTH_MAX) return true;
  const items = Object.values(value);
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    // Most are text, and in QuickJS each call counts.
    if (typeof item !== "string" && mayBeRounded(item, depth + 1)) return true;
  }
  return false;
}

/** Strings from this length on are worth the detour of `JsonWriter`. */
const LONG = 192;
/** Objects with more keys are left to `JSON.stringify`. */
const KEYS_MAX = 6;
/** Quoted keys that are remembered. */
const KEYS_KEPT = 256;

/** Whether a body is ASCII without escapes. Then its long strings, if the reply repeats them, have nothing to escape either. */
export function isSimple(body: Uint8Array, text: string): boolean {
  return text.length === body.length && body.indexOf(BACKSLASH) === -1;
}

/** Reads the JSON of requests. */
export class JsonReader {
  /** The first long string at the top of what was read last; empty if there is none. */
  known = "";

  /** The value of the body that stands from `start` to `end`, of which `text` is the text. Throws if it has none, or no exact one. */
  read(bytes: Uint8Array, start: number, end: number, text: string): unknown {
    this.known = "";
    // What is short cannot exhaust the stack. Looking at it afterwards, together with all else there is to look at, is cheaper.
    if (end - start > SHALLOW_BYTES && nestedTooDeeply(bytes.subarray(start, end))) throw refused(TOO_DEEP);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw refused(nestedTooDeeply(bytes.subarray(start, end)) ? TOO_DEEP : "the body is not json");
    }
    if (text.length < ROUNDED_LENGTH) return value;
    let doubt = false;
    if (typeof value === "object" && value !== null) {
      // As in `mayBeRounded`, which calls itself for the rest.
      const items = Object.values(value);
      for (let i = 0; i < items.length; i++) {
        const item = items[i];
        if (typeof item !== "string") doubt ||= mayBeRounded(item, 1);
        else if (item.length >= LONG && this.known === "") this.known = item;
      }
    } else {
      doubt = mayBeRounded(value, 0);
    }
    if (doubt) {
      const why = nestedTooDeeply(bytes.subarray(start, end)) ? TOO_DEEP : findRounded(value, text);
      if (why !== undefined) throw refused(why);
    }
    return value;
  }
}

function refused(why: string): PluginError {
  return new PluginError(ErrorCode.badRequest, why);
}

/**
 * Writes values as JSON: the same text as `JSON.stringify`, but no integer that was rounded.
 *
 * QuickJS quotes strings character by character (11 us for 1 KiB, more than three times what parsing takes) even if there is nothing to
 * escape. So a long string at the top of a small object is put between quotes as it is, if it is known to need no escape, or parses to as many
 * characters. If it does not, or is not ASCII, the detour costs more than it gains, so it is made only for answers to simple requests.
 */
export class JsonWriter {
  private readonly keys: Map<string, string>;

  constructor() {
    this.keys = new Map();
  }

  /**
   * The value as JSON. `simple`: long strings with nothing to escape are likely, and `known` has nothing to escape. Throws if the value has no
   * JSON form, or no exact one.
   */
  write(value: unknown, simple: boolean, known = ""): string {
    return (simple ? this.writeObject(value, known) : undefined) ?? this.writeAny(value);
  }

  /** Any value as JSON. */
  writeAny(value: unknown): string {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON form`);
    const rounded = findRounded(value, text);
    if (rounded !== undefined) throw new RangeError(rounded);
    return text;
  }

  /** A plain object with few keys as JSON; undefined for everything else. */
  writeObject(value: unknown, known: string): string | undefined {
    if (typeof value !== "object" || value === null || getPrototypeOf(value) !== OBJECT || "toJSON" in value) return undefined;
    const keys = Object.keys(value);
    const count = keys.length;
    if (count > KEYS_MAX) return undefined;
    let text = "";
    for (let i = 0; i < count; i++) {
      const key = keys[i];
      const item = (value as Record<string, unknown>)[key];
      const before = (text === "" ? "{" : ",") + (this.keys.get(key) ?? this.quoteKey(key));
      // `known` first: it is what a reply most often repeats, and asking for a type costs as much as a call.
      if (item === known || (typeof item === "string" && item.length >= LONG && needsNoEscape(item))) {
        // In one piece, because each step copies the string.
        if (i === count - 1) return `${text}${before}"${item}"}`;
        text = `${text}${before}"${item}"`;
        continue;
      }
      // A `toJSON` is told its key, which gets lost here. And an integer that was rounded is told with its key.
      if (typeof item === "object" && item !== null && "toJSON" in item) return undefined;
      if (typeof item !== "string" && mayBeRounded(item, 1)) return undefined;
      const itemText = JSON.stringify(item);
      if (itemText !== undefined) text += before + itemText;
    }
    return text === "" ? "{}" : text + "}";
  }

  /** A key as JSON and a colon, and remembered. */
  private quoteKey(key: string): string {
    const quoted = JSON.stringify(key) + ":";
    if (this.keys.size < KEYS_KEPT) this.keys.set(key, quoted);
    return quoted;
  }
}

const OBJECT = Object.prototype;
const getPrototypeOf = Object.getPrototypeOf;

/** Whether a long string is JSON as it is, but for the quotes. */
function needsNoEscape(text: string): boolean {
  try {
    // An escape stands for fewer characters than it has, a quote or a control character does not parse: with the same number of
    // characters there is none of them. Comparing the texts would take half as long again.
    return text.isWellFormed() && JSON.parse(`"${text}"`).length === text.length;
  } catch {
    return false;
  }
}
