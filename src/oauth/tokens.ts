import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { sha256 } from '../protocol/token.js';
import { TokenRow, type TokenKind } from './token.entity.js';

/** For this many seconds a used refresh token still gets the answer it got (real-clients T1). */
export const LEEWAY_SECONDS = 30;
/** So many wrong PKCE verifiers end a code (security.md 29). */
const MAX_WRONG_VERIFIERS = 5;

/** A stored token as the engine asks for it. */
export interface FoundToken {
  readonly payload: Record<string, unknown>;
  /** Consumed longer ago than the leeway, or a code at all; undefined: usable. */
  readonly consumed: number | undefined;
  /** Why its Client may not use it; null: it may. */
  readonly suspended: 'pending' | 'blocked' | null;
  /** What the person added to its Grant at a step-up link, space-separated; null: nothing. */
  readonly widened: string | null;
  /** What its Client may have at most; null: everything. */
  readonly limit: readonly string[] | null;
}

/** The answer of a `/token` request, and what was asked: a retry must ask the same. */
export interface StoredAnswer {
  readonly body: unknown;
  readonly scope: string | null;
  readonly resource: string | null;
}

/** What one `/token` request writes. */
export interface Exchange {
  readonly kind: TokenKind;
  /** The code or refresh token itself: the key that seals the answer is derived from it. */
  readonly value: string;
  readonly grantId: string;
  readonly inserts: readonly Statement[];
  readonly answer: StoredAnswer;
  /** When the last of `inserts` ends, epoch seconds: the Grant ends with them. */
  readonly until: number;
  readonly userId: string | null;
  readonly clientId: string | null;
  /** Address of the Client. */
  readonly ip: string;
  /** Of the sign-in that made the Grant; null: unknown. */
  readonly reference: string | null;
}

/** `replayed`: somebody else consumed it first. `dead`: its Grant is gone, or its Client suspended. */
export type ExchangeResult = 'done' | 'replayed' | 'dead';

interface Found {
  payload: string;
  consumed_at: number | string | null;
  failures: number;
  now: number | string;
  widened: string | null;
  allowed_scopes: string | null;
  client_status: 'active' | 'pending' | 'blocked' | null;
}

