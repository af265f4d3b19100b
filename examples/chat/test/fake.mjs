// A server that speaks what the client needs: packets, heartbeats, and sessions that are resumed.
import { WebSocketServer } from "ws";

export class FakeServer {
  /** Messages that were taken, as `route body`. */
  taken = [];
  /** Which messages are answered, and how. */
  answer = (_route, body) => body;
  beats = true;
  sessions = true;
  connections = 0;
  /** Called before a message about the session is answered. */
  onSession = () => {};
  #session;
  #socket;

  constructor() {
    this.#server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    this.#server.on("connection", (socket) => {
      this.connections++;
      this.#socket = socket;
      socket.on("error", () => {});
      socket.on("message", (data) => this.#take(socket, data));
    });
  }

  #server;

  async url() {
    if (this.#server.address() === null) await new Promise((done) => this.#server.once("listening", done));
    return `ws://127.0.0.1:${this.#server.address().port}/`;
  }

  /** A push, or a reply with its seq. It is kept if the client is not connected. */
  send(route, body, seq = 0) {
    const packet = encode(0, route, seq, Buffer.from(JSON.stringify(body)));
    this.#session?.kept.push(packet);
    this.#socket?.send(packet);
  }

  /** An error packet. Those of the connection itself, on route 0 and with seq 0, are not counted. */
  fail(route, seq, code, text) {
    const packet = encode(1, route, seq, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(text)]));
    if (route > 0) this.#session?.kept.push(packet);
    this.#socket?.send(packet);
  }

  /** The connection is lost, without a goodbye. */
  cut() {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  /** The session is forgotten. */
  forget() {
    this.#session = undefined;
  }

  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((done) => this.#server.close(done));
  }

  #take(socket, data) {
    if (data.length < 9) {
      if (this.beats) socket.send(data);
      return;
    }
    const [route, seq] = [data.readInt16BE(5), data.readInt16BE(7)];
    const body = JSON.parse(data.subarray(9).toString());
    if (route === -1) return this.#speakOfSession(socket, seq, body);
    this.taken.push(`${route} ${JSON.stringify(body)}`);
    if (this.#session !== undefined) this.#session.received++;
    const answer = this.answer(route, body, seq);
    if (answer !== undefined) this.send(route, answer, seq);
  }

  #speakOfSession(socket, seq, { token, received }) {
    this.onSession();
    if (!this.sessions) return this.fail(-1, seq, 3, "unknown route");
    let gap = [];
    if (token === undefined) {
      this.#session = { received: 0, kept: [] };
    } else if (this.#session?.token === token && received <= this.#session.kept.length) {
      gap = this.#session.kept.slice(received);
    } else {
      return this.fail(-1, seq, 11, "session gone");
    }
    this.#session.token = Math.random().toString(16).slice(2).padEnd(32, "0");
    const opened = { token: this.#session.token, ttl_ms: 5000, received: this.#session.received };
    socket.send(encode(0, -1, seq, Buffer.from(JSON.stringify(opened))));
    for (const packet of gap) socket.send(packet);
  }
}

function encode(extcode, route, seq, body) {
  const packet = Buffer.alloc(9 + body.length);
  packet.writeUInt32BE(5 + body.length, 0);
  packet.writeUInt8(extcode, 4);
  packet.writeInt16BE(route, 5);
  packet.writeInt16BE(seq, 7);
  body.copy(packet, 9);
  return packet;
}
