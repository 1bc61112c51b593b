import type { ServerResponse } from 'node:http';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { VerifiedTokens } from '../access/verified-tokens.js';
import { Settings } from '../config/settings.js';
import type { Principal } from '../providers/contract.js';

const STREAMS_PER_CALLER = 50;
const SWEEP_MS = 1000;
/** Tokens are accepted this long after their end (security.md, Limits), so streams live as long. */
const LEEWAY_SECONDS = 30;
/** A client that has not read for this long is dropped: what it does not read, we would buffer. */
const STALLED_MS = 30_000;

/** Why a response stays open by design: the GET stream of an MCP session, or `subscriptions/listen`. */
export type Lasting = 'session' | 'listen';

interface OpenResponse {
  readonly response: ServerResponse;
  readonly principal: Principal;
  lasting: Lasting | null;
  stalledSince: number | null;
}

/** Open responses and who they belong to: they outlive neither their token nor its revocation. */
@Injectable()
export class Streams implements OnModuleDestroy {
  readonly #open = new Map<ServerResponse, OpenResponse>();
  readonly #forget: () => void;
  #sweep: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: Settings,
    tokens: VerifiedTokens,
  ) {
    this.#forget = tokens.onForgotten((forgotten, concerns) => {
      for (const { principal, response } of this.#open.values())
        if (forgotten.has(principal) || concerns(principal)) response.destroy();
    });
  }

  /** Watches a response from the moment its caller is known until it closes. */
  watch(response: ServerResponse, principal: Principal): void {
    this.#open.set(response, { response, principal, lasting: null, stalledSince: null });
    response.once('close', () => this.#open.delete(response));
    this.#sweep ??= setInterval(() => this.#sweepOnce(), SWEEP_MS).unref();
  }

  /** Notes that a watched response stays open. @returns false: its caller has too many such streams already */
  keep(response: ServerResponse, lasting: Lasting): boolean {
    const entry = this.#open.get(response);
    if (!entry) return true;
    if (this.settings.values.rateLimits && this.#lastingOf(entry.principal) >= STREAMS_PER_CALLER) return false;
    entry.lasting = lasting;
    return true;
  }

  /** Streams of sessions would hold up the shutdown; `subscriptions/listen` is ended by the endpoint, calls in flight may finish. */
  onModuleDestroy(): void {
    this.#forget();
    clearInterval(this.#sweep);
    for (const { response, lasting } of this.#open.values()) if (lasting === 'session') response.end();
  }

  #lastingOf({ key }: Principal): number {
    let count = 0;
    for (const { principal, lasting } of this.#open.values()) if (lasting && principal.key === key) count++;
    return count;
  }

  #sweepOnce(): void {
    const now = Date.now();
    for (const entry of this.#open.values()) {
      const { response, principal } = entry;
      entry.stalledSince = response.writableNeedDrain ? (entry.stalledSince ?? now) : null;
      const expired = principal.expiresAt !== null && (principal.expiresAt + LEEWAY_SECONDS) * 1000 <= now;
      if (expired || (entry.stalledSince !== null && now - entry.stalledSince > STALLED_MS)) response.destroy();
    }
    if (this.#open.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}
