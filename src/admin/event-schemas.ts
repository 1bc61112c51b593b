import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { id, moment, text, time } from './values.js';

/** A line of the audit log. */
export const eventSchema = component(
  'Event',
  z.object({
    id,
    at: time,
    type: z.string().describe('`noun.verb`'),
    outcome: z.enum(['ok', 'refused', 'failed']),
    actor: z.string().nullable().describe('A User id, `admin-token`, `system`; null: nobody known'),
    user: z.string().nullable().describe('Whom it concerns'),
    client: z.string().nullable(),
    grant: z.string().nullable(),
    provider: z.string().nullable(),
    ip: z.string().nullable(),
    reference: z.string().nullable(),
    detail: z.record(z.string(), z.unknown()).nullable(),
  }),
);

/** Filters of a person's Events. */
export const userEventQuery = listQuery.extend({
  type: text(100).optional().describe('`noun.verb`, whole'),
  outcome: z.enum(['ok', 'refused', 'failed']).optional(),
  actor: text(200).optional(),
  client: text(2048).optional(),
  grant: text(200).optional(),
  provider: text(64).optional(),
  reference: text(100).optional(),
  since: moment.optional().describe('Not before: RFC 3339 date or time (`+` of an offset as `%2B`), or epoch seconds'),
  until: moment.optional().describe('Before this, excluded: RFC 3339 date or time, or epoch seconds'),
});

/** Filters of all Events. */
export const eventQuery = userEventQuery.extend({ user: text(200).optional() });
