// A page in Chromium that runs the session script on the browser's own WebSocket.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import net from 'node:net';
import { chromium } from 'playwright-core';

// What the page loads. The script's import of npm ws gets the browser's WebSocket.
const MODULES = ['session-script.mjs', 'due-client-ts.mjs', 'packer.mjs', 'within.mjs'];
const PAGE = `<!doctype html><title>session</title>
<script type="importmap">{"imports":{"ws":"data:text/javascript,export default WebSocket"}}</script>
<script type="module">import { runSession } from './session-script.mjs'; window.runSession = runSession;</script>`;

export async function inChromium(url, step) {
  const pages = await listening(createServer(servePage));
  const lossy = new Lossy(url);
  const proxy = await listening(lossy.server);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.exposeFunction('step', step);
    await page.exposeFunction('cut', () => lossy.cut());
    await page.goto(`http://127.0.0.1:${pages}/`);
    await page.waitForFunction('window.runSession');
    const lossyUrl = url.replace(new URL(url).host, `127.0.0.1:${proxy}`);
    step('browser', { version: browser.version() });
    await page.evaluate(([url, lossyUrl]) => window.runSession({ url, lossyUrl, cut: () => window.cut(), step: window.step }), [url, lossyUrl]);
    if (errors.length > 0) throw new Error(errors.join('; '));
  } finally {
    await browser.close();
  }
}

async function servePage(request, response) {
  const name = new URL(request.url, 'http://page').pathname.slice(1);
  if (name !== '' && !MODULES.includes(name)) return response.writeHead(404).end();
  const body = name === '' ? PAGE : await readFile(new URL(name, import.meta.url));
  response.writeHead(200, { 'content-type': name === '' ? 'text/html' : 'text/javascript' }).end(body);
}

// A network to the server that can fail: pages cannot end a WebSocket without a close frame.
class Lossy {
  #sockets = new Set();

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.server = net.createServer((client) => {
      const server = net.connect(Number(port), hostname);
      for (const [from, to] of [[client, server], [server, client]]) {
        this.#sockets.add(from);
        from.on('error', () => {}); // a close follows
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  // Both sides of every connection see a reset.
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

// Resolves to the port.
function listening(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}
