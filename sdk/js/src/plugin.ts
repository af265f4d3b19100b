// How a plugin is described: its name, its routes and its events.
import type { Context } from "./context.js";
import type { Environment } from "./environment.js";
import { EVENT_NAMES, type EventHandlers } from "./events.js";
import { PACKED_VERSION } from "./packed.js";

/** What routes of both kinds have. */
interface RouteBase {
  /** For people: logs and the console. */
  name?: string;
  /** Only for connections that are bound to a uid. */
  authorized?: boolean;
  /** Not for clients. */
  internal?: boolean;
}

/** A route whose requests are JSON. */
export interface JsonRoute<Request> extends RouteBase {
  body?: "json";
  /** Checks what the client sent and returns the request; throws to answer with error 2 and the message. Without it the type is only a promise. */
  check?(body: unknown): Request;
  /** What it returns is the reply: a `Uint8Array` as it is, anything else as JSON. Without a value there is no reply. Not async. */
  handle(context: Context, request: Request): unknown;
}

/** A route whose requests are bytes that the SDK does not look into. */
export interface BytesRoute extends RouteBase {
  body: "bytes";
  /** As in a JSON route. */
  check?(body: Uint8Array): Uint8Array;
  /** As in a JSON route. The request is a view into the batch; copy it (`slice`) to keep it. */
  handle(context: Context, request: Uint8Array): unknown;
}

/** Any route. The request of each has a type of its own, which a table of routes cannot name. */
export type Route = JsonRoute<any> | BytesRoute;

/** What a plugin is. */
export interface PluginDefinition {
  /** For people; configuration goes by the name of the file. */
  name: string;
  version: string;
  /** Handlers by route number (s32), as clients send it. */
  routes: Record<number, Route>;
  /** Handlers of events of connections. Only events that have one are delivered. */
  events?: EventHandlers;
  /** Called in each new instance before its first message. Throwing keeps the plugin from being loaded. */
  start?(environment: Environment): void;
  /** Called before an instance is dropped in good order. */
  stop?(environment: Environment): void;
}

/** A plugin whose definition was checked. */
export interface Plugin {
  readonly definition: PluginDefinition;
  readonly routes: ReadonlyMap<number, Route>;
  /** The manifest, as `lifecycle.describe` returns it. */
  readonly manifest: string;
}

/** Most routes a manifest may have. */
const ROUTES_MAX = 4096;

/** Checks a definition. The module of a plugin exports the result as its default. */
export function definePlugin(definition: PluginDefinition): Plugin {
  if (typeof definition.name !== "string" || definition.name === "") throw new TypeError("a plugin needs a name");
  if (typeof definition.version !== "string" || definition.version === "") throw new TypeError("a plugin needs a version");
  const routes = new Map<number, Route>();
  for (const [key, route] of Object.entries(definition.routes)) {
    const number = Number(key);
    if (String(number | 0) !== key) throw new TypeError(`"${key}" is not a route number`);
    if (typeof route.handle !== "function") throw new TypeError(`route ${key} has no handle function`);
    refuseAsync(`the handler of route ${key}`, route.handle);
    if (route.body !== undefined && route.body !== "json" && route.body !== "bytes") {
      throw new TypeError(`route ${key}: body is "json" or "bytes"`);
    }
    routes.set(number, route);
  }
  if (routes.size > ROUTES_MAX) throw new RangeError(`${routes.size} routes, ${ROUTES_MAX} is the most`);
  for (const [name, handler] of Object.entries(definition.events ?? {})) {
    if (!(EVENT_NAMES as readonly string[]).includes(name)) throw new TypeError(`"${name}" is not an event: ${EVENT_NAMES.join(", ")}`);
    if (handler === undefined) continue;
    if (typeof handler !== "function") throw new TypeError(`the event ${name} has no handler function`);
    refuseAsync(`the handler of the event ${name}`, handler);
  }
  refuseAsync("start", definition.start);
  refuseAsync("stop", definition.stop);
  return { definition, routes, manifest: manifest(definition, routes) };
}

/** There is no event loop that could carry on with it. A function that returns a promise without saying so fails when it is called. */
function refuseAsync(what: string, handler: unknown): void {
  if (Object.prototype.toString.call(handler) === "[object AsyncFunction]") {
    throw new TypeError(`${what} is async; nothing waits for it here: take async and await away`);
  }
}

/** Gives a route outside of `definePlugin` its types. */
export function route<Request>(route: JsonRoute<Request>): JsonRoute<Request>;
export function route(route: BytesRoute): BytesRoute;
export function route(route: Route): Route {
  return route;
}

function manifest(definition: PluginDefinition, routes: ReadonlyMap<number, Route>): string {
  return JSON.stringify({
    name: definition.name,
    version: definition.version,
    packed: PACKED_VERSION,
    routes: Array.from(routes, ([number, { name, authorized, internal }]) => ({ route: number, name, authorized, internal })),
    events: EVENT_NAMES.filter((name) => definition.events?.[name] !== undefined),
  });
}
