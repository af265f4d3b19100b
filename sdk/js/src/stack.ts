// Errors as one line for the log, with stack traces that name the author's files and not the bundle.

/** Where the places of a bundle come from; made when the plugin is built. */
export interface SourceMap {
  /** Files as the author knows them. */
  sources: string[];
  /**
   * Four numbers for each run of places, in the order of the bundle: line and column in the bundle, both from 1, where it begins, its
   * source, and the line there. Source -1 is none of the author's files: the SDK, or what the bundler added.
   */
  marks: number[];
}

/** Frames that are shown: the handler and what it called. The rest is rarely read. */
const FRAMES_MAX = 3;

/** A frame of the bundle: `at handle (componentize-qjs:user.js:12:34)`, or without a function. */
const BUNDLED = /^at (?:(.+) \()?componentize-qjs:user\.js:(\d+):(\d+)\)?$/;

let sourceMap: SourceMap | undefined;

/** Names the files of the plugin in stacks from now on. */
export function useSourceMap(map: SourceMap): void {
  sourceMap = map;
}

/** What was thrown, with its nearest frames, on one line. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const frames = framesOf(error.stack ?? "", sourceMap).slice(0, FRAMES_MAX);
  return [`${error.name}: ${error.message}`, ...frames].join(" ").replace(/\s*\n\s*/g, " ");
}

/** The frames of a stack. With a source map these are those of the author's files. */
export function framesOf(stack: string, map: SourceMap | undefined): string[] {
  const frames = stack.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("at "));
  return map === undefined ? frames : frames.map((frame) => located(frame, map)).filter((frame) => frame !== "");
}

/** A frame with its place in a source; empty if it is not in the author's files. */
function located(frame: string, { sources, marks }: SourceMap): string {
  const [, name, line, column] = BUNDLED.exec(frame) ?? [];
  let low = 0;
  let high = marks.length / 4;
  // The last mark that is not after the place.
  while (low < high) {
    const middle = (low + high) >>> 1;
    const behind = marks[4 * middle] - Number(line) || marks[4 * middle + 1] - Number(column);
    if (behind <= 0) low = middle + 1;
    else high = middle;
  }
  const source = sources[marks[4 * low - 2]];
  if (source === undefined) return "";
  const place = `${source}:${marks[4 * low - 1]}`;
  return name === undefined ? `at ${place}` : `at ${name} (${place})`;
}
