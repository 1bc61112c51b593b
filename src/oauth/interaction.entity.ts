import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** One sign-in on its way, at most ten minutes old. */
@Entity('oauth_interaction')
@Index('ix_oauth_interaction_state', ['stateHash'])
@Index('ix_oauth_interaction_expiry', ['expiresAt'])
export class InteractionRow {
  /** SHA-256 of the Interaction's uid: the uid is also a cookie's value. */
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  /** SHA-256 of the upstream `state`; null: not at an upstream, or taken. */
  @Column('text', { name: 'state_hash', nullable: true }) stateHash!: string | null;
  /** SHA-256 of this browser's binding cookie, set on approval. */
  @Column('text', { name: 'binding_hash', nullable: true }) bindingHash!: string | null;
  /** Where the person was sent to sign in. */
  @Column('text', { nullable: true }) provider!: string | null;
  /** Sealed: uid, the provider's memo (PKCE verifier, nonce) and what the person approved. */
  @Column('text', { nullable: true }) approval!: string | null;
  /** Who signed in upstream; null: nobody yet. */
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  /** How the upstream leg ended; null: it has not. */
  @Column({ nullable: true, ...json }) outcome!: Record<string, unknown> | null;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
  /** The engine's members without the uid. */
  @Column({ ...json }) payload!: Record<string, unknown>;
}
