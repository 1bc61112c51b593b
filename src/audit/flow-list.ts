import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { oneOf, slice, type Key } from '../persistence/keyset.js';
import { Flows } from './flows.js';
import type { FlowOutcome } from './flow.entity.js';

/** An attempt that nobody touched for this long was given up, milliseconds: an Interaction lives ten minutes. */
const GIVEN_UP_MS = 600_000;

/** How an attempt ended, or that it was given up. */
export type ListedFlowOutcome = FlowOutcome | 'abandoned';

/** Which attempts; every given one must fit. */
export interface FlowFilter {
  readonly reference?: string | undefined;
  readonly client?: string | undefined;
  readonly user?: string | undefined;
  readonly outcome?: ListedFlowOutcome | undefined;
}

/** A trace with its steps, oldest step first. Times are epoch milliseconds. */
export interface ListedFlow {
  readonly id: string;
  readonly reference: string;
  readonly clientId: string | null;
  readonly recognised: string | null;
  readonly userId: string | null;
  readonly grantId: string | null;
  readonly provider: string | null;
  readonly ip: string | null;
  readonly outcome: ListedFlowOutcome;
  readonly failedCheck: string | null;
  readonly updatedAt: number;
  readonly steps: readonly ListedStep[];
}

/** One step of a trace. */
export interface ListedStep {
  readonly at: number;
  readonly step: string;
  readonly outcome: 'ok' | 'refused' | 'failed';
  readonly failedCheck: string | null;
  readonly detail: Record<string, unknown> | null;
}

interface RawFlow {
  id: string;
  reference: string;
  client_id: string | null;
  recognised: string | null;
  user_id: string | null;
  grant_id: string | null;
  provider: string | null;
  ip: string | null;
  outcome: FlowOutcome;
  failed_check: string | null;
  updated_at: number;
}

interface RawStep {
  reference: string;
  at: number;
  step: string;
  outcome: 'ok' | 'refused' | 'failed';
  failed_check: string | null;
  detail: string | null;
}

/** Traces as an administrator searches them. */
@Injectable()
export class FlowList {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Flows) private readonly flows: Flows,
  ) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: FlowFilter,
    { after, limit }: { after: Key | null; limit: number },
  ): Promise<{ items: ListedFlow[]; next: Key | null }> {
    await this.flows.settled();
    const { rows, more } = await slice<RawFlow>(this.database, {
      from: sql`SELECT id, reference, client_id, recognised, user_id, grant_id, provider, ip, outcome, failed_check, updated_at FROM flow`,
      where: conditions(filter),
      order: ['id'],
      after,
      limit,
    });
    const steps = await this.#steps(rows.map(({ reference }) => reference));
    return {
      items: rows.map((row) => flowOf(row, steps.get(row.reference) ?? [])),
      next: more ? [rows.at(-1)!.id] : null,
    };
  }

  async #steps(references: readonly string[]): Promise<Map<string, ListedStep[]>> {
    if (references.length === 0) return new Map();
    const { text, values } = oneOf('reference', references);
    const rows = await this.database.rows<RawStep>({
      text: [
        `SELECT reference, at, step, outcome, failed_check, detail FROM flow_step WHERE ${text[0]}`,
        ...text.slice(1, -1),
        `${text.at(-1)} ORDER BY at, id`,
      ],
      values,
    });
    const steps = new Map<string, ListedStep[]>();
    for (const { reference, at, step, outcome, failed_check: failedCheck, detail } of rows) {
      const one = {
        at,
        step,
        outcome,
        failedCheck,
        detail: detail === null ? null : (JSON.parse(detail) as Record<string, unknown>),
      };
      steps.set(reference, [...(steps.get(reference) ?? []), one]);
    }
    return steps;
  }
}

function conditions({ reference, client, user, outcome }: FlowFilter): Statement[] {
  const givenUp = Date.now() - GIVEN_UP_MS;
  return [
    reference !== undefined && sql`reference = ${reference}`,
    client !== undefined && sql`client_id = ${client}`,
    user !== undefined && sql`user_id = ${user}`,
    outcome === 'abandoned' && sql`outcome = 'open' AND updated_at < ${givenUp}`,
    outcome === 'open' && sql`outcome = 'open' AND updated_at >= ${givenUp}`,
    outcome !== undefined && !['abandoned', 'open'].includes(outcome) && sql`outcome = ${outcome}`,
  ].filter((condition) => condition !== false);
}

function flowOf(raw: RawFlow, steps: readonly ListedStep[]): ListedFlow {
  return {
    id: raw.id,
    reference: raw.reference,
    clientId: raw.client_id,
    recognised: raw.recognised,
    userId: raw.user_id,
    grantId: raw.grant_id,
    provider: raw.provider,
    ip: raw.ip,
    outcome: raw.outcome === 'open' && raw.updated_at < Date.now() - GIVEN_UP_MS ? 'abandoned' : raw.outcome,
    failedCheck: raw.failed_check,
    updatedAt: raw.updated_at,
    steps,
  };
}
