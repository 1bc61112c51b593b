import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, milliseconds } from '../persistence/columns.js';

/** How far a sign-in attempt came: `open` is on its way (or was given up), `done` ended in tokens, or on the account page. */
export type FlowOutcome = 'open' | 'done' | 'refused' | 'failed';

/** The trace of one sign-in attempt, for finding out why it failed; kept for a week. */
@Entity('flow')
@Index('ix_flow_client', ['clientId', 'id'])
@Index('ix_flow_user', ['userId', 'id'])
@Index('ix_flow_grant', ['grantId'])
export class FlowRow {
  /** Sorts by time of the first step. */
  @PrimaryColumn('text') id!: string;
  /** The reference id that pages show and the log names. */
  @Column('text', { unique: true }) reference!: string;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  /** The well-known application it seems to be; null: not recognised. */
  @Column('text', { nullable: true }) recognised!: string | null;
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  /** The Grant it ended in; null: none yet. */
  @Column('text', { name: 'grant_id', nullable: true }) grantId!: string | null;
  @Column('text', { nullable: true }) provider!: string | null;
  @Column('text', { nullable: true }) ip!: string | null;
  @Column('text') outcome!: FlowOutcome;
  /** Name of the check that the latest step failed; null: it passed. */
  @Column('text', { name: 'failed_check', nullable: true }) failedCheck!: string | null;
  @Column({ name: 'updated_at', ...milliseconds }) updatedAt!: number;
}

/** One step of a sign-in attempt. */
@Entity('flow_step')
@Index('ix_flow_step_reference', ['reference', 'id'])
export class FlowStepRow {
  /** Sorts by time. */
  @PrimaryColumn('text') id!: string;
  @Column('text') reference!: string;
  @Column({ ...milliseconds }) at!: number;
  @Column('text') step!: string;
  @Column('text') outcome!: 'ok' | 'refused' | 'failed';
  /** null: nothing failed. */
  @Column('text', { name: 'failed_check', nullable: true }) failedCheck!: string | null;
  /** What else helps to understand it; never a token, code or secret. */
  @Column({ nullable: true, ...json }) detail!: Record<string, unknown> | null;
}
