import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
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

/** Who was refused before they were known here: their account as they would recognise it, and a pseudonym by which an erasure finds it. */
export interface Stranger {
  readonly account: string;
  readonly pseudonym: string;
}

/** The stranger behind an account at a provider; the pseudonym is a digest of provider and subject. */
export function stranger(provider: string, subject: string, account: string): Stranger {
  return { account, pseudonym: pseudonymOf(provider, subject) };
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

  /** Takes address and account out of the refusals of somebody who was not yet known; for the commit that erases them. */
  forgetStranger(provider: string, subject: string): Statement {
    return sql`UPDATE event SET ip = NULL, detail = NULL
      WHERE type = ${'login.refused'} AND user_id IS NULL AND detail LIKE ${`%"pseudonym":"${pseudonymOf(provider, subject)}"%`}`;
  }

  /** For what changes nothing else: a refusal, a denied call. */
  async write(event: NewEvent): Promise<void> {
    await this.database.commit([this.record(event)]);
  }
}

function pseudonymOf(provider: string, subject: string): string {
  return createHash('sha256')
    .update(JSON.stringify([provider, subject]))
    .digest('hex')
    .slice(0, 32);
}
