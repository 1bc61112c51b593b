import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { DuplicateRow } from '../persistence/faults.js';
import { expecting, sql } from '../persistence/statement.js';
import type { ClientMetadata } from '../protocol/client-metadata.js';
import { sha256 } from '../protocol/token.js';
import { ClientRow } from './client.entity.js';
import { clientHash } from './consents.js';
import { eventsOfEnds } from './grants.js';

/** Clients that registered themselves and were never used; more are refused until some are reaped. */
export const UNUSED_CEILING = 10_000;
/** A Client that was never used is forgotten after this many seconds. */
export const UNUSED_SECONDS = 86_400;

/** No more Clients can register themselves now. */
export class RegistrationFull extends Error {
  override readonly name = 'RegistrationFull';
  /** Seconds. */
  readonly retryAfter = 3600;
}

/** A registered Client, and its secret: the only time it can be read. */
export interface Registered {
  readonly row: ClientRow;
  /** undefined: the Client has none. */
  readonly secret?: string | undefined;
}

/** MCP client applications: registered by themselves, described by a metadata document, or made by an administrator. */
@Injectable()
export class Clients {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  /** null: unknown. Metadata document Clients are known once they have been fetched. */
  async find(id: string): Promise<ClientRow | null> {
    return this.database.repository(ClientRow).findOneBy({ id });
  }

  /**
   * Registers a Client; the same metadata of a `none` client gets the same Client (real-clients R4).
   * @throws RegistrationFull
   */
  async register(metadata: ClientMetadata, from: { ip?: string | undefined }): Promise<Registered> {
    const isPublic = metadata.token_endpoint_auth_method === 'none';
    const fingerprint = isPublic ? sha256(JSON.stringify(metadata)) : null;
    const known = await this.#findByFingerprint(fingerprint);
    if (known) return { row: await this.#renew(known) };
    await this.#refuseWhenFull();
    const status = this.settings.values.registration === 'approval' ? 'pending' : 'active';
    try {
      return await this.#insert(
        metadata,
        { source: 'dcr', status, fingerprint, trusted: false },
        { actor: null, ...from },
      );
    } catch (error) {
      const other = error instanceof DuplicateRow ? await this.#findByFingerprint(fingerprint) : null;
      if (other) return { row: other };
      throw error;
    }
  }

