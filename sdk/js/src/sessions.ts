// What the gate knows about connections.
import type { HostImports } from "./host.js";
import { readU64 } from "./packed.js";
import { channelBytes, checkConn, checkUid, type Uid } from "./targets.js";

/** Where a uid is. */
export type Presence = "offline" | "connected" | "suspended";

const PRESENCES: readonly Presence[] = ["offline", "connected", "suspended"];
/** Most members the host returns. */
const MEMBERS_MAX = 65536;

/**
 * Look-ups. The answers are as of now: effects of the call that asks are not in them yet. Each crosses to the host, which takes
 * a microsecond or two.
 */
export class Sessions {
  private readonly host: HostImports;

  /** @internal */
  constructor(host: HostImports) {
    this.host = host;
  }

  /** Where a uid is. */
  online(uid: Uid): Presence {
    return PRESENCES[this.host.online(exact(uid))] ?? "offline";
  }

  /** The connection of a uid, suspended or not; undefined if there is none. */
  connectionOf(uid: Uid): number | undefined {
    return this.host.connectionOf(exact(uid)) || undefined;
  }

  /** The uid of a connection; 0 if it is not bound or gone. Throws if a number cannot hold it exactly (from 2^53 on). */
  uidOf(conn: number): number {
    const uid = this.host.uidOf(checkConn(conn));
    if (!Number.isSafeInteger(uid)) throw new RangeError("the uid does not fit into a number");
    return uid;
  }

  /** The remote address of a connection (`203.0.113.9:4711`), behind a trusted proxy that of its client; undefined if it is gone. */
  address(conn: number): string | undefined {
    checkConn(conn);
    try {
      return this.host.address(conn);
    } catch {
      return undefined;
    }
  }

  /** How many connections the gate has, how many of them are bound to a uid, and how many are suspended. */
  counts(): { connections: number; bound: number; suspended: number } {
    return { connections: this.host.count(0), bound: this.host.count(1), suspended: this.host.count(2) };
  }

  /** How many members a channel has, suspended ones included. */
  memberCount(channel: string): number {
    channelBytes(channel);
    return this.host.memberCount(channel);
  }

  /** Connections that are members of a channel, in no order; at most `max`, and 65,536. */
  members(channel: string, max = MEMBERS_MAX): number[] {
    channelBytes(channel);
    const bytes = this.host.members(channel, Math.min(max, MEMBERS_MAX) >>> 0);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length >>> 3 }, (_, i) => readU64(view, 8 * i));
  }
}

/** A uid as the imports take it: a number. */
function exact(uid: Uid): number {
  const number = Number(checkUid(uid));
  if (!Number.isSafeInteger(number)) throw new RangeError("look-ups take uids below 2^53");
  return number;
}
