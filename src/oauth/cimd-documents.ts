import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { OUTBOUND } from '../outbound/http-outbound.js';
import { type Outbound, OutboundFailed, type OutboundResponse } from '../outbound/outbound.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { faultOfDocument, isDocumentUrl } from '../protocol/client-metadata.js';
import { CimdDocumentRow } from './cimd-document.entity.js';

const MAX_BYTES = 5 * 1024;
/** The engine gives up after 2.5 s; a fetch that ends before still becomes an answer of ours. */
const TIMEOUT_MS = 2000;
const FAILURE_MS = 30_000;
const FRESH_MIN = 30;
const FRESH_MAX = 86_400;
/** A last good copy is answered this long after its fetch while its host fails. */
const STALE_SECONDS = 30 * 86_400;
/** And this long after its host said that it is gone. */
const GONE_SECONDS = 86_400;
const PER_HOST = 4;
const IN_ALL = 50;

/** No usable document, new or old. One text for every cause, so that a client learns nothing about our network (security.md 24). */
export class DocumentUnavailable extends Error {
  override readonly name = 'DocumentUnavailable';
  constructor(options?: ErrorOptions) {
    super('the client metadata document could not be used', options);
  }
}

/** A document and for how many seconds it need not be fetched again. */
export interface FetchedDocument {
  readonly body: string;
  readonly maxAge: number;
}

/**
 * Client ID metadata documents and the key sets they name: fetched through `outbound/` with the guard for strangers' addresses, kept in the database,
 * and answered from the last good copy when their host fails (real-clients R7). One fetch per address, few per host; a failure is remembered 30 s.
 */
@Injectable()
export class CimdDocuments {
  readonly #log = new Logger('CimdDocuments');
  readonly #failed = new LRUCache<string, true>({ max: 5000, ttl: FAILURE_MS });
  readonly #fetching = new Map<string, Promise<FetchedDocument>>();
  readonly #hosts = new Map<string, number>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(OUTBOUND) private readonly outbound: Outbound,
  ) {}

  /** A document by its client_id, or a `jwks_uri`. @throws DocumentUnavailable  @throws DatabaseUnavailable */
  async get(url: string, kind: 'document' | 'keys'): Promise<FetchedDocument> {
    const kept = await this.database.repository(CimdDocumentRow).findOneBy({ url });
    const time = now();
    if (kept && kept.freshUntil > time) return { body: kept.body, maxAge: kept.freshUntil - time };
    let fetching = this.#fetching.get(url);
    if (!fetching) {
      fetching = this.#refresh(url, kind, kept).finally(() => this.#fetching.delete(url));
      this.#fetching.set(url, fetching);
    }
    return fetching;
  }

  async #refresh(url: string, kind: 'document' | 'keys', kept: CimdDocumentRow | null): Promise<FetchedDocument> {
    if (this.#failed.has(url)) return this.#stale(url, kept);
    try {
      return await this.#fetch(url, kind);
    } catch (error) {
      if (!(error instanceof DocumentUnavailable)) throw error;
      // That we were busy says nothing about this address: whoever keeps us busy must not shut out others for half a minute.
      if (!(error.cause instanceof Busy)) this.#failed.set(url, true);
      this.#log.warn(`${url}: ${reasonOf(error.cause)}`);
      if (kept && error.cause instanceof Gone && kept.goneAt === null) {
        kept.goneAt = now();
        await this.database.commit([this.database.update(CimdDocumentRow, { goneAt: kept.goneAt }, { url })]);
      }
      return this.#stale(url, kept);
    }
  }

  #stale(url: string, kept: CimdDocumentRow | null): FetchedDocument {
    const time = now();
    const usable =
      kept !== null &&
      kept.fetchedAt + STALE_SECONDS > time &&
      (kept.goneAt === null || kept.goneAt + GONE_SECONDS > time);
    if (usable) return { body: kept.body, maxAge: 60 };
    const builtIn = BUILT_IN[url];
    if (builtIn !== undefined) return { body: JSON.stringify(builtIn), maxAge: 60 };
    throw new DocumentUnavailable();
  }

  async #fetch(url: string, kind: 'document' | 'keys'): Promise<FetchedDocument> {
    if (!isDocumentUrl(url)) throw new DocumentUnavailable({ cause: new Error('not an acceptable address') });
    const { hostname: host } = new URL(url);
    const running = this.#hosts.get(host) ?? 0;
    if (running >= PER_HOST || this.#fetching.size >= IN_ALL)
      throw new DocumentUnavailable({ cause: new Busy('too many fetches') });
    this.#hosts.set(host, running + 1);
    let response: OutboundResponse;
    try {
      response = await this.outbound.send(new URL(url), {
        trust: 'stranger',
        headers: { accept: 'application/json', 'user-agent': 'gatehouse' },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
      });
    } catch (cause) {
      if (cause instanceof OutboundFailed) throw new DocumentUnavailable({ cause });
      throw cause;
    } finally {
      const left = (this.#hosts.get(host) ?? 1) - 1;
      if (left > 0) this.#hosts.set(host, left);
      else this.#hosts.delete(host);
    }
    const fault = faultOf(response, kind, url);
    if (fault) throw new DocumentUnavailable({ cause: fault });
    // Whatever a key set's host says: a key that was withdrawn after a theft must not count for a day.
    const maxAge = kind === 'keys' ? FRESH_MIN : freshSeconds(response.headers, now());
    await this.#keep(url, response, maxAge);
    return { body: response.text, maxAge };
  }

  async #keep(url: string, response: OutboundResponse, maxAge: number): Promise<void> {
    const time = now();
    const contentType = response.headers.get('content-type') ?? '';
    await this.database.commit([
      sql`INSERT INTO cimd_document (url, body, content_type, fetched_at, fresh_until, gone_at)
        VALUES (${url}, ${response.text}, ${contentType}, ${time}, ${time + maxAge}, ${null})
        ON CONFLICT (url) DO UPDATE SET body = excluded.body, content_type = excluded.content_type, fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until, gone_at = excluded.gone_at`,
    ]);
  }
}

