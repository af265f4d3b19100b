// The server of a test: the one at DUET_WS, or a process of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findDuet, runDuet } from "../duet.mjs";

/** Returns the port, and `stop`. */
export async function startServer() {
  if (process.env.DUET_WS) return { port: Number(new URL(process.env.DUET_WS).port || 80), stop() {} };
  const folder = mkdtempSync(join(tmpdir(), "duet-chat-"));
  const server = await runDuet(findDuet(), folder, { settings: settings(folder), quiet: true });
  return {
    port: server.port,
    async stop() {
      const gone = new Promise((done) => server.child.once("exit", done));
      server.child.kill();
      await gone;
      rmSync(folder, { recursive: true, force: true });
      return server.output;
    },
  };
}

function settings(folder) {
  return `
plugins = ${JSON.stringify(fileURLToPath(new URL("../dist/plugins", import.meta.url)))}
cache = ${JSON.stringify(join(folder, "cache"))}

[gateway]
resume_timeout = "10s"
`;
}
