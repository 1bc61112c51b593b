import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { id, text, time } from './values.js';

const flowOutcome = z.enum(['open', 'done', 'refused', 'failed', 'abandoned']);

/** The trace of a sign-in attempt. */
export const flowSchema = component(
  'Flow',
  z.object({
    id,
    reference: z.string().describe('As the error page showed it'),
    client: z.string().nullable(),
    recognised: z.string().nullable().describe('The well-known application it seems to be'),
    user: z.string().nullable(),
    grant: z.string().nullable(),
    provider: z.string().nullable(),
    ip: z.string().nullable(),
    outcome: flowOutcome,
    failed_check: z.string().nullable(),
    mend: z.string().nullable().describe('What to do about the failed check'),
    started_at: time,
    updated_at: time,
    steps: z.array(
      z.object({
        at: time,
        step: z.string(),
        outcome: z.enum(['ok', 'refused', 'failed']),
        failed_check: z.string().nullable(),
        mend: z.string().nullable(),
        detail: z.record(z.string(), z.unknown()).nullable(),
      }),
    ),
  }),
);

/** Filters of traces. */
export const flowQuery = listQuery.extend({
  reference: text(100).optional(),
  client: text(2048).optional(),
  user: text(200).optional(),
  outcome: flowOutcome.optional(),
});
