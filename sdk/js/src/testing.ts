// `@duet/plugin/testing`: a host that is not there, to test handlers with any test runner.
import { Dispatcher } from "./dispatch";
import { KIND_ERROR, KIND_PUSH, KIND_REPLY } from "./effects";
import type { HostImports } from "./host";
import { readU64 } from "./packed";
import type { Plugin } from "./plugin";

/** A message as a client sends it. */
export interface Message {
  route: number;
  /** A `Uint8Array` as it is, anything else as JSON. */
  body: unknown;
  conn?: number;
  uid?: number | bigint;
  seq?: number;
}

/** What a plugin made of a batch. `request` is the place of the message in the batch. */
export type Effect =
  | { kind: "reply"; request: number; body: Uint8Array }
  | { kind: "error"; request: number; code: number; text: string }
  | { kind: "push"; request: number; conn: number; route: number; body: Uint8Array };

/** Settings of the fake host. */
export interface TestHostOptions {
  /** Configuration values by key. */
  config?: Record<string, unknown>;
  /** The clock. */
  nowMs?: () => number;
}

/** A plugin on a fake host. */
export interface TestHost {
  /** Log lines so far, as `level message`. */
  readonly log: string[];
  /** Calls `start`. */
  start(): void;
  /** Handles messages in one batch. */
  send(...messages: Message[]): Effect[];
  /** Handles a batch in the packed layout. */
  handleBatch(requests: Uint8Array): Uint8Array;
}

/** Puts a plugin on a fake host. */
export function testHost(plugin: Plugin, options: TestHostOptions = {}): TestHost {
  const log: string[] = [];
  const dispatcher = new Dispatcher(plugin, fakeImports(log, options));
  // A copy, because a Node `Buffer` slices differently.
  const handleBatch = (requests: Uint8Array) => dispatcher.handleBatch(new Uint8Array(requests));
  return {
    log,
    start: () => plugin.definition.start?.(dispatcher.environment),
    send: (...messages) => readEffects(handleBatch(packRequests(messages))),
    handleBatch,
  };
}

/** Imports without a host. Like the real ones they refuse text that is not well formed. */
export function fakeImports(log: string[], options: TestHostOptions = {}): HostImports {
  const wellFormed = (text: string) => {
    if (!text.isWellFormed()) throw new Error("not well formed: this would trap");
    return text;
  };
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  return {
    decode: (bytes) => decoder.decode(bytes),
    encode: (text) => encoder.encode(wellFormed(text)),
    writeLog: (level, message) => log.push(`${level} ${wellFormed(message)}`),
    getConfig(key) {
      const value = options.config?.[key];
      if (value === undefined) throw new Error("no such key");
      return JSON.stringify(value);
    },
    nowMs: options.nowMs ?? Date.now,
    monotonicUs: () => Math.floor(performance.now() * 1000),
    randomNumber: () => Math.floor(Math.random() * 0x1_0000_0000) | 0,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  };
}

/** Messages in the packed layout. */
export function packRequests(messages: Message[]): Uint8Array {
  const HEADER = 32;
  const bodies = messages.map(({ body }) => (body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body))));
  const out = new Uint8Array(bodies.reduce((size, body) => size + HEADER + body.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  messages.forEach((message, i) => {
    view.setUint32(at, HEADER + bodies[i].length, true);
    view.setUint16(at + 4, HEADER, true);
    view.setBigUint64(at + 8, BigInt(message.conn ?? 1), true);
    view.setBigInt64(at + 16, BigInt(message.uid ?? 0), true);
    view.setInt32(at + 24, message.route, true);
    view.setInt32(at + 28, message.seq ?? 0, true);
    out.set(bodies[i], at + HEADER);
    at += HEADER + bodies[i].length;
  });
  return out;
}

/** Effects out of the packed layout. */
export function readEffects(bytes: Uint8Array): Effect[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const effects: Effect[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
    const request = view.getUint32(at + 8, true);
    const number = view.getInt32(at + 12, true);
    const body = bytes.slice(at + view.getUint16(at + 4, true), at + view.getUint32(at, true));
    const kind = bytes[at + 6];
    if (kind === KIND_REPLY) effects.push({ kind: "reply", request, body });
    else if (kind === KIND_ERROR) effects.push({ kind: "error", request, code: number, text: new TextDecoder().decode(body) });
    else if (kind === KIND_PUSH) effects.push({ kind: "push", request, conn: readU64(view, at + 16), route: number, body });
    else throw new Error(`effect of kind ${kind}`);
  }
  return effects;
}
