// What the SDK needs from a host: the imports of the world `game`, behind an interface so that tests run without a host.

/** The imports of a plugin, one field for each function. */
export interface HostImports {
  /** UTF-8 to text; what is not UTF-8 becomes U+FFFD. */
  decode(bytes: Uint8Array): string;
  /** Text to UTF-8. The text must be well formed: an unpaired surrogate traps. */
  encode(text: string): Uint8Array;
  /** Writes a log line; 1 error, 2 warn, 3 info, 4 debug. The text must be well formed. */
  writeLog(level: number, message: string): void;
  /** The JSON text of a configuration value. Throws if there is none. */
  getConfig(key: string): string;
  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number;
  /** Microseconds since an arbitrary moment. */
  monotonicUs(): number;
  /** 32 random bits; the sign of the number is not defined. */
  randomNumber(): number;
  /** Random bytes, at most 65,536. */
  randomBytes(count: number): Uint8Array;
  /** Where a uid is: 0 offline, 1 connected, 2 suspended. Numbers only, here and below: a bigint traps. */
  online(uid: number): number;
  /** The connection of a uid; 0 if there is none. */
  connectionOf(uid: number): number;
  /** The uid of a connection, rounded from 2^53 on; 0 if there is none. */
  uidOf(conn: number): number;
  /** The remote address of a connection. Throws if it is gone. */
  address(conn: number): string;
  /** How many there are: 0 connections, 1 bound, 2 suspended. */
  count(what: number): number;
  /** How many members a channel has. */
  memberCount(channel: string): number;
  /** The first `max` members of a channel: u64 each, little endian. */
  members(channel: string, max: number): Uint8Array;
}
