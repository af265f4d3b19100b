// `@duet/plugin`: what a plugin imports.
export type { BroadcastOptions, Context, KickOptions } from "./context.js";
export type { Environment, Log, Random } from "./environment.js";
export type { EventContext, EventHandlers, EventName, Events } from "./events.js";
export { ErrorCode, PluginError } from "./error.js";
export { type BytesRoute, definePlugin, type JsonRoute, type Plugin, type PluginDefinition, type Route, route } from "./plugin.js";
export type { Presence, Sessions } from "./sessions.js";
export type { Uid } from "./targets.js";
