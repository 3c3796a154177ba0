const colours = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint =
  (code: number) =>
  (text: string): string =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

const started = performance.now();

/** Prints a line with the seconds since the start before it. */
export function say(text: string): void {
  console.log(`${dim(`${((performance.now() - started) / 1000).toFixed(2).padStart(7)} s`)}  ${text}`);
}

/** 12345.6 as "12,346". */
export const count = (n: number): string => Math.round(n).toLocaleString('en-GB');
