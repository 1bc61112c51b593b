import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { id, text, time } from './values.js';

/** Whether a person may come in. */
export const userStatus = z.enum(['active', 'blocked']);
const role = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, { error: 'wants a lower-case word such as admin' });

/** A person. */
export const userSchema = component(
  'User',
  z.object({
    id,
    name: z.string().nullable(),
    email: z.string().nullable().describe('Verified by the provider of the latest sign-in'),
    avatar: z.string().nullable(),
    status: userStatus,
    roles: z.array(z.string()),
    identities: z.array(
      z.object({
        provider: z.string(),
        subject: z.string(),
        username: z.string().nullable(),
        email: z.string().nullable(),
        created_at: time,
        last_used_at: time,
      }),
    ),
    created_at: time,
    last_seen_at: time,
  }),
);

/** What an administrator changes of a person. */
export const userChange = component(
  'UserChange',
  z
    .strictObject({
      status: userStatus.optional().describe('`blocked` cuts off every token at once'),
      roles: z.array(role).max(32).optional(),
    })
    .refine((change) => Object.keys(change).length > 0, { error: 'changes nothing' })
    .meta({ examples: [{ status: 'blocked' }, { roles: ['admin'] }] }),
);

/** Filters of the list of people. */
export const userQuery = listQuery.extend({
  status: userStatus.optional(),
  role: text(63).optional(),
  email: text(320).optional().describe('The whole address, in any case'),
  q: text(200).optional().describe('Part of a name or address'),
  provider: text(64).optional().describe('Has an account at this provider'),
});
