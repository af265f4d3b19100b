// A client that shows on the wire and to its caller what due-client-ts shows; the code is our own, on npm ws.
import WebSocket from 'ws';

export class Client {
  onConnect = () => {};
  onDisconnect = (_event) => {};
  onReceive = (_message) => {};
  // Not in due-client-ts: whatever cannot be read, and each heartbeat of the server.
  onBad = (_error) => {};
  onHeartbeat = (_heartbeat) => {};
  heartbeatsSent = 0;

  // heartbeat is the interval in ms, 0 for none.
  constructor({ url, packer, heartbeat = 0 }) {
    this.url = url;
    this.packer = packer;
    this.interval = heartbeat;
    this.pending = new Map(); // route -> { seq, waiting: Map seq -> resolve }
  }

  connect() {
    this.disconnect();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      if (this.interval > 0) this.timer = setInterval(() => this.#beat(), this.interval);
      this.onConnect();
    };
    socket.onmessage = (event) => this.#take(event.data);
    socket.onerror = () => {};
    socket.onclose = (event) => this.onDisconnect(event);
  }

  // Closes without onDisconnect being called.
  disconnect() {
    clearInterval(this.timer);
    const socket = this.socket;
    this.socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  isConnected() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  // Fire and forget; false if there is no connection.
  send(message) {
    if (!this.isConnected()) return false;
    this.socket.send(this.packer.pack(message));
    return true;
  }

  // Seq counts up from 1 for each route and does not wrap. A timeout leaves the entry, so a late reply is swallowed.
  request(route, body, timeoutMs = 0) {
    return new Promise((resolve, reject) => {
      if (!this.isConnected()) return reject(new Error('not connected'));
      const group = this.pending.get(route) ?? { seq: 0, waiting: new Map() };
      this.pending.set(route, group);
      const seq = ++group.seq;
      const timer = timeoutMs > 0 ? setTimeout(() => reject(new Error(`no reply on route ${route} with seq ${seq}`)), timeoutMs) : undefined;
      group.waiting.set(seq, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      this.send({ route, seq, body });
    });
  }

  #beat() {
    if (!this.isConnected()) return;
    this.socket.send(this.packer.heartbeat());
    this.heartbeatsSent += 1;
  }

  #take(data) {
    if (!(data instanceof ArrayBuffer)) return this.onBad(new Error('a text message'));
    if (data.byteLength === 0) return;
    let message;
    try {
      message = this.packer.unpack(data);
    } catch (error) {
      return this.onBad(error);
    }
    if (message.heartbeat) return this.onHeartbeat(message);
    if (!this.#answer(message)) this.onReceive(message);
  }

  // A packet with a seq other than 0 on a route that was ever requested is a reply, wanted or not.
  #answer(message) {
    const group = this.pending.get(message.route);
    if (message.seq === 0 || group === undefined) return false;
    const resolve = group.waiting.get(message.seq);
    group.waiting.delete(message.seq);
    resolve?.(message);
    return true;
  }
}
