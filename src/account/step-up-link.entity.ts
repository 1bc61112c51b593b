import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** A link at which one person may add scopes to one living Grant, once. */
@Entity('step_up_link')
@Index('ix_step_up_link_expiry', ['expiresAt'])
export class StepUpLinkRow {
  /** SHA-256 of the id in the link. */
  @PrimaryColumn('text', { name: 'id_hash' }) idHash!: string;
  @Column('text', { name: 'grant_id' }) grantId!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  @Column({ ...json }) scopes!: string[];
  /** Names of the tools that need them. */
  @Column({ ...json }) tools!: string[];
  /** Allowed or refused; null: not yet. */
  @Column({ name: 'used_at', nullable: true, ...seconds }) usedAt!: number | null;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
}
