import { HttpException } from '@nestjs/common';
import { z } from 'zod';
import { DatabaseUnavailable } from '../persistence/faults.js';
import { component } from './components.js';

/** One part of a request that does not fit. */
export interface Fault {
  /** Where: `body.roles.0`, `query.limit`, `path.id`. */
  readonly at: string;
  readonly message: string;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Content too large',
  415: 'Unsupported media type',
  428: 'Precondition required',
  429: 'Too many requests',
  500: 'Internal server error',
  503: 'Service unavailable',
};

/** An answer of the admin API that is no success, as RFC 9457 writes it. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly faults: readonly Fault[];
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail safe to show; never a secret */
  constructor(
    readonly status: number,
    readonly detail: string,
    more: { faults?: readonly Fault[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.faults = more.faults ?? [];
    this.headers = more.headers ?? {};
  }

  /** The body, `application/problem+json`. */
  get body(): Record<string, unknown> {
    return {
      type: 'about:blank',
      title: TITLES[this.status] ?? 'Error',
      status: this.status,
      detail: this.detail,
      ...(this.faults.length > 0 ? { errors: this.faults } : {}),
    };
  }
}

/** A problem as the document describes it (RFC 9457). */
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

/** Nothing of that kind has this id. */
export function notFound(what: string): Problem {
  return new Problem(404, `There is no such ${what}.`);
}

/** What a schema found wrong with one part of a request. */
export function problemOfIssues(part: 'body' | 'query' | 'path', error: z.ZodError): Problem {
  const faults = error.issues.flatMap((issue): Fault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ at: [part, ...issue.path, key].join('.'), message: 'is not known here' }))
      : [{ at: [part, ...issue.path].join('.'), message: issue.message }],
  );
  return new Problem(400, `The ${part} of the request is not valid.`, { faults });
}

/** Any error as a problem; null: a bug, which the caller logs and answers by `internal`. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  if (error instanceof DatabaseUnavailable)
    return new Problem(503, 'The database is out of reach; try again.', {
      headers: { 'retry-after': String(error.retryAfter) },
    });
  if ((error as { code?: unknown } | null)?.code === 'FST_ERR_BAD_URL')
    return new Problem(400, 'The address cannot be decoded.');
  const status = error instanceof HttpException ? error.getStatus() : statusOfParser(error);
  return status === null || status >= 500 ? null : new Problem(status, DETAILS[status] ?? 'The request is not valid.');
}

/** What a bug looks like from outside. */
export const internal = new Problem(500, 'Something went wrong here; the log says more.');

const DETAILS: Readonly<Record<number, string>> = {
  400: 'The request is not valid: the body must be JSON.',
  404: 'There is nothing at this address.',
  413: 'The body is too large.',
  415: 'The body must be application/json.',
};

/** Fastify's own errors (unreadable JSON, size, media type) carry a status; null: no such error. */
function statusOfParser(error: unknown): number | null {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof status === 'number' && (status < 500 || String(code).startsWith('FST_ERR_CTP')) ? status : null;
}
