export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where a node's log lines go. Must not throw and must not block. `fields` holds plain values. */
export type Logger = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;
