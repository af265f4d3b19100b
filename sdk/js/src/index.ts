// `@duet/plugin`: what a plugin imports.
export type { Context, Environment, Log, Random } from "./context.ts";
export { ErrorCode, PluginError } from "./error.ts";
export { type BytesRoute, definePlugin, type JsonRoute, type Plugin, type PluginDefinition, type Route, route } from "./plugin.ts";
