import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { OUTBOUND } from '../outbound/http-outbound.js';
import { type Outbound, OutboundFailed, type OutboundResponse } from '../outbound/outbound.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { isDocumentUrl } from '../protocol/client-metadata.js';
import { BUILT_IN } from './built-in-documents.js';
import { CimdDocumentRow } from './cimd-document.entity.js';
import { type DocumentFault, faultOf, FRESH_MIN, freshSeconds } from './document-answer.js';

const MAX_BYTES = 5 * 1024;
/** The engine gives up after 2.5 s; a fetch that ends before still becomes an answer of ours. */
const TIMEOUT_MS = 2000;
const FAILURE_MS = 30_000;
/** A last good copy is answered this long after its fetch while its host fails. */
const STALE_SECONDS = 30 * 86_400;
/** And this long after its host said that it is gone. */
const GONE_SECONDS = 86_400;
const PER_HOST = 4;
const IN_ALL = 50;

/** No usable document, new or old. One text for every cause, so that a client learns nothing about our network (security.md 24). */
export class DocumentUnavailable extends Error {
  override readonly name = 'DocumentUnavailable';
  /** @param ms what the fetch took, milliseconds; null: none was made, its host failed a moment ago */
  constructor(
    readonly fault: DocumentFault,
    readonly ms: number | null = null,
    options?: ErrorOptions,
  ) {
    super('the client metadata document could not be used', options);
  }
}

/** A document and for how many seconds it need not be fetched again. */
export interface FetchedDocument {
  readonly body: string;
  readonly maxAge: number;
  /** `cache`: a copy that is still fresh; `last-good-copy`, `built-in`: its host failed. */
  readonly from: 'fetched' | 'cache' | 'last-good-copy' | 'built-in';
  /** What the fetch took, milliseconds; 0: there was none. */
  readonly ms: number;
}

/**
 * Client ID metadata documents and the key sets they name: fetched through `outbound/` with the guard for strangers' addresses, kept in the database,
 * and answered from the last good copy when their host fails (real-clients R7). One fetch per address, few per host; a failure is remembered 30 s.
 */
@Injectable()
export class CimdDocuments {
  readonly #log = new Logger('CimdDocuments');
  readonly #failed = new LRUCache<string, DocumentFault>({ max: 5000, ttl: FAILURE_MS });
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
    if (kept && kept.freshUntil > time)
      return { body: kept.body, maxAge: kept.freshUntil - time, from: 'cache', ms: 0 };
    let fetching = this.#fetching.get(url);
    if (!fetching) {
      fetching = this.#refresh(url, kind, kept).finally(() => this.#fetching.delete(url));
      this.#fetching.set(url, fetching);
    }
    return fetching;
  }

  async #refresh(url: string, kind: 'document' | 'keys', kept: CimdDocumentRow | null): Promise<FetchedDocument> {
    const failed = this.#failed.get(url);
    if (failed) return this.#stale(url, kept, new DocumentUnavailable(failed));
    const begun = performance.now();
    try {
      return await this.#fetch(url, kind, begun);
    } catch (error) {
      if (!(error instanceof DocumentUnavailable)) throw error;
      // That we were busy says nothing about this address: whoever keeps us busy must not shut out others for half a minute.
      if (!(error.cause instanceof Busy)) this.#failed.set(url, error.fault);
      this.#log.warn(`${url}: ${error.fault.why}`);
      if (kept && error.cause instanceof Gone && kept.goneAt === null) {
        kept.goneAt = now();
        await this.database.commit([this.database.update(CimdDocumentRow, { goneAt: kept.goneAt }, { url })]);
      }
      return this.#stale(url, kept, error);
    }
  }

  #stale(url: string, kept: CimdDocumentRow | null, failure: DocumentUnavailable): FetchedDocument {
    const time = now();
    const usable =
      kept !== null &&
      kept.fetchedAt + STALE_SECONDS > time &&
      (kept.goneAt === null || kept.goneAt + GONE_SECONDS > time);
    const ms = failure.ms ?? 0;
    if (usable) return { body: kept.body, maxAge: 60, from: 'last-good-copy', ms };
    const builtIn = BUILT_IN[url];
    if (builtIn !== undefined) return { body: JSON.stringify(builtIn), maxAge: 60, from: 'built-in', ms };
    throw failure;
  }

  async #fetch(url: string, kind: 'document' | 'keys', begun: number): Promise<FetchedDocument> {
    if (!isDocumentUrl(url))
      throw new DocumentUnavailable({ check: 'document-invalid', why: 'not an acceptable address' });
    const { hostname: host } = new URL(url);
    const running = this.#hosts.get(host) ?? 0;
    if (running >= PER_HOST || this.#fetching.size >= IN_ALL) {
      const fault = { check: 'document-unreachable', why: 'too many fetches are on their way already' } as const;
      throw new DocumentUnavailable(fault, null, { cause: new Busy(fault.why) });
    }
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
      if (cause instanceof OutboundFailed)
        throw new DocumentUnavailable({ check: 'document-unreachable', why: UNREACHABLE[cause.kind] }, since(begun), {
          cause,
        });
      throw cause;
    } finally {
      const left = (this.#hosts.get(host) ?? 1) - 1;
      if (left > 0) this.#hosts.set(host, left);
      else this.#hosts.delete(host);
    }
    const ms = since(begun);
    const fault = faultOf(response, kind, url);
    if (fault) throw new DocumentUnavailable(fault, ms, isGone(response) ? { cause: new Gone(fault.why) } : undefined);
    // Whatever a key set's host says: a key that was withdrawn after a theft must not count for a day.
    const maxAge = kind === 'keys' ? FRESH_MIN : freshSeconds(response.headers, now());
    await this.#keep(url, response, maxAge);
    return { body: response.text, maxAge, from: 'fetched', ms };
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

const UNREACHABLE: Readonly<Record<OutboundFailed['kind'], string>> = {
  'refused-address': 'its host has an address that this server never asks (private, loopback or reserved)',
  unreachable: 'its host cannot be reached',
  timeout: `its host did not answer within ${TIMEOUT_MS} ms`,
  'too-large': `it is larger than ${MAX_BYTES} bytes`,
};

const isGone = ({ status }: OutboundResponse): boolean => status === 404 || status === 410;

const since = (begun: number): number => Math.round(performance.now() - begun);

const now = (): number => Math.floor(Date.now() / 1000);
