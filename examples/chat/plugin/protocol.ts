// What client and plugin agree on.

/** Requests. */
export const LOGIN = 100;
export const JOIN = 101;
export const LEAVE = 102;
export const SAY = 103;
export const MEMBERS = 104;

/** Pushes. */
export const SAID = 110;
export const PRESENCE = 111;

/** Somebody in a room. */
export interface Member {
  uid: number;
  name: string;
  /** Lost, and may come back. */
  away: boolean;
}

/** Reply to `JOIN` and `MEMBERS`. */
export interface Room {
  room: string | null;
  members: Member[];
}

/** Push on `SAID`. */
export interface Said {
  uid: number;
  name: string;
  text: string;
  /** Milliseconds since 1970-01-01 UTC. */
  at: number;
}

/** Push on `PRESENCE`. */
export interface News {
  uid: number;
  name: string;
  what: "joined" | "left" | "away" | "back";
}
