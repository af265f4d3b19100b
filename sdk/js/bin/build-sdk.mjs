// Builds the SDK itself. `--test` adds the tests, `--wit` copies the contract into the package.
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const options = { bundle: true, format: "esm", platform: "node", target: "node20", logLevel: "warning" };

rmSync(dist, { recursive: true, force: true });
await build({ ...options, entryPoints: [join(root, "src/index.ts"), join(root, "src/testing.ts")], outdir: dist, splitting: true });

if (process.argv.includes("--test")) {
  const tests = readdirSync(join(root, "test")).filter((file) => file.endsWith(".test.ts"));
  await build({ ...options, entryPoints: tests.map((file) => join(root, "test", file)), outdir: join(dist, "test") });
}

if (process.argv.includes("--wit")) {
  const wit = join(root, "wit");
  rmSync(wit, { recursive: true, force: true });
  mkdirSync(wit);
  const source = join(root, "../../wit");
  for (const file of readdirSync(source)) {
    if (file.endsWith(".wit")) cpSync(join(source, file), join(wit, file));
  }
}
