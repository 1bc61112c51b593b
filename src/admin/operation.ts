import {
  applyDecorators,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Header,
  HttpCode,
  RequestMapping,
  RequestMethod,
  StreamableFile,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { AdminGuard, type Administrator, administratorOf } from './admin.guard.js';
import { Problem, problemOfIssues } from './problem.js';
import { ProblemsFilter } from './problems.filter.js';

/** One operation of the admin API: what the router, the checks, the OpenAPI document and the reference page are made of. */
export interface Operation {
  /** `operationId`. */
  readonly id: string;
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** Below `/admin/v1`, for example `/users/:id`. */
  readonly path: string;
  readonly tag: 'Users' | 'Clients' | 'Grants' | 'Personal tokens' | 'Audit' | 'System';
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly status: 200 | 201 | 204;
  /** null: no body. */
  readonly answer: z.ZodType | null;
  /** Answers carry an `ETag`. */
  readonly etag?: true;
  /** Whether the request must, or may, carry `If-Match`. */
  readonly ifMatch?: 'required' | 'optional';
  /** May be answered line by line when asked for by `Accept`. */
  readonly ndjson?: true;
  /** Statuses besides those every operation has. */
  readonly problems?: readonly number[];
}

type Part<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** A request of one operation, parsed. */
export interface Ask<O extends Operation> {
  readonly params: Part<O['params']>;
  readonly query: Part<O['query']>;
  readonly body: Part<O['body']>;
  readonly ifMatch: string | undefined;
  readonly by: Administrator;
  readonly request: FastifyRequest;
  /** For headers only; the answer is what the method returns. */
  readonly reply: FastifyReply;
}

/** What the method of an operation returns: parsed by its schema before it leaves, so that only declared members do. */
export type Answer<O extends Operation> = O['answer'] extends z.ZodType
  ? z.input<O['answer']> | (O['ndjson'] extends true ? StreamableFile : never)
  : undefined;

/** Keeps the literal types. */
export function operation<const O extends Operation>(definition: O): O {
  return definition;
}

/** A controller of the admin API. */
export function AdminApi(): ClassDecorator {
  return applyDecorators(Controller('admin/v1'), UseGuards(AdminGuard), UseFilters(ProblemsFilter));
}

/** Serves an operation by this method: route, parsing, status and a body without undeclared members. */
export function Serves<const O extends Operation>(served: O) {
  return <Method extends (ask: Ask<O>) => Promise<Answer<O>>>(
    target: object,
    key: string,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    const serve = descriptor.value!;
    const { answer } = served;
    const declared = async function (this: unknown, ask: Ask<O>): Promise<Answer<O>> {
      const given = await serve.call(this, ask);
      return answer === null || given instanceof StreamableFile ? given : (answer.parse(given) as Answer<O>);
    };
    descriptor.value = declared as unknown as Method;
    RequestMapping({ path: served.path, method: METHODS[served.method] })(target, key, descriptor);
    RouteConfig({ ...ADMIN_ROUTE, readsBody: served.body !== undefined })(target, key, descriptor);
    HttpCode(served.status)(target, key, descriptor);
    Header('Cache-Control', 'no-store')(target, key, descriptor);
    Asked(served)(target, key, 0);
  };
}

/** Marks the routes of the admin API, whatever their path is. */
export const ADMIN_ROUTE = { gatehouse: 'admin' } as const;

const METHODS = {
  get: RequestMethod.GET,
  post: RequestMethod.POST,
  patch: RequestMethod.PATCH,
  delete: RequestMethod.DELETE,
} as const;

const Asked = createParamDecorator((asked: Operation, context: ExecutionContext): Ask<Operation> => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  return {
    params: parsePart('path', asked.params, request.params),
    query: parsePart('query', asked.query, request.query),
    body: asked.body && parsePart('body', asked.body, jsonOf(request)),
    ifMatch: request.headers['if-match'],
    by: administratorOf(request),
    request,
    reply: context.switchToHttp().getResponse<FastifyReply>(),
  } as Ask<Operation>;
});

function parsePart(part: 'path' | 'query' | 'body', schema: z.ZodObject | undefined, value: unknown): unknown {
  if (!schema) {
    const names = part === 'query' ? Object.keys((value as object | undefined) ?? {}) : [];
    if (names.length === 0) return undefined;
    throw new Problem(400, 'The query of the request is not valid.', {
      faults: names.map((name) => ({ at: `query.${name}`, message: 'is not known here' })),
    });
  }
  const parsed = schema.safeParse(value ?? {});
  if (!parsed.success) throw problemOfIssues(part, parsed.error);
  return parsed.data;
}

/** A form would turn every value into text: only JSON is read. */
function jsonOf(request: FastifyRequest): unknown {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' && type !== 'application/merge-patch+json')
    throw new Problem(415, 'The body must be application/json.');
  return request.body;
}
