import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** An upstream's tokens for one account of a person, sealed; those of its newest sign-in. */
@Entity('upstream_token')
@Index('ix_upstream_token_user', ['userId', 'provider'])
export class UpstreamTokenRow {
  /** Provider instance id. */
  @PrimaryColumn('text') provider!: string;
  /** The account at that provider. */
  @PrimaryColumn('text') subject!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  /** The Grant whose sign-in brought them; null: the account page's. */
  @Column('text', { name: 'grant_id', nullable: true }) grantId!: string | null;
  /** Sealed JSON of UpstreamTokens; null: the upstream said that they are dead. The row stays, so that a refresh of ours ends the Grant. */
  @Column('text', { nullable: true }) sealed!: string | null;
  /** Another one with every change of the tokens; sealing them anew is none. */
  @Column('integer') version!: number;
  /** null: the upstream gave no end. */
  @Column({ name: 'expires_at', nullable: true, ...seconds }) expiresAt!: number | null;
  /** One node is refreshing them until here; null: nobody. */
  @Column({ name: 'lease_until', nullable: true, ...seconds }) leaseUntil!: number | null;
  /** Who holds the lease. */
  @Column('text', { name: 'lease_holder', nullable: true }) leaseHolder!: string | null;
  @Column({ name: 'updated_at', ...seconds }) updatedAt!: number;
}
