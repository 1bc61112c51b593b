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
import { eventOfStanding } from './grant-events.js';

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

/** Who changes a Client, and from where; for Events. */
export interface ChangedBy {
  /** A User id or `admin-token`. */
  readonly actor: string;
  readonly ip?: string;
  /** Of the request, in the log. */
  readonly reference?: string;
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
  async register(metadata: ClientMetadata, from: { ip?: string; reference?: string }): Promise<Registered> {
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

  /**
   * A Client that an administrator makes: approved from the start, whatever the policy for new ones.
   * @param by `id`: the address of the metadata document that describes it; undefined: none does
   * @throws DuplicateRow a Client of that id is known
   */
  async create(
    metadata: ClientMetadata,
    by: ChangedBy & { id?: string; note?: string | null; allowedScopes?: string[] | null },
  ): Promise<Registered> {
    const { id, note = null, allowedScopes = null } = by;
    const origin = id === undefined ? ({ source: 'manual' } as const) : ({ id, source: 'cimd' } as const);
    return this.#insert(
      metadata,
      { ...origin, status: 'active', fingerprint: null, trusted: true, note, allowedScopes },
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
   * Changes a Client. Any other status than `active` suspends its Grants at once and everywhere, `active` gives them back and makes it trusted.
   * @returns null: unknown, or `version` is not the current one (null: any)
   */
  async change(
    id: string,
    wanted: Partial<Pick<ClientRow, 'status' | 'note' | 'allowedScopes'>> & { metadata?: ClientMetadata },
    { version, ...by }: ChangedBy & { version: number | null },
  ): Promise<ClientRow | null> {
    const row = await this.find(id);
    if (!row || (version !== null && version !== row.version)) return null;
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
    const detail = { version: row.version + 1, changed: Object.keys(wanted) };
    const isStanding = wanted.status !== undefined && wanted.status !== row.status;
    const event = isStanding
      ? eventOfStanding({ ...standingOf(row.status, wanted.status!), clientId: id, detail, ...by })
      : this.events.record({ type: 'client.changed', clientId: id, detail, ...by });
    // Verified tokens are remembered with the scopes they had, and refused ones are remembered too.
    if (isStanding || wanted.allowedScopes !== undefined)
      await this.revocations.revoke([{ kind: 'client', id }], [update, event]);
    else await this.database.commit([update, event]);
    return Object.assign(row, set);
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
    by: { actor: string | null; ip?: string; reference?: string },
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
      reference: by.reference,
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

/** What a change of status is called, and what it does to the Client's Grants: to a pending Client, whose Grants sleep already, as well. */
function standingOf(before: ClientRow['status'], after: ClientRow['status']) {
  if (after === 'blocked') return { type: 'client.blocked', counted: 'suspends' } as const;
  if (after === 'pending') return { type: 'client.suspended', counted: 'suspends' } as const;
  return { type: before === 'blocked' ? 'client.unblocked' : 'client.approved', counted: 'restores' } as const;
}

function secretOf(row: ClientRow): Record<string, unknown> {
  const secret = row.metadata['client_secret'];
  return secret === undefined ? {} : { client_secret: secret };
}

const now = (): number => Math.floor(Date.now() / 1000);
