import { z } from 'zod';

/** Text from outside without control characters: a NUL cannot even be compared in Postgres. */
export function text(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((value) => !/\p{Cc}/u.test(value), { error: 'must not hold control characters' });
}

/** The same with lines and tabs; may be empty. */
export function lines(max: number) {
  return z
    .string()
    .max(max)
    .refine((value) => !/[^\P{Cc}\n\r\t]/u.test(value), { error: 'must not hold control characters' });
}

/** A path with an id. */
export const idParams = z.object({ id: text(2048) });

/** RFC 3339, UTC. */
export const time = z.iso.datetime();

/** Opaque. */
export const id = z.string();

const scopeName = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, { error: 'is no scope (RFC 6749 §3.3)' });

/** Scopes of a request's body. */
export const scopes = z
  .array(scopeName)
  .max(100)
  .overwrite((names) => [...new Set(names)]);

/** RFC 3339 of epoch seconds. */
export function isoOfSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** The same; null stays null. */
export function isoOrNull(seconds: number | null): string | null {
  return seconds === null ? null : isoOfSeconds(seconds);
}

/** A moment in a query: RFC 3339 date or date and time, or epoch seconds; parsed to epoch milliseconds. */
export const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date(), z.string().regex(/^\d{1,11}$/)], {
    error: 'wants an RFC 3339 date or time, or epoch seconds',
  })
  .transform((value) => (/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value)));
