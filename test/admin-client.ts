import { z } from 'zod';
import { createClient, createConfig } from './admin-api/client/index.js';
import { AdminApi } from './admin-api/sdk.gen.js';
import type { Problem } from './admin-api/types.gen.js';

/** What one operation of the OpenAPI document says. */
export interface Described {
  readonly operationId: keyof AdminApi;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
        readonly content?: Readonly<Record<string, { readonly schema: unknown }>>;
      }
    >
  >;
}

interface OpenApi {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

/**
 * The generated client, at a running server. Every answer is checked against that server's own document: an undeclared status,
 * media type, member, or a missing declared header fails the test.
 */
export class Administration {
  /** The generated operations, with the credentials of this. */
  readonly api: AdminApi;

  private constructor(
    readonly document: OpenApi,
    readonly token: string | null,
    /** Operations that succeeded so far, whoever called them. */
    readonly succeeded: Set<string>,
  ) {
    const client = createClient(
      createConfig({ baseUrl: document.servers[0]!.url, ...(token === null ? {} : { auth: token }) }),
    );
    client.interceptors.response.use(async (response, request, { url }) => {
      await this.#check(this.#described(request.method, url), response);
      return response;
    });
    this.api = new AdminApi({ client });
  }

  /** Reads the document of a running server. @param token null: no credentials */
  static async of(url: string, token: string | null): Promise<Administration> {
    const answer = await fetch(`${url}/admin/openapi.json`);
    if (answer.status !== 200) throw new Error(`no document: ${answer.status} ${await answer.text()}`);
    return new Administration((await answer.json()) as OpenApi, token, new Set());
  }

  /** The same with other credentials; null: none. */
  as(token: string | null): Administration {
    return new Administration(this.document, token, this.succeeded);
  }

  /** What the document says of every operation. */
  get operations(): readonly Described[] {
    return Object.values(this.document.paths).flatMap((methods) => Object.values(methods));
  }

  #described(method: string, path: string): Described {
    const described = this.document.paths[path]?.[method.toLowerCase()];
    if (!described) throw new Error(`the document of the server has no ${method} ${path}`);
    return described;
  }

  async #check({ operationId, responses }: Described, response: Response): Promise<void> {
    const { status, headers } = response;
    const declared = responses[status];
    if (!declared)
      throw new Error(`${operationId} answered ${status}, which is not declared: ${await response.text()}`);
    if (response.ok) this.succeeded.add(operationId);
    for (const [name, { required }] of Object.entries(declared.headers ?? {}))
      if (required && !headers.has(name)) throw new Error(`${operationId} answered ${status} without ${name}`);
    // Only what is read is cloned: the other half of a stream that is cloned and left would be held in memory.
    const type = headers.get('content-type')?.split(';')[0] ?? '';
    const content = declared.content?.[type];
    if (content ? false : declared.content !== undefined || (await response.clone().text()) !== '')
      throw new Error(`${operationId} answered ${status} with a body of type ${type}, which is not declared`);
    if (!content || !type.endsWith('json') || type.includes('nd')) return;
    const parsed = schemaOf(content.schema, this.document).safeParse(await response.clone().json());
    if (!parsed.success)
      throw new Error(`${operationId} answered what its schema does not allow: ${z.prettifyError(parsed.error)}`);
  }
}

/** What an operation of the generated client gives. */
export type Asked<Data> = Promise<
  ({ data: Data; error: undefined } | { data: undefined; error: Problem | string }) & { response: Response }
>;

/** The body of a success. @throws Error what the server refused */
export async function done<Data>(asked: Asked<Data>): Promise<Data> {
  const { data, error, response } = await asked;
  if (data === undefined) throw new Error(`${response.status} ${JSON.stringify(error)}`);
  return data;
}

/** Of a refusal, the problem and its headers. @throws Error it was a success */
export async function refusal(asked: Asked<unknown>): Promise<{ problem: Problem; headers: Headers }> {
  const { error, response } = await asked;
  if (error === undefined || typeof error === 'string') throw new Error(`${response.status}, no problem: ${error}`);
  return { problem: error, headers: response.headers };
}

/** Paths within the request that a refusal finds fault with. */
export async function faults(asked: Asked<unknown>): Promise<string[]> {
  return ((await refusal(asked)).problem.errors ?? []).map(({ at }) => at);
}

/** The status of an answer, whatever it is. */
export async function statusOf(asked: Asked<unknown>): Promise<number> {
  return (await asked).response.status;
}

/** The version that a success carries. */
export async function etagOf(asked: Asked<unknown>): Promise<string> {
  const { response } = await asked;
  return response.headers.get('etag') ?? `no ETag with ${response.status}`;
}

/** Every item of a list, page by page. @param page asks for one; its argument belongs into the query */
export async function everything<Item>(
  page: (from: { cursor?: string }) => Asked<{ items: Item[]; next_cursor: string | null }>,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let from: { cursor?: string } = {}; ;) {
    const { items: more, next_cursor: next } = await done(page(from));
    items.push(...more);
    if (next === null) return items;
    from = { cursor: next };
  }
}

/** The first item of a list. @throws Error there is none */
export async function firstOf<Item>(page: Asked<{ items: Item[] }>): Promise<Item> {
  const [item] = (await done(page)).items;
  if (item === undefined) throw new Error('the list is empty');
  return item;
}

/** A value that the generated types refuse: for requests that a server must refuse as well. */
export function unfit(value: unknown): never {
  return value as never;
}

const schemas = new WeakMap<object, z.ZodType>();

function schemaOf(schema: unknown, { components }: OpenApi): z.ZodType {
  const key = schema as object;
  const known = schemas.get(key);
  if (known) return known;
  const whole = JSON.stringify({ ...key, $defs: components.schemas });
  const local = JSON.parse(whole.replaceAll('#/components/schemas/', '#/$defs/')) as z.core.JSONSchema.JSONSchema;
  const made = z.fromJSONSchema(local);
  schemas.set(key, made);
  return made;
}
