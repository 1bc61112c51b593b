import { z } from 'zod';
import { component } from './components.js';
import { listQuery } from './paging.js';
import { id, lines, scopes, text, time } from './values.js';

/** Where a Client stands. */
export const clientStatus = z.enum(['active', 'pending', 'blocked']);
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

/** What a metadata document says of a Client. */
const BY_DOCUMENT = ['name', 'redirect_uris', 'token_endpoint_auth_method', 'jwks_uri', 'jwks', 'client_uri'] as const;
/** What an administrator has to say of one without. */
const NEEDED: ReadonlySet<string> = new Set(['name', 'redirect_uris']);

/** What a pre-registered Client is to be. */
export const clientWish = component(
  'ClientWish',
  z
    .strictObject({
      client_id: text(2048)
        .optional()
        .describe(
          'Address of its metadata document, which says everything but scopes and note; otherwise the server chooses',
        ),
      name: text(200).optional().describe('Needed without client_id'),
      redirect_uris: redirectUris.optional().describe('Needed without client_id'),
      scopes: scopes.nullable().default(null),
      note: lines(2000).nullable().default(null),
      token_endpoint_auth_method: authMethod.optional().describe('`none` when left out'),
      jwks_uri: text(2048).optional().describe('For private_key_jwt'),
      jwks: z
        .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(20) })
        .optional()
        .describe('For private_key_jwt: public keys'),
      client_uri: text(2048).optional(),
    })
    .superRefine((wish, context) => {
      for (const name of BY_DOCUMENT) {
        const isGiven = wish[name] !== undefined;
        if (wish.client_id !== undefined && isGiven)
          context.addIssue({ code: 'custom', path: [name], message: 'comes from the metadata document of client_id' });
        if (wish.client_id === undefined && !isGiven && NEEDED.has(name))
          context.addIssue({
            code: 'custom',
            path: [name],
            message: 'is needed, unless client_id names a metadata document',
          });
      }
    })
    .meta({
      examples: [
        { client_id: 'https://app.example.com/oauth/client.json', note: 'admitted by Ada' },
        {
          name: 'Build server',
          redirect_uris: ['https://ci.example.com/callback'],
          scopes: ['mcp'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
      ],
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
      note: lines(2000).nullable().optional(),
    })
    .refine((change) => Object.keys(change).length > 0, { error: 'changes nothing' })
    .meta({ examples: [{ status: 'active', note: 'approved by Ada' }, { scopes: ['mcp'] }] }),
);

/** Filters of the list of Clients. */
export const clientQuery = listQuery.extend({
  status: clientStatus.optional(),
  source: z.enum(['dcr', 'cimd', 'manual']).optional(),
  q: text(200).optional().describe('Part of the name'),
});
