import { z } from 'zod';
import type { Operation } from './operation.js';
import { operations } from './operations.js';
import { components } from './components.js';
import { problemSchema } from './problem.js';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of the admin API, made of the schemas that check its requests and answers. @param server origin of this installation */
export function openApiDocument(server: string): Json {
  const paths: Record<string, Json> = {};
  const schemas: Json = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => jsonSchema(schema, io, schemas);
  for (const one of operations) {
    const path = `/admin/v1${one.path.replace(/:(\w+)/g, '{$1}')}`;
    paths[path] = { ...paths[path], [one.method]: describe(one, schemaOf) };
  }
  schemaOf(problemSchema, 'output');
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gatehouse admin API',
      version: '1',
      description:
        'Lists answer `{ items, next_cursor }`, newest first. Failures are problem details (RFC 9457). Times are RFC 3339.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: server }],
    security: [{ bearer: [] }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name, description: TAGS[name] })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            '`GATEHOUSE_ADMIN_TOKEN`, or an access token made for this API with the scope `admin` for a person with the role `admin`.',
        },
      },
    },
  };
}

const TAGS: Readonly<Record<Operation['tag'], string>> = {
  Users: 'People who signed in, and what they hold',
  Clients: 'MCP client applications',
  Grants: 'Which person lets which client act, and how far',
  'Personal tokens': 'Bearer tokens that people and scripts present without signing in',
  Audit: 'What happened, who did it, and from where',
  System: 'Providers, signing keys, traces of sign-ins, statistics',
};

function describe(one: Operation, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json): Json {
  const parameters = [
    ...parametersOf('path', one.params, schemaOf),
    ...parametersOf('query', one.query, schemaOf),
    ...(one.ifMatch
      ? [
          {
            name: 'If-Match',
            in: 'header',
            required: one.ifMatch === 'required',
            description: 'ETag of the version that you mean; `*`: whatever it is by now',
            schema: { type: 'string' },
          },
        ]
      : []),
  ];
  return {
    operationId: one.id,
    tags: [one.tag],
    summary: one.summary,
    ...(one.description === undefined ? {} : { description: one.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(one.body
      ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(one.body, 'input') } } } }
      : {}),
    responses: { [one.status]: success(one, schemaOf), ...problemsOf(one) },
  };
}

function success(one: Operation, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json): Json {
  if (one.answer === null) return { description: 'Done' };
  const headers = {
    ...(one.etag ? { ETag: header('Send it as If-Match to change this') } : {}),
    ...(one.status === 201 ? { Location: header('Where it can be read') } : {}),
  };
  const lines = { type: 'string', description: 'One item a line, each as in `items`' };
  return {
    description: one.status === 201 ? 'Made' : 'OK',
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    content: {
      'application/json': { schema: schemaOf(one.answer, 'output') },
      ...(one.ndjson ? { 'application/x-ndjson': { schema: lines } } : {}),
    },
  };
}

function problemsOf(one: Operation): Json {
  const statuses = new Set([
    ...(one.params || one.query || one.body ? [400] : []),
    401,
    403,
    ...(one.problems ?? []),
    ...(one.body ? [413, 415] : []),
    ...(one.ifMatch ? [412] : []),
    ...(one.ifMatch === 'required' ? [428] : []),
    429,
    503,
  ]);
  return Object.fromEntries(
    [...statuses].map((status) => [
      status,
      {
        description: DESCRIPTIONS[status] ?? 'Problem',
        ...(HEADERS[status] ? { headers: HEADERS[status] } : {}),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

/** A header that an answer always has. */
function header(description: string, type: 'string' | 'integer' = 'string'): Json {
  return { description, required: true, schema: { type } };
}

const challenge = { 'WWW-Authenticate': header('What is wanted instead (RFC 6750)') };
const wait = { 'Retry-After': header('Seconds', 'integer') };
const HEADERS: Readonly<Record<number, Json>> = { 401: challenge, 403: challenge, 429: wait, 503: wait };

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: 'The request is not valid; `errors` says what',
  401: 'No token, or not a good one',
  403: 'The token lacks the scope, or the person the role, `admin`',
  404: 'There is no such thing',
  409: 'It cannot be changed so',
  412: 'Another version than `If-Match` names',
  413: 'The body is too large',
  415: 'The body is not JSON',
  428: '`If-Match` is missing',
  429: 'Too many refused attempts from this address',
  503: 'The database is out of reach',
};

function parametersOf(
  place: 'path' | 'query',
  schema: z.ZodObject | undefined,
  schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json,
): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

/** A schema by reference where it has a name; what it refers to is collected in `schemas`. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const made = z.toJSONSchema(schema, {
    io,
    metadata: components,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: one }) => {
      const { description, examples } = z.globalRegistry.get(zodSchema) ?? {};
      if (description !== undefined) one.description = description;
      if (Array.isArray(examples)) one.examples = examples as unknown[];
      const { def } = zodSchema._zod;
      if (def.type === 'default') one.default = def.defaultValue;
      // The format says it, and a page of pattern does not help to read it.
      if (one.format === 'date-time' || one.format === 'date') delete one.pattern;
    },
  });
  const placed = JSON.parse(JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  const definitions = (placed['$defs'] ?? {}) as Record<string, Json>;
  for (const [name, definition] of Object.entries(definitions)) schemas[name] = plain(definition);
  return plain(placed);
}

/** Without what belongs to a document of its own. */
function plain(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !['id', '$schema', '$defs'].includes(name)));
}