  /** A Client that an administrator makes: approved from the start. */
  async create(
    metadata: ClientMetadata,
    by: { actor: string; ip?: string; note?: string | null; allowedScopes?: string[] | null },
  ): Promise<Registered> {
    const { note = null, allowedScopes = null } = by;
    return this.#insert(
      metadata,
      { source: 'manual', status: 'active', fingerprint: null, trusted: true, note, allowedScopes },
      by,
    );
  }

  /**
   * Notes a Client that was resolved by its metadata document, and what it says now.
   * @returns its row; a blocked one must be refused by the caller
   */
  async recordDocument(id: string, metadata: ClientMetadata): Promise<ClientRow> {
    const known = await this.find(id);
    if (!known) {
      const status = this.settings.values.registration === 'approval' ? 'pending' : 'active';
      try {
        return (
          await this.#insert(
            metadata,
            { id, source: 'cimd', status, fingerprint: null, trusted: false },
            { actor: null },
          )
        ).row;
      } catch (error) {
        const other = error instanceof DuplicateRow ? await this.find(id) : null;
        if (other) return other;
        throw error;
      }
    }
    if (JSON.stringify(known.metadata) === JSON.stringify(metadata)) return known;
    const changed = { metadata: { ...metadata }, name: metadata.client_name, version: known.version + 1 };
    await this.database.commit([
      this.database.update(ClientRow, changed, { id }),
      this.events.record({
        type: 'client.changed',
        actor: 'system',
        clientId: id,
        detail: { name: metadata.client_name },
      }),
    ]);
    return Object.assign(known, changed);
  }

  /**
   * Changes a Client; blocking cuts off its Tokens at once, approving makes it trusted.
   * @returns null: unknown, or `version` is not the current one (null: any)
   */
  async change(
    id: string,
    wanted: Partial<Pick<ClientRow, 'status' | 'note' | 'allowedScopes'>> & { metadata?: ClientMetadata },
    by: { actor: string; ip?: string; version: number | null },
  ): Promise<ClientRow | null> {
    const row = await this.find(id);
    if (!row || (by.version !== null && by.version !== row.version)) return null;
    const { metadata, ...rest } = wanted;
    const set: Partial<ClientRow> = {
      ...rest,
      ...(metadata
        ? { metadata: { ...secretOf(row), ...metadata }, name: metadata.client_name, fingerprint: null }
        : {}),
      ...(wanted.status === 'active' ? { trusted: true } : {}),
      version: row.version + 1,
    };
    const update = expecting(1, this.database.update(ClientRow, set, { id, version: row.version }));
    const type =
      wanted.status && wanted.status !== row.status ? `client.${STATUS_VERBS[wanted.status]}` : 'client.changed';
    const statements = [
      update,
      this.events.record({
        type,
        actor: by.actor,
        clientId: id,
        ip: by.ip,
        detail: { version: row.version + 1, changed: Object.keys(wanted) },
      }),
    ];
    // Verified tokens are remembered with the scopes they had.
    if (wanted.status === 'blocked' || wanted.status === 'pending' || wanted.allowedScopes !== undefined)
      await this.revocations.revoke([{ kind: 'client', id }], statements);
    else await this.database.commit(statements);
    return Object.assign(row, set);
  }

  /** Forgets a Client with its Grants, Tokens and consents: its next `/token` says 401 `invalid_client`, and SDKs register again. */
  async remove(id: string, by: { actor: string; ip?: string }): Promise<boolean> {
    if (!(await this.find(id))) return false;
    await this.revocations.revoke(
      [{ kind: 'client', id }],
      [
        eventsOfEnds({ clientId: id }, { ...by, reason: 'client-removed' }),
        sql`UPDATE oauth_grant SET revoked_at = ${now()} WHERE client_id = ${id} AND revoked_at IS NULL`,
        sql`DELETE FROM oauth_token WHERE client_id = ${id}`,
        sql`DELETE FROM oauth_consent WHERE client_id = ${id}`,
        this.database.remove(ClientRow, { id }),
        this.events.record({ type: 'client.removed', actor: by.actor, clientId: id, ip: by.ip }),
      ],
    );
    return true;
  }

  async #findByFingerprint(fingerprint: string | null): Promise<ClientRow | null> {
    return fingerprint === null ? null : this.database.repository(ClientRow).findOneBy({ fingerprint });
  }

  /** A Client that is never used goes a day after its latest registration, not its first. */
  async #renew(row: ClientRow): Promise<ClientRow> {
    const createdAt = now();
    if (row.lastUsedAt !== null || row.createdAt > createdAt - 3600) return row;
    await this.database.commit([this.database.update(ClientRow, { createdAt }, { id: row.id })]);
    return Object.assign(row, { createdAt });
  }

  async #refuseWhenFull(): Promise<void> {
    if (!this.settings.values.rateLimits) return;
    const count = await this.database.row<{ n: number }>(
      sql`SELECT COUNT(*) AS n FROM oauth_client WHERE source = ${'dcr'} AND last_used_at IS NULL`,
    );
    if ((count?.n ?? 0) >= UNUSED_CEILING)
      throw new RegistrationFull('too many clients registered and were never used');
  }

  async #insert(
    metadata: ClientMetadata,
    facts: Pick<ClientRow, 'source' | 'status' | 'fingerprint' | 'trusted'> & {
      id?: string;
      note?: string | null;
      allowedScopes?: string[] | null;
    },
    by: { actor: string | null; ip?: string | undefined },
  ): Promise<Registered> {
    const hasSecret = metadata.token_endpoint_auth_method.startsWith('client_secret');
    const secret = hasSecret ? randomBytes(32).toString('base64url') : undefined;
    const row: ClientRow = {
      id: randomBytes(18).toString('base64url'),
      note: null,
      allowedScopes: null,
      ...facts,
      name: metadata.client_name,
      metadata: { ...metadata, ...(secret === undefined ? {} : { client_secret: sha256(secret) }) },
      version: 1,
      createdAt: now(),
      lastUsedAt: null,
    };
    const event = this.events.record({
      type: 'client.registered',
      actor: by.actor,
      clientId: row.id,
      ip: by.ip,
      detail: { name: row.name, source: row.source, status: row.status, redirect_uris: [...metadata.redirect_uris] },
    });
    await this.database.commit([this.database.insert(ClientRow, row), event]);
    return { row, secret };
  }
}

/** The redirect URIs of a Client, raw. */
export function redirectUrisOf(client: Pick<ClientRow, 'metadata'>): readonly string[] {
  return (client.metadata['redirect_uris'] as readonly string[] | undefined) ?? [];
}

/** What a remembered consent is tied to: see `clientHash` in consents. */
export function hashOfClient(client: Pick<ClientRow, 'name' | 'metadata'>): string {
  return clientHash({ name: client.name, redirectUris: redirectUrisOf(client) });
}

const STATUS_VERBS = { active: 'approved', pending: 'suspended', blocked: 'blocked' } as const;

function secretOf(row: ClientRow): Record<string, unknown> {
  const secret = row.metadata['client_secret'];
  return secret === undefined ? {} : { client_secret: secret };
}

const now = (): number => Math.floor(Date.now() / 1000);
