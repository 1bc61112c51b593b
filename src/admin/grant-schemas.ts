import { z } from 'zod';
import { component } from './components.js';
import { clientStatus } from './client-schemas.js';
import { listQuery } from './paging.js';
import { userStatus } from './user-schemas.js';
import { id, text, time } from './values.js';

const grantStatus = z
  .enum(['active', 'suspended', 'expired', 'revoked'])
  .describe('`suspended`: opens nothing while its client is blocked or pending, and comes back with it');

/** A connection: person × Client installation × scopes. */
export const grantSchema = component(
  'Grant',
  z.object({
    id,
    user: z.object({ id, name: z.string().nullable(), email: z.string().nullable(), status: userStatus.nullable() }),
    client: z.object({ id, name: z.string().nullable(), status: clientStatus.nullable() }),
    provider: z.string().nullable(),
    scopes: z.array(z.string()),
    resource: z.string(),
    status: grantStatus,
    created_at: time,
    last_used_at: time.nullable(),
    expires_at: time,
    revoked_at: time.nullable(),
    reference: z.string().nullable().describe('Of the sign-in that made it: finds its trace and its Events'),
  }),
);

/** Filters of a person's Grants. */
export const userGrantQuery = listQuery.extend({
  client: text(2048).optional(),
  provider: text(64).optional(),
  status: grantStatus.optional(),
});

/** Filters of all Grants. */
export const grantQuery = userGrantQuery.extend({ user: text(200).optional() });