/** Codes, refresh tokens, access tokens and pushed requests: stored under their SHA-256 only. */
@Injectable()
export class Tokens {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
  ) {}

  /** A statement that stores one. `payload` must not hold the value. */
  insert(kind: TokenKind, value: string, payload: Record<string, unknown>): Statement {
    const text = (name: string): string | null => (typeof payload[name] === 'string' ? payload[name] : null);
    return this.database.insert(TokenRow, {
      idHash: sha256(value),
      kind,
      grantId: text('grantId'),
      userId: text('accountId'),
      clientId: text('clientId'),
      consumedAt: null,
      answer: null,
      failures: 0,
      expiresAt: Number(payload['exp']),
      payload,
    });
  }

  /** null: unknown, or a code that too many wrong verifiers ended. While a refresh token is in its leeway it does not look consumed. */
  async find(kind: TokenKind, value: string): Promise<FoundToken | null> {
    const hash = sha256(value);
    const found = await this.database.row<Found>(
      this.database.dialect === 'postgres'
        ? sql`SELECT t.payload, t.consumed_at, t.failures, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint) AS now, g.widened, c.allowed_scopes, c.status AS client_status
            FROM oauth_token t LEFT JOIN oauth_grant g ON g.id = t.grant_id LEFT JOIN oauth_client c ON c.id = t.client_id WHERE t.id_hash = ${hash} AND t.kind = ${kind}`
        : sql`SELECT t.payload, t.consumed_at, t.failures, unixepoch() AS now, g.widened, c.allowed_scopes, c.status AS client_status
            FROM oauth_token t LEFT JOIN oauth_grant g ON g.id = t.grant_id LEFT JOIN oauth_client c ON c.id = t.client_id WHERE t.id_hash = ${hash} AND t.kind = ${kind}`,
    );
    if (!found || found.failures >= MAX_WRONG_VERIFIERS) return null;
    const consumedAt = found.consumed_at === null ? null : Number(found.consumed_at);
    const lenient = kind === 'RefreshToken' && consumedAt !== null && Number(found.now) - consumedAt < LEEWAY_SECONDS;
    return {
      payload: JSON.parse(found.payload) as Record<string, unknown>,
      consumed: consumedAt === null || lenient ? undefined : consumedAt,
      suspended: found.client_status === 'active' ? null : found.client_status,
      widened: found.widened,
      limit: found.allowed_scopes === null ? null : (JSON.parse(found.allowed_scopes) as string[]),
    };
  }

  /**
   * Uses up a code or refresh token and stores what it gave, in one commit: the living Grant is written first (the revoker writes it first too), then one
   * conditional UPDATE decides who consumed the token, by the database's clock. The Grant ends with its tokens, so it slides as they do.
   * @throws DatabaseUnavailable nothing was consumed
   */
  async exchange(exchange: Exchange): Promise<ExchangeResult> {
    const { grantId, value, kind } = exchange;
    const sealed = kind === 'RefreshToken' ? sealAnswer(value, exchange.answer) : null;
    const statements = [
      expecting(1, prolonged(grantId, exchange.until)),
      expecting(1, this.#consume(sha256(value), sealed)),
      ...exchange.inserts,
      this.events.record({
        type: kind === 'RefreshToken' ? 'token.refreshed' : 'token.issued',
        actor: exchange.userId,
        userId: exchange.userId,
        clientId: exchange.clientId,
        grantId,
        ip: exchange.ip,
        reference: exchange.reference,
      }),
    ];
    try {
      await this.database.commit(statements);
      return 'done';
    } catch (error) {
      if (!(error instanceof CommitConflict) || error.index > 1) throw error;
      return error.index === 0 ? 'dead' : 'replayed';
    }
  }

  /** What the request that consumed this refresh token answered; null: too long ago, or never. */
  async answerOf(value: string): Promise<StoredAnswer | null> {
    const row = await this.database.row<{ answer: string | null }>(
      sql`SELECT answer FROM oauth_token WHERE id_hash = ${sha256(value)} AND kind = ${'RefreshToken'}`,
    );
    return row?.answer ? openAnswer(value, row.answer) : null;
  }

  /** One conditional UPDATE. @returns false: it was consumed before */
  async consume(value: string): Promise<boolean> {
    const [rows] = await this.database.commit([this.#consume(sha256(value), null)]);
    return rows === 1;
  }

  /** A statement that counts a wrong PKCE verifier against a code. */
  countWrongVerifier(code: string): Statement {
    return sql`UPDATE oauth_token SET failures = failures + 1 WHERE id_hash = ${sha256(code)} AND kind = ${'AuthorizationCode'}`;
  }

  /** A statement that erases answers whose leeway is over. */
  eraseAnswers(): Statement {
    return this.database.dialect === 'postgres'
      ? sql`UPDATE oauth_token SET answer = NULL WHERE answer IS NOT NULL AND consumed_at < CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint) - ${LEEWAY_SECONDS}`
      : sql`UPDATE oauth_token SET answer = NULL WHERE answer IS NOT NULL AND consumed_at < unixepoch() - ${LEEWAY_SECONDS}`;
  }

  #consume(hash: string, answer: string | null): Statement {
    return this.database.dialect === 'postgres'
      ? sql`UPDATE oauth_token SET consumed_at = CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint), answer = ${answer} WHERE id_hash = ${hash} AND consumed_at IS NULL`
      : sql`UPDATE oauth_token SET consumed_at = unixepoch(), answer = ${answer} WHERE id_hash = ${hash} AND consumed_at IS NULL`;
  }
}

/** A statement that lets a living Grant of a Client in good standing end at `until`; it meets no row of any other. */
function prolonged(id: string, until: number): Statement {
  return sql`UPDATE oauth_grant SET expires_at = ${until} WHERE id = ${id} AND revoked_at IS NULL
    AND client_id IN (SELECT id FROM oauth_client WHERE status = ${'active'})`;
}

/** Only who holds the old token can read the answer: the database has its hash alone. */
function answerKey(value: string): Buffer {
  return Buffer.from(hkdfSync('sha256', value, 'gatehouse', 'refresh-answer', 32));
}

function sealAnswer(value: string, answer: StoredAnswer): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', answerKey(value), iv);
  return Buffer.concat([
    iv,
    cipher.update(JSON.stringify(answer), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]).toString('base64url');
}

function openAnswer(value: string, sealed: string): StoredAnswer {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', answerKey(value), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  const text = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
  return JSON.parse(text) as StoredAnswer;
}
