/** The release of this package, as in its manifest, and the day of it. */
export const VERSION = '0.1.0';
export const VERSION_DATE = '2026-11-23';
