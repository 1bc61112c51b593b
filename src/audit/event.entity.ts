import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, milliseconds } from '../persistence/columns.js';

/** One line of the audit log; never changed, purged after `GATEHOUSE_AUDIT_RETENTION`. */
@Entity('event')
@Index('ix_event_type', ['type', 'id'])
@Index('ix_event_user', ['userId', 'id'])
@Index('ix_event_client', ['clientId', 'id'])
export class EventRow {
  /** Sorts by time of writing. */
  @PrimaryColumn('text') id!: string;
  @Column({ name: 'at', ...milliseconds }) at!: number;
  /** `noun.verb`, for example `grant.revoked`. */
  @Column('text') type!: string;
  @Column('text') outcome!: 'ok' | 'refused' | 'failed';
  /** Who acted: a User id, `admin-token`, `system`; null: nobody known. */
  @Column('text', { name: 'actor', nullable: true }) actor!: string | null;
  /** Whom it concerns. */
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  @Column('text', { name: 'grant_id', nullable: true }) grantId!: string | null;
  @Column('text', { nullable: true }) provider!: string | null;
  /** Address of the caller. */
  @Column('text', { nullable: true }) ip!: string | null;
  /** What an error page showed; also in the log. */
  @Column('text', { nullable: true }) reference!: string | null;
  @Column({ nullable: true, ...json }) detail!: Record<string, unknown> | null;
}
