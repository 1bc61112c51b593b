import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationShutdown } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { AttemptLimit } from '../access/attempt-limit.js';
import { limitKey } from '../access/caller-address.js';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { recogniseClient, type ClientTraits } from '../protocol/known-client.js';
import { timeId } from '../protocol/time-id.js';

/** Seconds for which a trace is kept. */
export const FLOW_SECONDS = 7 * 86_400;
/** Traces kept at most. */
export const FLOWS_KEPT = 100_000;
/** Steps kept of one trace: a browser can reload a page for ever. */
const STEPS_KEPT = 60;
/** Steps that wait to be written; what comes beyond them, in a flood, is dropped. */
const WAITING = 2000;
const BATCH = 200;
/** Steps of all sign-ins within this time share a transaction. */
const WRITE_AFTER_MS = 250;
/** What came before `/authorize` is remembered for this long, by this process only. */
const PRELUDE_MS = 900_000;
/** Failures of one address in a minute that belong to no attempt: anybody can be refused as often as they like. */
const FAILED_STARTS = { max: 30, seconds: 60 };

/** Where a sign-in can stand. */
export type FlowStepName =
  | 'discovery'
  | 'registration'
  | 'document'
  | 'authorize'
  | 'consent'
  | 'upstream'
  | 'callback'
  | 'token'
  | 'first-call';

/** One step of a sign-in attempt. */
export interface FlowStep {
  readonly step: FlowStepName;
  /** Default `ok`. */
  readonly outcome?: 'ok' | 'refused' | 'failed' | undefined;
  /** Which check failed; a name of `remedies.ts` brings its remedy. */
  readonly check?: string | undefined;
  /** Never a token, code or secret. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
  readonly clientId?: string | null | undefined;
  readonly userId?: string | null | undefined;
  readonly grantId?: string | null | undefined;
  readonly provider?: string | null | undefined;
  readonly ip?: string | null | undefined;
  /** What the client said of itself, to recognise it by. */
  readonly traits?: ClientTraits | undefined;
}

interface TimedStep extends FlowStep {
  readonly at: number;
}

/**
 * Traces of sign-in attempts. A step is noted at once and written a moment later, together with others: a trace never delays a sign-in and never
 * fails one. Discovery and registration happen before an attempt has a reference: they are remembered by caller and client, and join the trace
 * when `/authorize` comes.
 */
