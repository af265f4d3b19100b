// The build of a plugin, as its author runs it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, test } from "node:test";

// Tests run in `dist/test`.
const sdk = resolve(import.meta.dirname, "../..");
const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder with these files, in which the SDK is installed. */
function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "duet-build-"));
  folders.push(folder);
  mkdirSync(join(folder, "node_modules/@duet"), { recursive: true });
  symlinkSync(sdk, join(folder, "node_modules/@duet/plugin"));
  for (const [name, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function run(folder: string, script: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

const build = (folder: string, ...args: string[]) => run(folder, join(sdk, "bin/build-plugin.mjs"), "src/plugin.ts", "-o", "out.wasm", ...args);

const plugin = (handler: string) => `import { definePlugin } from "@duet/plugin";
export default definePlugin({ name: "t", version: "1", routes: { 1: { handle: ${handler} } } });
`;

test("a plugin whose types are wrong is not built, with its own tsconfig.json and without", () => {
  const wrong = plugin("(context) => context.replie(1)");
  const configured: Record<string, string> = { "tsconfig.json": '{"compilerOptions":{"module":"nodenext","types":[]},"include":["src"]}' };
  for (const files of [{}, configured]) {
    const folder = project({ "src/plugin.ts": wrong, ...files });
    const { status, output } = build(folder);
    assert.equal(status, 1);
    assert.match(output, /^src\/plugin\.ts\(2,\d+\): error TS2339: Property 'replie' does not exist on type 'Context'/);
    assert.ok(!existsSync(join(folder, "out.wasm")));
  }
});

test("the globals of a plugin have types", () => {
  const body = `{ console.log(performance.now(), new TextDecoder().decode(new TextEncoder().encode("x")), crypto.getRandomValues(new Uint8Array(2))); }`;
  const { status, output } = build(project({ "src/plugin.ts": plugin(`() => ${body}`) }));
  assert.equal(status, 0, output);
  assert.match(output, /^out\.wasm: \d+ KiB in \d+\.\d s\n$/);
});

test("the types are right for the strictest compiler", () => {
  const options = { module: "nodenext", strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, types: [] };
  const folder = project({
    "src/plugin.ts": plugin("(context, { a }: { a: number }) => ({ uid: context.uid + a })"),
    "src/test.ts": `import { testHost, type Effect } from "@duet/plugin/testing";
import plugin from "./plugin.js";
export const effects: Effect[] = testHost(plugin).send({ route: 1, body: {} });
// @ts-expect-error
testHost(plugin).send({ rout: 1 });
`,
    "tsconfig.json": JSON.stringify({ compilerOptions: options, include: ["src"] }),
  });
  const { status, output } = run(folder, join(sdk, "node_modules/typescript/bin/tsc"));
  assert.equal(status, 0, output);
});

test("an error at the top level of a module names its file, its line and its cause", () => {
  const files = { "src/plugin.ts": `import "./dice.js";\n${plugin("() => 1")}`, "src/dice.ts": "interface Die {}\n\nfunction roll(): never { throw new RangeError(`no dice`); }\nroll();\n" };
  for (const minify of [[], ["--minify"]]) {
    const { status, output } = build(project(files), ...minify);
    assert.equal(status, 1);
    assert.match(output, /^duet\+build: (Range)?Error: no dice\n {4}at \S+ \(src\/dice\.ts:3\)\n {4}at <anonymous> \(src\/dice\.ts:4\)\n/);
  }
});

test("a plugin without a default export of definePlugin, or with an async handler, is told what to write instead", () => {
  const define = /^duet\+build: (Type)?Error: the plugin's file has to say: export default definePlugin\({ \.\. }\)\n/;
  for (const [source, expected] of [
    ["export const plugin = 1;\n", define],
    ['export default { name: "t", version: "1", routes: {} };\n', define],
    [plugin("async () => 1"), /^duet\+build: (Type)?Error: the handler of route 1 is async; .* take async and await away\n {4}at .*\(src\/plugin\.ts:2\)\n/],
  ] as [string, RegExp][]) {
    const { status, output } = build(project({ "src/plugin.ts": source }));
    assert.equal(status, 1);
    assert.match(output, expected);
  }
});

test("npx fetches nothing in place of the build tool where it is not installed", () => {
  const [name] = Object.keys(JSON.parse(readFileSync(join(sdk, "package.json"), "utf8")).bin);
  // Nobody listens there: whoever asks a registry fails with ECONNREFUSED.
  const env = { ...process.env, npm_config_registry: "http://127.0.0.1:9", npm_config_fetch_retries: "0", npm_config_yes: "true", npm_config_loglevel: "error" };
  const folder = mkdtempSync(join(tmpdir(), "duet-npx-"));
  folders.push(folder);
  const { status, stderr } = spawnSync("npx", [name], { cwd: folder, env, encoding: "utf8" });
  assert.notEqual(status, 0);
  assert.match(stderr, /EINVALIDTAGNAME|EINVALIDPACKAGENAME/);
});
