import { z } from 'zod';
import { component } from './components.js';
import { id, time } from './values.js';

/** An enabled provider. */
export const providerSchema = component(
  'Provider',
  z.object({
    id,
    kind: z.string(),
    sort: z.enum(['login', 'verifier']),
    label: z.string().nullable(),
    callback_url: z.string().nullable().describe('To register with the upstream; null: people do not sign in with it'),
    settings: z.record(z.string(), z.unknown()).describe('Without secrets; `***` stands for one that is set'),
    answers: z.boolean().nullable().describe('Whether it answered just now; null: it has nothing to ask'),
  }),
);

/** A key that signs ID tokens. */
export const keySchema = component(
  'SigningKey',
  z.object({
    kid: z.string(),
    alg: z.string(),
    status: z.enum(['announced', 'signing', 'retiring']),
    created_at: time,
    signs_from: time,
    expires_at: time.nullable().describe('Published until here; null: no successor yet'),
  }),
);

const stretch = z.object({
  since: time,
  events: z.record(z.string(), z.int()).describe('Events by type'),
  sign_ins: z.int(),
  refusals: z.int().describe('Sign-ins, calls and requests that were refused'),
  sign_in_success: z.number().nullable().describe('Of all tries, 0 to 1; null: nobody tried'),
  events_per_hour: z.number(),
});

/** Counts and rates. */
export const statsSchema = component(
  'Stats',
  z.object({
    at: time,
    users: z.object({ total: z.int(), blocked: z.int(), seen_last_30_days: z.int() }),
    clients: z.object({ total: z.int(), pending: z.int(), blocked: z.int() }),
    grants: z.object({ active: z.int(), suspended: z.int(), revoked: z.int() }),
    personal_tokens: z.object({ active: z.int() }),
    last_hour: stretch,
    last_day: stretch,
    last_30_days: stretch,
  }),
);
