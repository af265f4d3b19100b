#!/usr/bin/env node
// duet-build: TypeScript in, component of the world `game` out.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { componentize } from "componentize-qjs";
import { build } from "esbuild";

const USAGE = "usage: duet-build src/plugin.ts [-o NAME.wasm] [--minify] [--small]";
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The contract: beside the SDK in the package, at the top of the repository in a checkout. */
function witFolder() {
  const folders = [join(root, "wit"), join(root, "../../wit")];
  const found = folders.find((folder) => existsSync(join(folder, "world.wit")));
  if (found === undefined) throw new Error(`no wit folder in ${folders.join(" or ")}`);
  return found;
}

/** One script with the plugin, the SDK and everything they import, except for what the host offers. */
async function bundle(entry, minify) {
  const result = await build({
    stdin: {
      // The order matters: the guest side sets up the globals before the plugin is evaluated.
      contents: `import { mount } from ${JSON.stringify(join(root, "src/guest.ts"))};
import plugin from ${JSON.stringify(entry)};
export const { lifecycle, batchHandler } = mount(plugin);`,
      resolveDir: dirname(entry),
      sourcefile: "component.ts",
      loader: "ts",
    },
    alias: { "@duet/plugin": join(root, "src/index.ts") },
    external: ["duet:plugin/*"],
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    minify,
    legalComments: "none",
    logLevel: "warning",
  });
  return result.outputFiles[0].text;
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
  const output = resolve(values.output ?? basename(entry).replace(/\.[cm]?[jt]s$/, ".wasm"));
  const started = performance.now();
  const { component } = await componentize({
    witPath: witFolder(),
    world: "game",
    jsSource: await bundle(entry, values.minify),
    // Not async, and without WASI: the host then links nothing but the interfaces of the contract.
    sync: true,
    stubWasi: true,
    optSize: values.small,
  });
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, component);
  console.error(`${values.output ?? output}: ${(component.length / 1024).toFixed(0)} KiB in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

try {
  await main();
} catch (error) {
  console.error(`duet-build: ${error.message}`);
  process.exit(1);
}
