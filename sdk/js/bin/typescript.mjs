// Where the TypeScript compiler is.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The script `tsc` of the project that a folder belongs to; if it has none, that of the SDK. */
export function typeScript(folder) {
  const sdk = dirname(fileURLToPath(import.meta.url));
  const manifest = createRequire(join(folder, "x")).resolve("typescript/package.json", { paths: [folder, sdk] });
  return join(dirname(manifest), "bin/tsc");
}
