// From a batch of requests to its effects: decode, call the handler, collect what it wants.
import { Context, Environment } from "./context.ts";
import { Effects } from "./effects.ts";
import { ErrorCode, PluginError } from "./error.ts";
import type { HostImports } from "./host.ts";
import { HARMLESS_BYTES, JsonWriter, nestedTooDeeply } from "./json.ts";
import { KIND_MESSAGE, Requests } from "./packed.ts";
import type { JsonRoute, Plugin } from "./plugin.ts";
import { decodeTogether } from "./texts.ts";

/** A plugin on a host. */
export class Dispatcher {
  readonly environment: Environment;
  private readonly plugin: Plugin;
  private readonly host: HostImports;
  private readonly writer: JsonWriter;
  private readonly readsJson: boolean;

  constructor(plugin: Plugin, host: HostImports) {
    this.plugin = plugin;
    this.host = host;
    this.environment = new Environment(host);
    this.writer = new JsonWriter();
    this.readsJson = Array.from(plugin.routes.values()).some((route) => route.body !== "bytes");
  }

  /** `batch-handler.handle-batch`. */
  handleBatch(bytes: Uint8Array): Uint8Array {
    const effects = new Effects();
    const requests = new Requests(bytes);
    const batch = { environment: this.environment, effects, writer: this.writer, view: requests.view };
    const texts = this.readsJson ? decodeTogether(this.host, bytes) : undefined;
    const routes = this.plugin.routes;
    for (let index = 0; requests.next(); index++) {
      if (requests.kind !== KIND_MESSAGE) continue;
      const number = requests.route();
      const route = routes.get(number);
      if (route === undefined) {
        effects.error(index, ErrorCode.unknownRoute, "unknown route");
        continue;
      }
      const before = effects.length;
      const context = new Context(batch, index, requests.at, number);
      try {
        const request = route.body === "bytes" ? requests.body() : this.decode(route, requests, texts?.[index + 1]);
        const answer = route.handle(context, request as Uint8Array);
        if (answer !== undefined) this.answer(context, answer);
      } catch (error) {
        effects.truncate(before);
        this.fail(effects, index, number, error);
      }
      context.close();
    }
    return effects.pack(this.host);
  }

  private decode(route: JsonRoute<unknown>, requests: Requests, text: string | undefined): unknown {
    const body = text === undefined || requests.end - requests.bodyAt >= HARMLESS_BYTES ? requests.body() : undefined;
    if (body !== undefined && nestedTooDeeply(body)) throw new PluginError(ErrorCode.badRequest, "json is nested too deeply");
    let value: unknown;
    try {
      value = JSON.parse(text ?? this.host.decode(body as Uint8Array));
    } catch {
      throw new PluginError(ErrorCode.badRequest, "the body is not json");
    }
    if (body !== undefined) this.writer.learn(value, body);
    if (route.check === undefined) return value;
    try {
      return route.check(value);
    } catch (error) {
      throw new PluginError(ErrorCode.badRequest, error instanceof Error ? error.message : "the request was refused");
    }
  }

  private answer(context: Context, answer: unknown): void {
    // Nothing would ever resume it: a component of this kind has no event loop.
    if (answer instanceof Promise) throw new Error("the handler returned a promise; handlers are not async");
    context.reply(answer);
  }

  private fail(effects: Effects, index: number, route: number, error: unknown): void {
    let code: number = ErrorCode.handler;
    // The client gets the text of errors that were meant for it. Others may tell secrets, so they go to the log.
    let text = "the handler failed";
    if (error instanceof PluginError) {
      code = error.code;
      text = error.message;
    } else {
      this.environment.log.error(`route ${route}: ${describe(error)}`);
    }
    effects.error(index, code, text);
  }
}

/** An error with its stack, for the log. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  return error.stack ? `${error.name}: ${error.message}\n${error.stack}` : `${error.name}: ${error.message}`;
}
