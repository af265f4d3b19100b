// `npm start`: runs the server with the chat plugin, and serves the page beside it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serve } from "./web/serve.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const candidates = [process.env.DUET_BIN, path("../../target/release/duet"), path("../../target/debug/duet")];
const duet = candidates.find((file) => file !== undefined && existsSync(file));
if (duet === undefined) {
  console.error("no duet: build it (`cargo build -p duet` at the top of the repository) or name it in DUET_BIN");
  process.exit(1);
}

const port = Number(process.env.PORT ?? 8080);
const page = await serve(port);
console.log(`the page is http://localhost:${page.address().port}/ - open it in two tabs`);

// Its settings are the defaults: ws on 127.0.0.1:3553, and the plugins of the folder `plugins`.
const server = spawn(duet, ["run"], { cwd: path("dist"), stdio: "inherit" });
server.on("error", (error) => console.error(`${duet}: ${error.message}`));
server.on("exit", (code) => process.exit(code ?? 1));
// The signal goes to both; this process waits for the server.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill(signal));
