import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import type { Database } from '../../persistence/database.js';
import type { Statement } from '../../persistence/statement.js';
import type { ProofIds } from '../../access/proof-ids.js';
import type { Browsers } from '../browsers.js';
import type { Clients } from '../clients.js';
import type { Grants } from '../grants.js';
import type { Interactions } from '../interactions.js';
import type { Tokens } from '../tokens.js';
import type { TokenKind } from '../token.entity.js';
import { currentNavigation, currentUnit } from './unit.js';

/** The stores behind the engine's models. */
export interface EngineStores {
  readonly database: Database;
  readonly clients: Clients;
  readonly grants: Grants;
  readonly tokens: Tokens;
  readonly browsers: Browsers;
  readonly interactions: Interactions;
  readonly proofIds: ProofIds;
  /** Of the request that is being answered, for Events; undefined: none is. */
  readonly callerAddress: () => string | undefined;
}

/** The adapter of one of the engine's models. @throws Error for a model that no enabled feature uses */
export function adapterFor(model: string, stores: EngineStores): Adapter {
  switch (model) {
    case 'Client':
      return new ClientAdapter(stores.clients);
    case 'Grant':
      return new GrantAdapter(stores);
    case 'Session':
      return new BrowserAdapter(stores.browsers, stores.database);
    case 'Interaction':
      return new InteractionAdapter(stores.interactions, stores.database);
    case 'ReplayDetection':
      return new ProofIdAdapter(stores.proofIds);
    case 'AuthorizationCode':
    case 'RefreshToken':
    case 'AccessToken':
    case 'PushedAuthorizationRequest':
      return new TokenAdapter(model, stores);
    default:
      return new UnusedAdapter(model);
  }
}

/** Refuses everything: what a model does not need must never be called. */
class UnusedAdapter implements Adapter {
  constructor(
    protected readonly model: string,
    private readonly database?: Database,
  ) {}

  /** Inside a browser's request to `/authorize` it waits for the commit at its end. */
  protected async write(key: string, statement: Statement): Promise<void> {
    const navigation = currentNavigation();
    if (navigation) navigation.write(key, statement);
    else await this.database?.commit([statement]);
  }

  async find(_id: string): Promise<AdapterPayload | undefined> {
    return undefined;
  }
  async findByUid(_uid: string): Promise<AdapterPayload | undefined> {
    return undefined;
  }
  async findByUserCode(): Promise<undefined> {
    return undefined;
  }
  async upsert(_id: string, _payload: AdapterPayload, _expiresIn?: number): Promise<void> {
    throw new Error(`the engine must not write a ${this.model}`);
  }
  async consume(_id: string): Promise<void> {
    throw new Error(`the engine must not consume a ${this.model}`);
  }
  async destroy(_id: string): Promise<void> {}
  async revokeByGrantId(_grantId: string): Promise<void> {}
}

/** null: no text. */
function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** NUL cannot be stored or compared as text on Postgres; nothing of ours holds one. */
const isPossible = (id: string): boolean => id !== '' && id.length <= 4096 && !id.includes('\0');

/** Seconds for which the engine goes on with the keys that it has read from a `jwks_uri`. */
const KEY_PERIOD = 30;

/**
 * The engine keeps a Client and its keys for as long as nothing about the Client changes, and would take a withdrawn key for ever. So each period makes
 * another Client of it, whose keys are asked for again: of `CimdDocuments`, which knows when its host has to be.
 */
const keyPeriod = (): number => Math.floor(Date.now() / 1000 / KEY_PERIOD);

class ClientAdapter extends UnusedAdapter {
  constructor(private readonly clients: Clients) {
    super('Client');
  }

  /** Blocked Clients are unknown; metadata document Clients are resolved by their document, not by their row. */
  override async find(id: string): Promise<AdapterPayload | undefined> {
    const row = isPossible(id) ? await this.clients.find(id) : null;
    if (!row || row.status === 'blocked' || row.source === 'cimd') return undefined;
    return {
      ...row.metadata,
      ...('jwks_uri' in row.metadata ? { gatehouse_keys_read: keyPeriod() } : {}),
      client_id: row.id,
      client_id_issued_at: row.createdAt,
      gatehouse_trusted: row.trusted,
    };
  }
}

