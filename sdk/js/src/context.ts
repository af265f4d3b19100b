// What a handler sees of the host and of its request.
import type { Effects } from "./effects";
import type { HostImports } from "./host";
import type { JsonWriter } from "./json";
import { readS64, readU64 } from "./packed";

/** Log lines of the plugin. The host drops lines above 100 a second. */
export interface Log {
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
}

/** Random numbers from the operating system. */
export interface Random {
  /** A whole number from 0 to 2^32 - 1. */
  number(): number;
  /** Random bytes, at most 65,536. */
  bytes(count: number): Uint8Array;
}

/** What the host offers outside of a request, in `start` and `stop`. */
export class Environment {
  readonly log: Log;
  readonly random: Random;
  protected readonly host: HostImports;

  constructor(host: HostImports) {
    this.host = host;
    const line = (level: number) => (message: string) => host.writeLog(level, String(message).toWellFormed());
    this.log = { error: line(1), warn: line(2), info: line(3), debug: line(4) };
    this.random = { number: () => host.randomNumber() >>> 0, bytes: (count) => host.randomBytes(count) };
  }

  /** The configuration value at a key (dots go into tables), or undefined if there is none. */
  config<T = unknown>(key: string): T | undefined {
    let text: string;
    try {
      text = this.host.getConfig(String(key).toWellFormed());
    } catch {
      return undefined;
    }
    return JSON.parse(text) as T;
  }

  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number {
    return this.host.nowMs();
  }

  /** Microseconds since an arbitrary moment; never goes back. */
  monotonicUs(): number {
    return this.host.monotonicUs();
  }
}

/** What the requests of a batch share. */
export interface Batch {
  readonly environment: Environment;
  readonly effects: Effects;
  readonly writer: JsonWriter;
  /** The batch as it came. */
  readonly view: DataView;
  /** The request whose handler runs; undefined behind the last. */
  current: Context | undefined;
  /** Whether the current request is long, and ASCII without escapes. */
  simple: boolean;
  /** Whether the current request has a reply. */
  replied: boolean;
}

/** The request that is handled, and what can be done about it. Valid until the handler returns. */
export class Context {
  // Few fields: setting one costs 0.1 us.
  private readonly batch: Batch;
  private readonly index: number;
  private readonly at: number;

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
    if (batch.replied) throw new Error("a request is answered only once");
    // Nothing would ever resume it: a component of this kind has no event loop.
    if (body instanceof Promise) throw new Error("a handler returned a promise; handlers are not async");
    batch.effects.reply(this.index, body instanceof Uint8Array ? body : batch.writer.write(body, batch.simple));
    batch.replied = true;
  }

  /**
   * Sends a message to a connection, behind everything sent to it before; if it is gone, nothing happens. The body: a `Uint8Array` as it
   * is, anything else as JSON. Taken back if the handler throws.
   */
  push(conn: number, route: number, body: unknown): void {
    const batch = this.batch;
    if (batch.current !== this) throw new Error(OVER);
    if (!Number.isSafeInteger(conn) || conn < 0) throw new RangeError(`${conn} is not a connection`);
    if ((route | 0) !== route) throw new RangeError(`${route} is not a route`);
    batch.effects.push(this.index, conn, route, body instanceof Uint8Array ? body : batch.writer.write(body, batch.simple));
  }
}

const OVER = "the request is over: effects are made before the handler returns";
