// Collecting effects and writing them in the packed layout, version 1 (`wit/packed.md`).
import type { HostImports } from "./host.js";
import type { Uid } from "./targets.js";

/** Bytes of the header this SDK writes. */
export const EFFECT_HEADER_BYTES = 24;
/** Kind: the reply to a request. */
export const KIND_REPLY = 0;
/** Kind: an error packet for a request. */
export const KIND_ERROR = 1;
/** Kind: a message to any connection. */
export const KIND_PUSH = 2;
/** Kind: the same to many. */
export const KIND_MULTICAST = 3;
/** Kind: the same to all. */
export const KIND_BROADCAST = 4;
/** Kind: the same to the members of a channel. */
export const KIND_PUBLISH = 5;
/** Kind: makes a connection a member of a channel. */
export const KIND_SUBSCRIBE = 6;
/** Kind: ends a membership, or all. */
export const KIND_UNSUBSCRIBE = 7;
/** Kind: binds a connection to a uid. */
export const KIND_BIND = 8;
/** Kind: takes the uid from a connection. */
export const KIND_UNBIND = 9;
/** Kind: closes a connection. */
export const KIND_KICK = 10;
/** Kind: leaves requests for the next call. */
export const KIND_REST = 11;

/** Flag: targets are uids. Kind and flags are neighbours, so they are written as one number. */
export const FLAG_UID = 0x100;
/** Flag of a kick: at once, what waits is lost. */
export const FLAG_NOW = 0x200;

/**
 * Most effects of one request, as the host counts them (`wit/imports.wit`); above that it drops the instance. A reply or an error has a
 * place of its own and is never refused.
 */
export const EFFECTS_MAX = 4096;
/**
 * Once the effects of a batch come to so much, the rest of its requests is left for the next call. Far below what the host takes with room
 * for one more request, also if each character is three bytes, because a call has to fit into the memory of the instance.
 */
export const LIST_SIZE = 1 << 20;
/** Answers below this are not counted, which would cost each of them: all of a batch come to little. */
const COUNTED_SIZE = 1024;

const HIGH = 0x1_0000_0000;

/**
 * The header of a reply with size and request left out, between two texts. It starts with a control character that neither JSON nor the text
 * of an error contains, so the headers are found again in the encoded bytes.
 */
const GAP_BYTE = 0x1e;
const GAP = `\x1e\0\0\0${String.fromCharCode(EFFECT_HEADER_BYTES)}${"\0".repeat(EFFECT_HEADER_BYTES - 5)}`;

/** A body: text, or bytes as they are. Text must be well formed and without control characters. */
export type Body = string | Uint8Array;

/** What a header says besides the size. */
export interface Head {
  /** Kind and flags. */
  kind: number;
  request: number;
  route: number;
  target: Uid;
  /** The numbers in front of the body, if any: targets, or a uid. */
  words: Uint32Array | undefined;
}

/** The effects of one call, in order. */
export class Effects {
  /** For a reply the number of its request. */
  private readonly heads: (Head | number)[];
  /** An empty text, then the body of each head, so that joining puts a gap before each body. */
  private readonly bodies: Body[];
  private textOnly: boolean;
  /** Bytes and characters so far, about. What was dropped is still counted. */
  size: number;

  constructor() {
    this.size = 0;
    this.heads = [];
    this.bodies = [""];
    this.textOnly = true;
  }

  /** Adds the reply to a request. */
  reply(request: number, body: Body): void {
    if (typeof body !== "string") this.textOnly = false;
    if (body.length >= COUNTED_SIZE) this.size += body.length;
    const { heads, bodies } = this;
    heads[heads.length] = request;
    bodies[bodies.length] = body;
  }

  /** Adds an error packet for a request. */
  error(request: number, code: number, text: string): void {
    this.heads.push({ kind: KIND_ERROR, request, route: code, target: 0, words: undefined });
    const body = oneLine(text);
    if (body.length >= COUNTED_SIZE) this.size += body.length;
    this.bodies.push(body);
  }

  /** Leaves the requests from this one on for the next call. Nothing comes behind it. */
  rest(request: number): void {
    this.heads.push({ kind: KIND_REST, request, route: 0, target: 0, words: undefined });
    this.bodies.push("");
  }

