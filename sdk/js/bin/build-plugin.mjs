#!/usr/bin/env node
// duet+build: TypeScript in, component of the world `game` out.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { decode } from "@jridgewell/sourcemap-codec";
import { componentize } from "componentize-qjs";
import { build } from "esbuild";
import { framesOf } from "../dist/stack.js";
import { typeScript } from "./typescript.mjs";

const USAGE = "usage: duet+build src/plugin.ts [-o NAME.wasm] [--minify] [--small]";
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Placeholder in the bundle for the source map, which cannot be made before there is a bundle. */
const SOURCE_MAP = '"@source-map@"';
/** How a plugin is checked that has no tsconfig.json. */
const CHECKED = "--strict --target es2023 --lib es2023,es2024.string --module nodenext --types @duet/plugin/globals".split(" ");

/** Whether the types of the plugin are right, by the tsconfig.json nearest to it; tsc says what is wrong. */
function check(entry) {
  let folder = dirname(entry);
  while (!existsSync(join(folder, "tsconfig.json")) && folder !== dirname(folder)) folder = dirname(folder);
  const config = join(folder, "tsconfig.json");
  const what = existsSync(config) ? ["--project", config] : [...CHECKED, entry];
  return spawnSync(process.execPath, [typeScript(dirname(entry)), "--noEmit", ...what], { stdio: "inherit" }).status === 0;
}

/** One script with the plugin, the SDK and everything they import, except for what the host offers. And where each line comes from. */
async function bundle(entry, minify) {
  const result = await build({
    stdin: {
      // The order matters: the guest side sets up the globals before the plugin is evaluated.
      contents: `import { mount } from ${JSON.stringify(join(root, "src/guest.ts"))};
import * as module from ${JSON.stringify(entry)};
export const { lifecycle, batchHandler } = mount(module, ${SOURCE_MAP});`,
      resolveDir: dirname(entry),
      sourcefile: join(root, "component.ts"),
      loader: "ts",
    },
    alias: { "@duet/plugin": join(root, "src/index.ts") },
    external: ["duet:plugin/*"],
    bundle: true,
    write: false,
    outdir: process.cwd(),
    sourcemap: "external",
    sourcesContent: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    minify,
    legalComments: "none",
    logLevel: "warning",
  });
  const [map, script] = [".js.map", ".js"].map((end) => result.outputFiles.find(({ path }) => path.endsWith(end)).text);
  const sourceMap = marks(JSON.parse(map));
  // No code comes after it, so it moves no place that could be in a stack.
  return { sourceMap, script: script.replace(SOURCE_MAP, () => JSON.stringify(sourceMap)) };
}

/** A source map as the SDK looks things up in it (`src/stack.ts`). */
function marks({ sources, mappings }) {
  const own = sources.map((source) => !resolve(source).startsWith(root));
  const marks = [];
  let [source, line] = [-1, 0];
  decode(mappings).forEach((segments, i) => {
    for (const [column, from = -1, fromLine = 0] of segments) {
      const to = own[from] ? [from, fromLine + 1] : [-1, 0];
      if (to[0] === source && to[1] === line) continue;
      [source, line] = to;
      marks.push(i + 1, column + 1, source, line);
    }
  });
  return { sources: sources.map((source, i) => (own[i] ? source : "")), marks };
}

/** An error of the plugin's own modules, which run while the component is built. */
function explain(message, sourceMap) {
  const [what, ...stack] = message.replace(/^.*JavaScript module evaluation: /s, "").split(/\n(?=\s+at )/);
  return [what, ...framesOf(stack.join("\n"), sourceMap)].join("\n    ");
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o" },
      minify: { type: "boolean", default: false },
      small: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help || positionals.length !== 1) {
    console.error(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  const entry = resolve(positionals[0]);
  if (!existsSync(entry)) throw new Error(`there is no file ${positionals[0]}`);
  const output = resolve(values.output ?? basename(entry).replace(/\.[cm]?[jt]s$/, ".wasm"));
  const started = performance.now();
  if (!check(entry)) process.exit(1);
  const { script, sourceMap } = await bundle(entry, values.minify);
  const { component } = await componentize({
    witPath: join(root, "dist/wit"),
    world: "game",
    jsSource: script,
    // Not async, and without WASI: the host then links nothing but the interfaces of the contract.
    sync: true,
    stubWasi: true,
    optSize: values.small,
  }).catch((error) => {
    throw new Error(explain(error.message, sourceMap));
  });
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, component);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.error(`${relative("", output)}: ${(component.length / 1024).toFixed(0)} KiB in ${seconds} s`);
}

try {
  await main();
} catch (error) {
  console.error(`duet+build: ${error.message}`);
  process.exit(1);
}
