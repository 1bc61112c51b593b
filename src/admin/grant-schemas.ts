import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { userStatus } from './user-schemas.js';
import { id, text, time } from './values.js';

/** A connection: person × Client installation × scopes. */
export const grantSchema = component(
  'Grant',
  z.object({
    id,
    user: z.object({ id, name: z.string().nullable(), email: z.string().nullable(), status: userStatus.nullable() }),
    client: z.object({ id, name: z.string().nullable() }),
    provider: z.string().nullable(),
    scopes: z.array(z.string()),
    resource: z.string(),
    status: z.enum(['active', 'expired', 'revoked']),
    created_at: time,
    last_used_at: time.nullable(),
    expires_at: time,
    revoked_at: time.nullable(),
  }),
);

/** Filters of a person's Grants. */
export const userGrantQuery = listQuery.extend({
  client: text(2048).optional(),
  provider: text(64).optional(),
  status: z.enum(['active', 'expired', 'revoked']).optional(),
});

/** Filters of all Grants. */
export const grantQuery = userGrantQuery.extend({ user: text(200).optional() });
