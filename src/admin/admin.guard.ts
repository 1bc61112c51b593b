import { timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Access } from '../access/access.js';
import { AdminTokens } from '../access/admin-tokens.js';
import { AttemptLimit } from '../access/attempt-limit.js';
import { CallerAddresses, limitKey } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { bearerChallenge, parseAuthorization } from '../protocol/bearer.js';
import { sha256 } from '../protocol/token.js';
import { Problem } from './problem.js';

/** Who administers, and from where: for Events. */
export interface Administrator {
  /** A User id, or `admin-token`. */
  readonly actor: string;
  readonly ip: string;
  /** The id of the request in the log. */
  readonly reference: string;
}

/** Refused attempts of one address in a minute; after that nothing it sends is checked. */
const FAILURES_A_MINUTE = 20;

const known = new WeakMap<FastifyRequest, Administrator>();

/** Whom the guard let in. */
export function administratorOf(request: FastifyRequest): Administrator {
  const administrator = known.get(request);
  if (!administrator) throw new Error('a route of the admin API without its guard');
  return administrator;
}

/**
 * Lets in `GATEHOUSE_ADMIN_TOKEN`, and access tokens made for the admin API, with the scope `admin`, of a person with the role `admin`. A token for `/mcp`
 * opens nothing here (security.md 44). Failures are counted by address and recorded.
 */
@Injectable()
export class AdminGuard implements CanActivate {
  readonly #failures = new AttemptLimit({ max: FAILURES_A_MINUTE, seconds: 60 });
  readonly #adminToken: Buffer | null;

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(AdminTokens) private readonly tokens: AdminTokens,
    @Inject(Access) private readonly access: Access,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {
    const { adminToken } = settings.values;
    this.#adminToken = adminToken === undefined ? null : Buffer.from(sha256(adminToken));
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const ip = this.addresses.of(request.raw);
    const wait = this.settings.values.rateLimits ? this.#failures.wait(limitKey(ip)) : null;
    if (wait !== null)
      throw new Problem(429, 'Too many refused attempts from this address.', {
        headers: { 'retry-after': String(wait) },
      });
    known.set(request, { actor: await this.#actor(request, ip), ip, reference: request.id });
    return true;
  }

  async #actor(request: FastifyRequest, ip: string): Promise<string> {
    const header = request.headers.authorization;
    if (header === undefined) throw unauthorized();
    const credentials = parseAuthorization(header);
    if (!credentials || !['bearer', 'dpop'].includes(credentials.scheme))
      return this.#refuse(request, ip, unauthorized('The Authorization header must be: Bearer <token>.'));
    if (this.#isAdminToken(credentials.value)) return 'admin-token';
    const principal = await this.tokens.find(credentials.value);
    if (!principal?.user)
      return this.#refuse(request, ip, unauthorized('The token is unknown, expired, revoked, or for something else.'));
    const fault = await this.access.faultOfBinding(principal, credentials, {
      authorization: header,
      dpop: request.headers['dpop'],
      method: request.method,
      url: new URL(request.url.split('?')[0]!, this.settings.publicUrl).href,
    });
    if (fault !== null) return this.#refuse(request, ip, unauthorized(`The token cannot be used so: ${fault}.`));
    if (!principal.scopes.includes('admin'))
      return this.#refuse(request, ip, forbidden('The token lacks the scope admin.'), principal.user.id);
    if (!principal.roles.includes('admin'))
      return this.#refuse(request, ip, forbidden('The role admin is needed.'), principal.user.id);
    return principal.user.id;
  }

  /** Compared by hash, in constant time. */
  #isAdminToken(token: string): boolean {
    return this.#adminToken !== null && timingSafeEqual(Buffer.from(sha256(token)), this.#adminToken);
  }

  async #refuse(request: FastifyRequest, ip: string, problem: Problem, userId: string | null = null): Promise<never> {
    this.#failures.count(limitKey(ip));
    await this.events.write({
      type: 'admin.refused',
      outcome: 'refused',
      actor: userId,
      userId,
      ip,
      reference: request.id,
      detail: { method: request.method, route: request.routeOptions.url ?? null, why: problem.detail },
    });
    throw problem;
  }
}

/** Without `detail` no credentials came, and the challenge names no error (RFC 6750 §3.1). */
function unauthorized(detail?: string): Problem {
  const challenge = bearerChallenge({
    ...(detail === undefined ? {} : { error: 'invalid_token', description: detail }),
    resourceMetadata: null,
  });
  return new Problem(401, detail ?? 'The admin API wants a bearer token.', {
    headers: { 'www-authenticate': challenge },
  });
}

function forbidden(detail: string): Problem {
  const challenge = bearerChallenge({
    error: 'insufficient_scope',
    description: detail,
    scopes: ['admin'],
    resourceMetadata: null,
  });
  return new Problem(403, detail, { headers: { 'www-authenticate': challenge } });
}
