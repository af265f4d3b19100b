// A chat with rooms: who is logged in, who is in which room, and what they say.
//
// The memory of the instance is the state. The host does the rest: it knows which connections are members of a channel, keeps what a lost
// client misses, and reports by events who came and went.
import { type Context, definePlugin, type EventContext, PluginError } from "@duet/plugin";
import { check, NAME_MAX, ROOM_MAX, TEXT_MAX } from "./checks";
import { JOIN, LEAVE, LOGIN, type Member, MEMBERS, type News, PRESENCE, SAID, SAY } from "./protocol";

/** Error codes of this plugin. */
const NOT_LOGGED_IN = 1001;
const NOT_IN_A_ROOM = 1002;
const ROOM_IS_FULL = 1003;

/** Most members of a room: their list must fit into a message. */
const MEMBERS_MAX = 200;

/** Somebody who is logged in, on one connection. */
interface Player {
  readonly uid: number;
  readonly name: string;
  room?: string;
  away: boolean;
}

const players = new Map<number, Player>();
/** The players of each room by uid. An empty room does not exist. */
const rooms = new Map<string, Map<number, Player>>();

export default definePlugin({
  name: "chat",
  version: "0.1.0",
  routes: {
    [LOGIN]: {
      name: "login",
      check: (body) => ({ name: check(body, "name", NAME_MAX) }),
      handle(context, { name }: { name: string }) {
        const before = players.get(context.conn);
        if (before !== undefined) leave(context, before);
        const player = { uid: uidOf(name), name, away: false };
        // Only this makes the connection that of the uid. If the uid is online elsewhere, the other connection is closed.
        context.bind(player.uid);
        players.set(context.conn, player);
        return { uid: player.uid, name };
      },
    },
    [JOIN]: {
      name: "join",
      authorized: true,
      check: (body) => ({ room: check(body, "room", ROOM_MAX) }),
      handle(context, { room }: { room: string }) {
        const player = playerOf(context);
        if (player.room !== room) {
          // First what may fail: a handler that throws takes its effects back, but not what it did to the memory.
          if ((rooms.get(room)?.size ?? 0) >= MEMBERS_MAX) throw new PluginError(ROOM_IS_FULL, "the room is full");
          leave(context, player);
          enter(context, player, room);
        }
        return { room, members: membersOf(room) };
      },
    },
    [LEAVE]: {
      name: "leave",
      authorized: true,
      handle(context) {
        leave(context, playerOf(context));
        return {};
      },
    },
    [SAY]: {
      name: "say",
      authorized: true,
      check: (body) => ({ text: check(body, "text", TEXT_MAX) }),
      handle(context, { text }: { text: string }) {
        const { uid, name, room } = playerOf(context);
        if (room === undefined) throw new PluginError(NOT_IN_A_ROOM, "join a room first");
        context.publish(channel(room), SAID, { uid, name, text, at: context.nowMs() });
        return {};
      },
    },
    [MEMBERS]: {
      name: "members",
      authorized: true,
      handle(context) {
        const { room } = playerOf(context);
        return { room: room ?? null, members: room === undefined ? [] : membersOf(room) };
      },
    },
  },
  events: {
    // Its connection was lost. The host keeps its place for a while.
    suspend(context) {
      const player = players.get(context.conn);
      if (player === undefined) return;
      player.away = true;
      tell(context, player, "away");
    },
    resume(context) {
      const player = players.get(context.conn);
      if (player === undefined) return;
      player.away = false;
      tell(context, player, "back");
    },
    // It left, was replaced, or did not come back in time.
    disconnect(context) {
      const player = players.get(context.conn);
      if (player === undefined) return;
      players.delete(context.conn);
      leave(context, player);
    },
  },
});

function playerOf(context: Context): Player {
  const player = players.get(context.conn);
  // The host lets only bound connections through, but the login that is remembered may have been refused, or forgotten with an instance.
  if (player?.uid !== context.uid) throw new PluginError(NOT_LOGGED_IN, "log in again");
  return player;
}

function enter(context: Context, player: Player, room: string): void {
  const members = rooms.get(room) ?? new Map<number, Player>();
  // The same account on a connection that was just replaced: then it was there all the time.
  const before = members.get(player.uid);
  members.set(player.uid, player);
  rooms.set(room, members);
  player.room = room;
  if (before === undefined) tell(context, player, "joined");
  else if (before.away) tell(context, player, "back");
  // After the news, which is for the others.
  context.subscribe(channel(room));
}

function leave(context: EventContext, player: Player): void {
  const { room } = player;
  if (room === undefined) return;
  context.unsubscribe(channel(room));
  const members = rooms.get(room);
  // Unless another connection has taken over.
  if (members?.get(player.uid) === player) {
    members.delete(player.uid);
    if (members.size === 0) rooms.delete(room);
    tell(context, player, "left");
  }
  player.room = undefined;
}

/** Tells the room what became of a player. */
function tell(context: EventContext, { uid, name, room }: Player, what: News["what"]): void {
  if (room !== undefined) context.publish(channel(room), PRESENCE, { uid, name, what });
}

function membersOf(room: string): Member[] {
  return Array.from(rooms.get(room)?.values() ?? [], ({ uid, name, away }) => ({ uid, name, away }));
}

function channel(room: string): string {
  return `room:${room}`;
}

/**
 * The account of a name: 52 bits of a hash, so that nothing has to be stored. A game asks its own accounts here, and wants a proof before
 * it says who somebody is.
 */
function uidOf(name: string): number {
  let low = 0x811c9dc5;
  let high = 0x1000193;
  for (const character of name.toLowerCase()) {
    const code = character.codePointAt(0) ?? 0;
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x5bd1e995);
  }
  return (high & 0xf_ffff) * 2 ** 32 + (low >>> 0) || 1;
}
