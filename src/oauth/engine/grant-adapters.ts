import { errors, type AdapterPayload } from 'oidc-provider';
import { parseScope, scopesOfToken } from '../../protocol/scope.js';
import type { GrantRow } from '../grant.entity.js';
import type { TokenKind } from '../token.entity.js';
import { type EngineStores, isPossible, ModelAdapter } from './model-adapter.js';
import { currentUnit } from './unit.js';

/** Grants; the engine reads and ends them, it never makes one. */
export class GrantAdapter extends ModelAdapter {
  constructor(private readonly stores: EngineStores) {
    super('Grant');
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const row = isPossible(id) ? await this.stores.grants.find(id) : null;
    const unit = currentUnit();
    if (unit && row) unit.reference = row.reference;
    return row ? { ...withWidened(row), jti: row.id, exp: row.expiresAt } : undefined;
  }

  override async destroy(id: string): Promise<void> {
    await revoke(this.stores, id);
  }
}

/** Codes, refresh tokens, access tokens and pushed requests. */
export class TokenAdapter extends ModelAdapter {
  constructor(
    private readonly kind: TokenKind,
    private readonly stores: EngineStores,
  ) {
    super(kind, stores.database);
  }

  override async find(value: string): Promise<AdapterPayload | undefined> {
    if (!isPossible(value) || !this.#mayBe(value)) return undefined;
    const found = await this.stores.tokens.find(this.kind, value);
    if (!found) return undefined;
    const { payload, consumed, suspended, widened, limit } = found;
    const unit = currentUnit();
    if (unit) {
      unit.presented = { kind: this.kind, grantId: text(payload['grantId']) };
      Object.assign(unit, { suspended, widened, limit });
    }
    const isAsked = this.stores.endpoint() === '/introspect';
    // Not known while its Client is suspended, so nothing of it is used up; only `/revoke` still ends it.
    if (suspended !== null && (unit || isAsked)) return undefined;
    const scope = scopesOfToken({
      scope: text(payload['scope']) ?? undefined,
      // What the person added at a step-up link is in its token already when they had it left out.
      widened: this.kind === 'RefreshToken' || isAsked ? widened : null,
      leftOut: text(payload['left_out']) ?? undefined,
      // Only what is told now: what is renewed keeps what an administrator may give back.
      limit: isAsked ? limit : null,
    }).join(' ');
    return {
      ...payload,
      ...('scope' in payload ? { scope } : {}),
      jti: value,
      ...(consumed === undefined ? {} : { consumed }),
    };
  }

  /** Inside a `/token` request it waits for the commit. */
  override async upsert(
    value: string,
    { jti: _value, consumed: _consumed, ...payload }: AdapterPayload,
  ): Promise<void> {
    const unit = currentUnit();
    if (unit) {
      unit.inserts.push(this.stores.tokens.insert(this.kind, value, this.#withLeftOut(payload, unit.widened)));
      unit.until = Math.max(unit.until, Number(payload.exp));
      unit.grantId = payload.grantId ?? unit.grantId;
      unit.userId = payload.accountId ?? unit.userId;
      unit.clientId = payload.clientId ?? unit.clientId;
      return;
    }
    await this.write(`token ${value}`, this.stores.tokens.insert(this.kind, value, payload));
  }

  override async consume(value: string): Promise<void> {
    const unit = currentUnit();
    if (unit) {
      unit.consumed = { kind: this.kind, value };
      return;
    }
    if (!(await this.stores.tokens.consume(value)))
      throw new errors.InvalidRequestUri('the request_uri was already used');
  }

  /** The engine destroys a token only together with its Grant; see `revokeByGrantId`. */
  override async destroy(_value: string): Promise<void> {}

  override async revokeByGrantId(grantId: string): Promise<void> {
    await revoke(this.stores, grantId);
  }

  /** A Client that refreshes with less than it has wants a token with less. */
  #withLeftOut(payload: AdapterPayload, widened: string | null): AdapterPayload {
    if (this.kind !== 'AccessToken') return payload;
    const has = parseScope(payload.scope);
    const left = parseScope(widened ?? '').filter((name) => !has.includes(name));
    return left.length === 0 ? payload : { ...payload, left_out: left.join(' ') };
  }

  /** The prefix tells access from refresh tokens, so that `/revoke` and `/introspect` ask the database once. */
  #mayBe(value: string): boolean {
    if (this.kind === 'AccessToken') return value.startsWith('gth_at_');
    return this.kind !== 'RefreshToken' || value.startsWith('gth_rt_');
  }
}

/** null: no text. */
function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A Grant as the engine knows it: what the person added at a step-up link is granted like the rest. */
function withWidened({ payload, widened, resource }: GrantRow): Record<string, unknown> {
  const added = parseScope(widened ?? '');
  if (added.length === 0) return payload;
  const { resources = {}, rejected = {} } = payload as EngineGrant;
  const refused = parseScope(rejected.resources?.[resource]).filter((name) => !added.includes(name));
  return {
    ...payload,
    resources: { ...resources, [resource]: parseScope([resources[resource] ?? '', ...added].join(' ')).join(' ') },
    rejected: { ...rejected, resources: { ...rejected.resources, [resource]: refused.join(' ') } },
  };
}

/** The scopes of an engine's Grant by resource, space-separated. */
interface EngineGrant {
  readonly resources?: Readonly<Record<string, string>>;
  readonly rejected?: { readonly resources?: Readonly<Record<string, string>> };
}

/** Inside `/token` the engine revokes only for reuse; elsewhere because the Client asked (`/revoke`). */
async function revoke({ grants, callerAddress }: EngineStores, id: string): Promise<void> {
  const unit = currentUnit();
  const replayed = unit?.presented?.kind === 'RefreshToken' ? 'refresh-token-reused' : 'code-replayed';
  const ip = callerAddress();
  if (unit) await grants.revoke(id, { actor: 'system', reason: replayed, ip });
  else await grants.revoke(id, { actor: 'client', reason: 'client', ip });
}
