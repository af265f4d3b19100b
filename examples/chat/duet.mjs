// The server as a process, for `npm start` and the tests.
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The one that DUET_BIN names, or the one that is built in this repository. */
export function findDuet() {
  const built = ["release", "debug"].map((profile) => fileURLToPath(new URL(`../../target/${profile}/duet`, import.meta.url)));
  const duet = [process.env.DUET_BIN, ...built].find((file) => file && existsSync(file));
  if (duet === undefined) throw new Error("no duet: build it (`cargo build -p duet` at the top of the repository) or name it in DUET_BIN");
  return duet;
}

/**
 * Runs it in a folder with a `duet.toml` of these settings, and waits until it is ready: on any free port, because others may run a server
 * on the default one, and with the plugin compiled, however long that takes. Passes on what it prints, unless told not to.
 */
export async function runDuet(duet, folder, { settings = "", quiet = false } = {}) {
  writeFileSync(join(folder, "duet.toml"), `${settings}
[runtime]
start_wait = "5m"
compile_timeout = "5m"

[[listener]]
protocol = "ws"
address = "127.0.0.1:0"
`);
  const child = spawn(duet, ["run", "--config", "duet.toml"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const server = { child, port: 0, output: "" };
  await new Promise((ready, reject) => {
    const take = (to) => (chunk) => {
      server.output += chunk;
      if (!quiet) to.write(chunk);
      server.port ||= Number(/ws:\/\/127\.0\.0\.1:(\d+)/.exec(server.output)?.[1] ?? 0);
      if (server.output.includes("ready in")) ready();
    };
    child.stdout.on("data", take(process.stdout));
    child.stderr.on("data", take(process.stderr));
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${duet} ended with ${code}${quiet ? `:\n${server.output}` : ""}`)));
  });
  return server;
}
