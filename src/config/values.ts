import { z } from 'zod';

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `15m`, `1h`, `30d`, or a number of seconds → seconds. */
export function duration(bounds: { min: number; max: number }) {
  return z.union([z.string(), z.number()]).transform((value, context): number => {
    const match = typeof value === 'number' ? null : /^(\d+)([smhd])$/.exec(value.trim());
    const amount =
      typeof value === 'number'
        ? value
        : match
          ? Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS]
          : NaN;
    if (!Number.isInteger(amount) || amount < bounds.min || amount > bounds.max) {
      context.addIssue({
        code: 'custom',
        message: `wants a duration like 90s, 15m, 1h or 30d, from ${spell(bounds.min)} to ${spell(bounds.max)}`,
      });
      return z.NEVER;
    }
    return amount;
  });
}

/** Seconds in their largest whole unit: 3600 → `1h`. */
export function spell(seconds: number): string {
  for (const unit of ['d', 'h', 'm'] as const)
    if (seconds % UNIT_SECONDS[unit] === 0 && seconds > 0) return `${seconds / UNIT_SECONDS[unit]}${unit}`;
  return `${seconds}s`;
}

/** `on` or `off`, or a boolean → boolean. */
export function toggle() {
  return z.union(
    [z.boolean(), z.enum(['on', 'off'], { error: 'wants on or off' }).transform((value) => value === 'on')],
    { error: 'wants on or off' },
  );
}

/** A comma list, or an array of strings → trimmed non-empty strings. */
export function list() {
  return z
    .union([z.array(z.string()), z.string().transform((value) => value.split(','))], {
      error: 'wants a comma-separated list',
    })
    .transform((items) => items.map((item) => item.trim()).filter((item) => item !== ''));
}

/** Scopes separated by spaces or commas (RFC 6749 §3.3 tokens), each once, in order. */
export function scopes() {
  return z
    .union([z.array(z.string()), z.string().transform((value) => value.split(/[\s,]+/))])
    .transform((items) => [...new Set(items.filter((item) => item !== ''))])
    .refine((items) => items.every((item) => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(item)), {
      error: 'wants scope names separated by spaces (RFC 6749 §3.3: printable ASCII without quotes and backslashes)',
    });
}

/** Scopes that we name to clients. MCP wants no `offline_access` in challenges and resource metadata; refresh tokens come without it. */
export function ownScopes() {
  return scopes().refine((items) => !items.includes('offline_access'), {
    error: 'wants scopes without offline_access: refresh tokens come without it',
  });
}

/** An absolute http or https URL without user info, kept as it was written. */
export function httpUrl() {
  return z
    .string()
    .refine(isHttpUrl, { error: 'wants an absolute http or https URL, for example https://idp.example.com' });
}

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
}

/** A non-empty secret; never shown in errors, logs or documents. */
export function secret(minLength = 1) {
  return z
    .string()
    .refine((value) => value.length >= minLength, {
      error: minLength > 1 ? `wants at least ${minLength} characters` : 'must not be empty',
    })
    .meta({ secret: true });
}
