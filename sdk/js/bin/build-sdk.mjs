// Builds the SDK itself into `dist`: scripts, types and the contract. `--test` adds the tests.
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { typeScript } from "./typescript.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const options = { bundle: true, format: "esm", platform: "node", target: "node20", logLevel: "warning" };

rmSync(dist, { recursive: true, force: true });
const sources = ["index.ts", "testing.ts", "stack.ts"].map((file) => join(root, "src", file));
await build({ ...options, entryPoints: sources, outdir: dist, splitting: true });
execFileSync(process.execPath, [typeScript(root), "--project", join(root, "tsconfig.types.json")], { stdio: "inherit" });
for (const file of readdirSync(join(root, "../../wit"))) {
  if (file.endsWith(".wit")) cpSync(join(root, "../../wit", file), join(dist, "wit", file));
}

if (process.argv.includes("--test")) {
  const tests = readdirSync(join(root, "test")).filter((file) => file.endsWith(".test.ts"));
  await build({ ...options, entryPoints: tests.map((file) => join(root, "test", file)), outdir: join(dist, "test") });
}
