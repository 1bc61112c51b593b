import { Inject, Injectable, Logger } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { AttemptLimit } from '../../access/attempt-limit.js';
import { CallerAddresses } from '../../access/caller-address.js';
import { Settings } from '../../config/settings.js';
import { Database } from '../../persistence/database.js';
import { DatabaseUnavailable } from '../../persistence/faults.js';
import { parseScope, withinLimit } from '../../protocol/scope.js';
import { UpstreamUnavailable } from '../../providers/contract.js';
import { Admission } from '../admission.js';
import { Grants } from '../grants.js';
import { Tokens, type Exchange, type StoredAnswer } from '../tokens.js';
import { TokenTraces } from './token-traces.js';
import { checkOfToken } from './refusals.js';
import { currentUnit, inUnit, TokenUnit } from './unit.js';

/** Token requests of one User through one Client, a minute: SDKs refresh once for each parallel call. */
const PER_MINUTE = 300;

/** Makes each `/token` request one commit, made before the answer leaves (as-engine.md §4). */
@Injectable()
export class TokenRequests {
  readonly #log = new Logger('Token');
  readonly #limit = new AttemptLimit({ max: PER_MINUTE, seconds: 60 });

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Tokens) private readonly tokens: Tokens,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Database) private readonly database: Database,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(TokenTraces) private readonly traces: TokenTraces,
    @Inject(Admission) private readonly admission: Admission,
  ) {}

  /** Koa middleware: collects what the engine writes, then commits it, or drops it when the request is refused. */
  async commitAround(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    if (ctx.path !== '/token') return next();
    const unit = new TokenUnit();
    await inUnit(unit, next);
    try {
      if (ctx.status < 400) await this.#commit(ctx, unit);
      else await this.#noteRefused(ctx, unit);
    } catch (error) {
      if (error instanceof DatabaseUnavailable || error instanceof UpstreamUnavailable)
        return answerUnavailable(ctx, error);
      this.#log.error(`/token: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}`);
      ctx.status = 500;
      ctx.body = { error: 'server_error', error_description: 'internal error' };
    }
  }

  /** Called when the engine refuses a request. */
  noteRefusal(error: Error): void {
    const unit = currentUnit();
    if (unit) unit.refusal = error;
  }

  /** A wrong PKCE verifier counts against its code. */
  async #noteRefused(ctx: KoaContextWithOIDC, unit: TokenUnit): Promise<void> {
    if (!unit.refusal) return;
    if (unit.suspended !== null) tellSuspended(ctx);
    const check = unit.suspended === null ? checkOfToken(unit.refusal) : (`client-${unit.suspended}` as const);
    const code = ctx.oidc.params?.['code'];
    if (check === 'pkce' && typeof code === 'string')
      await this.database.commit([this.tokens.countWrongVerifier(code)]);
    await this.traces.refused(ctx, unit.presented, { check, error: unit.refusal });
  }

  async #commit(ctx: KoaContextWithOIDC, unit: TokenUnit): Promise<void> {
    const { consumed, grantId } = unit;
    if (!consumed || grantId === null) throw new Error('a token answer without a consumed token and a grant');
    if (this.settings.values.rateLimits) {
      const wait = this.#limit.count(`${unit.clientId} ${unit.userId}`);
      if (wait !== null) return answerTooMany(ctx, wait);
    }
    const answer: StoredAnswer = {
      body: withScopesOf(unit, ctx.body),
      scope: text(ctx.oidc.params?.['scope']),
      resource: text(ctx.oidc.params?.['resource']),
    };
    const exchange: Exchange = {
      ...consumed,
      grantId,
      inserts: unit.inserts,
      answer,
      until: unit.until,
      userId: unit.userId,
      clientId: unit.clientId,
      ip: this.addresses.of(ctx.req),
      reference: unit.reference,
    };
    if (!(await this.admission.check(grantId))) return answerInvalidGrant(ctx);
    const result = await this.tokens.exchange(exchange);
    if (result === 'dead') return answerInvalidGrant(ctx);
    if (result === 'replayed') return this.#answerReplay(ctx, exchange);
    ctx.body = answer.body;
    if (consumed.kind === 'AuthorizationCode') this.traces.redeemed(grantId);
  }

  /** Somebody consumed it a moment ago: a refresh token gets that answer again; a code ends its Grant (RFC 6749 §4.1.2). */
  async #answerReplay(ctx: KoaContextWithOIDC, { kind, value, grantId, answer }: Exchange): Promise<void> {
    if (kind !== 'RefreshToken') {
      await this.grants.revoke(grantId, { actor: 'system', reason: 'code-replayed', ip: this.addresses.of(ctx.req) });
      await this.traces.refused(ctx, { kind, grantId }, { check: 'code-expired', error: new Error('code-replayed') });
      return answerInvalidGrant(ctx);
    }
    const stored = await this.tokens.answerOf(value);
    // A retry asks the same; anything else would have to be a second successor.
    if (stored?.scope !== answer.scope || stored.resource !== answer.resource) return answerInvalidGrant(ctx);
    ctx.body = stored.body;
  }
}

/** 503: nothing was consumed, the credential is still good (real-clients T2). */
export function answerUnavailable(ctx: KoaContextWithOIDC, error: DatabaseUnavailable | UpstreamUnavailable): void {
  ctx.status = 503;
  ctx.set('Retry-After', String(error.retryAfter));
  ctx.body = {
    error: 'temporarily_unavailable',
    error_description: 'the server cannot decide this now; try again',
  };
}

function answerTooMany(ctx: KoaContextWithOIDC, wait: number): void {
  ctx.status = 429;
  ctx.set('Retry-After', String(wait));
  ctx.body = { error: 'temporarily_unavailable', error_description: 'too many token requests; try again later' };
}

/**
 * An administrator blocked the Client, or set it back to waiting: `invalid_grant`, so that it signs in again and the person reads why, but keeps its
 * registration, which `invalid_client` would make SDKs throw away. Nothing was consumed: let in again, it goes on with what it has.
 */
function tellSuspended(ctx: KoaContextWithOIDC): void {
  ctx.body = { error: 'invalid_grant', error_description: 'an administrator has suspended this client' };
}

/** What `/token` says that the new token may do: what is withheld from its Client it may not, until an administrator gives it back. */
function withScopesOf({ limit }: TokenUnit, body: unknown): unknown {
  const { scope } = body as { scope?: unknown };
  return typeof scope === 'string'
    ? { ...(body as object), scope: withinLimit(limit, parseScope(scope)).join(' ') }
    : body;
}

function answerInvalidGrant(ctx: KoaContextWithOIDC): void {
  ctx.status = 400;
  ctx.body = { error: 'invalid_grant', error_description: 'grant request is invalid' };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
