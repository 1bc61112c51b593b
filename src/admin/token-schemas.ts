import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { id, scopes, text, time } from './values.js';

/** A personal token, without the token. */
export const tokenSchema = component(
  'PersonalToken',
  z.object({
    id,
    name: z.string(),
    hint: z.string().describe('How the token begins'),
    user: z.string().nullable().describe('Whose it is; null: the installation’s'),
    scopes: z.array(z.string()),
    status: z.enum(['active', 'expired', 'revoked']),
    created_at: time,
    expires_at: time.nullable(),
    last_used_at: time.nullable(),
    revoked_at: time.nullable(),
  }),
);

/** A personal token at its creation. */
export const newTokenSchema = component(
  'NewPersonalToken',
  tokenSchema.extend({ token: z.string().describe('Shown this once') }),
);

/** What a new personal token is to be. */
export const tokenWish = component(
  'PersonalTokenWish',
  z
    .strictObject({
      name: text(100),
      user: text(200).nullable().default(null).describe('A User id; null: the installation’s'),
      scopes: scopes.default([]),
      expires_at: z
        .union(
          [
            z.iso.datetime({ offset: true, error: 'wants an RFC 3339 time or epoch seconds' }),
            z.int().min(0).max(99_999_999_999),
          ],
          {
            error: 'wants an RFC 3339 time or epoch seconds',
          },
        )
        .nullable()
        .default(null)
        .describe('RFC 3339 or epoch seconds; null: never'),
    })
    .meta({ examples: [{ name: 'ci', user: null, scopes: ['mcp'], expires_at: '2030-01-01T00:00:00Z' }] }),
);

/** Filters of a person's personal tokens. */
export const userTokenQuery = listQuery.extend({
  status: z.enum(['active', 'expired', 'revoked']).optional(),
  name: text(100).optional(),
});

/** Filters of all personal tokens. */
export const tokenQuery = userTokenQuery.extend({ user: text(200).optional() });
