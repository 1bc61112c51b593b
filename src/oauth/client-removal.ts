import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { ClientRow } from './client.entity.js';
import { type ChangedBy, Clients } from './clients.js';
import { eventsOfEnds } from './grant-events.js';

/** Grants that one commit ends, each with its Event: on SQLite nothing else happens meanwhile. */
const GRANTS_A_COMMIT = 1000;
/** Tokens that one commit deletes. */
const TOKENS_A_COMMIT = 5000;

/** The end of a Client with its Grants, Tokens and consents, however many there are. */
@Injectable()
export class ClientRemoval {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Clients) private readonly clients: Clients,
  ) {}

  /**
   * Forgets a Client: its next `/token` says 401 `invalid_client`, and SDKs register again. With few Grants it is one commit. With many the Client is
   * blocked first, which cuts everything off at once, and they end in batches: should the process die between, it stays blocked, and another removal
   * goes on.
   * @returns false: unknown
   */
  async remove(id: string, by: ChangedBy): Promise<boolean> {
    const client = await this.clients.find(id);
    if (!client) return false;
    if (await this.#isLarge(id)) {
      if (client.status !== 'blocked') await this.clients.change(id, { status: 'blocked' }, { ...by, version: null });
      await this.#endGrants(id, by);
      await this.#deleteTokens(id);
    }
    await this.revocations.revoke(
      [{ kind: 'client', id }],
      [
        eventsOfEnds({ clientId: id }, { ...by, reason: 'client-removed' }),
        sql`UPDATE oauth_grant SET revoked_at = ${now()} WHERE client_id = ${id} AND revoked_at IS NULL`,
        sql`DELETE FROM oauth_token WHERE client_id = ${id}`,
        sql`DELETE FROM oauth_consent WHERE client_id = ${id}`,
        this.database.remove(ClientRow, { id }),
        this.events.record({ type: 'client.removed', clientId: id, ...by }),
      ],
    );
    return true;
  }

  async #isLarge(id: string): Promise<boolean> {
    const grant = await this.database.row(
      sql`SELECT id FROM oauth_grant WHERE client_id = ${id} AND revoked_at IS NULL LIMIT 1 OFFSET ${GRANTS_A_COMMIT}`,
    );
    const token = await this.database.row(
      sql`SELECT id_hash FROM oauth_token WHERE client_id = ${id} LIMIT 1 OFFSET ${TOKENS_A_COMMIT}`,
    );
    return grant !== null || token !== null;
  }

  async #endGrants(id: string, by: ChangedBy): Promise<void> {
    for (;;) {
      const batch = await this.database.rows<{ id: string }>(
        sql`SELECT id FROM oauth_grant WHERE client_id = ${id} AND revoked_at IS NULL ORDER BY id LIMIT ${GRANTS_A_COMMIT}`,
      );
      const upTo = batch.at(-1)?.id;
      if (upTo === undefined) return;
      await this.database.commit([
        eventsOfEnds({ clientId: id, upTo }, { ...by, reason: 'client-removed' }),
        sql`UPDATE oauth_grant SET revoked_at = ${now()} WHERE client_id = ${id} AND id <= ${upTo} AND revoked_at IS NULL`,
      ]);
      await othersTurn();
    }
  }

  async #deleteTokens(id: string): Promise<void> {
    for (let rows = TOKENS_A_COMMIT; rows === TOKENS_A_COMMIT; await othersTurn())
      [rows = 0] = await this.database.commit([
        sql`DELETE FROM oauth_token WHERE id_hash IN (SELECT id_hash FROM oauth_token WHERE client_id = ${id} LIMIT ${TOKENS_A_COMMIT})`,
      ]);
  }
}

/** On SQLite a commit waits for nothing: other requests get their turn here. */
async function othersTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

const now = (): number => Math.floor(Date.now() / 1000);