/** The host says that the document is no more: its last good copy ends sooner. */
class Gone extends Error {}

/** Too many fetches are on their way already. */
class Busy extends Error {}

function faultOf(response: OutboundResponse, kind: 'document' | 'keys', url: string): Error | null {
  if (response.status === 404 || response.status === 410) return new Gone(`status ${response.status}`);
  if (response.status !== 200) return new Error(`status ${response.status}`);
  const type = (response.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json' && !/^application\/[a-z0-9.-]+\+json$/.test(type))
    return new Error(`content type ${type}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(response.text);
  } catch {
    return new Error('not JSON');
  }
  if (kind === 'keys')
    return Array.isArray((parsed as { keys?: unknown } | null)?.keys) ? null : new Error('not a key set');
  const fault = faultOfDocument(url, parsed);
  return fault === null ? null : new Error(`the document ${fault}`);
}

/** Seconds of freshness by `Cache-Control` and `Expires` (RFC 9111 §4.2.1), from 30 s to a day. */
export function freshSeconds(headers: Headers, at: number): number {
  const control = headers.get('cache-control')?.toLowerCase() ?? '';
  if (/(^|,)\s*(no-store|no-cache)\b/.test(control)) return FRESH_MIN;
  const maxAge = /(?:^|,)\s*max-age\s*=\s*"?(\d+)/.exec(control)?.[1];
  const expires = Date.parse(headers.get('expires') ?? '') / 1000 - at;
  const wanted = maxAge === undefined ? (Number.isFinite(expires) ? Math.floor(expires) : FRESH_MIN) : Number(maxAge);
  return Math.min(FRESH_MAX, Math.max(FRESH_MIN, wanted));
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'failed';
}

/** What all of them say of themselves. */
const PUBLIC_CLIENT = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};

/**
 * Last resort for well-known vendors whose hosts refuse fetches from some clouds. Only what is published and stable is in here: the addresses to return
 * to, which decide where a code may go.
 */
const BUILT_IN: Readonly<Record<string, Record<string, unknown>>> = {
  'https://claude.ai/oauth/mcp-oauth-client-metadata': {
    client_id: 'https://claude.ai/oauth/mcp-oauth-client-metadata',
    client_name: 'Claude',
    client_uri: 'https://claude.ai',
    redirect_uris: ['https://claude.ai/api/mcp/auth_callback', 'https://claude.com/api/mcp/auth_callback'],
    ...PUBLIC_CLIENT,
  },
  'https://claude.ai/oauth/claude-code-client-metadata': {
    client_id: 'https://claude.ai/oauth/claude-code-client-metadata',
    client_name: 'Claude Code',
    client_uri: 'https://claude.ai',
    redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
    ...PUBLIC_CLIENT,
  },
  'https://vscode.dev/oauth/client-metadata.json': {
    client_id: 'https://vscode.dev/oauth/client-metadata.json',
    client_name: 'Visual Studio Code',
    client_uri: 'https://vscode.dev/product',
    redirect_uris: ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect'],
    ...PUBLIC_CLIENT,
  },
};

const now = (): number => Math.floor(Date.now() / 1000);
