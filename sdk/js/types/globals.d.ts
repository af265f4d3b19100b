// The globals of a plugin beside those of the language: `"types": ["@duet/plugin/globals"]` in tsconfig.json. They come from `globals.ts`.

interface Console {
  error(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  info(...values: unknown[]): void;
  log(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  trace(...values: unknown[]): void;
}

declare var console: Console;
declare var performance: { now(): number };
declare var crypto: { getRandomValues<View extends ArrayBufferView>(view: View): View };

declare class TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  readonly encoding: string;
  constructor(label?: string, options?: { fatal?: false });
  decode(bytes?: ArrayBuffer | ArrayBufferView): string;
}
