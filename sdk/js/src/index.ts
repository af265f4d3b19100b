// `@duet/plugin`: what a plugin imports.
export type { BroadcastOptions, Context, KickOptions } from "./context";
export type { Environment, Log, Random } from "./environment";
export type { EventContext, EventHandlers, EventName, Events } from "./events";
export { ErrorCode, PluginError } from "./error";
export { type BytesRoute, definePlugin, type JsonRoute, type Plugin, type PluginDefinition, type Route, route } from "./plugin";
export type { Presence, Sessions } from "./sessions";
export type { Uid } from "./targets";
