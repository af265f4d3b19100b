// What scripts expect to be there and QuickJS lacks, or what would trap in a component without WASI.
import type { HostImports } from "./host.js";
import { describe } from "./stack.js";

/** Most bytes one call of the host's `random.bytes` gives. */
const RANDOM_BYTES_MAX = 65536;

/**
 * Installs `console`, `Date`, `Math.random`, `performance.now`, `crypto.getRandomValues`, `TextEncoder` and `TextDecoder` on top of the host.
 *
 * While the component is built there is no host: a clock or a random number of that moment would be frozen into it, so they throw.
 */
export function installGlobals(host: HostImports): void {
  const define = (target: object, name: string, value: unknown) =>
    Object.defineProperty(target, name, { value, writable: true, configurable: true });
  define(globalThis, "console", hostConsole(host));
  define(globalThis, "Date", hostDate(host));
  define(Math, "random", () => (host.randomNumber() >>> 0) / 0x1_0000_0000);
  define(globalThis, "performance", { now: () => host.monotonicUs() / 1000 });
  define(globalThis, "crypto", { getRandomValues: fillRandom(host) });
  define(globalThis, "TextEncoder", hostTextEncoder(host));
  define(globalThis, "TextDecoder", hostTextDecoder(host));
}

function hostConsole(host: HostImports): object {
  const line = (level: number) => (...values: unknown[]) => host.writeLog(level, values.map(show).join(" ").toWellFormed());
  return { error: line(1), warn: line(2), info: line(3), log: line(3), debug: line(4), trace: line(4) };
}

function show(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describe(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function hostDate(host: HostImports): DateConstructor {
  const Native = Date;
  function HostDate(this: unknown, ...values: unknown[]): unknown {
    if (new.target === undefined) return new Native(host.nowMs()).toString();
    return Reflect.construct(Native, values.length === 0 ? [host.nowMs()] : values, new.target);
  }
  HostDate.prototype = Native.prototype;
  HostDate.now = () => host.nowMs();
  HostDate.parse = Native.parse;
  HostDate.UTC = Native.UTC;
  Native.prototype.constructor = HostDate;
  return HostDate as unknown as DateConstructor;
}

function fillRandom(host: HostImports) {
  return <T extends ArrayBufferView>(view: T): T => {
    if (view.byteLength > RANDOM_BYTES_MAX) throw new RangeError(`more than ${RANDOM_BYTES_MAX} random bytes`);
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(host.randomBytes(view.byteLength));
    return view;
  };
}

function hostTextEncoder(host: HostImports) {
  return class TextEncoder {
    readonly encoding = "utf-8";
    encode(text = ""): Uint8Array {
      return host.encode(String(text).toWellFormed());
    }
  };
}

function hostTextDecoder(host: HostImports) {
  return class TextDecoder {
    readonly encoding = "utf-8";
    constructor(label = "utf-8", options: { fatal?: boolean } = {}) {
      if (!/^utf-?8$/i.test(label) || options.fatal) throw new RangeError("only utf-8 that is not fatal is supported");
    }
    decode(bytes: ArrayBuffer | ArrayBufferView = new Uint8Array(0)): string {
      const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
      const text = host.decode(view);
      return text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  };
}
