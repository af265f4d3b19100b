// A network between a page and the server that can fail.
import { connect, createServer } from "node:net";

/** Passes connections on to a port of this machine until it is cut. */
export class Proxy {
  #pairs = new Set();
  #cut = false;
  #frozen = false;
  #server;

  static async to(port) {
    const proxy = new Proxy();
    proxy.#server = createServer((client) => proxy.#pass(client, port));
    await new Promise((done) => proxy.#server.listen(0, "127.0.0.1", done));
    return proxy;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Both sides see a reset, without a goodbye. Nothing gets through until `restore`. */
  cut() {
    this.#cut = true;
    for (const socket of this.#pairs) socket.resetAndDestroy();
  }

  /** Nothing gets through any more, and nobody is told. Those that connect later wait. */
  freeze() {
    this.#frozen = true;
    for (const socket of this.#pairs) socket.pause();
  }

  restore() {
    this.#cut = this.#frozen = false;
    for (const socket of this.#pairs) socket.resume();
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #pass(client, port) {
    if (this.#cut) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(port, "127.0.0.1");
    for (const [from, to] of [[client, server], [server, client]]) {
      this.#pairs.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(from);
        to.destroy();
      });
      from.pipe(to);
      if (this.#frozen) from.pause();
    }
  }
}
