import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** One try of one browser to sign in at one provider, for an Interaction or for the account page. */
@Entity('oauth_attempt')
@Index('ix_oauth_attempt_subject', ['subjectHash'])
@Index('ix_oauth_attempt_expiry', ['expiresAt'])
export class AttemptRow {
  /** SHA-256 of the upstream `state`. */
  @PrimaryColumn('text', { name: 'state_hash' }) stateHash!: string;
  /** SHA-256 of what it is for: the Interaction's uid, or the account page's own id. */
  @Column('text', { name: 'subject_hash' }) subjectHash!: string;
  /** SHA-256 of the cookie that binds it to a browser. */
  @Column('text', { name: 'binding_hash' }) bindingHash!: string;
  @Column('text') provider!: string;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  /** Sealed: the provider's memo, what the person approved and where to go on. */
  @Column('text') sealed!: string;
  /** The callback took the state; null: it may still come. */
  @Column({ name: 'taken_at', nullable: true, ...seconds }) takenAt!: number | null;
  /** Sealed: how the upstream leg ended; null: it has not. */
  @Column('text', { nullable: true }) outcome!: string | null;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
}
