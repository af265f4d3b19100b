// Serves this folder. `python3 -m http.server --directory web 8080` does the same, for a server on its default port.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

/** A server of the page on a port of 127.0.0.1; 0 is any free one. It tells the page where the chat is. */
export function serve(port, chatPort) {
  const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    if (path === "/server.json") {
      response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" }).end(JSON.stringify({ port: chatPort }));
      return;
    }
    const file = join(ROOT, normalize(path.endsWith("/") ? `${path}index.html` : path));
    const type = TYPES[extname(file)];
    if (type === undefined || !file.startsWith(ROOT) || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(404).end("not found");
      return;
    }
    response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server)));
}