class GrantAdapter extends UnusedAdapter {
  constructor(private readonly stores: EngineStores) {
    super('Grant');
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const row = isPossible(id) ? await this.stores.grants.find(id) : null;
    const unit = currentUnit();
    if (unit && row) unit.reference = row.reference;
    return row ? { ...row.payload, jti: row.id } : undefined;
  }

  override async destroy(id: string): Promise<void> {
    await revoke(this.stores, id);
  }
}

class BrowserAdapter extends UnusedAdapter {
  constructor(
    private readonly browsers: Browsers,
    database: Database,
  ) {
    super('Session', database);
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    return (isPossible(id) && (await this.browsers.find(id))) || undefined;
  }

  override async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return (await this.browsers.findByUid(uid)) ?? undefined;
  }

  override async upsert(id: string, { jti: _id, ...payload }: AdapterPayload): Promise<void> {
    await this.write(`browser ${id}`, this.browsers.keep(id, payload));
  }

  override async destroy(id: string): Promise<void> {
    await this.write(`browser ${id}`, this.browsers.end(id));
  }
}

class InteractionAdapter extends UnusedAdapter {
  constructor(
    private readonly interactions: Interactions,
    database: Database,
  ) {
    super('Interaction', database);
  }

  override async find(uid: string): Promise<AdapterPayload | undefined> {
    return (isPossible(uid) && (await this.interactions.find(uid))) || undefined;
  }

  override async upsert(uid: string, payload: AdapterPayload): Promise<void> {
    await this.write(`interaction ${uid}`, this.interactions.keep(uid, { ...payload }));
  }

  /** The engine ends an Interaction when its browser comes back to be sent on: only one such request may go on. */
  override async destroy(uid: string): Promise<void> {
    await this.write(`interaction ${uid}`, this.interactions.end(uid));
  }
}

class ProofIdAdapter extends UnusedAdapter {
  constructor(private readonly proofIds: ProofIds) {
    super('ReplayDetection');
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    return (await this.proofIds.isUsed(id)) ? { jti: id, kind: 'ReplayDetection' } : undefined;
  }

  /** Two nodes can both have found it unused: the insert decides. */
  override async upsert(id: string, payload: AdapterPayload): Promise<void> {
    if (!(await this.proofIds.use(id, Number(payload.exp))))
      throw new errors.InvalidRequest('the proof was used before');
  }
}

class TokenAdapter extends UnusedAdapter {
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
    const unit = currentUnit();
    if (unit) unit.presented = { kind: this.kind, grantId: text(found.payload['grantId']) };
    return { ...found.payload, jti: value, ...(found.consumed === undefined ? {} : { consumed: found.consumed }) };
  }

  /** Inside a `/token` request it waits for the commit. */
  override async upsert(
    value: string,
    { jti: _value, consumed: _consumed, ...payload }: AdapterPayload,
  ): Promise<void> {
    const unit = currentUnit();
    if (unit) {
      unit.inserts.push(this.stores.tokens.insert(this.kind, value, payload));
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

  /** The prefix tells access from refresh tokens, so that `/revoke` and `/introspect` ask the database once. */
  #mayBe(value: string): boolean {
    if (this.kind === 'AccessToken') return value.startsWith('gth_at_');
    return this.kind !== 'RefreshToken' || value.startsWith('gth_rt_');
  }
}

/** Inside `/token` the engine revokes only for reuse; elsewhere because the Client asked (`/revoke`). */
async function revoke({ grants, callerAddress }: EngineStores, id: string): Promise<void> {
  const unit = currentUnit();
  const replayed = unit?.presented?.kind === 'RefreshToken' ? 'refresh-token-reused' : 'code-replayed';
  const ip = callerAddress();
  if (unit) await grants.revoke(id, { actor: 'system', reason: replayed, ip });
  else await grants.revoke(id, { actor: 'client', reason: 'client', ip });
}
