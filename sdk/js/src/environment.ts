// What the host offers in and outside of requests.
import type { HostImports } from "./host.js";
import { findRounded } from "./json.js";
import { Sessions } from "./sessions.js";

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
  readonly sessions: Sessions;
  /** @internal */
  readonly host: HostImports;

  constructor(host: HostImports) {
    this.host = host;
    const line = (level: number) => (message: string) => host.writeLog(level, String(message).toWellFormed());
    this.log = { error: line(1), warn: line(2), info: line(3), debug: line(4) };
    this.sessions = new Sessions(host);
    this.random = { number: () => host.randomNumber() >>> 0, bytes: (count) => host.randomBytes(count) };
  }

  /** The configuration value at a key (dots go into tables), or undefined if there is none. Throws if it has an integer from 2^53 on. */
  config<T = unknown>(key: string): T | undefined {
    let text: string;
    try {
      text = this.host.getConfig(String(key).toWellFormed());
    } catch {
      return undefined;
    }
    const value = JSON.parse(text) as T;
    const rounded = findRounded(value, text);
    if (rounded !== undefined) throw new RangeError(`config ${key}: ${rounded}`);
    return value;
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
