// Reading requests of the packed layout, version 1 (`wit/packed.md`).

/** Version of the layout, as the manifest says it. */
export const PACKED_VERSION = 1;

/** Smallest header of a request. A host may send a longer one; the record says how long. */
export const REQUEST_HEADER_BYTES = 32;

/** Kind of a request: a message of a connection. The kinds after it are events; those that nobody handles are skipped. */
export const KIND_MESSAGE = 0;

/** Two to the power of 32. */
const HIGH = 0x1_0000_0000;

/** The error for a record that is not one: the host is at fault, so the call traps. */
export function malformed(at: number): Error {
  return new Error(`malformed request record at byte ${at}`);
}

/** A u64 below 2^53 as a number. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** An s64 as a number; not exact from 2^53 on. */
export function readS64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true);
}
