import { z } from 'zod';

/** What one operation of the OpenAPI document says. */
interface Described {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: unknown }>> }>
  >;
}

interface OpenApi {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

/** What a call sends; every name must be one the document knows. */
export interface AdminCall {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  readonly ifMatch?: string;
  /** null: none. */
  readonly token?: string | null;
  readonly accept?: string;
}

/** What came back, checked against the document. */
export interface AdminAnswer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the document describes
  readonly body: any;
}

/** An operation of the document. */
export interface AdminRoute {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly described: Described;
}

/** A client of the admin API made of nothing but its OpenAPI document: an undeclared status, media type or body shape is an error. */
export class AdminClient {
  readonly routes: ReadonlyMap<string, AdminRoute>;

  private constructor(
    readonly document: OpenApi,
    private readonly token: string | null,
  ) {
    this.routes = new Map(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, described]) => [
          described.operationId,
          { id: described.operationId, method: method.toUpperCase(), path, described },
        ]),
      ),
    );
  }

  /** Reads the document of a running server. */
  static async of(url: string, token: string | null): Promise<AdminClient> {
    const answer = await fetch(`${url}/admin/openapi.json`);
    if (answer.status !== 200) throw new Error(`no document: ${answer.status} ${await answer.text()}`);
    return new AdminClient((await answer.json()) as OpenApi, token);
  }

  /** The same with other credentials. */
  as(token: string | null): AdminClient {
    return new AdminClient(this.document, token);
  }

  /** Calls an operation by its id. */
  async call(id: string, ask: AdminCall = {}): Promise<AdminAnswer> {
    const answer = await this.send(id, ask);
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    const text = await answer.text();
    const declared = this.#route(id).described.responses[answer.status];
    if (!declared) throw new Error(`${id} answered ${answer.status}, which is not declared: ${text}`);
    if (!declared.content) {
      if (text !== '') throw new Error(`${id} answered a body where none is declared: ${text}`);
      return { status: answer.status, headers: answer.headers, body: null };
    }
    const content = declared.content[type];
    if (!content) throw new Error(`${id} answered ${answer.status} as ${type}, which is not declared: ${text}`);
    const body: unknown = type.endsWith('json') ? JSON.parse(text) : text;
    this.#validate(id, content.schema, body);
    return { status: answer.status, headers: answer.headers, body };
  }

  /** The bare response, for streams. */
  async send(id: string, ask: AdminCall = {}): Promise<Response> {
    const { method, path, described } = this.#route(id);
    const declared = (name: string, place: string): boolean =>
      (described.parameters ?? []).some((parameter) => parameter.name === name && parameter.in === place);
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ask.path?.[name] ?? ''));
    const url = new URL(filled, this.document.servers[0]!.url);
    for (const [name, value] of Object.entries(ask.query ?? {})) {
      if (!declared(name, 'query')) throw new Error(`${id} declares no query parameter ${name}`);
      url.searchParams.set(name, String(value));
    }
    if (ask.ifMatch !== undefined && !declared('If-Match', 'header')) throw new Error(`${id} declares no If-Match`);
    const token = ask.token === undefined ? this.token : ask.token;
    return fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: ask.accept ?? 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(ask.ifMatch === undefined ? {} : { 'if-match': ask.ifMatch }),
        ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
    });
  }

  /** Every item of a list, page by page. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the document describes
  async all(id: string, ask: AdminCall = {}): Promise<any[]> {
    const items: unknown[] = [];
    for (let cursor: string | undefined; ;) {
      const { status, body } = await this.call(id, {
        ...ask,
        query: { ...ask.query, ...(cursor === undefined ? {} : { cursor }) },
      });
      if (status !== 200) throw new Error(`${id}: ${status}`);
      items.push(...(body.items as unknown[]));
      if (body.next_cursor === null) return items;
      cursor = body.next_cursor as string;
    }
  }

  #route(id: string): AdminRoute {
    const route = this.routes.get(id);
    if (!route) throw new Error(`the document has no operation ${id}`);
    return route;
  }

  #validate(id: string, schema: unknown, body: unknown): void {
    const whole = { ...(schema as object), $defs: this.document.components.schemas };
    const local = JSON.parse(
      JSON.stringify(whole).replaceAll('#/components/schemas/', '#/$defs/'),
    ) as z.core.JSONSchema.JSONSchema;
    const parsed = z.fromJSONSchema(local).safeParse(body);
    if (!parsed.success)
      throw new Error(
        `${id} answered what its schema does not allow: ${z.prettifyError(parsed.error)}\n${JSON.stringify(body)}`,
      );
  }
}
