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
  const braces = count(body, OPEN_BRACE, JSON_DEPTH_MAX + 1);
  if (braces + count(body, OPEN_BRACKET, JSON_DEPTH_MAX + 1 - braces) <= JSON_DEPTH_MAX) return false;
  return depth(body) > JSON_DEPTH_MAX;
}

/** How often `byte` occurs, counting no further than `limit`. */
function count(body: Uint8Array, byte: number, limit: number): number {
  let found = 0;
  for (let at = body.indexOf(byte); at !== -1 && found < limit; at = body.indexOf(byte, at + 1)) found++;
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

/** Strings from this length on are worth the detour below. */
const LONG = 192;
/** Objects with more keys are written by `JSON.stringify` alone. */
const KEYS_MAX = 8;
/** After so many values in a row without a long string, as many are not searched for one. */
const PATIENCE = 8;
const REST = 64;
/** Quoted keys that are remembered. */
const KEYS_KEPT = 256;

/**
 * Writes values as JSON: the same text as `JSON.stringify`.
 *
 * QuickJS quotes strings character by character (11 us for 1 KiB, three times what parsing takes) even if there is nothing to escape. So a
 * long string in a small object is put between quotes as it is, if parsing that gives the string back. Strings that are known to be clean,
 * because they were checked last or were read from JSON without a backslash, are not checked again: a chat line goes to many.
 */
export class JsonWriter {
  private rest: number;
  private misses: number;
  private readonly clean: string[];
  private cleanAt: number;
  private readonly keys: Map<string, string>;

  constructor() {
    this.rest = 0;
    this.misses = 0;
    this.clean = ["", "", "", ""];
    this.cleanAt = 0;
    this.keys = new Map();
  }

  /** The value as JSON. Throws if it has no JSON form. */
  write(value: unknown): string {
    if (this.rest > 0) {
      this.rest--;
    } else {
      const text = this.writeObject(value);
      if (text !== undefined) {
        this.misses = 0;
        return text;
      }
      if (++this.misses === PATIENCE) {
        this.misses = 0;
        this.rest = REST;
      }
    }
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON form`);
    return text;
  }

  /** Remembers the long strings of a value that was parsed from `body`. */
  learn(value: unknown, body: Uint8Array): void {
    if (this.rest > 0 || !isPlain(value)) return;
    let seen = 0;
    let checked = false;
    for (const key in value) {
      const item = value[key];
      if (isLong(item)) {
        if (!checked && body.indexOf(BACKSLASH) !== -1) return;
        checked = true;
        this.remember(item);
      }
      if (++seen === KEYS_MAX) return;
    }
  }

  /** A small object with a long string as JSON; undefined for everything else. */
  private writeObject(value: unknown): string | undefined {
    if (!isPlain(value)) return undefined;
    const keys = Object.keys(value);
    if (keys.length > KEYS_MAX || !keys.some((key) => isLong(value[key]))) return undefined;
    let text = "";
    for (const key of keys) {
      const item = value[key];
      // A `toJSON` is told its key, which gets lost here.
      if (typeof item === "object" && item !== null && "toJSON" in item) return undefined;
      const itemText = isLong(item) ? this.quote(item) : JSON.stringify(item);
      if (itemText !== undefined) text += `${text === "" ? "{" : ","}${this.quoteKey(key)}:${itemText}`;
    }
    return text === "" ? "{}" : text + "}";
  }

  /** A long string as JSON. */
  private quote(text: string): string {
    const quoted = `"${text}"`;
    if (this.clean.includes(text)) return quoted;
    if (!isClean(text, quoted)) return JSON.stringify(text);
    this.remember(text);
    return quoted;
  }

  private quoteKey(key: string): string {
    let quoted = this.keys.get(key);
    if (quoted === undefined) {
      quoted = JSON.stringify(key);
      if (this.keys.size < KEYS_KEPT) this.keys.set(key, quoted);
    }
    return quoted;
  }

  private remember(text: string): void {
    this.clean[this.cleanAt] = text;
    this.cleanAt = (this.cleanAt + 1) % this.clean.length;
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype && !("toJSON" in value);
}

function isLong(value: unknown): value is string {
  return typeof value === "string" && value.length >= LONG;
}

/** Whether the text has nothing to escape: an escape, a quote or a control character would change the value or not parse. */
function isClean(text: string, quoted: string): boolean {
  if (!text.isWellFormed()) return false;
  try {
    return JSON.parse(quoted) === text;
  } catch {
    return false;
  }
}
