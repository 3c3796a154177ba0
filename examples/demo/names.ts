/** Where the demo's znodes are, and what the one with a number is called. */
export const FOLDER = '/demo';
export const nameOf = (number: number): string => `w${String(number).padStart(7, '0')}`;
