import { readdirSync, readFileSync } from 'node:fs';
import { asBytes } from '../../src/util/bytes.ts';

/** One captured frame (see test/vectors). */
export interface FrameRow {
  readonly type: 'frame';
  readonly seq: number;
  readonly conn: number;
  readonly dir: 'leader->learner' | 'learner->leader';
  readonly connectorSid: number;
  readonly from: number;
  readonly to: number;
  readonly frame: string;
  // biome-ignore lint/suspicious/noExplicitAny: the decoded form differs from frame to frame
  readonly decoded: any;
}

const folder = new URL('../vectors/', import.meta.url);

export function vectorFiles(prefix: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(prefix) && name.endsWith('.jsonl'));
}

export function frames(file: string): FrameRow[] {
  return readFileSync(new URL(file, folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FrameRow)
    .filter((row) => row.type === 'frame');
}

export const fromHex = (hex: string): Uint8Array => asBytes(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)));
export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return asBytes(out);
}