@Injectable()
export class Flows implements BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #log = new Logger('Flows');
  readonly #prelude = new LRUCache<string, TimedStep[]>({ max: 5000, ttl: PRELUDE_MS });
  readonly #failedStarts = new AttemptLimit(FAILED_STARTS);
  #waiting: Statement[][] = [];
  /** How many entries were ever put into `#waiting`, and how many of them were written or given up. */
  #noted = 0;
  #written = 0;
  #writing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(@Inject(Database) private readonly database: Database) {}

  /** A step of the attempt with this reference; the first one opens its trace. */
  step(reference: string, step: FlowStep): void {
    const clientId = step.clientId ?? null;
    const early = [
      ...(clientId === null ? [] : this.#take(`client ${clientId}`)),
      ...(BEGINNINGS.has(step.step) ? this.#take(callerKey(step.ip, step.traits?.userAgent)) : []),
    ].sort((a, b) => a.at - b.at);
    const now = Date.now();
    this.#enqueue([
      upsertFlow(reference, step, now),
      ...early.map((one) => insertStep(reference, one)),
      insertStep(reference, { ...step, at: now }),
    ]);
  }

  /** A step of whatever attempt ended in this Grant: `/token`, the first call. Nothing happens when there is none. */
  stepOfGrant(grantId: string, step: FlowStep): void {
    const now = Date.now();
    const outcome = outcomeAfter(step);
    this.#enqueue([
      insertStepOfGrant(grantId, { ...step, at: now }),
      sql`UPDATE flow SET outcome = ${outcome}, failed_check = ${step.check ?? null}, updated_at = ${now} WHERE grant_id = ${grantId}`,
    ]);
  }

  /**
   * A failure of what may belong to no attempt at all: anybody can bring it about, so a trace is written for a few of each address only.
   * @returns false: the address had its share, nothing is written
   */
  stray(reference: string, step: FlowStep): boolean {
    if (this.#failedStarts.count(limitKey(step.ip ?? '')) !== null) return false;
    this.step(reference, step);
    return true;
  }

  /** A step before there is an attempt: discovery by an address, registration of a client. */
  early(step: FlowStep): void {
    const key = step.clientId ? `client ${step.clientId}` : callerKey(step.ip, step.traits?.userAgent);
    const before = step.clientId ? this.#take(callerKey(step.ip, step.traits?.userAgent)) : [];
    const steps = [...(this.#prelude.get(key) ?? []), ...before];
    if (steps.length >= 10 || (step.step === 'discovery' && steps.some((one) => one.step === 'discovery'))) return;
    this.#prelude.set(
      key,
      [...steps, { ...step, at: Date.now() }].sort((a, b) => a.at - b.at),
    );
  }

  /**
   * Statements that note the first call of a connection, once; for the commit that notes when it was last used. They look for the trace, so await
   * `settled` before it. `second`: epoch seconds.
   */
  firstCall(grantId: string, second: number): Statement[] {
    // The end of that second: the steps before it know their milliseconds.
    const at = second * 1000 + 999;
    return [
      sql`INSERT INTO flow_step (id, reference, at, step, outcome)
        SELECT CAST(${timeId(at)} AS text), f.reference, CAST(${at} AS bigint), 'first-call', 'ok' FROM flow f
        WHERE f.grant_id = ${grantId} AND NOT EXISTS (SELECT 1 FROM flow_step s WHERE s.reference = f.reference AND s.step = 'first-call')`,
    ];
  }

  /** Waits until everything noted so far is written; what is noted meanwhile is not waited for. */
  async settled(): Promise<void> {
    const upTo = this.#noted;
    while (this.#written < upTo) {
      this.#begin();
      await this.#writing;
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.settled();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.settled();
  }

  #take(key: string): TimedStep[] {
    const steps = this.#prelude.get(key) ?? [];
    this.#prelude.delete(key);
    return steps;
  }

  #enqueue(statements: Statement[]): void {
    if (this.#waiting.length >= WAITING) return;
    this.#waiting.push(statements);
    this.#noted++;
    if (this.#waiting.length >= BATCH) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), WRITE_AFTER_MS).unref();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, BATCH);
    this.#writing = this.database
      .commit(batch.flat())
      .then(
        () => undefined,
        (error: unknown) => this.#log.warn(`a sign-in trace could not be written: ${String(error)}`),
      )
      .finally(() => {
        this.#written += batch.length;
        this.#writing = null;
        this.#begin();
      });
  }
}

/** Steps with which a trace can begin: what the same caller did before belongs to it. */
const BEGINNINGS: ReadonlySet<FlowStepName> = new Set(['registration', 'document', 'authorize']);

function outcomeAfter({ step, outcome = 'ok', clientId = null }: FlowStep): string {
  if (outcome !== 'ok') return outcome;
  // A sign-in to the account page has no Client, and ends where it comes back.
  if (step === 'callback' && clientId === null) return 'done';
  return step === 'token' || step === 'first-call' ? 'done' : 'open';
}

// A step noted while its person was being erased must not bring their id back.
// A sign-in that ended well stays so when its page is loaded once more; only its code can still spoil it, see `stepOfGrant`.
function upsertFlow(reference: string, step: FlowStep, now: number): Statement {
  const recognised = step.traits ? recogniseClient({ clientId: step.clientId, ...step.traits }) : null;
  return sql`INSERT INTO flow (id, reference, client_id, recognised, user_id, grant_id, provider, ip, outcome, failed_check, updated_at)
    VALUES (${timeId(now)}, ${reference}, ${step.clientId ?? null}, ${recognised}, (SELECT id FROM gatehouse_user WHERE id = ${step.userId ?? null}), ${step.grantId ?? null}, ${step.provider ?? null}, ${step.ip ?? null}, ${outcomeAfter(step)}, ${step.check ?? null}, ${now})
    ON CONFLICT (reference) DO UPDATE SET
      client_id = COALESCE(excluded.client_id, flow.client_id), recognised = COALESCE(flow.recognised, excluded.recognised),
      user_id = COALESCE(excluded.user_id, flow.user_id), grant_id = COALESCE(excluded.grant_id, flow.grant_id),
      provider = COALESCE(excluded.provider, flow.provider), ip = COALESCE(excluded.ip, flow.ip),
      outcome = CASE WHEN flow.outcome = 'done' THEN flow.outcome ELSE excluded.outcome END,
      failed_check = CASE WHEN flow.outcome = 'done' THEN flow.failed_check ELSE excluded.failed_check END, updated_at = excluded.updated_at`;
}

// In a SELECT list Postgres takes a bare parameter for text.
function insertStep(reference: string, { at, step, outcome, check, detail }: TimedStep): Statement {
  return sql`INSERT INTO flow_step (id, reference, at, step, outcome, failed_check, detail)
    SELECT CAST(${timeId(at)} AS text), CAST(${reference} AS text), CAST(${at} AS bigint), CAST(${step} AS text), CAST(${outcome ?? 'ok'} AS text), CAST(${check ?? null} AS text), CAST(${detail ? JSON.stringify(detail) : null} AS text)
    WHERE (SELECT COUNT(*) FROM flow_step WHERE reference = ${reference}) < ${STEPS_KEPT}`;
}

function insertStepOfGrant(grantId: string, { at, step, outcome, check, detail }: TimedStep): Statement {
  return sql`INSERT INTO flow_step (id, reference, at, step, outcome, failed_check, detail)
    SELECT CAST(${timeId(at)} AS text), f.reference, CAST(${at} AS bigint), CAST(${step} AS text), CAST(${outcome ?? 'ok'} AS text), CAST(${check ?? null} AS text), CAST(${detail ? JSON.stringify(detail) : null} AS text)
    FROM flow f WHERE f.grant_id = ${grantId} AND (SELECT COUNT(*) FROM flow_step s WHERE s.reference = f.reference) < ${STEPS_KEPT}`;
}

function callerKey(ip: string | null | undefined, userAgent: string | null | undefined): string {
  return `caller ${ip ?? ''} ${userAgent ?? ''}`;
}
