// The side that only exists inside a component: the real imports, and the exports of the world `game`.
import * as clock from "duet:plugin/clock@0.1.0";
import * as config from "duet:plugin/config@0.1.0";
import * as log from "duet:plugin/log@0.1.0";
import * as random from "duet:plugin/random@0.1.0";
import * as sessions from "duet:plugin/sessions@0.1.0";
import * as text from "duet:plugin/text@0.1.0";
import { Dispatcher } from "./dispatch.js";
import { installGlobals } from "./globals.js";
import type { HostImports } from "./host.js";
import type { Plugin } from "./plugin.js";
import { describe, type SourceMap, useSourceMap } from "./stack.js";

/** Whether the host has called: until then the component is being built and no import can be used. */
let live = false;

function ready(what: string): void {
  if (!live) throw new Error(`${what} is not there while the plugin is built; use it in start or in a handler`);
}

// The imports of the hot path are the functions themselves. What a module may call at its top level is checked.
const host: HostImports = {
  decode: text.decode,
  encode: text.encode,
  getConfig: config.get,
  writeLog(level, message) {
    ready("the log");
    log.write(level, message);
  },
  nowMs() {
    ready("the clock");
    return clock.nowMs();
  },
  monotonicUs() {
    ready("the clock");
    return clock.monotonicUs();
  },
  randomNumber() {
    ready("the random generator");
    return random.number();
  },
  randomBytes(count) {
    ready("the random generator");
    return random.bytes(count);
  },
  // Look-ups are only reached through an environment, which a module does not have at its top level.
  online: sessions.online,
  connectionOf: sessions.connection,
  uidOf: sessions.uid,
  address: sessions.address,
  count: sessions.count,
  memberCount: sessions.memberCount,
  members: sessions.members,
};

// At the top level, so that it is done before the module of the plugin is evaluated.
installGlobals(host);

/** The exports of the component. */
export function mount({ default: plugin }: { default?: Plugin }, sourceMap: SourceMap): { lifecycle: object; batchHandler: object } {
  useSourceMap(sourceMap);
  if (plugin?.definition === undefined) throw new TypeError("the plugin's file has to say: export default definePlugin({ .. })");
  const dispatcher = new Dispatcher(plugin, host);
  const { definition, manifest } = plugin;
  return {
    lifecycle: {
      describe() {
        live = true;
        return manifest;
      },
      start() {
        live = true;
        try {
          definition.start?.(dispatcher.environment);
        } catch (error) {
          // The text becomes the error of the `result`.
          throw new Error(describe(error).toWellFormed());
        }
      },
      stop() {
        try {
          definition.stop?.(dispatcher.environment);
        } catch (error) {
          dispatcher.environment.log.error(`stop: ${describe(error)}`);
        }
      },
    },
    batchHandler: {
      handleBatch(requests: Uint8Array) {
        live = true;
        return dispatcher.handleBatch(requests);
      },
    },
  };
}
