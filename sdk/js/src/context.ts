// What a handler sees of its request, and what it can do about it.
import {
  type Body,
  type Effects,
  FLAG_NOW,
  FLAG_UID,
  KIND_BIND,
  KIND_BROADCAST,
  KIND_KICK,
  KIND_MULTICAST,
  KIND_PUBLISH,
  KIND_PUSH,
  KIND_SUBSCRIBE,
  KIND_UNBIND,
  KIND_UNSUBSCRIBE,
  oneLine,
} from "./effects.js";
import type { Environment, Log, Random } from "./environment.js";
import { checkCode } from "./error.js";
import type { JsonReader, JsonWriter } from "./json.js";
import { readS64, readU64 } from "./packed.js";
import type { Sessions } from "./sessions.js";
import { channelBytes, checkConn, checkUid, targetWords, type Uid } from "./targets.js";

/** What the requests of a batch share. */
export interface Batch {
  readonly environment: Environment;
  readonly effects: Effects;
  readonly reader: JsonReader;
  readonly writer: JsonWriter;
  /** The batch as it came. */
  readonly view: DataView;
  /** The request whose handler runs; undefined after the last. */
  current: Context | undefined;
  /** Whether the current request is long, and ASCII without escapes. */
  simple: boolean;
  /** Whether the current request may no longer be answered. */
  replied: boolean;
}

export interface BroadcastOptions {
  /** Only to connections that are bound to a uid. */
  bound?: boolean;
}

/** How a connection is closed. */
export interface KickOptions {
  /** Code of the error packet, 1 to 65,535; 12 (`kicked`) if there is none. */
  code?: number;
  /** Text of the error packet. */
  reason?: string;
  /** At once: what waits to be sent, the error packet too, is lost. */
  now?: boolean;
}

/** The request being handled, and what can be done about it. Valid until the handler returns. */
export class Context {
  // Few fields: setting one costs 0.1 us. Declared only, or each would be set twice.
  declare private readonly batch: Batch;
  declare private readonly index: number;
  declare private readonly at: number;

  /** @internal */
  constructor(batch: Batch, index: number, at: number) {
    this.batch = batch;
    this.index = index;
    this.at = at;
  }

  /** The route the client sent. */
  get route(): number {
    return this.batch.view.getInt32(this.at + 24, true);
  }

  /** The connection the request came from. Not reused while the gate lives. */
  get conn(): number {
    return readU64(this.batch.view, this.at + 8);
  }

  /** The account the connection is bound to, 0 if none. Throws if a number cannot hold it exactly (from 2^53 on); see `uidBig`. */
  get uid(): number {
    const uid = readS64(this.batch.view, this.at + 16);
    if (!Number.isSafeInteger(uid)) throw new RangeError("the uid does not fit into a number, use uidBig");
    return uid;
  }

  /** The same as a BigInt, always exact. */
  get uidBig(): bigint {
    return this.batch.view.getBigInt64(this.at + 16, true);
  }

  /** The sequence number the client sent; the reply carries it. */
  get seq(): number {
    return this.batch.view.getInt32(this.at + 28, true);
  }

  get log(): Log {
    return this.batch.environment.log;
  }

  get random(): Random {
    return this.batch.environment.random;
  }

  /** Look-ups: who is online, who is a member of a channel. */
  get sessions(): Sessions {
    return this.batch.environment.sessions;
  }

  /** The configuration value at a key (dots go into tables), or undefined if there is none. */
  config<T = unknown>(key: string): T | undefined {
    return this.batch.environment.config<T>(key);
  }

  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number {
    return this.batch.environment.nowMs();
  }

  /** Microseconds since an arbitrary moment; never goes back. */
  monotonicUs(): number {
    return this.batch.environment.monotonicUs();
  }

  /** Replies, once: a `Uint8Array` as it is, anything else as JSON. What a handler returns is replied, so this is only for replying before pushing. */
  reply(body: unknown): void {
    const batch = this.batch;
    if (batch.current !== this) throw new Error(OVER);
    if (batch.replied) throw new Error("a request is answered only once, an event never");
    let message: Body | undefined = batch.simple ? batch.writer.writeObject(body, batch.reader.known) : undefined;
    if (message === undefined) {
      // Nothing would ever resume it: a component of this kind has no event loop.
      if (body instanceof Promise) throw new Error("a handler returned a promise; handlers are not async");
      message = body instanceof Uint8Array ? body : batch.writer.writeAny(body);
    }
    batch.effects.reply(this.index, message);
    batch.replied = true;
  }

  /**
   * Sends a message to a connection, after everything sent to it before; if it is gone, nothing happens. The body: a `Uint8Array` as it is,
   * anything else as JSON. Taken back if the handler throws, like all effects.
   */
  push(conn: number, route: number, body: unknown): void {
    // Spelled out, unlike its neighbours: in QuickJS each call counts, and this is what most handlers do besides replying.
    const batch = this.batch;
    if (batch.current !== this) throw new Error(OVER);
    if (!Number.isSafeInteger(conn) || conn < 0) checkConn(conn);
    if ((route | 0) !== route) checkRoute(route);
    const message = body instanceof Uint8Array ? body : batch.writer.write(body, batch.simple, batch.reader.known);
    batch.effects.add({ kind: KIND_PUSH, request: this.index, route, target: conn, words: undefined }, message);
  }

