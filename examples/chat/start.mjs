// `npm start`: builds, runs the server with the chat plugin, and serves the page once it is up.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findDuet, runDuet } from "./duet.mjs";
import { serve } from "./web/serve.mjs";

/** The port of the page, if it is free. */
const PORT = 8080;

try {
  // First, so that nobody waits for a build to hear that there is no server.
  const duet = findDuet();
  execFileSync("npm", ["run", "--silent", "build"], { cwd: fileURLToPath(new URL(".", import.meta.url)), stdio: "inherit" });
  const server = await runDuet(duet, fileURLToPath(new URL("dist", import.meta.url)));
  server.child.on("exit", (code) => process.exit(code ?? 1));
  // The signal goes to both; this process waits for the server.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.child.kill(signal));
  const page = await servePage(server.port).catch((error) => {
    server.child.kill();
    throw error;
  });
  console.log(`\nthe page is http://localhost:${page.address().port}/ - open it in two tabs`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** On the port that was asked for; if none was, on the default one, or on any if that is taken. */
function servePage(chatPort) {
  if (process.env.PORT !== undefined) return serve(Number(process.env.PORT), chatPort);
  return serve(PORT, chatPort).catch((error) => (error.code === "EADDRINUSE" ? serve(0, chatPort) : Promise.reject(error)));
}
