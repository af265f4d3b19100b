// From a batch of requests to its effects: decode, call the handler, collect what it wants.
import { type Batch, Context } from "./context.js";
import { Effects } from "./effects.js";
import { Environment } from "./environment.js";
import { ErrorCode, PluginError } from "./error.js";
import { EVENT_NAMES, type EventHandlers, eventOf } from "./events.js";
import type { HostImports } from "./host.js";
import { findRounded, HARMLESS_BYTES, isSimple, JsonWriter, nestedTooDeeply } from "./json.js";
import { KIND_MESSAGE, malformed, REQUEST_HEADER_BYTES } from "./packed.js";
import type { Plugin, Route } from "./plugin.js";
import { describe } from "./stack.js";
import { decodeTogether } from "./texts.js";

/** A plugin on a host. */
export class Dispatcher {
  readonly environment: Environment;
  private readonly routes: ReadonlyMap<number, Route>;
  private readonly events: EventHandlers;
  private readonly host: HostImports;
  private readonly writer: JsonWriter;
  private readonly readsJson: boolean;

  constructor(plugin: Plugin, host: HostImports) {
    this.routes = plugin.routes;
    this.events = plugin.definition.events ?? {};
    this.host = host;
    this.environment = new Environment(host);
    this.writer = new JsonWriter();
    this.readsJson = Array.from(plugin.routes.values()).some((route) => route.body !== "bytes");
  }

  /** `batch-handler.handle-batch`. The loop is spelled out: in QuickJS each call and each property access counts. */
  handleBatch(bytes: Uint8Array): Uint8Array {
    const length = bytes.length;
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    const effects = new Effects();
    const batch: Batch = { environment: this.environment, effects, writer: this.writer, view, current: undefined, simple: false, replied: false };
    const texts = this.readsJson ? decodeTogether(this.host, bytes) : undefined;
    let index = -1;
    let end = 0;
    for (let at = 0; at < length; at = end) {
      index++;
      if (length - at < REQUEST_HEADER_BYTES) throw malformed(at);
      const size = view.getUint32(at, true);
      // u16 header, u8 kind, u8 flags.
      const word = view.getUint32(at + 4, true);
      const header = word & 0xffff;
      if (header < REQUEST_HEADER_BYTES || size < header || size > length - at) throw malformed(at);
      end = at + size;
      const kind = (word >>> 16) & 0xff;
      if (kind !== KIND_MESSAGE) {
        this.handleEvent(batch, kind, index, at, bytes.subarray(at + header, end));
        continue;
      }
      const route = this.routes.get(view.getInt32(at + 24, true));
      if (route === undefined) {
        effects.error(index, ErrorCode.unknownRoute, "unknown route");
        continue;
      }
      const before = effects.length;
      const context = new Context(batch, index, at);
      batch.current = context;
      batch.simple = false;
      batch.replied = false;
      try {
        const request =
          texts !== undefined && size - header < HARMLESS_BYTES && route.body !== "bytes"
            ? parse(texts[index + 1])
            : this.decode(route, bytes.subarray(at + header, end), batch);
        const answer = route.handle(context, (route.check === undefined ? request : check(route, request)) as Uint8Array);
        if (answer !== undefined) context.reply(answer);
      } catch (error) {
        effects.truncate(before);
        this.fail(effects, index, context.route, error);
      }
    }
    batch.current = undefined;
    return effects.pack(this.host);
  }

  private handleEvent(batch: Batch, kind: number, index: number, at: number, body: Uint8Array): void {
    const name = EVENT_NAMES[kind - 1];
    const handler = name === undefined ? undefined : this.events[name];
    if (handler === undefined) return;
    const before = batch.effects.length;
    const context = new Context(batch, index, at);
    batch.current = context;
    batch.simple = false;
    // So that nothing replies.
    batch.replied = true;
    try {
      const done: unknown = handler(context, eventOf(name, this.host.decode(body)) as never);
      if (done instanceof Promise) throw new Error("a handler returned a promise; handlers are not async");
    } catch (error) {
      batch.effects.truncate(before);
      this.environment.log.error(`event ${name}: ${describe(error)}`);
    }
  }

  private decode(route: Route, body: Uint8Array, batch: Batch): unknown {
    if (route.body === "bytes") return body;
    if (nestedTooDeeply(body)) throw new PluginError(ErrorCode.badRequest, "json is nested too deeply");
    const text = this.host.decode(body);
    batch.simple = body.length >= HARMLESS_BYTES && isSimple(body, text);
    return parse(text);
  }

  private fail(effects: Effects, index: number, route: number, error: unknown): void {
    let code: number = ErrorCode.handler;
    // The client gets the text of errors that were meant for it. Others may give away secrets, so they go to the log.
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

function check(route: Route, request: unknown): unknown {
  try {
    return route.check?.(request as Uint8Array);
  } catch (error) {
    throw new PluginError(ErrorCode.badRequest, error instanceof Error ? error.message : "the request was refused");
  }
}

function parse(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PluginError(ErrorCode.badRequest, "the body is not json");
  }
  const rounded = findRounded(value, text);
  if (rounded !== undefined) throw new PluginError(ErrorCode.badRequest, rounded);
  return value;
}
