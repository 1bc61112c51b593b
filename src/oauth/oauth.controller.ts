import { stringify } from 'node:querystring';
import { All, Controller, Inject, Req, Res, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AttemptLimit } from '../access/attempt-limit.js';
import { CallerAddresses, limitKey } from '../access/caller-address.js';
import { Settings } from '../config/settings.js';
import { AdminIntrospection } from './admin-introspection.js';
import { Engine } from './engine/engine.js';
import { fixAuthorizationRequest, fixTokenRequest, namedClient } from './engine/request-fixes.js';
import { oauthRoute, sendOauthError } from './oauth-hooks.js';
import { tooManySignInsPage } from './pages/error.page.js';
import { newReference } from './pages/reference.js';
import { ResourceScopes } from './resource-scopes.js';
import { sendPage } from './pages/send-page.js';
import { OauthFilter } from './oauth.filter.js';

/** Authorization requests of one address, a minute: each writes a row. Offices share addresses. */
const AUTHORIZATIONS_PER_MINUTE = 300;

/** The engine's endpoints: each request is put right (as-engine.md §8), then handed over with its raw response. */
@Controller()
@UseFilters(OauthFilter)
export class OauthController {
  readonly #authorizations = new AttemptLimit({ max: AUTHORIZATIONS_PER_MINUTE, seconds: 60 });

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(ResourceScopes) private readonly scopes: ResourceScopes,
    @Inject(AdminIntrospection) private readonly adminIntrospection: AdminIntrospection,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  /** A POST becomes the same request by GET: the browser's cookies are `Lax` (real-clients A4). */
  @All('authorize')
  @RouteConfig(oauthRoute(['GET', 'POST'], false))
  async authorize(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (request.method === 'POST') {
      const query = new URLSearchParams(stringify(flat(request.body)));
      for (const [name, value] of new URLSearchParams(queryOf(request))) query.append(name, value);
      void reply
        .code(303)
        .headers({ location: `/authorize?${query.toString()}`, 'cache-control': 'no-store' })
        .send();
      return;
    }
    if (!this.#mayWrite(request, reply)) return;
    const asked = new URLSearchParams(queryOf(request));
    const known = await this.scopes.knownFor(asked.get('client_id'));
    const query = fixAuthorizationRequest(asked, known, this.settings);
    request.raw.url = `/authorize?${query.toString()}`;
    await this.#handOver(request, reply);
  }

  /** Where the engine goes on after our pages. */
  @All('authorize/:uid')
  @RouteConfig(oauthRoute(['GET'], false))
  async resume(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    request.raw.url = pathOf(request);
    await this.#handOver(request, reply);
  }

  @All('token')
  @RouteConfig(oauthRoute(['POST']))
  async token(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = fixTokenRequest(new URLSearchParams(stringify(flat(request.body))), this.settings);
    await this.#handOver(request, reply, { path: '/token', body: body.toString() });
  }

  @All('par')
  @RouteConfig(oauthRoute(['POST'], false))
  async pushedRequest(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!this.#mayWrite(request, reply)) return;
    const asked = new URLSearchParams(stringify(flat(request.body)));
    const clientId = namedClient(asked, request.headers.authorization);
    // The engine wants it in the form too, where RFC 9126 §2.1 has it; RFC 6749 §2.3.1 lets clients that authenticate leave it out.
    if (clientId !== null && !asked.has('client_id')) asked.set('client_id', clientId);
    const known = await this.scopes.knownFor(clientId);
    const body = fixAuthorizationRequest(asked, known, this.settings);
    await this.#handOver(request, reply, { path: '/par', body: body.toString() });
  }

  @All('revoke')
  @RouteConfig(oauthRoute(['POST']))
  async revoke(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (refusedAsRepeated(request, reply)) return;
    await this.#handOver(request, reply, { path: '/revoke', body: stringify(flat(request.body)) });
  }

  /** RFC 7662: a client's own tokens by the engine, any of ours for the administrator. */
  @All('introspect')
  @RouteConfig(oauthRoute(['POST']))
  async introspect(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (refusedAsRepeated(request, reply)) return;
    if (this.adminIntrospection.concerns(request)) return this.adminIntrospection.answer(request, reply);
    await this.#handOver(request, reply, { path: '/introspect', body: stringify(flat(request.body)) });
  }

  @All('jwks')
  @RouteConfig(oauthRoute(['GET', 'HEAD']))
  async jwks(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.#handOver(request, reply, { path: '/jwks' });
  }

  #mayWrite(request: FastifyRequest, reply: FastifyReply): boolean {
    if (!this.settings.values.rateLimits) return true;
    const wait = this.#authorizations.count(limitKey(this.addresses.of(request.raw)));
    if (wait === null) return true;
    void reply.header('retry-after', String(wait));
    if ((request.headers.accept ?? '').includes('text/html'))
      sendPage(
        reply,
        tooManySignInsPage({ wait, remedy: 'connect again from your application', reference: newReference() }),
      );
    else
      sendOauthError(reply, 429, {
        error: 'temporarily_unavailable',
        error_description: 'too many requests; try again later',
      });
    return false;
  }

  /** From here on the engine writes the response; Nest and Fastify write nothing. */
  async #handOver(request: FastifyRequest, reply: FastifyReply, form?: { path: string; body?: string }): Promise<void> {
    const { raw } = request;
    if (form) {
      raw.url = form.path;
      // With `Accept: text/html` the engine would answer errors as HTML.
      raw.headers.accept = 'application/json';
    }
    if (form?.body !== undefined && raw.method === 'POST') replay(request, form.body);
    reply.hijack();
    await this.engine.handle(raw, reply.raw);
  }
}

/** Fastify has read the body; the engine reads it from the stream again, and would warn on the console if it found it spent. */
function replay(request: FastifyRequest, form: string): void {
  const { raw } = request;
  const bytes = Buffer.from(form);
  const type = raw.headers['content-type'];
  // A body without a type was empty for Fastify; any other type than a form is the engine's to refuse.
  if (type !== undefined) raw.headers['content-length'] = String(bytes.length);
  Object.defineProperties(raw, {
    readable: { value: true },
    readableEncoding: { value: null },
    iterator: {
      value: async function* () {
        yield bytes;
      },
    },
  });
}

/** Form members as strings or lists of strings; anything else (a JSON body, nested members) is none (security.md 5). */
function flat(body: unknown): Record<string, string | string[]> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return {};
  const form: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(body) as [string, unknown][]) {
    if (typeof value === 'string') form[name] = value;
    else if (Array.isArray(value)) form[name] = value.filter((item): item is string => typeof item === 'string');
  }
  return form;
}

/** RFC 6749 §3.2. The engine ignores what comes twice at these endpoints, and would answer `/revoke` with 200 although nothing was revoked. */
function refusedAsRepeated(request: FastifyRequest, reply: FastifyReply): boolean {
  const repeated = Object.entries(flat(request.body)).find(([, value]) => typeof value !== 'string');
  if (!repeated) return false;
  sendOauthError(reply, 400, {
    error: 'invalid_request',
    error_description: 'a parameter must not be provided twice',
  });
  return true;
}

function queryOf(request: FastifyRequest): string {
  const url = request.raw.url ?? '';
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start + 1);
}

function pathOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('?')[0]!.replace(/\/$/, '');
}
