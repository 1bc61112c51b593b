import { z } from 'zod';

/** Names of the schemas that the OpenAPI document keeps as components. */
export const components = z.registry<{ id: string }>();

function component<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  components.add(schema, { id });
  return schema;
}

/** Text from outside without control characters: a NUL cannot even be compared in Postgres. */
export function text(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((value) => !/\p{Cc}/u.test(value), { error: 'must not hold control characters' });
}

const time = z.iso.datetime();
const id = z.string();
const scopeName = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, { error: 'is no scope (RFC 6749 §3.3)' });
const scopes = z.array(scopeName).max(100);

/** RFC 3339 of epoch seconds. */
export function isoOfSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** The same; null stays null. */
export function isoOrNull(seconds: number | null): string | null {
  return seconds === null ? null : isoOfSeconds(seconds);
}

/** A path with an id. */
export const idParams = z.object({ id: text(2048) });

/** What every list takes. */
export const listQuery = z.strictObject({
  limit: z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value),
      z.number({ error: 'wants a number' }).int().min(1).max(200),
    )
    .default(50)
    .describe('Items of a page, at most 200'),
  cursor: z.string().max(4096).optional().describe('`next_cursor` of the page before'),
});

/** A moment in a query: RFC 3339 date or date and time, or epoch seconds; parsed to epoch milliseconds. */
export const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date(), z.string().regex(/^\d{1,11}$/)], {
    error: 'wants an RFC 3339 date or time, or epoch seconds',
  })
  .transform((value) => (/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value)));

/** A page of a list. */
export function pageOf<Schema extends z.ZodType>(item: Schema) {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().nullable().describe('For the next page; null: this is the last'),
  });
}

/** RFC 9457. */
export const problemSchema = component(
  'Problem',
  z.object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z.array(z.object({ at: z.string(), message: z.string() })).optional(),
  }),
);

const userStatus = z.enum(['active', 'blocked']);
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
    .refine((change) => Object.keys(change).length > 0, { error: 'changes nothing' }),
);

/** Filters of the list of people. */
export const userQuery = listQuery.extend({
  status: userStatus.optional(),
  role: text(63).optional(),
  email: text(320).optional().describe('The whole address, in any case'),
  q: text(200).optional().describe('Part of a name or address'),
  provider: text(64).optional().describe('Has an account at this provider'),
});

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
  z.strictObject({
    name: text(100),
    user: text(200).nullable().default(null).describe('A User id; null: the installation’s'),
    scopes: scopes.default([]),
    expires_at: z
      .union([z.iso.datetime({ offset: true }), z.int().min(0).max(99_999_999_999)], {
        error: 'wants an RFC 3339 time or epoch seconds',
      })
      .nullable()
      .default(null)
      .describe('RFC 3339 or epoch seconds; null: never'),
  }),
);

/** Filters of a person's personal tokens. */
export const userTokenQuery = listQuery.extend({
  status: z.enum(['active', 'expired', 'revoked']).optional(),
  name: text(100).optional(),
});

/** Filters of all personal tokens. */
export const tokenQuery = userTokenQuery.extend({ user: text(200).optional() });

const clientStatus = z.enum(['active', 'pending', 'blocked']);
const authMethod = z.enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']);
const redirectUris = z.array(z.string().min(1).max(2048)).min(1).max(20);

/** An MCP client application. */
export const clientSchema = component(
  'Client',
  z.object({
    id,
    name: z.string(),
    status: clientStatus,
    source: z
      .enum(['dcr', 'cimd', 'manual'])
      .describe('Registered itself, metadata document, made by an administrator'),
    redirect_uris: z.array(z.string()),
    scopes: z.array(z.string()).nullable().describe('What it may be granted at most; null: everything'),
    note: z.string().nullable(),
    trusted: z.boolean().describe('An administrator made or approved it'),
    token_endpoint_auth_method: z.string(),
    client_uri: z.string().nullable(),
    created_at: time,
    last_used_at: time.nullable(),
  }),
);

/** A Client at its creation. */
export const newClientSchema = component(
  'NewClient',
  clientSchema.extend({ client_secret: z.string().nullable().describe('Shown this once; null: it has none') }),
);

/** What a pre-registered Client is to be. */
export const clientWish = component(
  'ClientWish',
  z.strictObject({
    name: text(200),
    redirect_uris: redirectUris,
    scopes: scopes.nullable().default(null),
    note: z.string().max(2000).nullable().default(null),
    token_endpoint_auth_method: authMethod.default('none'),
    jwks_uri: text(2048).optional().describe('For private_key_jwt'),
    jwks: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(20) })
      .optional()
      .describe('For private_key_jwt: public keys'),
    client_uri: text(2048).optional(),
  }),
);

/** What an administrator changes of a Client. */
export const clientChange = component(
  'ClientChange',
  z
    .strictObject({
      status: clientStatus.optional(),
      name: text(200).optional(),
      redirect_uris: redirectUris.optional(),
      scopes: scopes.nullable().optional(),
      note: z.string().max(2000).nullable().optional(),
    })
    .refine((change) => Object.keys(change).length > 0, { error: 'changes nothing' }),
);

/** Filters of the list of Clients. */
export const clientQuery = listQuery.extend({
  status: clientStatus.optional(),
  source: z.enum(['dcr', 'cimd', 'manual']).optional(),
  q: text(200).optional().describe('Part of the name'),
});

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
  type: text(100).optional(),
  outcome: z.enum(['ok', 'refused', 'failed']).optional(),
  actor: text(200).optional(),
  client: text(2048).optional(),
  grant: text(200).optional(),
  provider: text(64).optional(),
  reference: text(100).optional(),
  since: moment.optional(),
  until: moment.optional(),
});

/** Filters of all Events. */
export const eventQuery = userEventQuery.extend({ user: text(200).optional() });

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
    grants: z.object({ active: z.int(), revoked: z.int() }),
    personal_tokens: z.object({ active: z.int() }),
    last_hour: stretch,
    last_day: stretch,
    last_30_days: stretch,
  }),
);