  /** Adds any other effect. Throws if its request has made too many. */
  add(head: Head, body: Body): void {
    const count = this.heads.length;
    if (count >= EFFECTS_MAX && requestOf(this.heads[count - EFFECTS_MAX]) === head.request && this.isFull(head.request)) {
      throw new Error(`more than ${EFFECTS_MAX} effects of one request`);
    }
    const whole = head.words === undefined ? body : behind(head.words.byteLength, body);
    if (typeof whole !== "string") this.textOnly = false;
    this.size += EFFECT_HEADER_BYTES + whole.length;
    this.heads.push(head);
    this.bodies.push(whole);
  }

  /** Whether the last request, which has as many heads or more, has as many effects besides its reply. */
  private isFull(request: number): boolean {
    const first = this.heads.length - EFFECTS_MAX;
    const replied = this.heads.indexOf(request, first) !== -1;
    return !replied || (first > 0 && requestOf(this.heads[first - 1]) === request);
  }

  /** Takes back the effects of the request that was added to last. */
  takeBack(request: number): void {
    let length = this.heads.length;
    while (length > 0 && requestOf(this.heads[length - 1]) === request) length--;
    this.heads.length = length;
    this.bodies.length = length + 1;
  }

  /** All effects as records, one after the other. */
  pack(host: Pick<HostImports, "encode">): Uint8Array {
    if (this.heads.length === 0) return new Uint8Array(0);
    return this.textOnly ? this.packTexts(host) : this.packMixed(host);
  }

  /** A crossing to the host costs more than encoding a small body, so all texts go in one. */
  private packTexts(host: Pick<HostImports, "encode">): Uint8Array {
    const { heads, bodies } = this;
    const text = bodies.join(GAP);
    const out = host.encode(text);
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const ascii = out.length === text.length;
    const last = heads.length - 1;
    let at = 0;
    for (let i = 0; i < last; i++) {
      const end = ascii ? at + EFFECT_HEADER_BYTES + bodies[i + 1].length : out.indexOf(GAP_BYTE, at + EFFECT_HEADER_BYTES);
      writeHead(view, at, end - at, heads[i]);
      at = end;
    }
    writeHead(view, at, out.length - at, heads[last]);
    return out;
  }

  private packMixed(host: Pick<HostImports, "encode">): Uint8Array {
    const bodies = this.bodies.slice(1).map((body) => (typeof body === "string" ? host.encode(body) : body));
    const out = new Uint8Array(bodies.reduce((size, body) => size + EFFECT_HEADER_BYTES + body.length, 0));
    const view = new DataView(out.buffer);
    let at = 0;
    bodies.forEach((body, i) => {
      const size = EFFECT_HEADER_BYTES + body.length;
      view.setUint16(at + 4, EFFECT_HEADER_BYTES, true);
      out.set(body, at + EFFECT_HEADER_BYTES);
      writeHead(view, at, size, this.heads[i]);
      at += size;
    });
    return out;
  }
}

/** Text as an error packet may have it. */
export function oneLine(text: string): string {
  return text.toWellFormed().replace(/[\0-\x1f]/g, " ");
}

function requestOf(head: Head | number): number {
  return typeof head === "number" ? head : head.request;
}

/** A body with room before it. Text stays text: the numbers are written over the spaces when it is encoded. */
function behind(room: number, body: Body): Body {
  if (typeof body === "string") return " ".repeat(room) + body;
  const bytes = new Uint8Array(room + body.length);
  bytes.set(body, room);
  return bytes;
}

/** Writes what differs from an empty reply. */
function writeHead(view: DataView, at: number, size: number, head: Head | number): void {
  view.setUint32(at, size, true);
  if (typeof head === "number") {
    view.setUint32(at + 8, head, true);
    return;
  }
  const { target, words } = head;
  view.setUint16(at + 6, head.kind, true);
  view.setUint32(at + 8, head.request, true);
  view.setInt32(at + 12, head.route, true);
  if (typeof target === "number") {
    view.setUint32(at + 16, target % HIGH, true);
    view.setUint32(at + 20, Math.floor(target / HIGH), true);
  } else {
    view.setBigInt64(at + 16, target, true);
  }
  if (words !== undefined) {
    new Uint8Array(view.buffer, view.byteOffset + at + EFFECT_HEADER_BYTES).set(new Uint8Array(words.buffer));
  }
}
