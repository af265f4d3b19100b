// The server of a test: the one at DUET_WS, or a process of its own.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Returns the port, and `stop`. */
export async function startServer() {
  if (process.env.DUET_WS) return { port: Number(new URL(process.env.DUET_WS).port || 80), stop() {} };
  const duet = [process.env.DUET_BIN, path("../../../target/release/duet"), path("../../../target/debug/duet")].find((file) => file && existsSync(file));
  if (duet === undefined) throw new Error("no duet: name it in DUET_BIN, or a running one in DUET_WS");
  const folder = mkdtempSync(join(tmpdir(), "duet-chat-"));
  writeFileSync(join(folder, "duet.toml"), settings(folder));
  const child = spawn(duet, ["run", "--config", join(folder, "duet.toml")], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const port = await new Promise((resolve, reject) => {
    const look = (chunk) => {
      output += chunk;
      const listening = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(output);
      if (listening && output.includes("ready in")) resolve(Number(listening[1]));
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${duet} ended with ${code}:\n${output}`)));
  });
  return {
    port,
    async stop() {
      const gone = new Promise((done) => child.once("exit", done));
      child.kill();
      await gone;
      rmSync(folder, { recursive: true, force: true });
      return output;
    },
  };
}

function settings(folder) {
  return `
plugins = ${JSON.stringify(path("../dist/plugins"))}
cache = ${JSON.stringify(join(folder, "cache"))}

[gateway]
resume_timeout = "10s"

[[listener]]
protocol = "ws"
address = "127.0.0.1:0"
`;
}
