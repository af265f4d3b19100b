// `npm start` where the port of the page is taken: the page is there when it says so, the server behind it too, and both end with it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

const taken = createServer().listen(8080, "127.0.0.1");
// Or somebody else has it: that is just as well.
await Promise.race([once(taken, "listening"), once(taken, "error").catch(() => {})]);

const start = spawn(process.execPath, [fileURLToPath(new URL("../start.mjs", import.meta.url))], { env: { ...process.env, PORT: undefined } });
try {
  let output = "";
  start.stderr.pipe(process.stderr);
  const url = await new Promise((found, reject) => {
    start.stdout.on("data", (chunk) => {
      output += chunk;
      const [, url] = /the page is (\S+)/.exec(output) ?? [];
      if (url !== undefined) found(url);
    });
    start.on("exit", (code) => reject(new Error(`it ended with ${code}:\n${output}`)));
  });
  assert.match(output, /plugin +chat .*\n(.*\n)*ready in/, "the plugin is there before the page is");
  assert.notEqual(new URL(url).port, "8080");
  assert.match(await (await fetch(url)).text(), /<title>Duet chat/);
  const { port } = await (await fetch(`${url}server.json`)).json();
  const socket = new WebSocket(`ws://localhost:${port}/`, { origin: new URL(url).origin });
  await once(socket, "open");
  socket.terminate();
  const ended = once(start, "exit");
  start.kill();
  assert.deepEqual(await ended, [0, null]);
  console.log("ok: npm start takes a free port, and is up when it says so");
} finally {
  start.kill();
  taken.close();
}
