import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { sha256 } from '../protocol/token.js';
import { InteractionRow } from './interaction.entity.js';

/** Stands for the uid inside a stored payload: the uid is a bearer value. */
const UID = '{uid}';

/** Sign-ins on their way. The engine writes them through its adapter; what people decide is kept by `Attempts`. */
@Injectable()
export class Interactions {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** A live Interaction as the engine knows it; null: unknown, ended or older than ten minutes. */
  async find(uid: string): Promise<Record<string, unknown> | null> {
    const row = await this.database.repository(InteractionRow).findOneBy({ id: sha256(uid) });
    if (!row || row.expiresAt <= Math.floor(Date.now() / 1000)) return null;
    const returnTo = String(row.payload['returnTo']).replace(UID, uid);
    return { ...row.payload, returnTo, jti: uid };
  }

  /** A statement that keeps it, or what is new of it. */
  keep(uid: string, payload: Record<string, unknown>): Statement {
    const { jti: _uid, session, ...rest } = payload as { jti?: unknown; session?: Record<string, unknown> };
    const params = rest as { params?: { client_id?: unknown }; returnTo?: unknown; exp?: unknown };
    // The browser's cookie value would stand here in clear; nothing reads it.
    const { cookie: _cookie, ...browser } = session ?? {};
    const stored = {
      ...rest,
      ...(session ? { session: browser } : {}),
      returnTo: String(params.returnTo).replace(uid, UID),
    };
    const clientId = typeof params.params?.client_id === 'string' ? params.params.client_id : null;
    const userId = typeof session?.['accountId'] === 'string' ? session['accountId'] : null;
    return sql`INSERT INTO oauth_interaction (id, client_id, user_id, expires_at, payload)
        VALUES (${sha256(uid)}, ${clientId}, ${userId}, ${Number(params.exp)}, ${JSON.stringify(stored)})
        ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, expires_at = excluded.expires_at, payload = excluded.payload`;
  }

  /** A statement that ends it; the commit fails when it had ended before, so of two requests to finish it one gets nothing. */
  end(uid: string): Statement {
    return expecting(1, this.database.remove(InteractionRow, { id: sha256(uid) }));
  }
}