  /** The same to the connection of a uid. */
  pushUid(uid: Uid, route: number, body: unknown): void {
    this.send(KIND_PUSH | FLAG_UID, checkUid(uid), route, body);
  }

  /** The same to many connections; the body is written and encoded once. */
  multicast(conns: Iterable<number>, route: number, body: unknown): void {
    this.sendMany(KIND_MULTICAST, Array.from(conns, checkConn), route, body);
  }

  /** The same to the connections of many uids. */
  multicastUids(uids: Iterable<Uid>, route: number, body: unknown): void {
    this.sendMany(KIND_MULTICAST | FLAG_UID, Array.from(uids, checkUid), route, body);
  }

  /** The same to every connection of the gate, or to those that are bound to a uid. */
  broadcast(route: number, body: unknown, { bound = false }: BroadcastOptions = {}): void {
    this.send(KIND_BROADCAST, bound ? 1 : 0, route, body);
  }

  /** The same to all members of a channel. */
  publish(channel: string, route: number, body: unknown): void {
    const bytes = channelBytes(channel);
    checkRoute(route);
    const message = this.write(body);
    this.add(KIND_PUBLISH, route, bytes, typeof message === "string" ? channel + message : this.named(channel, message));
  }

  /**
   * Makes a connection, usually this one, a member of a channel. A name has 1 to 255 bytes. Members stay members while they are suspended;
   * the end of a connection ends its memberships. A connection is in at most 64 channels; the host drops and logs a further subscription.
   */
  subscribe(channel: string, conn = this.conn): void {
    channelBytes(channel);
    this.add(KIND_SUBSCRIBE, 0, checkConn(conn), channel);
  }

  /** The same with the connection of a uid. */
  subscribeUid(channel: string, uid: Uid): void {
    channelBytes(channel);
    this.add(KIND_SUBSCRIBE | FLAG_UID, 0, checkUid(uid), channel);
  }

  /** Ends a membership; all of them if the channel is undefined. */
  unsubscribe(channel?: string, conn = this.conn): void {
    if (channel !== undefined) channelBytes(channel);
    this.add(KIND_UNSUBSCRIBE, 0, checkConn(conn), channel ?? "");
  }

  /** The same with the connection of a uid. */
  unsubscribeUid(channel: string | undefined, uid: Uid): void {
    if (channel !== undefined) channelBytes(channel);
    this.add(KIND_UNSUBSCRIBE | FLAG_UID, 0, checkUid(uid), channel ?? "");
  }

  /**
   * Binds a connection, usually this one, to a uid. The plugin vouches for it: nothing else ever binds. Further messages carry the uid.
   *
   * Bind before you reply. If the uid is online elsewhere, the listener's `duplicate_login` decides: `kick-old` replaces the other
   * connection; `reject` refuses the bind. A refused bind, also of a connection that has ended, takes back what follows it: the client gets
   * error 13 (`already online`) instead of the reply, and the effects of this request that come after the bind are dropped.
   */
  bind(uid: Uid, conn = this.conn): void {
    this.add(KIND_BIND, 0, checkConn(conn), "", targetWords([checkUid(uid)]));
  }

  /** Takes the uid from a connection, usually this one. Its time to log in (`authorize_timeout`) starts again. */
  unbind(conn = this.conn): void {
    this.add(KIND_UNBIND, 0, checkConn(conn), "");
  }

  /** The same with the connection of a uid. */
  unbindUid(uid: Uid): void {
    this.add(KIND_UNBIND | FLAG_UID, 0, checkUid(uid), "");
  }

  /** Closes a connection after what was sent to it and an error packet on route 0. */
  kick(conn: number, options: KickOptions = {}): void {
    this.close(KIND_KICK, checkConn(conn), options);
  }

  /** The same with the connection of a uid. */
  kickUid(uid: Uid, options: KickOptions = {}): void {
    this.close(KIND_KICK | FLAG_UID, checkUid(uid), options);
  }

  private send(kind: number, target: Uid, route: number, body: unknown): void {
    checkRoute(route);
    this.add(kind, route, target, this.write(body));
  }

  private sendMany(kind: number, targets: Uid[], route: number, body: unknown): void {
    checkRoute(route);
    const message = this.write(body);
    if (targets.length > 0) this.add(kind, route, targets.length, message, targetWords(targets));
  }

  private close(kind: number, target: Uid, { code = 0, reason = "", now = false }: KickOptions): void {
    if (code !== 0) checkCode(code);
    this.add(now ? kind | FLAG_NOW : kind, code, target, oneLine(reason));
  }

  private write(body: unknown): Body {
    return body instanceof Uint8Array ? body : this.batch.writer.write(body, this.batch.simple, this.batch.reader.known);
  }

  private named(channel: string, message: Uint8Array): Uint8Array {
    const name = this.batch.environment.host.encode(channel);
    const body = new Uint8Array(name.length + message.length);
    body.set(name);
    body.set(message, name.length);
    return body;
  }

  private add(kind: number, route: number, target: Uid, body: Body, words?: Uint32Array): void {
    const batch = this.batch;
    if (batch.current !== this) throw new Error(OVER);
    batch.effects.add({ kind, request: this.index, route, target, words }, body);
  }
}

function checkRoute(route: number): void {
  if ((route | 0) !== route) throw new RangeError(`${route} is not a route`);
}

const OVER = "the request is over: effects are made before the handler returns";
