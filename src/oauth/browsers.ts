import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { sha256 } from '../protocol/token.js';
import { BrowserRow } from './browser.entity.js';

/** Browsers that stay signed in. */
@Injectable()
export class Browsers {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** By the cookie's value; null: unknown. */
  async find(id: string): Promise<Record<string, unknown> | null> {
    const row = await this.database.repository(BrowserRow).findOneBy({ idHash: sha256(id) });
    return row ? { ...row.payload, jti: id } : null;
  }

  /** By the name it has inside Interactions; null: unknown. */
  async findByUid(uid: string): Promise<Record<string, unknown> | null> {
    return (await this.database.repository(BrowserRow).findOneBy({ uid }))?.payload ?? null;
  }

  /** A statement that keeps it, or what is new of it. `payload` must not hold the cookie's value. */
  keep(id: string, payload: Record<string, unknown>): Statement {
    const userId = typeof payload['accountId'] === 'string' ? payload['accountId'] : null;
    return sql`INSERT INTO oauth_browser (id_hash, uid, user_id, expires_at, payload)
        VALUES (${sha256(id)}, ${String(payload['uid'])}, ${userId}, ${Number(payload['exp'])}, ${JSON.stringify(payload)})
        ON CONFLICT (id_hash) DO UPDATE SET user_id = excluded.user_id, expires_at = excluded.expires_at, payload = excluded.payload`;
  }

  /** A statement that signs a browser out, by its cookie's value. */
  end(id: string): Statement {
    return this.database.remove(BrowserRow, { idHash: sha256(id) });
  }

  /** A statement that signs a person out of every browser. */
  endAll(userId: string): Statement {
    return this.database.remove(BrowserRow, { userId });
  }

  /** Signs a browser out, by its name. */
  async endByUid(uid: string): Promise<void> {
    await this.database.commit([this.database.remove(BrowserRow, { uid })]);
  }
}
