import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Database } from '../../persistence/database.js';
import type { Statement } from '../../persistence/statement.js';
import type { ProofIds } from '../../access/proof-ids.js';
import type { Browsers } from '../browsers.js';
import type { Clients } from '../clients.js';
import type { Grants } from '../grants.js';
import type { Interactions } from '../interactions.js';
import type { Tokens } from '../tokens.js';
import { currentNavigation } from './unit.js';

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
  /** Its path; undefined: none is. */
  readonly endpoint: () => string | undefined;
}

/** Refuses everything: what a model does not need must never be called. The adapters of models in use extend it. */
export class ModelAdapter implements Adapter {
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

/** NUL cannot be stored or compared as text on Postgres; nothing of ours holds one. */
export const isPossible = (id: string): boolean => id !== '' && id.length <= 4096 && !id.includes('\0');
