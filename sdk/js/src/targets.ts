// Whom an effect is for, checked here: a wrong one would cost the plugin its instance.

/** An account. A number is enough below 2^53. */
export type Uid = number | bigint;

/** Two to the power of 32. */
const HIGH = 0x1_0000_0000;
/** The largest s64. */
const UID_MAX = 2n ** 63n - 1n;
/** Longest name of a channel in bytes of UTF-8. */
const CHANNEL_BYTES_MAX = 255;

/** Checks a connection. */
export function checkConn(conn: number): number {
  if (!Number.isSafeInteger(conn) || conn < 0) throw new RangeError(`${conn} is not a connection`);
  return conn;
}

/** Checks a uid. */
export function checkUid(uid: Uid): Uid {
  const fits = typeof uid === "bigint" ? uid > 0n && uid <= UID_MAX : Number.isSafeInteger(uid) && uid > 0;
  if (!fits) throw new RangeError(`${uid} is not a uid`);
  return uid;
}

/** Checks the name of a channel and says how many bytes it has. */
export function channelBytes(name: string): number {
  let bytes = name.length;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    // A control character separates effects while they are text (`effects.ts`).
    if (unit < 0x20) throw new RangeError("the name of a channel has no control characters");
    // A pair of surrogates becomes four bytes, so each counts as two: its code unit and one more.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit & 0xf800) === 0xd800 ? 1 : 2;
  }
  const fits = bytes >= 1 && bytes <= CHANNEL_BYTES_MAX && name.isWellFormed();
  if (!fits) throw new RangeError(`"${name}" is not a channel: 1 to ${CHANNEL_BYTES_MAX} bytes of text`);
  return bytes;
}

/** Connections or uids as u64s, little endian like WebAssembly. */
export function targetWords(targets: readonly Uid[]): Uint32Array {
  const count = targets.length;
  const words = new Uint32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const target = targets[i];
    const exact = typeof target === "number";
    words[2 * i] = exact ? target : Number(target & 0xffff_ffffn);
    words[2 * i + 1] = exact ? target / HIGH : Number(target >> 32n);
  }
  return words;
}
