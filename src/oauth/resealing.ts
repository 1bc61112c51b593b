import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';

const BATCH = 200;

/** A table whose envelopes outlive a rotation of the root key. */
interface SealedTable {
  readonly name: string;
  readonly purpose: string;
  /** Rows after a key, in its order. */
  readonly page: (after: string) => Statement;
  /** Puts another envelope in the place of exactly this one: what was sealed anew meanwhile stays. */
  readonly replace: (key: string, before: string, after: string) => Statement;
}

const TABLES: readonly SealedTable[] = [
  {
    name: 'signing keys',
    purpose: 'signing-key',
    page: (after) => sql`SELECT kid AS key, sealed FROM signing_key WHERE kid > ${after} ORDER BY kid LIMIT ${BATCH}`,
    replace: (key, before, after) =>
      sql`UPDATE signing_key SET sealed = ${after} WHERE kid = ${key} AND sealed = ${before}`,
  },
  {
    name: 'upstream tokens',
    purpose: 'upstream-token',
    page: (after) =>
      sql`SELECT provider || ' ' || subject AS key, sealed FROM upstream_token
        WHERE sealed IS NOT NULL AND provider || ' ' || subject > ${after} ORDER BY provider || ' ' || subject LIMIT ${BATCH}`,
    replace: (key, before, after) =>
      sql`UPDATE upstream_token SET sealed = ${after} WHERE provider || ' ' || subject = ${key} AND sealed = ${before}`,
  },
  {
    name: 'sign-ins to the account page',
    purpose: 'account-id-token',
    page: (after) =>
      sql`SELECT id_hash AS key, id_token AS sealed FROM account_sign_in WHERE id_token IS NOT NULL AND id_hash > ${after} ORDER BY id_hash LIMIT ${BATCH}`,
    replace: (key, before, after) =>
      sql`UPDATE account_sign_in SET id_token = ${after} WHERE id_hash = ${key} AND id_token = ${before}`,
  },
];

/**
 * After `GATEHOUSE_SECRET` was given a new first key, seals everything anew under it, in the background and again from the start after a crash; when
 * that is done the old key can be taken away.
 */
@Injectable()
export class Resealing implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger('Resealing');
  #stopped = false;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  onApplicationBootstrap(): void {
    this.run().catch((error: unknown) => {
      if (!this.#stopped) this.#log.warn(`secrets were not sealed anew: ${String(error)}`);
    });
  }

  onApplicationShutdown(): void {
    this.#stopped = true;
  }

  /** Goes through every table once. @returns how many envelopes were stale */
  async run(): Promise<number> {
    let renewed = 0;
    for (const table of TABLES) renewed += await this.#renew(table);
    if (renewed > 0) this.#log.log(`${renewed} secrets are sealed under the new first key of GATEHOUSE_SECRET`);
    return renewed;
  }

  async #renew({ purpose, page, replace }: SealedTable): Promise<number> {
    let renewed = 0;
    for (let after = ''; !this.#stopped;) {
      const rows = await this.database.rows<{ key: string; sealed: string }>(page(after));
      const stale = rows.filter(({ sealed }) => this.seals.isStale(sealed));
      if (stale.length > 0)
        await this.database.commit(
          stale.map(({ key, sealed }) =>
            replace(key, sealed, this.seals.seal(this.seals.open(sealed, purpose), purpose)),
          ),
        );
      renewed += stale.length;
      const last = rows.at(-1);
      if (!last || rows.length < BATCH) break;
      after = last.key;
    }
    return renewed;
  }
}
