// JSON as fast as QuickJS allows, and guarded against what would trap in it.

/**
 * Deepest nesting that is parsed. The parser recurses on the stack of the component; a few thousand levels, which fit into one message, would
 * trap and cost the plugin its memory. The same limit as serde_json has.
 */
export const JSON_DEPTH_MAX = 128;

/** Complete JSON shorter than this is not nested too deeply, and the rest is harmless. */
export const HARMLESS_BYTES = 2 * JSON_DEPTH_MAX;

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

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

/** Whether there is a number that is not exact, or something whose JSON cannot be told from it. */
function mayBeRounded(value: unknown, depth: number): boolean {
  if (typeof value === "number") return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER;
  if (typeof value !== "object" || value === null) return typeof value === "bigint";
  if (depth > JSON_DEPTH_MAX) return true;
  if (Array.isArray(value)) return value.some((item) => mayBeRounded(item, depth + 1));
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
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

/**
 * Writes values as JSON: the same text as `JSON.stringify`, but no integer that was rounded.
 *
 * QuickJS quotes strings character by character (11 us for 1 KiB, more than three times what parsing takes) even if there is nothing to
 * escape. So a long string at the top of a small object is put between quotes as it is, if it parses to as many characters. If it does not,
 * or is not ASCII, the detour costs more than it gains, so it is made only for answers to simple requests.
 */
export class JsonWriter {
  private readonly keys: Map<string, string>;

  constructor() {
    this.keys = new Map();
  }

  /** The value as JSON. `simple`: long strings with nothing to escape are likely. Throws if the value has no JSON form, or no exact one. */
  write(value: unknown, simple: boolean): string {
    const text = (simple ? this.writeObject(value) : undefined) ?? JSON.stringify(value);
    if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON form`);
    const rounded = findRounded(value, text);
    if (rounded !== undefined) throw new RangeError(rounded);
    return text;
  }

  /** A plain object with few keys as JSON; undefined for everything else. */
  private writeObject(value: unknown): string | undefined {
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype || "toJSON" in value) return undefined;
    const keys = Object.keys(value);
    const count = keys.length;
    if (count > KEYS_MAX) return undefined;
    let text = "{";
    for (let i = 0; i < count; i++) {
      const key = keys[i];
      const item = (value as Record<string, unknown>)[key];
      let itemText: string;
      if (typeof item === "string" && item.length >= LONG) {
        itemText = quote(item);
      } else {
        // A `toJSON` is told its key, which gets lost here.
        if (typeof item === "object" && item !== null && "toJSON" in item) return undefined;
        itemText = JSON.stringify(item);
        if (itemText === undefined) continue;
      }
      text += text === "{" ? this.quoteKey(key) + itemText : "," + this.quoteKey(key) + itemText;
    }
    return text + "}";
  }

  /** A key as JSON and a colon. */
  private quoteKey(key: string): string {
    let quoted = this.keys.get(key);
    if (quoted === undefined) {
      quoted = JSON.stringify(key) + ":";
      if (this.keys.size < KEYS_KEPT) this.keys.set(key, quoted);
    }
    return quoted;
  }
}

/** A long string as JSON. */
function quote(text: string): string {
  const quoted = `"${text}"`;
  if (text.isWellFormed()) {
    try {
      // An escape stands for fewer characters than it has, a quote or a control character does not parse: with the same number of
      // characters there is none of them. Comparing the texts would take half as long again.
      if (JSON.parse(quoted).length === text.length) return quoted;
    } catch {
      // There is something to escape.
    }
  }
  return JSON.stringify(text);
}
