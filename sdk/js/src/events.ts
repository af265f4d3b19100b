// Events of connections: what their handlers get.
import type { Context } from "./context.js";

/** What is known of an event besides `conn` and `uid`, which are in the context. */
export interface Events {
  /** A connection was opened; before its first message. The remote address: `203.0.113.9:4711` or `[2001:db8::1]:4711`. */
  connect: { address: string };
  /** The connection was bound to the uid. */
  bind: Record<never, never>;
  /** It ended, after its last message; `uid` is the one it was bound to. The cause as the gate counts it: `client_left`, `kicked`, `silence`, ... */
  disconnect: { cause: string };
  /** It was lost and may be resumed. Until then it stays bound and a member of its channels; what is sent to it waits. */
  suspend: { cause: string };
  /** It is back with the same `conn` and `uid`, from this address. */
  resume: { address: string };
}

export type EventName = keyof Events;

/** What a handler of an event sees: an event has no reply, route or seq. */
export type EventContext = Omit<Context, "reply" | "route" | "seq">;

/** Handlers of events, in order with the messages of the same connection. One that throws is logged and its effects are taken back. Not async. */
export type EventHandlers = { [Name in EventName]?: (context: EventContext, event: Events[Name]) => void };

/** Names in the order of their kinds (`wit/packed.md`), which count from 1. */
export const EVENT_NAMES: readonly EventName[] = ["connect", "bind", "disconnect", "suspend", "resume"];

/** The event whose record has this body. */
export function eventOf(name: EventName, body: string): Events[EventName] {
  if (name === "bind") return {};
  return name === "connect" || name === "resume" ? { address: body } : { cause: body };
}
