import { Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import { EventRow } from './event.entity.js';

/** What happened: who, what, on which client, from where, outcome. Never a token, code or secret. */
export interface NewEvent {
  /** `noun.verb`, for example `user.blocked`. */
  readonly type: string;
  /** Default `ok`. */
  readonly outcome?: EventRow['outcome'];
  readonly actor?: string | null | undefined;
  readonly userId?: string | null | undefined;
  readonly clientId?: string | null | undefined;
  readonly grantId?: string | null | undefined;
  readonly provider?: string | null | undefined;
  readonly ip?: string | null | undefined;
  readonly reference?: string | null | undefined;
  readonly detail?: Record<string, unknown> | null | undefined;
}

/** The audit log: events are committed together with what they record. */
@Injectable()
export class Events {
  constructor(private readonly database: Database) {}

  /** A statement to commit together with the change it records. */
  record(event: NewEvent): Statement {
    const at = Date.now();
    return this.database.insert(EventRow, {
      id: timeId(at),
      at,
      type: event.type,
      outcome: event.outcome ?? 'ok',
      actor: event.actor ?? null,
      userId: event.userId ?? null,
      clientId: event.clientId ?? null,
      grantId: event.grantId ?? null,
      provider: event.provider ?? null,
      ip: event.ip ?? null,
      reference: event.reference ?? null,
      detail: event.detail ?? null,
    });
  }

  /** For what changes nothing else: a refusal, a denied call. */
  async write(event: NewEvent): Promise<void> {
    await this.database.commit([this.record(event)]);
  }
}
