// A client of Duet: requests are promises, and a session survives the loss of its connection.
import { decode, DuetError, encode, HEARTBEAT, type Packet } from "./packets.js";

export { DuetError } from "./packets.js";

/** What the client is doing. */
export type State =
  | { is: "connecting" }
  /** Logged in, or resumed. */
  | { is: "open" }
  /** Lost; the next attempt is in this many milliseconds. */
  | { is: "waiting"; ms: number }
  /** Ended for good: left, kicked, replaced, or not logged in. */
  | { is: "closed"; error: DuetError };

/** Where a session outlives the page: `sessionStorage`. */
export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface Options {
  url: string;
  /** Logs in, by requests. Called on each connection that has no session to resume. What it throws ends the client. */
  login: () => Promise<unknown>;
  onState?: (state: State) => void;
  store?: Store;
  /** Milliseconds between heartbeats; twice as long a silence counts as a loss, which the next beat notices. */
  heartbeat?: number;
  /** Milliseconds that a request may take while there is a connection. */
  timeout?: number;
  /** Milliseconds before the second attempt to connect. It doubles, up to 15 s. */
  backoff?: number;
  /** Opens a socket; for tests. */
  open?: (url: string) => WebSocket;
}

/** Codes of the server that mean something to this client. */
const UNKNOWN_ROUTE = 3;
const GOING_AWAY = 10;
const SESSION_GONE = 11;
/** Reasons to try again later: no answer, busy, fault, timeout, unavailable, going away. */
const LATER = [0, 5, 6, 7, 8, GOING_AWAY];

/** The route for messages about sessions. */
const SESSION = -1;
const STORE_KEY = "duet.session";
const BACKOFF_MAX = 15_000;
/** A loss is noticed within three of these: 2.7 s. */
const HEARTBEAT_MS = 900;
/** How long a connection may take to open. */
const OPENING_MAX = 10_000;
const SEQ_MAX = 0x7fff;
/** Most messages that wait to be taken by the server. */
const UNTAKEN_MAX = 1000;
/** `WebSocket.OPEN`. */
const OPEN = 1;

/** What both sides know of a session. Only this part is stored. */
interface Session {
  token: string;
  ttl: number;
  /** Packets received since it was opened. */
  received: number;
  /** The last number given to a request. */
  seq: number;
}

/** A request that waits for its reply. */
interface Pending {
  resolve(body: unknown): void;
  reject(error: DuetError): void;
  timer?: ReturnType<typeof setTimeout>;
}

/** Reply to a message on the route of sessions. */
interface Opened {
  token: string;
  ttl_ms: number;
  received: number;
}

export class Duet {
  readonly #options: Options;
  readonly #handlers = new Map<number, (body: never) => void>();
  readonly #pending = new Map<number, Pending>();
  #state: State = { is: "closed", error: new DuetError(0, "not started") };
  #socket?: WebSocket;
  /** Sockets given up as lost. Closing one is a goodbye that would end the session, so it waits until there is another. */
  #abandoned: WebSocket[] = [];
  #session?: Session;
  #seq = 0;
  /** Whether messages wait: from a loss on until the session is resumed. */
  #held = false;
  /** Whether messages are counted: from the moment on that a session is asked for. */
  #counting = false;
  /** Messages that the server may not have taken yet, and how many it has taken before them. A page that was reloaded does not know. */
  #untaken: { seq: number; packet: Uint8Array<ArrayBuffer> }[] = [];
  #taken?: number;
  #attempts = 0;
  #heard = 0;
  #retryAfter?: number;
  #farewell?: DuetError;
  #beat?: ReturnType<typeof setInterval>;
  #retry?: ReturnType<typeof setTimeout>;
  #expiry?: ReturnType<typeof setTimeout>;

  constructor(options: Options) {
    this.#options = options;
    const stored = options.store?.getItem(STORE_KEY);
    if (!stored) return;
    this.#session = JSON.parse(stored) as Session;
    this.#seq = this.#session.seq;
    this.#held = this.#counting = true;
  }

  get state(): State {
    return this.#state;
  }

  /** Whether there is a session to resume, for instance of the page before it was reloaded. */
  get hasSession(): boolean {
    return this.#session !== undefined;
  }

  /** Handles the pushes of a route. */
  on<Body>(route: number, handler: (body: Body) => void): void {
    this.#handlers.set(route, handler);
  }

