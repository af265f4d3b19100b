// Reading requests of the packed layout, version 1 (`wit/packed.md`).

/** Version of the layout, as the manifest says it. */
export const PACKED_VERSION = 1;

/** Smallest header of a request. A host may send a longer one; the record says how long. */
export const REQUEST_HEADER_BYTES = 32;

/** Kind of a request: a message of a connection. Other kinds are skipped. */
export const KIND_MESSAGE = 0;

/** Two to the power of 32. */
const HIGH = 0x1_0000_0000;

/** A cursor over the records of one batch. */
export class Requests {
  /** Offset of the current record in bytes. */
  at: number;
  /** Offset of the body of the current record. */
  bodyAt: number;
  /** Offset behind the current record. */
  end: number;
  /** Kind of the current record. */
  kind: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private readonly length: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.length;
    this.at = 0;
    this.bodyAt = 0;
    this.end = 0;
    this.kind = 0;
  }

  /** Moves to the next record; false behind the last. Throws if a record does not fit. */
  next(): boolean {
    const at = this.end;
    const left = this.length - at;
    if (left === 0) return false;
    if (left < REQUEST_HEADER_BYTES) throw new Error(`request record cut off at ${at}`);
    const view = this.view;
    const size = view.getUint32(at, true);
    // u16 header, u8 kind, u8 flags: each call of a DataView counts in QuickJS.
    const word = view.getUint32(at + 4, true);
    const header = word & 0xffff;
    if (header < REQUEST_HEADER_BYTES || size < header || size > left) {
      throw new Error(`request record at ${at} does not fit: size ${size}, header ${header}, left ${left}`);
    }
    this.at = at;
    this.bodyAt = at + header;
    this.end = at + size;
    this.kind = (word >>> 16) & 0xff;
    return true;
  }

  /** Route of the current record. */
  route(): number {
    return this.view.getInt32(this.at + 24, true);
  }

  /** Body of the current record, not copied. */
  body(): Uint8Array {
    return this.bytes.subarray(this.bodyAt, this.end);
  }
}

/** A u64 below 2^53 as a number. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** An s64 as a number; not exact from 2^53 on. */
export function readS64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true);
}
