import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { Settings } from '../../config/settings.js';
import { isDocumentUrl, isFault, readClientMetadata } from '../../protocol/client-metadata.js';
import { UpstreamUnavailable } from '../../providers/contract.js';
import { CimdDocuments, DocumentUnavailable, type FetchedDocument } from '../cimd-documents.js';
import { Clients } from '../clients.js';

/** Seconds for which `CimdDocuments` remembers that an address could not be read. */
const KEYS_RETRY_AFTER = 30;

/** How a request came by the document of its Client; for the trace of the sign-in. */
export interface DocumentReading {
  readonly host: string;
  /** `cache`: read a moment ago, so nobody was asked; `last-good-copy` and `built-in`: its host failed. */
  readonly from: FetchedDocument['from'];
  /** What the fetch took, milliseconds; 0 from the cache. */
  readonly ms: number;
}

/** Clients that present the address of their metadata document: what the engine may fetch, what it gets, and whom it may then let in. */
@Injectable()
export class DocumentClients {
  /** Addresses presented as client_id: what is fetched from them is a document, never a key set. With how they were last read. */
  readonly #wanted = new LRUCache<string, { reading: DocumentReading | null }>({ max: 10_000 });
  /** By request: whether it asked for a document, and how it was answered. */
  readonly #asked = new WeakSet<object>();
  readonly #readings = new WeakMap<object, DocumentReading>();

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(CimdDocuments) private readonly documents: CimdDocuments,
    @Inject(Clients) private readonly clients: Clients,
  ) {}

  /** How this request came by its Client's document; undefined: its Client has none. */
  readingOf(ctx: KoaContextWithOIDC): DocumentReading | undefined {
    return this.#readings.get(ctx);
  }

  /** Everything the engine fetches: metadata documents and clients' key sets. Its own dispatcher is ignored; the guard is in `outbound/`. */
  async fetch(url: string): Promise<Response> {
    const wanted = this.#wanted.get(url);
    const { body, maxAge, from, ms } = await this.#documentOrKeys(url, wanted ? 'document' : 'keys');
    const headers = { 'content-type': 'application/json', 'cache-control': `max-age=${maxAge}` };
    if (!wanted) return new Response(body, { headers });
    wanted.reading = { host: new URL(url).host, from, ms };
    const metadata = readClientMetadata(JSON.parse(body));
    return new Response(JSON.stringify({ ...metadata, client_id: url }), { headers });
  }

  /** Before the engine fetches: may this id be an address at all, and are unknown Clients welcome? */
  async mayFetch(ctx: KoaContextWithOIDC, id: string): Promise<boolean> {
    if (!isDocumentUrl(id) || new URL(id).origin === this.settings.publicUrl) return false;
    if (this.settings.values.registration === 'closed' && !(await this.clients.find(id))) return false;
    if (!this.#wanted.has(id)) this.#wanted.set(id, { reading: null });
    this.#asked.add(ctx);
    return true;
  }

  /** Once it has the document: notes the Client; a blocked one begins no sign-in. */
  async mayUse(ctx: KoaContextWithOIDC, id: string, metadata: unknown): Promise<boolean> {
    const reading = this.#asked.has(ctx) ? this.#wanted.get(id)?.reading : null;
    if (!this.#readings.has(ctx)) this.#readings.set(ctx, reading ?? { host: new URL(id).host, from: 'cache', ms: 0 });
    const read = readClientMetadata(metadata);
    if (isFault(read)) return false;
    const known = await this.clients.find(id);
    if (!known && this.settings.values.registration === 'closed') return false;
    const { status } = await this.clients.recordDocument(id, read);
    return status !== 'blocked' || !ctx.path.startsWith('/authorize');
  }

  /** @throws UpstreamUnavailable for keys that were never read, DocumentUnavailable for documents */
  async #documentOrKeys(url: string, kind: 'document' | 'keys'): Promise<FetchedDocument> {
    try {
      return await this.documents.get(url, kind);
    } catch (cause) {
      if (kind === 'document' || !(cause instanceof DocumentUnavailable)) throw cause;
      throw new UpstreamUnavailable('the keys of the client could not be read', KEYS_RETRY_AFTER, { cause });
    }
  }
}
