// `@duet/plugin/testing`: a fake host, to test handlers with any test runner.
import { Dispatcher } from "./dispatch.js";
import {
  KIND_BIND,
  KIND_BROADCAST,
  KIND_ERROR,
  KIND_KICK,
  KIND_MULTICAST,
  KIND_PUBLISH,
  KIND_PUSH,
  KIND_REPLY,
  KIND_REST,
  KIND_SUBSCRIBE,
  KIND_UNBIND,
  KIND_UNSUBSCRIBE,
} from "./effects.js";
import { EVENT_NAMES, type EventName } from "./events.js";
import type { HostImports } from "./host.js";
import { KIND_MESSAGE, readU64 } from "./packed.js";
import type { Plugin } from "./plugin.js";
import type { Presence } from "./sessions.js";
import type { Uid } from "./targets.js";

/** A message as a client sends it. */
export interface Message {
  route: number;
  /** A `Uint8Array` as it is, anything else as JSON. */
  body: unknown;
  conn?: number;
  uid?: Uid;
  seq?: number;
}

/** An event of a connection. */
export interface ConnectionEvent {
  event: EventName;
  conn?: number;
  uid?: Uid;
  /** The address of `connect` and `resume`, the cause of `disconnect` and `suspend`. */
  detail?: string;
}

/** What a plugin made of a batch. `request` is the place of the message or event in the batch. A uid is a bigint from 2^53 on. */
export type Effect = { request: number } & (
  | { kind: "reply"; body: Uint8Array }
  | { kind: "error"; code: number; text: string }
  | { kind: "push"; conn: number; route: number; body: Uint8Array }
  | { kind: "pushUid"; uid: Uid; route: number; body: Uint8Array }
  | { kind: "multicast"; conns: number[]; route: number; body: Uint8Array }
  | { kind: "multicastUids"; uids: Uid[]; route: number; body: Uint8Array }
  | { kind: "broadcast"; bound: boolean; route: number; body: Uint8Array }
  | { kind: "publish"; channel: string; route: number; body: Uint8Array }
  | { kind: "subscribe"; channel: string; conn: number }
  | { kind: "subscribeUid"; channel: string; uid: Uid }
  /** An empty `channel` means all of them. */
  | { kind: "unsubscribe"; channel: string; conn: number }
  | { kind: "unsubscribeUid"; channel: string; uid: Uid }
  | { kind: "bind"; uid: Uid; conn: number }
  | { kind: "unbind"; conn: number }
  | { kind: "unbindUid"; uid: Uid }
  /** `code` is 0 if the plugin gave none. */
  | { kind: "kick"; conn: number; code: number; reason: string; now: boolean }
  | { kind: "kickUid"; uid: Uid; code: number; reason: string; now: boolean }
);

/** What look-ups find. By default nobody is there. */
export interface TestSessions {
  online?(uid: number): Presence;
  connectionOf?(uid: number): number | undefined;
  uidOf?(conn: number): number;
  address?(conn: number): string | undefined;
  counts?(): { connections: number; bound: number; suspended: number };
  members?(channel: string): number[];
}

/** Settings of the fake host. */
export interface TestHostOptions {
  /** Configuration values by key. */
  config?: Record<string, unknown>;
  /** The clock. */
  nowMs?: () => number;
  /** What look-ups find. Effects do not change it. */
  sessions?: TestSessions;
}

/** A plugin on a fake host. */
export interface TestHost {
  /** Log lines so far, as `level message`. */
  readonly log: string[];
  /** Calls `start`. */
  start(): void;
  /** Handles messages and events in one batch, or in several calls if the plugin leaves some of them. */
  send(...requests: (Message | ConnectionEvent)[]): Effect[];
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
    send(...requests) {
      const effects: Effect[] = [];
      for (let first = 0; first < requests.length; ) {
        const made = handleBatch(packRequests(requests.slice(first)));
        effects.push(...readEffects(made).map((effect) => ({ ...effect, request: effect.request + first })));
        first += restOf(made) ?? requests.length;
      }
      return effects;
    },
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
    ...fakeSessions(options.sessions ?? {}, wellFormed),
  };
}

const PRESENCES: readonly Presence[] = ["offline", "connected", "suspended"];

function fakeSessions(sessions: TestSessions, wellFormed: (text: string) => string) {
  const members = (channel: string) => sessions.members?.(wellFormed(channel)) ?? [];
  return {
    online: (uid: number) => PRESENCES.indexOf(sessions.online?.(uid) ?? "offline"),
    connectionOf: (uid: number) => sessions.connectionOf?.(uid) ?? 0,
    uidOf: (conn: number) => sessions.uidOf?.(conn) ?? 0,
    address(conn: number) {
      const address = sessions.address?.(conn);
      if (address === undefined) throw new Error("it is gone");
      return address;
    },
    count(what: number) {
      const { connections = 0, bound = 0, suspended = 0 } = sessions.counts?.() ?? {};
      return [connections, bound, suspended][what] ?? 0;
    },
    memberCount: (channel: string) => members(channel).length,
    members: (channel: string, max: number) => new Uint8Array(new BigUint64Array(members(channel).slice(0, max).map(BigInt)).buffer),
  };
}

