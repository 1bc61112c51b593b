import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** An upstream's tokens for one person, sealed; the newest sign-in's. */
@Entity('upstream_token')
@Index('ix_upstream_token_grant', ['grantId'])
export class UpstreamTokenRow {
  @PrimaryColumn('text', { name: 'user_id' }) userId!: string;
  /** Provider instance id. */
  @PrimaryColumn('text') provider!: string;
  /** The Grant whose sign-in brought them; null: the account page's. */
  @Column('text', { name: 'grant_id', nullable: true }) grantId!: string | null;
  /** Sealed JSON of UpstreamTokens. */
  @Column('text') sealed!: string;
  /** null: the upstream gave no end. */
  @Column({ name: 'expires_at', nullable: true, ...seconds }) expiresAt!: number | null;
  /** One node is refreshing them until here; null: nobody. */
  @Column({ name: 'lease_until', nullable: true, ...seconds }) leaseUntil!: number | null;
  /** Who holds the lease. */
  @Column('text', { name: 'lease_holder', nullable: true }) leaseHolder!: string | null;
  @Column({ name: 'updated_at', ...seconds }) updatedAt!: number;
}
