import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import type { Database } from '../../persistence/database.js';
import type { ProofIds } from '../../access/proof-ids.js';
import type { Browsers } from '../browsers.js';
import type { Interactions } from '../interactions.js';
import { GrantAdapter, TokenAdapter } from './grant-adapters.js';
import { type EngineStores, isPossible, ModelAdapter } from './model-adapter.js';

/** The adapter of one of the engine's models. @throws Error for a model that no enabled feature uses */
export function adapterFor(model: string, stores: EngineStores): Adapter {
  switch (model) {
    case 'Client':
      return new ClientAdapter(stores);
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
      return new ModelAdapter(model);
  }
}

/** Seconds for which the engine goes on with the keys that it has read from a `jwks_uri`. */
const KEY_PERIOD = 30;

/**
 * The engine keeps a Client and its keys for as long as nothing about the Client changes, and would take a withdrawn key for ever. So each period makes
 * another Client of it, whose keys are asked for again: of `CimdDocuments`, which knows when its host has to be.
 */
const keyPeriod = (): number => Math.floor(Date.now() / 1000 / KEY_PERIOD);

/** At `/authorize`, and where the engine goes on after our pages. */
const beginsSignIn = (endpoint: string | undefined): boolean => endpoint?.startsWith('/authorize') ?? false;

class ClientAdapter extends ModelAdapter {
  constructor(private readonly stores: EngineStores) {
    super('Client');
  }

  /**
   * Blocked Clients begin no sign-in, but are known where they come with a code or token: `invalid_client` would make them forget a registration that an
   * administrator may give back. Metadata document Clients are resolved by their document, not by their row.
   */
  override async find(id: string): Promise<AdapterPayload | undefined> {
    const row = isPossible(id) ? await this.stores.clients.find(id) : null;
    if (!row || row.source === 'cimd') return undefined;
    if (row.status === 'blocked' && beginsSignIn(this.stores.endpoint())) return undefined;
    return {
      ...row.metadata,
      ...('jwks_uri' in row.metadata ? { gatehouse_keys_read: keyPeriod() } : {}),
      client_id: row.id,
      client_id_issued_at: row.createdAt,
      gatehouse_trusted: row.trusted,
    };
  }
}

class BrowserAdapter extends ModelAdapter {
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

class InteractionAdapter extends ModelAdapter {
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

class ProofIdAdapter extends ModelAdapter {
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