/** Messages and events in the packed layout. */
export function packRequests(requests: (Message | ConnectionEvent)[]): Uint8Array {
  const HEADER = 32;
  const bodies = requests.map(bodyOf);
  const out = new Uint8Array(bodies.reduce((size, body) => size + HEADER + body.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  requests.forEach((request, i) => {
    view.setUint32(at, HEADER + bodies[i].length, true);
    view.setUint16(at + 4, HEADER, true);
    view.setBigUint64(at + 8, BigInt(request.conn ?? 1), true);
    view.setBigInt64(at + 16, BigInt(request.uid ?? 0), true);
    if ("event" in request) {
      view.setUint8(at + 6, EVENT_NAMES.indexOf(request.event) + 1);
    } else {
      view.setUint8(at + 6, KIND_MESSAGE);
      view.setInt32(at + 24, request.route, true);
      view.setInt32(at + 28, request.seq ?? 0, true);
    }
    out.set(bodies[i], at + HEADER);
    at += HEADER + bodies[i].length;
  });
  return out;
}

function bodyOf(request: Message | ConnectionEvent): Uint8Array {
  if ("event" in request) return new TextEncoder().encode(request.detail ?? "");
  return request.body instanceof Uint8Array ? request.body : new TextEncoder().encode(JSON.stringify(request.body));
}

/** Effects out of the packed layout. */
export function readEffects(bytes: Uint8Array): Effect[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return recordsOf(view)
    .filter((at) => view.getUint8(at + 6) !== KIND_REST)
    .map((at) => readEffect(view, at, bytes.slice(at + view.getUint16(at + 4, true), at + view.getUint32(at, true))));
}

/** The place of the first request that was left for the next call. */
export function restOf(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = recordsOf(view).at(-1);
  return last !== undefined && view.getUint8(last + 6) === KIND_REST ? view.getUint32(last + 8, true) : undefined;
}

/** Where the records of a list begin. */
function recordsOf(view: DataView): number[] {
  const places: number[] = [];
  for (let at = 0; at < view.byteLength; at += view.getUint32(at, true)) places.push(at);
  return places;
}

function readEffect(view: DataView, at: number, body: Uint8Array): Effect {
  const kind = view.getUint8(at + 6);
  const flags = view.getUint8(at + 7);
  const request = view.getUint32(at + 8, true);
  const route = view.getInt32(at + 12, true);
  const uids = (flags & 1) !== 0;
  const target = readU64(view, at + 16);
  const uid = readUid(view, at + 16);
  const text = (from = 0, to = body.length) => new TextDecoder().decode(body.subarray(from, to));
  switch (kind) {
    case KIND_REPLY:
      return { kind: "reply", request, body };
    case KIND_ERROR:
      return { kind: "error", request, code: route, text: text() };
    case KIND_PUSH:
      return uids ? { kind: "pushUid", request, uid, route, body } : { kind: "push", request, conn: target, route, body };
    case KIND_MULTICAST: {
      const words = new DataView(body.buffer, body.byteOffset, 8 * target);
      const places = Array.from({ length: target }, (_, i) => 8 * i);
      const message = body.slice(8 * target);
      return uids
        ? { kind: "multicastUids", request, uids: places.map((place) => readUid(words, place)), route, body: message }
        : { kind: "multicast", request, conns: places.map((place) => readU64(words, place)), route, body: message };
    }
    case KIND_BROADCAST:
      return { kind: "broadcast", request, bound: target === 1, route, body };
    case KIND_PUBLISH:
      return { kind: "publish", request, channel: text(0, target), route, body: body.slice(target) };
    case KIND_SUBSCRIBE:
      return uids ? { kind: "subscribeUid", request, channel: text(), uid } : { kind: "subscribe", request, channel: text(), conn: target };
    case KIND_UNSUBSCRIBE:
      return uids ? { kind: "unsubscribeUid", request, channel: text(), uid } : { kind: "unsubscribe", request, channel: text(), conn: target };
    case KIND_BIND:
      return { kind: "bind", request, uid: readUid(new DataView(body.buffer, body.byteOffset, body.length), 0), conn: target };
    case KIND_UNBIND:
      return uids ? { kind: "unbindUid", request, uid } : { kind: "unbind", request, conn: target };
    case KIND_KICK: {
      const how = { code: route, reason: text(), now: (flags & 2) !== 0 };
      return uids ? { kind: "kickUid", request, uid, ...how } : { kind: "kick", request, conn: target, ...how };
    }
    default:
      throw new Error(`effect of kind ${kind}`);
  }
}

/** A number if it holds the uid exactly. */
function readUid(view: DataView, at: number): Uid {
  const uid = view.getBigInt64(at, true);
  return BigInt.asIntN(54, uid) === uid ? Number(uid) : uid;
}
