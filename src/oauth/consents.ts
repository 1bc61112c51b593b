import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { withoutLoopbackPort } from '../protocol/redirect-uri.js';
import { sha256 } from '../protocol/token.js';
import { ConsentRow } from './consent.entity.js';

/** Whose approval, of what. */
export interface ConsentSubject {
  readonly userId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  /** Canonical. */
  readonly resource: string;
  /** Of the Client as it is now: see `clientHash`. */
  readonly clientHash: string;
  readonly scopes: readonly string[];
}

/** SHA-256 over what a person saw of a Client: another name or other redirect URIs ask anew (security.md 25). */
export function clientHash(client: { readonly name: string; readonly redirectUris: readonly string[] }): string {
  return sha256(JSON.stringify([client.name, client.redirectUris.toSorted()]));
}

/** Approvals that are remembered, per person, Client, place to return to and resource. */
@Injectable()
export class Consents {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** The scopes remembered for this subject; null: none, or the Client has changed since. */
  async remembered(subject: Omit<ConsentSubject, 'scopes'>): Promise<readonly string[] | null> {
    const row = await this.database.repository(ConsentRow).findOneBy(keyOf(subject));
    return row && row.clientHash === subject.clientHash ? row.scope.split(' ').filter(Boolean) : null;
  }

  /** Was every one of these scopes approved before? The caller also checks `Sec-Fetch-Site` (security.md 13). */
  async covering(subject: ConsentSubject): Promise<boolean> {
    const scopes = await this.remembered(subject);
    return scopes !== null && subject.scopes.every((scope) => scopes.includes(scope));
  }

  /** A statement that adds these scopes to what is remembered, or begins anew when the Client has changed. */
  async remember(subject: ConsentSubject): Promise<Statement> {
    const before = (await this.remembered(subject)) ?? [];
    const scope = [...new Set([...before, ...subject.scopes])].join(' ');
    const { userId, clientId, redirectUri, resource } = keyOf(subject);
    const updatedAt = Math.floor(Date.now() / 1000);
    return sql`INSERT INTO oauth_consent (user_id, client_id, redirect_uri, resource, scope, client_hash, updated_at)
      VALUES (${userId}, ${clientId}, ${redirectUri}, ${resource}, ${scope}, ${subject.clientHash}, ${updatedAt})
      ON CONFLICT (user_id, client_id, redirect_uri, resource)
      DO UPDATE SET scope = excluded.scope, client_hash = excluded.client_hash, updated_at = excluded.updated_at`;
  }

  /** A statement that forgets what this person approved for this Client. */
  forget(userId: string, clientId: string): Statement {
    return this.database.remove(ConsentRow, { userId, clientId });
  }
}

function keyOf({ userId, clientId, redirectUri, resource }: Omit<ConsentSubject, 'scopes' | 'clientHash'>) {
  return { userId, clientId, redirectUri: withoutLoopbackPort(redirectUri), resource };
}
