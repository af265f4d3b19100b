// From a batch of requests to its effects: decode, call the handler, collect what it wants.
import { type Batch, Context } from "./context.js";
import { Effects, LIST_SIZE } from "./effects.js";
import { Environment } from "./environment.js";
import { ErrorCode, PluginError } from "./error.js";
import { EVENT_NAMES, type EventHandlers, eventOf } from "./events.js";
import type { HostImports } from "./host.js";
import { BACKSLASH, HARMLESS_BYTES, isSimple, JsonReader, JsonWriter } from "./json.js";
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
  private readonly reader: JsonReader;
  private readonly writer: JsonWriter;
  private readonly readsJson: boolean;

  constructor(plugin: Plugin, host: HostImports) {
    this.routes = plugin.routes;
    this.events = plugin.definition.events ?? {};
    this.host = host;
    this.environment = new Environment(host);
    this.reader = new JsonReader();
    this.writer = new JsonWriter();
    this.readsJson = Array.from(plugin.routes.values()).some((route) => route.body !== "bytes");
  }

  /** `batch-handler.handle-batch`. The loop is spelled out: in QuickJS each call and each property access counts. */
  handleBatch(bytes: Uint8Array): Uint8Array {
    const length = bytes.length;
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    const effects = new Effects();
    const { environment, reader, writer } = this;
    const batch: Batch = { environment, effects, reader, writer, view, current: undefined, simple: false, replied: false };
    const texts = this.readsJson ? decodeTogether(this.host, bytes) : undefined;
    const pieces = texts?.pieces;
    // The first backslash at or after the last long body that was read.
    let backslash = -1;
    let index = -1;
    let end = 0;
    for (let at = 0; at < length; at = end) {
      index++;
      if (effects.size >= LIST_SIZE) {
        effects.rest(index);
        break;
      }
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
      const context = new Context(batch, index, at);
      batch.current = context;
      batch.simple = false;
      batch.replied = false;
      try {
        const start = at + header;
        let request: unknown;
        if (route.body === "bytes") {
          request = bytes.subarray(start, end);
        } else if (texts === undefined) {
          request = this.decode(bytes, start, end, batch);
        } else {
          let text = pieces === undefined ? texts.whole.slice(start, end) : pieces[index + 1];
          if (end - start >= HARMLESS_BYTES) {
            if (backslash < start) backslash = next(bytes, BACKSLASH, start);
            batch.simple = backslash >= end && (pieces === undefined || text.length === size - 1);
            // A slice of a long string is a view, which the parser would copy byte by byte. This copies it at once.
            text += " ";
          }
          request = reader.read(bytes, start, end, text);
        }
        const answer = route.handle(context, (route.check === undefined ? request : check(route, request)) as Uint8Array);
        if (answer !== undefined) context.reply(answer);
      } catch (error) {
        effects.takeBack(index);
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
    const context = new Context(batch, index, at);
    batch.current = context;
    batch.simple = false;
    // So that nothing replies.
    batch.replied = true;
    try {
      const done: unknown = handler(context, eventOf(name, this.host.decode(body)) as never);
      if (done instanceof Promise) throw new Error("a handler returned a promise; handlers are not async");
    } catch (error) {
      batch.effects.takeBack(index);
      this.environment.log.error(`event ${name}: ${describe(error)}`);
    }
  }

  /** The value of a body that is decoded by itself. */
  private decode(bytes: Uint8Array, start: number, end: number, batch: Batch): unknown {
    const body = bytes.subarray(start, end);
    const text = this.host.decode(body);
    batch.simple = body.length >= HARMLESS_BYTES && isSimple(body, text);
    return this.reader.read(bytes, start, end, text);
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

/** Where a byte comes next; the end if it does not. */
function next(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at === -1 ? bytes.length : at;
}
