// `@duet/plugin`: what a plugin imports.
export type { Context, Environment, Log, Random } from "./context";
export { ErrorCode, PluginError } from "./error";
export { type BytesRoute, definePlugin, type JsonRoute, type Plugin, type PluginDefinition, type Route, route } from "./plugin";