  /** Connects. */
  start(): void {
    this.#connect();
  }

  /** Sends a request. During a loss it waits for the session to be resumed. */
  request<Reply>(route: number, body: unknown): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      if (this.#session === undefined && this.#socket?.readyState !== OPEN) throw new DuetError(0, "there is no connection");
      if (Math.max(this.#untaken.length, this.#pending.size) >= UNTAKEN_MAX) throw new DuetError(0, "too many messages wait");
      const seq = this.#nextSeq();
      const packet = encode(route, seq, toBytes(body));
      this.#pending.set(seq, { resolve: resolve as (body: unknown) => void, reject });
      if (!this.#held) {
        this.#socket?.send(packet);
        this.#startTimer(seq);
      }
      if (this.#counting) this.#untaken.push({ seq, packet });
      this.#save();
    });
  }

  /** Tries again now instead of later. */
  retryNow(): void {
    if (this.#state.is !== "waiting") return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  /** Leaves for good. */
  leave(): void {
    this.#end(new DuetError(0, ""));
  }

  #connect(): void {
    this.#become({ is: "connecting" });
    this.#heard = Date.now();
    const socket = this.#options.open?.(this.#options.url) ?? new WebSocket(this.#options.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#heard = Date.now();
      void this.#begin();
    };
    socket.onmessage = ({ data }) => this.#take(data as ArrayBuffer);
    socket.onclose = () => this.#lost();
    this.#watch(socket);
  }

  /** Notices a dead network, which a browser does late. */
  #watch(socket: WebSocket): void {
    const interval = this.#options.heartbeat ?? HEARTBEAT_MS;
    let last = Date.now();
    this.#beat = setInterval(() => {
      const now = Date.now();
      // The page was in the background, or the machine asleep. What came meanwhile is handled first.
      const late = now - last >= 2 * interval;
      last = now;
      const isOpen = socket.readyState === OPEN;
      if (!late && now - this.#heard >= (isOpen ? 2 * interval : OPENING_MAX)) this.#lost();
      else if (isOpen) socket.send(HEARTBEAT);
    }, interval);
  }

  /** What comes first on a connection: the old session, or a new one. */
  async #begin(): Promise<void> {
    const socket = this.#socket;
    try {
      if (this.#session === undefined || !(await this.#resume(this.#session))) {
        await this.#options.login();
        await this.#openSession();
      }
      this.#attempts = 0;
      this.#become({ is: "open" });
    } catch (thrown) {
      // If the connection was lost meanwhile, the next one starts over.
      if (socket !== this.#socket) return;
      const error = thrown instanceof DuetError ? thrown : new DuetError(1, String(thrown));
      if (LATER.includes(error.code)) this.#lost();
      else this.#end(error);
    }
  }

  async #openSession(): Promise<void> {
    this.#counting = true;
    this.#taken = 0;
    try {
      await this.#ask({}, ({ token, ttl_ms }) => {
        this.#session = { token, ttl: ttl_ms, received: 0, seq: this.#seq };
        this.#save();
      });
    } catch (error) {
      // A server that resumes no sessions. It works without.
      if (!(error instanceof DuetError) || error.code !== UNKNOWN_ROUTE) throw error;
      this.#counting = false;
      this.#untaken = [];
    }
  }

  /** Goes on where the lost connection ended; false if the server no longer knows of it. */
  async #resume(session: Session): Promise<boolean> {
    try {
      await this.#ask({ token: session.token, received: session.received }, ({ token, ttl_ms, received }) => {
        clearTimeout(this.#expiry);
        session.token = token;
        session.ttl = ttl_ms;
        // Sends what the server missed. What we missed follows by itself.
        this.#untaken.splice(0, received - (this.#taken ?? received));
        this.#taken = received;
        this.#held = false;
        for (const { packet } of this.#untaken) this.#socket?.send(packet);
        for (const seq of this.#pending.keys()) this.#startTimer(seq);
        this.#save();
      });
      return true;
    } catch (error) {
      if (!(error instanceof DuetError) || error.code !== SESSION_GONE) throw error;
      this.#forget(error);
      return false;
    }
  }

  /** A request about the session itself: not counted, and never sent again. The reply is handled before the packet after it. */
  #ask(body: object, taken: (opened: Opened) => void): Promise<void> {
    return new Promise<void>((done, reject) => {
      const resolve = (opened: unknown) => {
        taken(opened as Opened);
        done();
      };
      // Found by its route: there is never more than one under way.
      this.#pending.set(SESSION, { resolve, reject });
      this.#startTimer(SESSION);
      this.#socket?.send(encode(SESSION, this.#nextSeq(), toBytes(body)));
    });
  }

  #take(data: ArrayBuffer): void {
    this.#heard = Date.now();
    const packet = decode(data);
    if (packet === undefined) return;
    const { route, seq, error } = packet;
    if (error !== undefined && route === 0 && seq === 0) {
      this.#farewell = error;
      this.#retryAfter = Number(/retry-after-ms=(\d+)/.exec(error.message)?.[1] ?? 0);
      return;
    }
    if (route === SESSION) {
      this.#settle(SESSION, packet);
      return;
    }
    if (this.#session !== undefined) {
      this.#session.received++;
      this.#save();
    }
    if (seq === 0) this.#handlers.get(route)?.(fromBytes(packet.body) as never);
    else this.#settle(seq, packet);
  }

  #settle(seq: number, { error, body }: Packet): void {
    // An answer to a message means that those before it were taken.
    const place = this.#untaken.findIndex((message) => message.seq === seq);
    this.#untaken.splice(0, place + 1);
    if (this.#taken !== undefined) this.#taken += place + 1;
    const pending = this.#pending.get(seq);
    this.#pending.delete(seq);
    clearTimeout(pending?.timer);
    if (error !== undefined) pending?.reject(error);
    else pending?.resolve(fromBytes(body));
  }

  #lost(): void {
    this.#drop();
    const farewell = this.#farewell;
    this.#farewell = undefined;
    if (farewell !== undefined && farewell.code !== GOING_AWAY) {
      this.#end(farewell);
      return;
    }
    const lost = new DuetError(0, "the connection was lost");
    if (this.#session === undefined) this.#forget(lost);
    else this.#pause(this.#session, lost);
    const limit = Math.min((this.#options.backoff ?? 500) * 2 ** this.#attempts++, BACKOFF_MAX);
    // Spread out, so that the clients of a server that went down do not all come at the same moment.
    const ms = (this.#retryAfter ?? 0) + limit * (0.5 + Math.random() / 2);
    this.#retryAfter = undefined;
    this.#retry = setTimeout(() => this.#connect(), ms);
    this.#become({ is: "waiting", ms });
  }

  /** Stops the clocks of requests until the session is resumed, or no longer can be. */
  #pause(session: Session, lost: DuetError): void {
    this.#held = true;
    this.#pending.get(SESSION)?.reject(lost);
    this.#pending.delete(SESSION);
    for (const pending of this.#pending.values()) clearTimeout(pending.timer);
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#forget(new DuetError(SESSION_GONE, "session gone")), session.ttl);
  }

  #end(error: DuetError): void {
    this.#drop();
    clearTimeout(this.#retry);
    this.#forget(error);
    this.#become({ is: "closed", error });
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#beat);
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.#abandoned.push(socket);
  }

  #forget(error: DuetError): void {
    clearTimeout(this.#expiry);
    this.#session = undefined;
    this.#held = this.#counting = false;
    this.#untaken = [];
    this.#options.store?.removeItem(STORE_KEY);
    this.#rejectAll(error);
  }

  #rejectAll(error: DuetError): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }

  #startTimer(seq: number): void {
    const pending = this.#pending.get(seq);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    pending.timer = setTimeout(() => {
      this.#pending.delete(seq);
      pending.reject(new DuetError(0, "no answer in time"));
    }, this.#options.timeout ?? 10_000);
  }

  #nextSeq(): number {
    do this.#seq = (this.#seq % SEQ_MAX) + 1;
    while (this.#pending.has(this.#seq));
    return this.#seq;
  }

  #save(): void {
    if (this.#session === undefined) return;
    this.#session.seq = this.#seq;
    this.#options.store?.setItem(STORE_KEY, JSON.stringify(this.#session));
  }

  #become(state: State): void {
    this.#state = state;
    if (state.is === "open" || state.is === "closed") for (const socket of this.#abandoned.splice(0)) socket.close();
    this.#options.onState?.(state);
  }
}

function toBytes(body: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}

function fromBytes(body: Uint8Array): unknown {
  return body.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(body));
}
